import TenonClient
import TenonCore

/// Reads of records that never change, many at a time and in ranges: whatever node answers, and
/// whatever it went through, each is what was written.
final class RecordQueries: BusinessLoad {
    let scenario = BusinessScenario.queries
    let tally = BusinessTally()
    private let store: any BusinessStore
    private let homes: [String]

    private static let records: UInt64 = 2_000
    private static let keysOfRead = 50
    private static let pageLimit = 100

    init(_ store: any BusinessStore, _ homes: [String]) {
        self.store = store
        self.homes = homes
    }

    func prepare() async throws(TenonError) {
        for home in homes {
            let puts = (0..<RecordQueries.records).map { number in
                Operation.put(
                    key: RecordQueries.key(number, of: home),
                    value: RecordQueries.record(number, of: home), condition: .none)
            }
            _ = try await store.commit(if: [], then: puts)
        }
    }

    func step(_ random: inout SeededGenerator) async throws(TenonError) {
        let home = homes[Int(random.below(UInt64(homes.count)))]
        let first = random.below(RecordQueries.records - UInt64(RecordQueries.pageLimit))
        if random.below(2) == 0 {
            var numbers: [UInt64] = []
            for _ in 0..<RecordQueries.keysOfRead {
                numbers.append(random.below(RecordQueries.records))
            }
            let values = try await store.values(
                of: numbers.map { RecordQueries.key($0, of: home) }, at: nil)
            for (number, value) in zip(numbers, values) { check(number, of: home, value) }
        } else {
            let range = ScanRange(
                from: RecordQueries.key(first, of: home), to: Bytes(home).prefixSuccessor)
            let page = try await store.page(
                of: range, limit: RecordQueries.pageLimit, after: nil)
            tally.check(
                page.items.count == RecordQueries.pageLimit,
                "a page of \(page.items.count) records of \(home)")
            for (number, item) in zip(first..., page.items) {
                check(number, of: home, item.value)
            }
        }
    }

    func settle() async throws(TenonError) {
        for home in homes {
            let numbers = Array(0..<RecordQueries.records)
            let values = try await store.values(
                of: numbers.map { RecordQueries.key($0, of: home) }, at: nil)
            for (number, value) in zip(numbers, values) { check(number, of: home, value) }
        }
    }

    private func check(_ number: UInt64, of home: String, _ value: StoredValue?) {
        tally.check(
            value?.bytes == RecordQueries.record(number, of: home),
            "record \(number) of \(home) is missing or another")
    }

    private static func key(_ number: UInt64, of home: String) -> Bytes {
        Bytes(home + String(100_000 + number))
    }

    private static func record(_ number: UInt64, of home: String) -> Bytes {
        Bytes("\(home)record \(number), as it was opened")
    }
}
