package import TenonChecker
internal import TenonCore

extension Check {
    /// Each tablet's history replayed in the order of versions (``VersionReplay``).
    package static let replay = Check("replay")
    /// The replay of a history did not come to a verdict within its bound.
    package static let undecided = Check("replay came to no verdict")
    /// Sums of counters, and answers to the same write, are those of one run.
    package static let exactlyOnce = Check("exactly once")
    /// Every view of all accounts of a bank shows the same total.
    package static let bankTotal = Check("bank total")
}

/// What every history is checked for.
package enum HistoryChecks {
    /// Configurations of one key that the search without versions remembers. What it does not
    /// decide within them the replay has decided.
    private static let statesMax = 100_000

    package static func failures(
        of history: [HistoryOperation], workload: String
    ) -> [CheckFailure] {
        var failures: [CheckFailure] = []
        switch VersionReplay().verdict(of: history) {
        case .holds: break
        case .violated(let violation):
            failures.append(CheckFailure(.replay, "\(workload): \(violation.text)"))
        case .undecided(let reason):
            failures.append(CheckFailure(.undecided, "\(workload): \(reason)"))
        }
        var search = RegisterCheck()
        search.statesMax = statesMax
        if case .violated(let violation) = search.verdict(of: history) {
            failures.append(CheckFailure(.linearizability, "\(workload): \(violation.text)"))
        }
        return failures
    }
}
