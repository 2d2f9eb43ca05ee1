import TenonClient
import TenonCore

/// Money moves between accounts of one home, in transactions conditional on what was read. The
/// sum of a home never changes: not for a reader of any version, whatever became of transfers
/// whose outcome nobody knows.
final class AccountTransfers: BusinessLoad {
    let scenario: BusinessScenario
    let tally = BusinessTally()
    private let store: any BusinessStore
    /// What the accounts of each home begin with.
    private let homes: [String]

    private static let accounts = 100
    private static let openingBalance = 1_000
    private static let transferMax: UInt64 = 100
    /// One operation in so many looks at the sum.
    private static let stepsOfCheck: UInt64 = 10
    /// At the end of the day accounts are read in pages, all of one version.
    private static let pageLimit = 16

    init(_ store: any BusinessStore, _ homes: [String], scenario: BusinessScenario) {
        self.store = store
        self.homes = homes
        self.scenario = scenario
    }

    func prepare() async throws(TenonError) {
        for home in homes {
            let puts = (0..<AccountTransfers.accounts).map { number in
                Operation.put(
                    key: account(number, in: home),
                    value: Bytes(String(AccountTransfers.openingBalance)), condition: .none)
            }
            _ = try await store.commit(if: [], then: puts)
        }
    }

    func step(_ random: inout SeededGenerator) async throws(TenonError) {
        let home = homes[Int(random.below(UInt64(homes.count)))]
        if random.below(AccountTransfers.stepsOfCheck) == 0 {
            return try await checkSum(of: home)
        }
        let from = Int(random.below(UInt64(AccountTransfers.accounts)))
        let to = (from + 1 + Int(random.below(UInt64(AccountTransfers.accounts - 1))))
        let amount = 1 + Int(random.below(AccountTransfers.transferMax))
        try await transfer(amount, from: from, to: to % AccountTransfers.accounts, in: home)
    }

    func settle() async throws(TenonError) {
        for home in homes { try await checkSum(of: home) }
    }

    private func account(_ number: Int, in home: String) -> Bytes {
        Bytes(home + String(AccountTransfers.accounts + number))
    }

    /// A transfer that meets another one changes nothing, which is as good.
    private func transfer(
        _ amount: Int, from: Int, to: Int, in home: String
    ) async throws(TenonError) {
        let keys = [account(from, in: home), account(to, in: home)]
        let values = try await store.values(of: keys, at: nil)
        guard let payer = values[0], let payee = values[1],
            let has = AccountTransfers.balance(payer), let had = AccountTransfers.balance(payee)
        else { return tally.check(false, "an account of \(home) is gone or no number") }
        guard has >= amount else { return }
        _ = try await store.commit(
            if: [
                KeyCondition(key: keys[0], condition: .version(payer.version)),
                KeyCondition(key: keys[1], condition: .version(payee.version)),
            ],
            then: [
                .put(key: keys[0], value: Bytes(String(has - amount)), condition: .none),
                .put(key: keys[1], value: Bytes(String(had + amount)), condition: .none),
            ])
    }

    /// Reads all accounts of a home as they stood at one version.
    private func checkSum(of home: String) async throws(TenonError) {
        let limit =
            scenario == .endOfDay ? AccountTransfers.pageLimit : AccountTransfers.accounts + 1
        let balances = try await store.all(home, pageLimit: limit).items.compactMap {
            AccountTransfers.balance($0.value)
        }
        let sum = balances.reduce(0, +)
        let expected = AccountTransfers.accounts * AccountTransfers.openingBalance
        tally.check(
            sum == expected && balances.count == AccountTransfers.accounts,
            "\(balances.count) accounts of \(home) hold \(sum), not \(expected)")
        tally.check(balances.allSatisfy { $0 >= 0 }, "an account of \(home) is overdrawn")
    }

    private static func balance(_ value: StoredValue) -> Int? {
        value.bytes.utf8Text.flatMap { Int($0) }
    }
}
