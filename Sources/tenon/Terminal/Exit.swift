import ArgumentParser
import TenonClient

/// The exit codes that scripts rely on.
enum Exit {
    /// A negative answer: a missing key, a condition that does not hold.
    static let negative = ExitCode(1)
    /// Not applied: unavailable before sending, refused, invalid, overloaded, diskFull.
    static let notApplied = ExitCode(2)
    /// A write that may have taken effect.
    static let unknown = ExitCode(3)
    /// A wrong command line.
    static let usage = ExitCode(64)
}

extension TenonError {
    /// The exit code that says the same.
    var exitCode: ExitCode {
        if kind == .conditionFailed { return Exit.negative }
        return outcome == .unknown ? Exit.unknown : Exit.notApplied
    }

    /// What a person can do about it.
    var advice: String? {
        switch kind {
        case .unavailable where outcome == .unknown: "read the key to see what happened"
        case .unavailable: "see `tenon status`, or give --timeout more"
        case .overloaded: "try again a little later"
        case .diskFull: "free or add disk space; deletes and reads go on"
        case .historyGone: "read a newer version, or serve with a longer --retention"
        default: nil
        }
    }
}

/// Runs a client command: a client error becomes a message and its exit code.
func reportingErrors(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let error as TenonError {
        Console.error(error.description + (error.advice.map { "; " + $0 } ?? ""))
        throw error.exitCode
    } catch let error as InputError {
        Console.error(error.description)
        throw Exit.notApplied
    } catch is OutputClosed {
        // The reader of our output has enough: that is no failure of ours.
        throw ExitCode.success
    }
}

/// What a person or a script gave us cannot be used.
struct InputError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
