internal import TenonCore

/// What one operation saw of single keys and left in them, as its answer tells it: what both
/// checkers are fed with.
///
/// All that was seen was seen at one moment, just before the effects.
struct Footprint {
    /// What was seen of a key.
    enum Sight: Hashable {
        case absent
        case present
        /// This value, and its version when it was told.
        case value(Bytes, version: Timestamp?)
        case holds(Condition)
        case fails(Condition)
    }

    /// A key and what was seen of it.
    struct Look: Hashable {
        var key: Bytes
        var sight: Sight
    }

    /// What was left behind, in order.
    enum Effect: Hashable {
        case put(key: Bytes, value: Bytes)
        case remove(key: Bytes)
        case removeRange(from: Bytes, to: Bytes?)
    }

    /// Keys that a scan walked over: those not listed had no value.
    struct Coverage: Hashable {
        var from: Bytes
        var to: Bytes?
        /// Ascending.
        var listed: [Bytes]
    }

    var looks: [Look] = []
    /// Not all of these held; says nothing when empty.
    var unmet: [KeyCondition] = []
    var coverage: Coverage?
    var effects: [Effect] = []
    /// Why the answer contradicts itself, whatever the keys had.
    var flaw: String?
}

extension Footprint.Sight {
    /// What a read of a value gives.
    init(_ value: StoredValue?) {
        self = value.map { .value($0.bytes, version: $0.version) } ?? .absent
    }

    /// Whether a key that has `stored` looks like this.
    func matches(_ stored: StoredValue?) -> Bool {
        switch self {
        case .absent: stored == nil
        case .present: stored != nil
        case .value(let bytes, let version):
            stored?.bytes == bytes && (version == nil || stored?.version == version)
        case .holds(let condition): condition.holds(of: stored)
        case .fails(let condition): !condition.holds(of: stored)
        }
    }

    /// For a message.
    var text: String {
        switch self {
        case .absent: "nothing"
        case .present: "a value"
        case .value(let bytes, nil): "\(bytes)"
        case .value(let bytes, let version?): "\(bytes) of version \(version)"
        case .holds(let condition): "that its condition held (\(condition))"
        case .fails(let condition): "that its condition failed (\(condition))"
        }
    }
}

extension Footprint {
    /// That of an operation that was answered; empty when the answer says nothing.
    init(answered operation: HistoryOperation) {
        switch operation.result {
        case .ok: see(operation)
        case .fail: seeFailure(of: operation)
        case .unknown: break
        }
    }

    private mutating func see(_ operation: HistoryOperation) {
        switch operation.action {
        case .get(let key):
            if let read = operation.read { look(key, read, operation.version) }
        case .getMany(let keys):
            guard keys.count == operation.values.count else {
                flaw = "\(operation.values.count) values for \(keys.count) keys"
                return
            }
            looks = zip(keys, operation.values).map { Look(key: $0, sight: Sight($1)) }
        case .scan(let from, let to, let limit, let isReverse):
            scan(operation, from, to, limit, isReverse)
        case .put(let key, let value): effects = [.put(key: key, value: value)]
        case .compareAndSet(let key, let value, let expect):
            require(expect, key)
            effects = [.put(key: key, value: value)]
        case .delete(let key): remove(key, .none, found: operation.found)
        case .compareAndDelete(let key, let expect): remove(key, expect, found: operation.found)
        case .deleteRange(let from, let to): effects = [.removeRange(from: from, to: to)]
        case .transaction(let transaction): run(transaction, operation)
        case .other: break
        }
    }

    /// A condition that failed, and what it saw instead. Without a point the operation was
    /// refused, not answered: it never met the store.
    private mutating func seeFailure(of operation: HistoryOperation) {
        guard operation.read != nil || operation.at != nil else { return }
        switch operation.action {
        case .compareAndSet(let key, _, let expect), .compareAndDelete(let key, let expect):
            guard let read = operation.read else {
                looks = [Look(key: key, sight: .fails(expect))]
                return
            }
            look(key, read, operation.version)
            if expect.surelyHolds(of: read, operation.version) {
                flaw = "its condition failed, but holds of what it saw"
            }
        case .get, .getMany, .scan, .put, .delete, .deleteRange, .transaction, .other: break
        }
    }

    private mutating func look(
        _ key: Bytes, _ read: HistoryOperation.Reading, _ version: Timestamp?
    ) {
        switch read {
        case .absent: looks.append(Look(key: key, sight: .absent))
        case .value(let bytes): looks.append(Look(key: key, sight: .value(bytes, version: version)))
        }
    }

    private mutating func require(_ condition: Condition, _ key: Bytes) {
        guard condition != .none else { return }
        looks.append(Look(key: key, sight: .holds(condition)))
    }

    private mutating func remove(_ key: Bytes, _ expect: Condition, found: Bool?) {
        require(expect, key)
        if let found { looks.append(Look(key: key, sight: found ? .present : .absent)) }
        effects = [.remove(key: key)]
    }

    // MARK: scans

    private mutating func scan(
        _ operation: HistoryOperation, _ from: Bytes, _ to: Bytes?, _ limit: Int?,
        _ isReverse: Bool
    ) {
        let items = isReverse ? operation.items.reversed() : operation.items
        let keys = items.map(\.key)
        looks = items.map { Look(key: $0.key, sight: .value($0.value, version: $0.version)) }
        var covered = Coverage(from: from, to: to, listed: keys)
        if let rest = operation.rest {
            if isReverse { covered.from = max(from, rest) } else { covered.to = rest }
        } else if let limit, keys.count >= limit, let first = keys.first, let last = keys.last {
            // A full page ends at its last key; what lies beyond was not looked at.
            if isReverse { covered.from = first } else { covered.to = last.successor }
        }
        coverage = covered
        flaw = flawOfPage(keys, covered, limit)
    }

    private func flawOfPage(_ keys: [Bytes], _ covered: Coverage, _ limit: Int?) -> String? {
        guard zip(keys, keys.dropFirst()).allSatisfy({ $0 < $1 }) else {
            return "keys out of order, or twice"
        }
        if let limit, keys.count > limit { return "\(keys.count) items, at most \(limit)" }
        let isInside = keys.allSatisfy { key in
            key >= covered.from && covered.to.map { key < $0 } ?? true
        }
        return isInside ? nil : "a key outside of what was asked for"
    }
}

extension Condition {
    /// Whether it holds of what was read, as far as its version was told.
    fileprivate func surelyHolds(
        of read: HistoryOperation.Reading, _ version: Timestamp?
    ) -> Bool {
        switch read {
        case .absent: holds(of: nil)
        case .value(let bytes):
            holds(of: StoredValue(bytes: bytes, version: version ?? .newest))
        }
    }
}

extension Bytes {
    /// The smallest key above this one.
    var successor: Bytes { Bytes(array + [0]) }

    /// For messages and for checks: whether it lies from `from` up to and without `to`.
    func lies(from: Bytes, to: Bytes?) -> Bool { self >= from && to.map { self < $0 } ?? true }
}
