package import TenonCore

/// What a drill reports, as pure functions of its history (interfaces.md, "Drill reports").
package enum DrillMeasures {
    /// Acknowledged writes that are missing afterwards: for each key the newest one, when what is
    /// read at the end is older than it, or is gone without a delete that may account for it.
    ///
    /// Only writes whose answer told their version count; `contents` gives what a key has now.
    package static func lostWrites(
        in history: [HistoryOperation], contents: (Bytes) -> StoredValue?
    ) -> [HistoryOperation] {
        var keys = KeyWrites()
        for operation in history { keys.add(operation) }
        return keys.acknowledged.compactMap { write in
            guard let key = write.key else { return nil }
            let now = contents(key)
            if write.isRemoval {
                // Only an older value that came back shows that a delete was lost.
                guard let now, now.version < write.writtenVersion else { return nil }
                return write
            }
            if let now { return now.version < write.writtenVersion ? write : nil }
            return keys.hasUnknownRemoval(of: key) ? nil : write
        }
    }

    /// Reads that returned a version below the highest one acknowledged for their key before they
    /// were sent. A missing value counts when the newest acknowledged write was none that removes,
    /// and no removal was under way that may account for it.
    package static func staleReads(in history: [HistoryOperation]) -> [HistoryOperation] {
        let answered = history.filter(\.isAcknowledgedWrite).sorted { $0.endsAt < $1.endsAt }
        let reads = history.filter(\.isAnsweredRead).sorted { $0.sentAt < $1.sentAt }
        let removals = RemovalIndex(history)
        var highest: [Bytes: HistoryOperation] = [:]
        var answeredCount = 0
        var stale: [HistoryOperation] = []
        for read in reads {
            while answeredCount < answered.count, answered[answeredCount].endsAt < read.sentAt {
                let write = answered[answeredCount]
                answeredCount += 1
                guard let key = write.key else { continue }
                if write.writtenVersion > highest[key]?.writtenVersion ?? .zero {
                    highest[key] = write
                }
            }
            guard let key = read.key, let write = highest[key] else { continue }
            if isStale(read, after: write, removals: removals) { stale.append(read) }
        }
        return stale
    }

    private static func isStale(
        _ read: HistoryOperation, after write: HistoryOperation, removals: RemovalIndex
    ) -> Bool {
        if case .value = read.read {
            guard let version = read.version else { return false }
            return version < write.writtenVersion
        }
        if write.isRemoval { return false }
        return !removals.mayRemove(write, before: read)
    }

    /// The longest time between two successes that overlaps `fault`, on one tablet.
    ///
    /// The run from `start` to `end` is what was watched: without a success before or after the
    /// fault the gap reaches to that border.
    package static func longestGap(
        successes: [Instant], overlapping fault: Range<Instant>, from start: Instant,
        to end: Instant
    ) -> TimeSpan {
        var longest = TimeSpan.zero
        var previous = start
        for moment in successes.sorted() + [end] {
            if moment >= fault.lowerBound, previous < fault.upperBound {
                longest = max(longest, moment.since(previous))
            }
            previous = max(previous, moment)
        }
        return longest
    }

    /// The longest gap of the worst tablet; successes are operations that were answered `ok`.
    package static func worstGap(
        in history: [HistoryOperation], overlapping fault: Range<Instant>, from start: Instant,
        to end: Instant
    ) -> TimeSpan {
        let answered = history.filter { $0.result == .ok && $0.at != nil && $0.answeredAt != nil }
        var moments: [TabletID: [Instant]] = [:]
        for operation in answered {
            guard let tablet = operation.at?.tablet else { continue }
            moments[tablet, default: []].append(operation.endsAt)
        }
        return moments.keys.sorted().map { tablet in
            longestGap(
                successes: moments[tablet] ?? [], overlapping: fault, from: start, to: end)
        }.max() ?? end.since(start)
    }

    /// How many writes were sent and not yet answered at `moment`.
    package static func writesInFlight(
        in history: [HistoryOperation], at moment: Instant
    ) -> Int {
        history.count { $0.isWrite && $0.sentAt <= moment && $0.endsAt > moment }
    }
}

extension HistoryOperation {
    /// Whether it leaves its key without a value.
    fileprivate var isRemoval: Bool {
        switch action {
        case .delete, .compareAndDelete: true
        case .get, .getMany, .put, .compareAndSet, .scan, .deleteRange, .transaction, .other: false
        }
    }

    /// The version that this write was given.
    fileprivate var writtenVersion: Timestamp { version ?? at?.version ?? .zero }

    fileprivate var isAcknowledgedWrite: Bool {
        isWrite && result == .ok && key != nil && writtenVersion > .zero
    }

    fileprivate var isAnsweredRead: Bool {
        guard case .get = action else { return false }
        return result == .ok && read != nil && asOf == nil
    }
}

/// The newest acknowledged write of each key, and keys with removals of unknown outcome.
private struct KeyWrites {
    private var places: [Bytes: Int] = [:]
    private(set) var acknowledged: [HistoryOperation] = []
    private var unknownRemovals: Set<Bytes> = []
    private var removedRanges: [HistoryOperation] = []

    mutating func add(_ operation: HistoryOperation) {
        if case .deleteRange = operation.action, operation.result != .fail {
            removedRanges.append(operation)
        }
        guard let key = operation.key else { return }
        if operation.isRemoval, operation.result == .unknown {
            unknownRemovals.insert(key)
        }
        guard operation.isAcknowledgedWrite else { return }
        if let place = places[key] {
            guard operation.writtenVersion > acknowledged[place].writtenVersion else { return }
            acknowledged[place] = operation
        } else {
            places[key] = acknowledged.count
            acknowledged.append(operation)
        }
    }

    func hasUnknownRemoval(of key: Bytes) -> Bool {
        unknownRemovals.contains(key) || removedRanges.contains { $0.removes(key) }
    }
}

/// Finds removals that may account for a missing value.
private struct RemovalIndex {
    private var byKey: [Bytes: [HistoryOperation]] = [:]
    private var ranges: [HistoryOperation] = []

    init(_ history: [HistoryOperation]) {
        for operation in history where operation.result != .fail {
            if operation.isRemoval, let key = operation.key {
                byKey[key, default: []].append(operation)
            } else if case .deleteRange = operation.action {
                ranges.append(operation)
            }
        }
    }

    /// Whether a removal newer than `write`, or of unknown version, was sent before `read` ended.
    func mayRemove(_ write: HistoryOperation, before read: HistoryOperation) -> Bool {
        guard let key = write.key else { return false }
        let candidates = (byKey[key] ?? []) + ranges.filter { $0.removes(key) }
        return candidates.contains { removal in
            removal.sentAt <= read.endsAt
                && (removal.result == .unknown || removal.writtenVersion > write.writtenVersion)
        }
    }
}

extension HistoryOperation {
    fileprivate func removes(_ key: Bytes) -> Bool {
        guard case .deleteRange(let from, let to) = action else { return false }
        return key >= from && to.map { key < $0 } ?? true
    }
}
