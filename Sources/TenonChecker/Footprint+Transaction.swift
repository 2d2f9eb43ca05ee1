internal import TenonCore

extension Footprint {
    /// A transaction that ran: its conditions, then the list that its answer names.
    mutating func run(_ transaction: Transaction, _ operation: HistoryOperation) {
        guard let succeeded = operation.succeeded else { return }
        var run = TransactionRun(version: operation.version ?? .newest)
        run.decide(transaction.conditions, succeeded: succeeded)
        let list = succeeded ? transaction.then : transaction.else
        guard list.count == operation.results.count else {
            flaw = "\(operation.results.count) results for \(list.count) operations"
            return
        }
        for (step, result) in zip(list, operation.results) { run.add(step, result) }
        self = run.footprint
    }

    /// What an operation of unknown outcome may have done, if anything: one of these. Nil when
    /// there are too many ways to say.
    static func possible(_ operation: HistoryOperation) -> [Footprint]? {
        switch operation.action {
        case .put, .delete, .compareAndSet, .compareAndDelete, .deleteRange:
            var done = operation
            done.result = .ok
            done.found = nil
            return [Footprint(answered: done)]
        case .transaction(let transaction):
            guard let then = TransactionRun.all(transaction, succeeded: true),
                let `else` = TransactionRun.all(transaction, succeeded: false)
            else { return nil }
            let runs = transaction.conditions.isEmpty ? then : then + `else`
            return runs.map(\.footprint).filter { $0.flaw == nil && !$0.effects.isEmpty }
        case .get, .getMany, .scan, .other: return []
        }
    }
}

/// A transaction's operations one after the other, each seeing the effects of those before it.
private struct TransactionRun {
    /// What the transaction itself left in a key so far.
    private struct Own {
        var place: Int
        var value: Bytes?
    }

    private(set) var footprint = Footprint()
    private let version: Timestamp
    private var own: [Bytes: Own] = [:]
    /// Places of the range deletes among the effects.
    private var ranges: [Int] = []

    /// Ways that an unknown transaction may have gone; more are not followed.
    private static let waysMax = 16

    init(version: Timestamp) { self.version = version }

    mutating func decide(_ conditions: [KeyCondition], succeeded: Bool) {
        if succeeded {
            for condition in conditions { require(condition.condition, condition.key) }
        } else if conditions.isEmpty {
            footprint.flaw = "it did not succeed, but has no conditions"
        } else {
            footprint.unmet = conditions
        }
    }

    mutating func add(_ operation: Operation, _ result: OperationResult) {
        switch (operation, result) {
        case (.put(let key, let value, let condition), .written):
            require(condition, key)
            put(key, value)
        case (.delete(let key, let condition), .deleted(let found)):
            require(condition, key)
            see(key, found ? .present : .absent)
            remove(key)
        case (.put(let key, _, let condition), .conditionFailed(let current)),
            (.delete(let key, let condition), .conditionFailed(let current)):
            if condition.holds(of: current) { footprint.flaw = "a condition failed that held" }
            see(key, Footprint.Sight(current))
        case (.deleteRange(let from, let to), .written): removeRange(from, to)
        case (.get(let key), .value(let value)): see(key, Footprint.Sight(value))
        default: footprint.flaw = "the result \(result) of \(operation)"
        }
    }

    /// Every way that one list of a transaction without an answer may have gone.
    static func all(_ transaction: Transaction, succeeded: Bool) -> [TransactionRun]? {
        var run = TransactionRun(version: .newest)
        run.decide(transaction.conditions, succeeded: succeeded)
        var ways = [run]
        for operation in succeeded ? transaction.then : transaction.else {
            guard ways.count <= waysMax else { return nil }
            ways = ways.flatMap { $0.ways(of: operation) }
        }
        return ways
    }

    private func ways(of operation: Operation) -> [TransactionRun] {
        var (done, skipped) = (self, self)
        switch operation {
        case .put(let key, let value, let condition):
            done.require(condition, key)
            done.put(key, value)
            if condition == .none { return [done] }
            skipped.see(key, .fails(condition))
        case .delete(let key, let condition):
            done.require(condition, key)
            done.remove(key)
            if condition == .none { return [done] }
            skipped.see(key, .fails(condition))
        case .deleteRange(let from, let to):
            done.removeRange(from, to)
            return [done]
        case .get, .transaction, .raiseHistoryFloor, .contentDigest: return [self]
        }
        return [done, skipped].filter { $0.footprint.flaw == nil }
    }

    // MARK: one key

    private mutating func require(_ condition: Condition, _ key: Bytes) {
        if condition != .none { see(key, .holds(condition)) }
    }

    /// Notes what was seen of a key: of the state before, or of the transaction's own effect.
    private mutating func see(_ key: Bytes, _ sight: Footprint.Sight) {
        let lastWrite = own[key]
        let isRemoved = ranges.contains { place in
            guard place > lastWrite?.place ?? -1,
                case .removeRange(let from, let to) = footprint.effects[place]
            else { return false }
            return key.lies(from: from, to: to)
        }
        guard lastWrite != nil || isRemoved else {
            footprint.looks.append(Footprint.Look(key: key, sight: sight))
            return
        }
        let value = isRemoved ? nil : lastWrite?.value
        let stored = value.map { StoredValue(bytes: $0, version: version) }
        if !sight.matches(stored) {
            footprint.flaw =
                "it saw \(sight.text) of a key where it had left "
                + (value.map { "\($0)" } ?? "nothing")
        }
    }

    private mutating func put(_ key: Bytes, _ value: Bytes) {
        own[key] = Own(place: footprint.effects.count, value: value)
        footprint.effects.append(.put(key: key, value: value))
    }

    private mutating func remove(_ key: Bytes) {
        own[key] = Own(place: footprint.effects.count, value: nil)
        footprint.effects.append(.remove(key: key))
    }

    private mutating func removeRange(_ from: Bytes, _ to: Bytes?) {
        ranges.append(footprint.effects.count)
        footprint.effects.append(.removeRange(from: from, to: to))
    }
}
