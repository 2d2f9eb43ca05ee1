import TenonCore
import TenonSimulator
import Testing

@testable import TenonStore

@Suite("Store over its memtable")
struct MemtableStoreTests {
    private func makeStore() throws -> Store {
        try StoreRig(SimulatedDisk(seed: 1)).store
    }

    private func get(_ store: Store, _ key: Bytes, at time: UInt64) -> Bytes? {
        guard
            case .ready(let found) = store.get(
                .user(key), at: Timestamp(time), blocks: PinnedBlocks())
        else { return nil }
        return found?.bytes
    }

    private func keys(_ store: Store, _ range: ScanRange, at time: UInt64 = .max) -> [Bytes] {
        guard case .ready(let page) = store.scan(range, at: Timestamp(time), blocks: PinnedBlocks())
        else { return [] }
        return page.items.map(\.key.bytes)
    }

    @Test("a read sees the newest version at or below its time")
    func versions() throws {
        let store = try makeStore()
        store.put(.user("k"), "1", at: Timestamp(10))
        store.put(.user("k"), "2", at: Timestamp(20))
        store.delete(.user("k"), at: Timestamp(30))
        #expect(get(store, "k", at: 9) == nil)
        #expect(get(store, "k", at: 10) == "1")
        #expect(get(store, "k", at: 29) == "2")
        #expect(get(store, "k", at: 30) == nil)
    }

    @Test("of two writes at one version the later wins, range deletions included")
    func equalVersions() throws {
        let store = try makeStore()
        store.put(.user("a"), "old", at: Timestamp(1))
        store.put(.user("a"), "1", at: Timestamp(5))
        store.put(.user("a"), "2", at: Timestamp(5))
        #expect(get(store, "a", at: 5) == "2")
        store.deleteRange(from: .user("a"), to: .user("c"), at: Timestamp(5))
        #expect(get(store, "a", at: 5) == nil)
        store.put(.user("a"), "3", at: Timestamp(5))
        store.put(.user("b"), "4", at: Timestamp(5))
        #expect(get(store, "a", at: 5) == "3")
        #expect(get(store, "b", at: 5) == "4")
        #expect(get(store, "a", at: 4) == "old")
        store.memtable.checkInvariants()
    }

    @Test("a scan gives its range in either order, page by page")
    func scans() throws {
        let store = try makeStore()
        for (step, key) in ["d", "a", "c", "b", "e"].enumerated() {
            store.put(.user(Bytes(key)), "v", at: Timestamp(UInt64(step + 1)))
        }
        store.put(.system("z"), "v", at: Timestamp(6))
        store.deleteRange(from: .user("b"), to: .user("c"), at: Timestamp(7))
        #expect(keys(store, ScanRange(from: .user(""))) == ["a", "c", "d", "e"])
        #expect(keys(store, ScanRange(from: .user(""), reversed: true)) == ["e", "d", "c", "a"])
        #expect(keys(store, ScanRange(from: .user(""), to: .user("d")), at: 6) == ["a", "b", "c"])
        let first = ScanRange(from: .user("a"), to: .user("e"), reversed: true, itemsMax: 2)
        guard case .ready(let page) = store.scan(first, at: .newest, blocks: PinnedBlocks()) else {
            return
        }
        #expect(page.items.map(\.key.bytes) == ["d", "c"])
        let rest = try #require(page.rest)
        #expect(keys(store, rest) == ["a"])
    }
}
