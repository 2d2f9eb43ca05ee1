import Synchronization
import TenonClient
import TenonCore
import Testing

@testable import tenon

/// A keyspace in memory that can break its promises.
private final class MemoryStore: BusinessStore {
    private struct State: Sendable {
        var values: [Bytes: StoredValue] = [:]
        var version: UInt64 = 0
        /// Every so many commits only the first operation takes effect; 0 for never.
        var halvesOneIn = 0
        /// Every so many commits are acknowledged and forgotten; 0 for never.
        var losesOneIn = 0
        var commits = 0
    }

    private let state: Mutex<State>

    init(halvesOneIn: Int = 0, losesOneIn: Int = 0) {
        state = Mutex(State(halvesOneIn: halvesOneIn, losesOneIn: losesOneIn))
    }

    /// Changes the value of the last key of a home: a record, an entry, an account, the stock.
    func spoilLast(of home: String) {
        state.withLock { state in
            guard let last = state.values.keys.filter({ $0.starts(with: Bytes(home)) }).max() else {
                return
            }
            state.values[last]?.bytes = "7"
        }
    }

    func values(
        of keys: [Bytes], at version: Version?
    ) async throws(TenonError) -> [StoredValue?] {
        state.withLock { state in keys.map { state.values[$0] } }
    }

    func putIfAbsent(_ key: Bytes, _ value: Bytes) async throws(TenonError) {
        let current = state.withLock { $0.values[key] }
        guard
            try await commit(
                if: [KeyCondition(key: key, condition: .absent)],
                then: [.put(key: key, value: value, condition: .none)])
        else { throw TenonError(.conditionFailed, .notApplied, "there", current: current) }
    }

    func commit(
        if conditions: [KeyCondition], then operations: [Operation]
    ) async throws(TenonError) -> Bool {
        state.withLock { state in
            for condition in conditions {
                let value = state.values[condition.key]
                switch condition.condition {
                case .absent where value != nil: return false
                case .version(let version) where value?.version != version: return false
                default: continue
                }
            }
            state.commits += 1
            state.version += 1
            var operations = operations[...]
            if state.losesOneIn > 0, state.commits % state.losesOneIn == 0 { operations = [] }
            if state.halvesOneIn > 0, state.commits % state.halvesOneIn == 0 {
                operations = operations.prefix(1)
            }
            for case .put(let key, let value, _) in operations {
                state.values[key] = StoredValue(bytes: value, version: Version(state.version))
            }
            return true
        }
    }

    func page(
        of range: ScanRange, limit: Int, after token: ScanToken?
    ) async throws(TenonError) -> BusinessPage {
        state.withLock { state in
            let keys = state.values.keys.sorted().filter { key in
                key >= range.from && range.to.map { key < $0 } ?? true
            }
            // All of the scan in one page, unless one page is all that is wanted.
            let taken = limit == 100 ? keys.prefix(limit) : keys[...]
            let items = taken.compactMap { key in
                state.values[key].map { Item(key: key, value: $0) }
            }
            return BusinessPage(items: items, version: Version(state.version))
        }
    }
}

@Suite("Business scenarios") struct BusinessScenarioTests {
    private func load(_ scenario: BusinessScenario, on store: MemoryStore) -> any BusinessLoad {
        let homes = ["sh/00-", "bj/00-"]
        return switch scenario {
        case .transfer, .endOfDay: AccountTransfers(store, homes, scenario: scenario)
        case .journal: JournalAppends(store, homes)
        case .queries: RecordQueries(store, homes)
        case .burst: FlashSale(store, homes)
        }
    }

    private func verdict(
        _ scenario: BusinessScenario, on store: MemoryStore,
        spoiling: (MemoryStore) -> Void = { _ in }
    ) async throws -> BusinessVerdict {
        let load = load(scenario, on: store)
        try await load.prepare()
        var random = SeededGenerator(seed: 7)
        for _ in 0..<300 {
            try await load.step(&random)
            load.tally.noteDone()
        }
        spoiling(store)
        try await load.settle()
        return BusinessVerdict(scenario, load.tally.current)
    }

    @Test("On a store that keeps its promises each passes", arguments: BusinessScenario.allCases)
    func passes(scenario: BusinessScenario) async throws {
        let verdict = try await verdict(scenario, on: MemoryStore())
        #expect(verdict.passed, "\(verdict.problems)")
        #expect(verdict.done == 300 && verdict.checked > 0)
    }

    @Test(
        "A transaction that is done by half is noticed",
        arguments: [BusinessScenario.transfer, .endOfDay, .burst])
    func half(scenario: BusinessScenario) async throws {
        #expect(try await !verdict(scenario, on: MemoryStore(halvesOneIn: 50)).passed)
    }

    @Test(
        "A write that is acknowledged and lost is noticed",
        arguments: [BusinessScenario.journal, .burst])
    func lost(scenario: BusinessScenario) async throws {
        #expect(try await !verdict(scenario, on: MemoryStore(losesOneIn: 50)).passed)
    }

    @Test("A value that changes is noticed", arguments: BusinessScenario.allCases)
    func changed(scenario: BusinessScenario) async throws {
        let verdict = try await verdict(scenario, on: MemoryStore()) { $0.spoilLast(of: "sh/") }
        #expect(!verdict.passed, "\(scenario)")
    }

    @Test("One that did nothing has not passed")
    func idle() {
        #expect(!BusinessVerdict(.journal, BusinessTally.Sums()).passed)
    }

    @Test("Problems are bounded")
    func bounded() {
        let tally = BusinessTally()
        for number in 0..<1_000 { tally.check(false, "\(number)") }
        #expect(tally.current.problems.count == 20 && tally.current.checked == 1_000)
    }
}
