internal import TenonCore

/// Replays each tablet's history in order of versions: every answer names the point at which it
/// stood (Rule S7), so a whole tablet is checked at once, scans, conditions and transactions
/// included.
///
/// Checked: (1) points agree with real time: nothing stands below what was answered before it was
/// sent, and a write stands above; (2) no version is given twice; (3) every read, scan, condition
/// and result was answered as the writes up to its point say.
///
/// A write whose outcome is unknown may have been applied once, at any version above what was
/// answered before it was sent, or never. It is placed where somebody saw its value's version;
/// what left no version (deletes, overwritten values) is placed where an answer needs it, by a
/// search that is complete up to ``placementsMax``.
///
/// A history with an operation that is not modelled, or with an acknowledged write whose point is
/// not told, is `undecided`.
/// - Complexity: O(n log n), where a scan or a range delete counts as many operations as there
///   are keys in its range; and the search, which most histories do not need.
package struct VersionReplay: Sendable {
    /// Placements tried for one tablet before the verdict is `undecided`.
    package var placementsMax = 4_000

    package init() {}

    package func verdict(of history: [HistoryOperation]) -> Verdict {
        if let reason = VersionReplay.notModelled(in: history) { return .undecided(reason: reason) }
        let unknown = history.indices.filter {
            history[$0].isWrite && history[$0].result == .unknown
        }
        for places in VersionReplay.groupedByTablet(history) {
            let order = RealTimeOrder(of: history, places: places + unknown)
            if let violation = order.violation { return .violated(violation) }
            var replay = TabletReplay(order, placementsMax: placementsMax)
            switch replay.run() {
            case .holds: continue
            case .violated(let violation):
                return .violated(VersionReplay.withWriters(of: violation, in: history))
            case .undecided(let reason): return .undecided(reason: reason)
            }
        }
        return .holds
    }

    private static func notModelled(in history: [HistoryOperation]) -> String? {
        for operation in history {
            if case .other(let name) = operation.action, operation.result != .fail {
                return "operation not modelled: \(name)"
            }
            if operation.isApplied && operation.at == nil {
                return "an acknowledged write does not tell its point"
            }
        }
        return nil
    }

    /// Places of the operations that were answered, tablet by tablet.
    private static func groupedByTablet(_ history: [HistoryOperation]) -> [[Int]] {
        var groups: [TabletID: [Int]] = [:]
        for place in history.indices where history[place].result != .unknown {
            guard let tablet = history[place].at?.tablet else { continue }
            groups[tablet, default: []].append(place)
        }
        return groups.keys.sorted().map { groups[$0] ?? [] }
    }

    /// Adds who wrote the value that should not have been seen, were it an operation that failed.
    private static func withWriters(
        of violation: Violation, in history: [HistoryOperation]
    ) -> Violation {
        var violation = violation
        guard let seen = violation.seenValue else { return violation }
        let writers = history.filter { $0 != violation.culprit && $0.mayWrite(seen) }
        if !writers.isEmpty, writers.allSatisfy({ $0.result == .fail }) {
            violation.explanation += "; only an operation that failed wrote what it saw"
        } else if writers.isEmpty {
            violation.explanation += "; nobody wrote what it saw"
        }
        for writer in writers.prefix(4) where !violation.context.contains(writer) {
            violation.context.append(writer)
        }
        return violation
    }
}

extension HistoryOperation {
    /// The version at which its answer stood.
    var point: Timestamp { asOf ?? (isApplied ? version : nil) ?? at?.version ?? .zero }

    /// The version that its tablet had surely reached when it was answered. An answer to a
    /// retry stands where the retry does, above the write's own version.
    var reachedPoint: Timestamp { max(point, at?.version ?? .zero) }

    /// Whether `value` is among what it would leave.
    fileprivate func mayWrite(_ value: Bytes) -> Bool {
        var done = self
        done.result = .unknown
        return (Footprint.possible(done) ?? []).contains { way in
            way.effects.contains { effect in
                if case .put(_, value) = effect { true } else { false }
            }
        }
    }
}
