package import TenonChecker
internal import TenonCore

/// A bank in every tablet: accounts are opened by one transaction and money moves by
/// transactions, so every view of all accounts shows the same total.
package struct BankScript: WorkloadScript {
    package static let name = "bank"
    package static let clientCount = 4
    private static let accountCount = 6
    private static let openingBalance = 100

    private let rooms: [KeyRoom]
    private var generator: SeededGenerator
    private var tags = 0
    /// The last view that somebody had of a room's accounts.
    private var views: [TabletID: [Bytes: StoredValue]] = [:]
    private var roomsShown = 0

    package init(rooms: [KeyRoom], seed: UInt64) {
        self.rooms = rooms
        generator = SeededGenerator(seed: seed)
    }

    package mutating func next(at place: Int) -> ScriptStep? {
        let room = generator.pick(rooms)
        if generator.happens(percent: 40) { return ScriptStep(view(of: room), in: room) }
        guard let view = views[room.tablet] else { return ScriptStep(view(of: room), in: room) }
        let action = view.isEmpty ? opening(of: room) : transfer(in: room, view)
        return ScriptStep(action, in: room)
    }

    package mutating func closingStep() -> ScriptStep? {
        guard roomsShown < rooms.count else { return nil }
        roomsShown += 1
        return ScriptStep(
            .getMany(keys: BankScript.accounts(of: rooms[roomsShown - 1])),
            in: rooms[roomsShown - 1])
    }

    package mutating func ended(_ operation: HistoryOperation, at place: Int) {
        guard let (room, view) = view(in: operation) else { return }
        views[room.tablet] = view
    }

    package func failures(in history: [HistoryOperation]) -> [CheckFailure] {
        let total = BankScript.accountCount * BankScript.openingBalance
        return history.compactMap { operation in
            guard let (_, view) = view(in: operation), !view.isEmpty else { return nil }
            let sum = view.values.reduce(0) { $0 + BankScript.balance(of: $1) }
            guard sum != total || view.count != BankScript.accountCount else { return nil }
            return CheckFailure(
                .bankTotal,
                "\(view.count) accounts hold \(sum), not \(total), at "
                    + "\(operation.at?.version ?? .zero) in \(operation.action)")
        }
    }

    // MARK: what clients do

    private static func accounts(of room: KeyRoom) -> [Bytes] {
        (0..<accountCount).map { room.key($0) }
    }

    /// All accounts at one moment, in one of the ways to see that.
    private mutating func view(of room: KeyRoom) -> HistoryOperation.Action {
        let accounts = BankScript.accounts(of: room)
        switch generator.below(3) {
        case 0: return .getMany(keys: accounts)
        case 1:
            return .scan(
                from: room.prefix, to: room.end, limit: nil,
                isReverse: generator.happens(percent: 30))
        default:
            return .transaction(
                Transaction(conditions: [], then: accounts.map { .get(key: $0) }))
        }
    }

    private mutating func opening(of room: KeyRoom) -> HistoryOperation.Action {
        let accounts = BankScript.accounts(of: room)
        return .transaction(
            Transaction(
                conditions: accounts.map { KeyCondition(key: $0, condition: .absent) },
                then: accounts.map { put($0, BankScript.openingBalance) }))
    }

    private mutating func transfer(
        in room: KeyRoom, _ view: [Bytes: StoredValue]
    ) -> HistoryOperation.Action {
        let from = room.key(Int(generator.below(UInt64(BankScript.accountCount))))
        let to = room.key(Int(generator.below(UInt64(BankScript.accountCount))))
        guard from != to, let payer = view[from], let payee = view[to] else {
            return self.view(of: room)
        }
        let amount = 1 + Int(generator.below(20))
        return .transaction(
            Transaction(
                conditions: [
                    KeyCondition(key: from, condition: .version(payer.version)),
                    KeyCondition(key: to, condition: .version(payee.version)),
                ],
                then: [
                    put(from, BankScript.balance(of: payer) - amount),
                    put(to, BankScript.balance(of: payee) + amount),
                ], else: BankScript.accounts(of: room).map { .get(key: $0) }))
    }

    private mutating func put(_ account: Bytes, _ balance: Int) -> Operation {
        tags += 1
        return .put(key: account, value: Bytes("\(balance) by \(tags)"), condition: .none)
    }

    private static func balance(of account: StoredValue) -> Int {
        guard let text = account.bytes.utf8Text, let number = text.split(separator: " ").first
        else { return 0 }
        return Int(number) ?? 0
    }

    // MARK: what they saw

    /// The room and the accounts that an answer showed, when it showed all there are.
    private func view(
        in operation: HistoryOperation
    ) -> (room: KeyRoom, accounts: [Bytes: StoredValue])? {
        guard operation.result == .ok, let tablet = operation.at?.tablet,
            let room = rooms.first(where: { $0.tablet == tablet })
        else { return nil }
        let accounts = BankScript.accounts(of: room)
        switch operation.action {
        case .getMany: return (room, BankScript.found(accounts, operation.values))
        case .scan:
            let items = operation.items.compactMap { item in
                item.version.map { (item.key, StoredValue(bytes: item.value, version: $0)) }
            }
            // A page that is not all of it shows no total.
            guard operation.rest == nil, operation.asOf == nil else { return nil }
            return (room, Dictionary(items) { $1 })
        case .transaction:
            let values: [StoredValue?] = operation.results.compactMap { result in
                if case .value(let value) = result { .some(value) } else { nil }
            }
            guard values.count == accounts.count else { return nil }
            return (room, BankScript.found(accounts, values))
        case .get, .put, .delete, .compareAndSet, .compareAndDelete, .deleteRange, .other:
            return nil
        }
    }

    private static func found(
        _ accounts: [Bytes], _ values: [StoredValue?]
    ) -> [Bytes: StoredValue] {
        var found: [Bytes: StoredValue] = [:]
        for (account, value) in zip(accounts, values) { found[account] = value }
        return found
    }
}
