package import TenonChecker
internal import TenonCore

/// One-tablet transactions with conditions over several keys, both lists, operations with
/// conditions of their own, and reads of what they write; beside plain writes and reads.
///
/// Every transaction leaves a receipt, a key of its own, in either list. Those of unknown outcome
/// are read at the end: they tell whether and at which version it ran. Without them the replay
/// would have to guess where dozens of lost transactions went.
package struct TransactionScript: WorkloadScript {
    package static let name = "transactions"
    package static let clientCount = 4
    private static let keyCount = 5

    private let rooms: [KeyRoom]
    private var generator: SeededGenerator
    private var values = ValueMaker("t")
    /// What was seen last of each key, by anybody.
    private var seen: [Bytes: StoredValue] = [:]
    private var receiptCount = 0
    /// Receipts of transactions of unknown outcome, by place of their room.
    private var unknownReceipts: [[Bytes]]

    private static let receiptsPerRead = 32

    package init(rooms: [KeyRoom], seed: UInt64) {
        self.rooms = rooms
        unknownReceipts = Array(repeating: [], count: rooms.count)
        generator = SeededGenerator(seed: seed)
    }

    package mutating func next(at place: Int) -> ScriptStep? {
        let room = generator.pick(rooms)
        switch generator.below(10) {
        case 0..<2: return ScriptStep(.getMany(keys: allKeys(of: room)), in: room)
        case 2:
            return ScriptStep(
                .scan(from: room.prefix, to: room.end, limit: nil, isReverse: false), in: room)
        case 3:
            let value = values.next(using: &generator)
            return ScriptStep(.put(key: key(in: room), value: value), in: room)
        case 4: return ScriptStep(.delete(key: key(in: room)), in: room)
        default:
            let receipt = receipt(in: room)
            let transaction = Transaction(
                conditions: conditions(in: room), then: operations(in: room) + [receipt],
                else: operations(in: room) + [receipt])
            return ScriptStep(.transaction(transaction), in: room)
        }
    }

    package mutating func ended(_ operation: HistoryOperation, at place: Int) {
        switch operation.action {
        case .getMany(let keys) where operation.result == .ok:
            for (key, value) in zip(keys, operation.values) { seen[key] = value }
        case .transaction(let transaction) where operation.result == .unknown:
            noteUnknown(transaction)
        default: break
        }
    }

    package mutating func closingStep() -> ScriptStep? {
        guard let place = unknownReceipts.firstIndex(where: { !$0.isEmpty }) else { return nil }
        let keys = Array(unknownReceipts[place].suffix(TransactionScript.receiptsPerRead))
        unknownReceipts[place].removeLast(keys.count)
        return ScriptStep(.getMany(keys: keys), in: rooms[place])
    }

    private mutating func noteUnknown(_ transaction: Transaction) {
        guard case .put(let receipt, _, _)? = transaction.then.last,
            let place = rooms.firstIndex(where: { $0.holdsReceipt(receipt) })
        else { return }
        unknownReceipts[place].append(receipt)
    }

    private mutating func receipt(in room: KeyRoom) -> Operation {
        receiptCount += 1
        let value = values.next(using: &generator)
        return .put(key: room.receipt(receiptCount), value: value, condition: .none)
    }

    private func allKeys(of room: KeyRoom) -> [Bytes] {
        (0..<TransactionScript.keyCount).map { room.key($0) }
    }

    private mutating func key(in room: KeyRoom) -> Bytes {
        room.key(Int(generator.below(UInt64(TransactionScript.keyCount))))
    }

    private mutating func conditions(in room: KeyRoom) -> [KeyCondition] {
        (0..<generator.below(3)).map { _ in
            let key = key(in: room)
            return KeyCondition(key: key, condition: condition(of: key))
        }
    }

    private mutating func condition(of key: Bytes) -> Condition {
        switch (seen[key], generator.below(4)) {
        case (_, 0): .present
        case (let value?, 1): .value(value.bytes)
        case (let value?, _): .version(value.version)
        case (nil, _): .absent
        }
    }

    private mutating func operations(in room: KeyRoom) -> [Operation] {
        (0..<1 + generator.below(4)).map { _ in
            let key = key(in: room)
            let own = generator.happens(percent: 12) ? condition(of: key) : .none
            switch generator.below(10) {
            case 0..<5:
                let value = values.next(using: &generator)
                return .put(key: key, value: value, condition: own)
            case 5..<8: return .get(key: key)
            case 8: return .delete(key: key, condition: own)
            default: return .deleteRange(from: key, to: self.key(in: room))
            }
        }
    }
}
