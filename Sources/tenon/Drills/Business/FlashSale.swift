import Synchronization
import TenonClient
import TenonCore

/// All want the same thing: each sale takes one from the stock and writes an order, both at once.
/// There are as many orders as the stock is short, every acknowledged one among them.
final class FlashSale: BusinessLoad {
    let scenario = BusinessScenario.burst
    let tally = BusinessTally()
    private let store: any BusinessStore
    private let homes: [String]
    private let sales = Mutex(Sales())

    private struct Sales: Sendable {
        var nextOrder = 1
        /// Orders that were acknowledged, by home.
        var acknowledged: [String: Set<Int>] = [:]
    }

    /// More than are sold in a drill.
    private static let openingStock = 1_000_000

    init(_ store: any BusinessStore, _ homes: [String]) {
        self.store = store
        self.homes = homes
    }

    func prepare() async throws(TenonError) {
        for home in homes {
            _ = try await store.commit(
                if: [],
                then: [
                    .put(
                        key: FlashSale.stock(of: home),
                        value: Bytes(String(FlashSale.openingStock)), condition: .none)
                ])
        }
    }

    func step(_ random: inout SeededGenerator) async throws(TenonError) {
        let home = homes[Int(random.below(UInt64(homes.count)))]
        let stock = FlashSale.stock(of: home)
        let order = sales.withLock { sales in
            defer { sales.nextOrder += 1 }
            return sales.nextOrder
        }
        guard let before = try await store.value(of: stock),
            let left = FlashSale.count(before)
        else { return tally.check(false, "the stock of \(home) is gone or no number") }
        let isSold = try await store.commit(
            if: [KeyCondition(key: stock, condition: .version(before.version))],
            then: [
                .put(key: stock, value: Bytes(String(left - 1)), condition: .none),
                .put(key: FlashSale.order(order, of: home), value: "sold", condition: .none),
            ])
        // Somebody else was first.
        guard isSold else { return }
        sales.withLock { _ = $0.acknowledged[home, default: []].insert(order) }
    }

    func settle() async throws(TenonError) {
        for home in homes {
            let (items, version) = try await store.all(home + "order-")
            let orders = Set(items.compactMap { FlashSale.number($0.key, of: home) })
            // As of the same moment: a sale of unknown outcome may still come about.
            let value = try await store.value(of: FlashSale.stock(of: home), at: version)
            let left = value.flatMap(FlashSale.count)
            tally.check(
                left == FlashSale.openingStock - orders.count,
                "\(home): \(orders.count) orders, and a stock of \(left ?? -1) of "
                    + "\(FlashSale.openingStock)")
            let acknowledged = sales.withLock { $0.acknowledged[home] ?? [] }
            let missing = acknowledged.subtracting(orders).count
            tally.check(missing == 0, "\(missing) acknowledged orders of \(home) are missing")
        }
    }

    private static func stock(of home: String) -> Bytes { Bytes(home + "stock") }

    private static func order(_ number: Int, of home: String) -> Bytes {
        Bytes("\(home)order-\(number)")
    }

    private static func number(_ key: Bytes, of home: String) -> Int? {
        key.utf8Text.flatMap { Int($0.dropFirst(home.count + "order-".count)) }
    }

    private static func count(_ value: StoredValue) -> Int? {
        value.bytes.utf8Text.flatMap { Int($0) }
    }
}
