internal import TenonCore

/// Replays each tablet's history in order of versions: every answer names the point at which it
/// stood (Rule S7), so a whole tablet is checked without a search, scans and conditions included.
///
/// Checked: (1) points agree with real time: nothing stands below what was answered before it was
/// sent, and a write stands above; (2) no version is given twice; (3) every read, scan and
/// condition was answered as the writes up to its point say. A write whose answer was lost is
/// placed by the first read that saw it; a lost delete by the first that missed its key.
///
/// A history with an operation that is not modelled is `undecided`.
/// - Complexity: O(n log n), and O(keys in range) for each scan.
package struct VersionReplay: Sendable {
    package init() {}

    package func verdict(of history: [HistoryOperation]) -> Verdict {
        for operation in history {
            if case .other(let name) = operation.action, operation.result != .fail {
                return .undecided(reason: "operation not modelled: \(name)")
            }
        }
        for part in VersionReplay.groupedByTablet(history) {
            if let violation = VersionReplay.realTimeViolation(part) { return .violated(violation) }
            var replay = TabletReplay(part, lost: history.filter(VersionReplay.isLost))
            if let violation = replay.run() { return .violated(violation) }
        }
        return .holds
    }

    /// Whether it may have been applied at a point that nobody was told.
    private static func isLost(_ operation: HistoryOperation) -> Bool {
        operation.isWrite && operation.result == .unknown
    }

    private static func groupedByTablet(_ history: [HistoryOperation]) -> [[HistoryOperation]] {
        let pointed = history.filter { $0.at != nil && $0.result != .unknown }
        let tablets = Set(pointed.compactMap { $0.at?.tablet }).sorted()
        return tablets.map { tablet in pointed.filter { $0.at?.tablet == tablet } }
    }

    /// (1): a sweep over the operations in the order they were sent, with the highest point
    /// answered so far.
    private static func realTimeViolation(_ operations: [HistoryOperation]) -> Violation? {
        let present = operations.filter { $0.asOf == nil }
        let sent = present.sorted { $0.sentAt < $1.sentAt }
        let answered = present.sorted { $0.endsAt < $1.endsAt }
        var highest: HistoryOperation?
        var answeredCount = 0
        for operation in sent {
            while answeredCount < answered.count, answered[answeredCount].endsAt < operation.sentAt
            {
                if answered[answeredCount].point > highest?.point ?? .zero {
                    highest = answered[answeredCount]
                }
                answeredCount += 1
            }
            guard let highest else { continue }
            let isApplied = operation.isWrite && operation.result == .ok
            if operation.point < highest.point || (isApplied && operation.point == highest.point) {
                return Violation(
                    explanation: "stands at \(operation.point), but \(highest.point) was answered "
                        + "before it was sent",
                    culprit: operation, context: [highest])
            }
        }
        return nil
    }
}

extension HistoryOperation {
    /// The version at which its answer stood.
    fileprivate var point: Timestamp { asOf ?? at?.version ?? .zero }
}

/// The replay of one tablet.
private struct TabletReplay {
    private struct Value {
        var bytes: Bytes
        /// Nil for a write placed by a read that did not tell its version.
        var version: Timestamp?
        var writer: HistoryOperation
    }

    private let operations: [HistoryOperation]
    /// Writes with a lost answer by key, each usable once; ranges apart.
    private var lostByKey: [Bytes: [HistoryOperation]] = [:]
    private var lostRanges: [HistoryOperation] = []
    private var values: [Bytes: Value] = [:]
    /// Every key that ever had a value, sorted: what scans walk.
    private var keys: [Bytes] = []
    private var lastWrite: HistoryOperation?

    init(_ operations: [HistoryOperation], lost: [HistoryOperation]) {
        // At one point the write comes first, then the reads that saw it.
        self.operations = operations.sorted { left, right in
            (left.point, left.isEffect ? 0 : 1, left.sentAt)
                < (right.point, right.isEffect ? 0 : 1, right.sentAt)
        }
        for operation in lost {
            if let key = operation.key {
                lostByKey[key, default: []].append(operation)
            } else {
                lostRanges.append(operation)
            }
        }
        keys = Set(
            operations.compactMap(\.key) + lost.compactMap(\.key)
                + operations.flatMap { $0.items.map(\.key) }
        ).sorted()
    }

    mutating func run() -> Violation? {
        for operation in operations {
            if let violation = replay(operation) { return violation }
        }
        return nil
    }

    private mutating func replay(_ operation: HistoryOperation) -> Violation? {
        if operation.isEffect {
            if let lastWrite, lastWrite.point == operation.point {
                return Violation(
                    explanation: "version \(operation.point) was given twice", culprit: operation,
                    context: [lastWrite])
            }
            lastWrite = operation
        }
        switch operation.action {
        case .get(let key): return observe(key, operation.read, operation.version, by: operation)
        case .put(let key, let value): return write(key, value, by: operation)
        case .delete(let key): return delete(key, by: operation)
        case .compareAndSet(let key, let value, let expect):
            return compareAndSet(key, value, expect, by: operation)
        case .scan(let from, let to, let limit, let isReverse):
            return scan(from, to, limit, isReverse, by: operation)
        case .deleteRange(let from, let to):
            guard operation.isEffect else { return nil }
            for key in keysIn(from, to) { values[key] = nil }
            return nil
        case .other: return nil
        }
    }

    private mutating func write(
        _ key: Bytes, _ value: Bytes, by operation: HistoryOperation
    ) -> Violation? {
        guard operation.isEffect else { return nil }
        values[key] = Value(bytes: value, version: operation.point, writer: operation)
        return nil
    }

    private mutating func delete(_ key: Bytes, by operation: HistoryOperation) -> Violation? {
        guard operation.isEffect else { return nil }
        defer { values[key] = nil }
        guard let found = operation.found, found != (values[key] != nil) else { return nil }
        if found {
            if placeLostWrite(key, nil, nil, before: operation) { return nil }
        } else if placeLostDelete(key, before: operation) {
            return nil
        }
        return mismatch(operation, key, saw: found ? "a value" : "nothing")
    }

    private mutating func compareAndSet(
        _ key: Bytes, _ value: Bytes, _ expect: Condition, by operation: HistoryOperation
    ) -> Violation? {
        if operation.result == .fail {
            if let read = operation.read,
                let violation = observe(key, read, operation.version, by: operation)
            {
                return violation
            }
            return holds(expect, key) == true
                ? mismatch(operation, key, saw: "that its condition failed") : nil
        }
        guard operation.isEffect else { return nil }
        if holds(expect, key) == false, !placeLost(toMeet: expect, key, before: operation) {
            return mismatch(operation, key, saw: "that its condition held")
        }
        return write(key, value, by: operation)
    }

    /// Nil: it depends on a version that nobody was told.
    private func holds(_ condition: Condition, _ key: Bytes) -> Bool? {
        if case .version = condition, let value = values[key], value.version == nil { return nil }
        return condition.holds(
            of: values[key].map { StoredValue(bytes: $0.bytes, version: $0.version ?? .zero) })
    }

    private mutating func placeLost(
        toMeet condition: Condition, _ key: Bytes, before operation: HistoryOperation
    ) -> Bool {
        switch condition {
        case .none: true
        case .absent: placeLostDelete(key, before: operation)
        case .present: placeLostWrite(key, nil, nil, before: operation)
        case .value(let bytes): placeLostWrite(key, bytes, nil, before: operation)
        case .version(let version): placeLostWrite(key, nil, version, before: operation)
        }
    }

    // MARK: reads

    private mutating func observe(
        _ key: Bytes, _ read: HistoryOperation.Reading?, _ version: Timestamp?,
        by operation: HistoryOperation
    ) -> Violation? {
        switch read {
        case nil: return nil
        case .absent:
            if values[key] == nil || placeLostDelete(key, before: operation) { return nil }
            return mismatch(operation, key, saw: "nothing")
        case .value(let bytes):
            if let value = values[key], value.bytes == bytes {
                if version == nil || value.version == nil || value.version == version {
                    return nil
                }
            }
            if placeLostWrite(key, bytes, version, before: operation) { return nil }
            return mismatch(operation, key, saw: "\(bytes)")
        }
    }

    private mutating func scan(
        _ from: Bytes, _ to: Bytes?, _ limit: Int?, _ isReverse: Bool,
        by operation: HistoryOperation
    ) -> Violation? {
        guard operation.result == .ok else { return nil }
        for item in operation.items {
            let reading = HistoryOperation.Reading.value(item.value)
            if let violation = observe(item.key, reading, item.version, by: operation) {
                return violation
            }
        }
        let returned = operation.items.map(\.key)
        let isInOrder = zip(returned, returned.dropFirst()).allSatisfy {
            isReverse ? $0 > $1 : $0 < $1
        }
        guard isInOrder else { return mismatch(operation, from, saw: "keys out of order") }
        let returnedSet = Set(returned)
        for key in keysIn(from, to) where values[key] != nil && !returnedSet.contains(key) {
            // A full page ends at its last key; what lies beyond was not looked at.
            if let limit, returned.count >= limit, let last = returned.last,
                isReverse ? key < last : key > last
            {
                continue
            }
            if placeLostDelete(key, before: operation) { continue }
            return mismatch(operation, key, saw: "nothing in a scan")
        }
        return nil
    }

    private func keysIn(_ from: Bytes, _ to: Bytes?) -> ArraySlice<Bytes> {
        let start = firstPlace { $0 >= from }
        let end = to.map { to in firstPlace { $0 >= to } } ?? keys.count
        return keys[start..<max(start, end)]
    }

    private func firstPlace(where isBeyond: (Bytes) -> Bool) -> Int {
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if isBeyond(keys[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    // MARK: writes whose answer was lost

    /// Uses up a lost write of `key` that was sent in time for `reader` to see it.
    private mutating func placeLostWrite(
        _ key: Bytes, _ bytes: Bytes?, _ version: Timestamp?, before reader: HistoryOperation
    ) -> Bool {
        if let version, let lastKnown = values[key]?.version, version <= lastKnown { return false }
        if let version, version > reader.point { return false }
        let place = lostByKey[key]?.firstIndex { lost in
            guard lost.sentAt <= reader.endsAt else { return false }
            switch lost.action {
            case .put(_, let value): return bytes == nil || value == bytes
            case .compareAndSet(_, let value, let expect):
                return (bytes == nil || value == bytes) && holds(expect, key) != false
            case .get, .delete, .scan, .deleteRange, .other: return false
            }
        }
        guard let place, let lost = lostByKey[key]?.remove(at: place) else { return false }
        switch lost.action {
        case .put(_, let value), .compareAndSet(_, let value, _):
            values[key] = Value(bytes: value, version: version, writer: lost)
        case .get, .delete, .scan, .deleteRange, .other: break
        }
        return true
    }

    /// Uses up a lost delete that covers `key`; a lost range delete may explain many keys.
    private mutating func placeLostDelete(_ key: Bytes, before reader: HistoryOperation) -> Bool {
        let place = lostByKey[key]?.firstIndex {
            if case .delete = $0.action { $0.sentAt <= reader.endsAt } else { false }
        }
        if let place {
            lostByKey[key]?.remove(at: place)
            values[key] = nil
            return true
        }
        let isCovered = lostRanges.contains { lost in
            guard case .deleteRange(let from, let to) = lost.action else { return false }
            return lost.sentAt <= reader.endsAt && key >= from && to.map { key < $0 } ?? true
        }
        if isCovered { values[key] = nil }
        return isCovered
    }

    private func mismatch(
        _ operation: HistoryOperation, _ key: Bytes, saw: String
    ) -> Violation {
        let held = values[key].map { "\($0.bytes)" } ?? "nothing"
        return Violation(
            explanation: "at \(operation.point) it saw \(saw), but \(key) had \(held)",
            culprit: operation, context: values[key].map { [$0.writer] } ?? [])
    }
}

extension HistoryOperation {
    /// Whether it changed the tablet at its point.
    fileprivate var isEffect: Bool { isWrite && result == .ok }
}
