internal import TenonCore
internal import TenonStore

extension StateMachine {
    /// Decides a one-tablet transaction, then does its writes, all at one version.
    ///
    /// Conditions see the state before; operations see the effects of those before them. Of
    /// several writes of a key the last one counts. Everything is decided before the first write,
    /// so a transaction that reads too much is refused without an effect.
    func runTransaction(
        _ transaction: Transaction, at version: Timestamp, _ run: EntryRun
    ) -> Outcome {
        var plan = TransactionPlan(state: self, blocks: run.blocks, version: version)
        let succeeded = transaction.conditions.allSatisfy {
            $0.condition.holds(of: newest($0.key, run.blocks))
        }
        let bytesMax = min(
            configuration.answerBytesMax, configuration.entryAnswerBytesMax - run.answerBytes)
        for operation in succeeded ? transaction.then : transaction.else {
            plan.add(operation)
            guard plan.answerBytes <= bytesMax else {
                return .refused(reason: "the transaction's answers are over \(bytesMax) B")
            }
        }
        for write in plan.writes { perform(write, at: version) }
        return .transaction(version: version, succeeded: succeeded, results: plan.results)
    }

    private func perform(_ write: TransactionPlan.Write, at version: Timestamp) {
        switch write {
        case .put(let key, let value): store.put(.user(key), value, at: version)
        case .delete(let key): store.delete(.user(key), at: version)
        case .deleteRange(let interval): deleteRange(interval, at: version)
        }
    }
}

/// The effects and answers of a transaction's operations, decided before any is done.
private struct TransactionPlan {
    enum Write {
        case put(key: Bytes, value: Bytes)
        case delete(key: Bytes)
        case deleteRange(KeyInterval)
    }

    private let state: StateMachine
    private let blocks: PinnedBlocks
    private let version: Timestamp
    private(set) var writes: [Write] = []
    private(set) var results: [OperationResult] = []
    private(set) var answerBytes = 0
    /// For each key written, its last write; a range delete after it comes later in `writes`.
    private var lastWrites: [Bytes: Int] = [:]
    /// Where in `writes` the range deletes stand.
    private var ranges: [Int] = []

    init(state: StateMachine, blocks: PinnedBlocks, version: Timestamp) {
        self.state = state
        self.blocks = blocks
        self.version = version
    }

    mutating func add(_ operation: Operation) {
        switch operation {
        case .put(let key, let value, let condition):
            if condition != .none, fails(condition, key) { return }
            lastWrites[key] = writes.count
            writes.append(.put(key: key, value: value))
            results.append(.written)
        case .delete(let key, let condition):
            if fails(condition, key) { return }
            results.append(.deleted(found: value(of: key) != nil))
            lastWrites[key] = writes.count
            writes.append(.delete(key: key))
        case .deleteRange(let from, let to):
            ranges.append(writes.count)
            writes.append(.deleteRange(KeyInterval(lower: from, upper: to)))
            results.append(.written)
        case .get(let key):
            let found = value(of: key)
            answerBytes += found?.bytes.count ?? 0
            results.append(.value(found))
        case .transaction, .raiseHistoryFloor, .contentDigest:
            // The decoder lets none of these nest.
            preconditionFailure("an operation that is no part of a transaction")
        }
    }

    /// Answers a condition of one operation that does not hold; that operation alone is skipped.
    private mutating func fails(_ condition: Condition, _ key: Bytes) -> Bool {
        guard condition != .none else { return false }
        let current = value(of: key)
        if condition.holds(of: current) { return false }
        answerBytes += current?.bytes.count ?? 0
        results.append(.conditionFailed(current: current))
        return true
    }

    /// What `key` has after the writes so far.
    private func value(of key: Bytes) -> StoredValue? {
        let lastWrite = lastWrites[key] ?? -1
        let isDeleted = ranges.contains { place in
            guard place > lastWrite, case .deleteRange(let interval) = writes[place] else {
                return false
            }
            return interval.clipped(to: state.bounds).contains(key)
        }
        if isDeleted { return nil }
        guard lastWrite >= 0 else { return state.newest(key, blocks) }
        guard case .put(_, let value) = writes[lastWrite] else { return nil }
        return StoredValue(bytes: value, version: version)
    }
}
