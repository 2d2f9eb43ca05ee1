internal import CTenon

/// Marks a rare branch: a simulator's sweep lists the marks that no seed has reached.
///
/// Costs a call and the increment of one thread-local word, so it belongs where something rare
/// happens, never on a path that every request takes.
package func reached(_ mark: Mark) { ctenon_mark(Int32(mark.rawValue)) }

/// How often the calling thread has reached each mark.
package enum Coverage {
    /// Forgets what this thread has reached.
    package static func clear() { ctenon_marks_clear() }

    /// How often this thread has reached `mark` since the last ``clear()``.
    package static func count(of mark: Mark) -> Int { Int(ctenon_mark_count(Int32(mark.rawValue))) }

    /// The marks that this thread has reached, in the order of their declaration.
    package static var reachedMarks: [(mark: Mark, count: Int)] {
        Mark.allCases.map { ($0, count(of: $0)) }.filter { $0.1 > 0 }
    }
}
