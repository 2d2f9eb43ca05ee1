package import TenonCore

/// What a checker found.
package enum Verdict: Hashable, Sendable {
    /// The history keeps the promise.
    case holds
    /// It does not; why, and the operations that show it.
    case violated(Violation)
    /// The search came to its bound, or the history has what this checker does not model.
    case undecided(reason: String)
}

/// A broken promise and the operations that prove it.
package struct Violation: Hashable, Sendable {
    /// One sentence for a person.
    package var explanation: String
    /// The operation that cannot have happened as it was answered.
    package var culprit: HistoryOperation
    /// Operations that the explanation rests on.
    package var context: [HistoryOperation]
    /// The value that was seen and should not have been, when it is one.
    package var seenValue: Bytes?

    package init(explanation: String, culprit: HistoryOperation, context: [HistoryOperation] = []) {
        self.explanation = explanation
        self.culprit = culprit
        self.context = context
    }
}

/// Per-key linearizability: is there one order of the operations on a key, agreeing with real
/// time, in which each was answered as a single register would answer it?
///
/// Linearizability is local (Herlihy and Wing, 1990, theorem 1), so each key is searched alone.
/// Scans, range deletes and transactions take part with what each of them says of each key. An
/// operation with an unknown outcome may take effect at any time after it was sent, or never.
/// The search is complete; `statesMax` bounds its memory.
///
/// Source: Wing and Gong, "Testing and verifying concurrent objects", 1993; Lowe, "Testing for
/// linearizability", 2017 (the memo of visited configurations).
package struct RegisterCheck: Sendable {
    /// Configurations remembered for one key before the verdict is `undecided`. Each takes about
    /// 100 B; the default bounds the search at some 200 MiB.
    package var statesMax = 2_000_000

    package init() {}

    /// The first broken key's verdict in key order; otherwise the first undecided one's.
    package func verdict(of history: [HistoryOperation]) -> Verdict {
        let foreign = history.first { operation in
            if case .other = operation.action { operation.result != .fail } else { false }
        }
        if let foreign { return .undecided(reason: "operation not modelled: \(foreign.action)") }
        var steps = RegisterSteps(of: history)
        if let flaw = steps.flaw { return .violated(flaw) }
        var undecided = steps.unfollowed.map { Verdict.undecided(reason: $0) }
        for group in steps.takeGroups() {
            var search = RegisterSearch(group, of: history, statesMax: statesMax)
            switch search.run() {
            case .holds: continue
            case .violated(let violation): return .violated(violation)
            case .undecided(let reason): undecided = undecided ?? .undecided(reason: reason)
            }
        }
        return undecided ?? .holds
    }
}

extension Violation {
    /// The explanation, and the operations as lines of a history file.
    package var text: String {
        var bytes: [UInt8] = []
        for operation in [culprit] + context { HistoryFile.append(operation, to: &bytes) }
        return explanation + "\n" + String(decoding: bytes.dropLast(), as: UTF8.self)
    }
}
