import Foundation
import Glibc
import Synchronization
import TenonClient

/// What goes to the person at the terminal: standard error, never mixed with data.
enum Console {
    /// Whether standard error is a terminal, so that progress is worth showing.
    static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// Says what went wrong and what to do.
    static func error(_ message: String) { note("error: \(message)") }

    /// A line to standard error.
    static func note(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

    /// Overwrites the line of the cursor; nothing when nobody watches.
    static func progress(_ text: String) {
        guard isTerminal else { return }
        FileHandle.standardError.write(Data(("\r\u{1B}[K" + text).utf8))
    }

    /// Ends the line of ``progress(_:)``.
    static func progressEnded() { progress("") }
}

/// The monotonic clock, in seconds since an arbitrary start.
struct Stopwatch: Sendable {
    private let start = ContinuousClock.now

    /// Seconds since it was made.
    var seconds: Double {
        let (whole, atto) = (ContinuousClock.now - start).components
        return Double(whole) + Double(atto) / 1e18
    }
}
