internal import TenonCore

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
/// An operation with an unknown outcome may take effect at any time after it was sent, or never.
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
        if let foreign = history.first(where: { !RegisterCheck.isModelled($0) }) {
            return .undecided(reason: "operation not modelled: \(foreign.action)")
        }
        var undecided: Verdict?
        for group in RegisterCheck.groupedByKey(history) {
            var search = RegisterSearch(group, statesMax: statesMax)
            switch search.run() {
            case .holds: continue
            case .violated(let violation): return .violated(violation)
            case .undecided(let reason): undecided = undecided ?? .undecided(reason: reason)
            }
        }
        return undecided ?? .holds
    }

    /// Reads that say nothing about single keys (scans) are left to ``VersionReplay``.
    private static func isModelled(_ operation: HistoryOperation) -> Bool {
        switch operation.action {
        case .get, .put, .delete, .compareAndSet, .scan: true
        case .deleteRange, .other: operation.result == .fail
        }
    }

    private static func groupedByKey(_ history: [HistoryOperation]) -> [[HistoryOperation]] {
        var places: [Bytes: Int] = [:]
        var groups: [(key: Bytes, operations: [HistoryOperation])] = []
        for operation in history where operation.asOf == nil {
            guard let key = operation.key else { continue }
            if let place = places[key] {
                groups[place].operations.append(operation)
            } else {
                places[key] = groups.count
                groups.append((key, [operation]))
            }
        }
        return groups.sorted { $0.key < $1.key }.map(\.operations)
    }
}
