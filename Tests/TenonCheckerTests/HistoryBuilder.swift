import TenonChecker
import TenonCore

/// Writes histories down as they read: `h.put("k", "a", 0...10, at: 1)`. Times are nanoseconds.
struct HistoryBuilder {
    private(set) var operations: [HistoryOperation] = []
    private let tablet = TabletID(2)

    mutating func put(
        _ key: Bytes, _ value: Bytes, _ time: ClosedRange<UInt64>,
        _ result: HistoryOperation.Result = .ok, at version: UInt64? = nil
    ) {
        add(.put(key: key, value: value), time, result, version: version, at: version)
    }

    mutating func get(
        _ key: Bytes, _ value: Bytes?, _ time: ClosedRange<UInt64>, version: UInt64? = nil,
        at: UInt64? = nil
    ) {
        add(
            .get(key: key), time, .ok, read: value.map { .value($0) } ?? .absent,
            version: version, at: at)
    }

    mutating func delete(
        _ key: Bytes, _ time: ClosedRange<UInt64>, _ result: HistoryOperation.Result = .ok,
        found: Bool? = nil, at version: UInt64? = nil
    ) {
        add(.delete(key: key), time, result, version: version, found: found, at: version)
    }

    mutating func compareAndSet(
        _ key: Bytes, _ expect: Condition, _ value: Bytes, _ time: ClosedRange<UInt64>,
        _ result: HistoryOperation.Result = .ok, saw: HistoryOperation.Reading? = nil,
        at version: UInt64? = nil
    ) {
        add(
            .compareAndSet(key: key, value: value, expect: expect), time, result, read: saw,
            version: result == .ok ? version : nil, at: version)
    }

    mutating func scan(
        _ from: Bytes, _ to: Bytes?, _ items: [(Bytes, Bytes)], _ time: ClosedRange<UInt64>,
        at: UInt64, limit: Int? = nil, isReverse: Bool = false, rest: Bytes? = nil
    ) {
        add(
            .scan(from: from, to: to, limit: limit, isReverse: isReverse), time, .ok, at: at,
            items: items.map { HistoryOperation.Item(key: $0.0, value: $0.1) })
        operations[operations.count - 1].rest = rest
    }

    mutating func getMany(
        _ keys: [Bytes], _ values: [StoredValue?], _ time: ClosedRange<UInt64>, at: UInt64
    ) {
        add(.getMany(keys: keys), time, .ok, at: at)
        operations[operations.count - 1].values = values
    }

    mutating func compareAndDelete(
        _ key: Bytes, _ expect: Condition, _ time: ClosedRange<UInt64>,
        _ result: HistoryOperation.Result = .ok, found: Bool? = nil,
        saw: HistoryOperation.Reading? = nil, at version: UInt64? = nil
    ) {
        add(
            .compareAndDelete(key: key, expect: expect), time, result, read: saw,
            version: result == .ok ? version : nil, found: found, at: version)
    }

    mutating func transaction(
        if conditions: [KeyCondition] = [], then: [TenonCore.Operation],
        else: [TenonCore.Operation] = [], _ time: ClosedRange<UInt64>, succeeded: Bool = true,
        _ results: [OperationResult], at version: UInt64
    ) {
        let transaction = Transaction(conditions: conditions, then: then, else: `else`)
        add(.transaction(transaction), time, .ok, version: version, at: version)
        operations[operations.count - 1].succeeded = succeeded
        operations[operations.count - 1].results = results
    }

    mutating func unknownTransaction(
        if conditions: [KeyCondition] = [], then: [TenonCore.Operation],
        else: [TenonCore.Operation] = [], _ time: ClosedRange<UInt64>
    ) {
        let transaction = Transaction(conditions: conditions, then: then, else: `else`)
        add(.transaction(transaction), time, .unknown)
    }

    mutating func deleteRange(
        _ from: Bytes, _ to: Bytes?, _ time: ClosedRange<UInt64>,
        _ result: HistoryOperation.Result = .ok, at version: UInt64? = nil
    ) {
        add(.deleteRange(from: from, to: to), time, result, version: version, at: version)
    }

    mutating func add(
        _ action: HistoryOperation.Action, _ time: ClosedRange<UInt64>,
        _ result: HistoryOperation.Result, read: HistoryOperation.Reading? = nil,
        version: UInt64? = nil, found: Bool? = nil, at: UInt64? = nil,
        items: [HistoryOperation.Item] = []
    ) {
        operations.append(
            HistoryOperation(
                worker: operations.count,
                sentAt: Instant(nanoseconds: time.lowerBound),
                answeredAt: result == .unknown ? nil : Instant(nanoseconds: time.upperBound),
                action: action, result: result, read: read,
                version: version.map { Timestamp($0) }, found: found,
                at: at.map {
                    HistoryOperation.Point(tablet: tablet, version: Timestamp($0))
                }, items: items))
    }
}

extension TenonCore.Operation {
    static func put(_ key: Bytes, _ value: Bytes, if condition: Condition = .none) -> Self {
        .put(key: key, value: value, condition: condition)
    }

    static func delete(_ key: Bytes, if condition: Condition = .none) -> Self {
        .delete(key: key, condition: condition)
    }
}

extension StoredValue {
    init(_ bytes: Bytes, _ version: UInt64) {
        self.init(bytes: bytes, version: Timestamp(version))
    }
}

extension Verdict {
    var isViolation: Bool {
        if case .violated = self { true } else { false }
    }
}
