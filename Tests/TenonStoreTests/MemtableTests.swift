import TenonCore
import Testing

@testable import TenonStore

@Suite("Memtable")
struct MemtableTests {
    @Test("gives back the version that a read sees")
    func versions() {
        let memtable = Memtable(after: .zero)
        for version in 1...5 {
            memtable.insert(.user("k"), Bytes("v\(version)"), at: Timestamp(UInt64(version)))
        }
        let key = StoreKey.user("k").prefixed
        let node = memtable.firstNode(atOrAfter: key, Timestamp(3))
        #expect(node.map { memtable.value(of: $0) } == "v3")
        memtable.checkInvariants()
    }

    @Test("keeps any keys in order, short and long, with zeros and without")
    func order() {
        var generator = SeededGenerator(seed: 11)
        let memtable = Memtable(after: .zero)
        var keys: Set<StoreKey> = []
        for step in 0..<2_000 {
            let count = Int(generator.below(12))
            let bytes = (0..<count).map { _ in UInt8(generator.below(3)) }
            let key = StoreKey(generator.below(2) == 0 ? .system : .user, Bytes(bytes))
            keys.insert(key)
            memtable.insert(key, Bytes(bytes), at: Timestamp(UInt64(step)))
        }
        memtable.checkInvariants()
        let cursor = MemtableCursor(memtable)
        cursor.seek(to: [], .newest)
        var found: [StoreKey] = []
        while cursor.state == .entry {
            let key = StoreKey(prefixed: cursor.key)
            if found.last != key { found.append(key) }
            #expect(cursor.value == key.bytes)
            cursor.advance()
        }
        #expect(found == keys.sorted())
        for (index, key) in found.enumerated() {
            let before = memtable.lastNode(below: key.prefixed)
            var last: [UInt8] = []
            if let before { memtable.copyKey(of: before, to: &last) }
            #expect(last == (index > 0 ? found[index - 1].prefixed : []))
        }
    }

    @Test("grows past its first memory, and takes the longest key and value")
    func growth() {
        let memtable = Memtable(after: .zero)
        let key = Bytes([UInt8](repeating: 7, count: Limits.keyBytesMax))
        let value = Bytes([UInt8](repeating: 9, count: Limits.valueBytesMax))
        memtable.insert(.user("first"), "1", at: Timestamp(1))
        memtable.insert(.user(key), value, at: Timestamp(2))
        #expect(memtable.bytes > Limits.valueBytesMax)
        let node = memtable.firstNode(atOrAfter: StoreKey.user(key).prefixed, .newest)
        #expect(node.map { memtable.value(of: $0) } == value)
        #expect(node.flatMap { memtable.node(after: $0) } != nil)
    }

    @Test("a write after one at a greater version traps")
    func versionsNeverDecrease() async {
        await #expect(processExitsWith: .failure) {
            let memtable = Memtable(after: Timestamp(5))
            memtable.insert(.user("k"), "v", at: Timestamp(4))
        }
    }

    @Test("a write to a frozen memtable traps")
    func frozen() async {
        await #expect(processExitsWith: .failure) {
            let memtable = Memtable(after: .zero)
            memtable.freeze()
            memtable.insert(.user("k"), "v", at: Timestamp(4))
        }
    }
}

@Suite("Range tombstones")
struct RangeTombstoneTests {
    /// The key `number`, as one byte behind its tag.
    private func key(_ number: UInt64) -> [UInt8] { [1, UInt8(number)] }

    @Test("hide what a list of all deletions hides", arguments: [1, 2, 3, 4])
    func model(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var tombstones = RangeTombstones()
        var deletions: [(lower: UInt64, upper: UInt64, version: UInt64)] = []
        for _ in 0..<60 {
            let (one, other) = (generator.below(40), generator.below(40))
            let version = generator.below(50)
            tombstones.add(from: key(one), to: key(other), at: Timestamp(version))
            deletions.append((one, other, version))
            let place = generator.below(40)
            for time in stride(from: UInt64(0), to: 50, by: 7) {
                let expected = deletions.filter {
                    $0.lower <= place && place < $0.upper && $0.version <= time
                }.map(\.version).max()
                let found = tombstones.newest(covering: key(place), atOrBelow: Timestamp(time))
                #expect(found == expected.map { Timestamp($0) })
            }
        }
        #expect(try RangeTombstones(tombstones.content) == tombstones)
        let bytes = RangeTombstones(fragments: tombstones.fragments).bytes
        #expect(tombstones.bytes == bytes)
    }

    @Test("pruning and cutting change nothing for reads at the floor and above")
    func pruning() {
        var generator = SeededGenerator(seed: 5)
        var tombstones = RangeTombstones()
        for _ in 0..<40 {
            tombstones.add(
                from: key(generator.below(40)), to: key(generator.below(40)),
                at: Timestamp(generator.below(50)))
        }
        let floor = Timestamp(25)
        let pruned = tombstones.pruned(floor: floor) { _, _ in false }
        var parts = RangeTombstones()
        parts.merge(pruned.clipped(from: nil, to: key(13)))
        parts.merge(pruned.clipped(from: key(13), to: nil))
        #expect(pruned.count < tombstones.count)
        for place in 0..<UInt64(40) {
            for time in 25..<UInt64(50) {
                let expected = tombstones.newest(covering: key(place), atOrBelow: Timestamp(time))
                for other in [pruned, parts] {
                    let found = other.newest(covering: key(place), atOrBelow: Timestamp(time))
                    #expect(found == expected)
                }
            }
        }
    }

    @Test("what lies last keeps no deletion at or below the floor")
    func lastLevel() {
        var tombstones = RangeTombstones()
        tombstones.add(from: key(1), to: key(5), at: Timestamp(10))
        tombstones.add(from: key(3), to: key(8), at: Timestamp(30))
        let pruned = tombstones.pruned(floor: Timestamp(20)) { _, _ in true }
        #expect(pruned.newest(covering: key(2), atOrBelow: .newest) == nil)
        #expect(pruned.newest(covering: key(4), atOrBelow: .newest) == Timestamp(30))
        #expect(pruned.count == 2)
    }
}
