import TenonCore
import TenonSimulator
import Testing

@testable import TenonStore

/// How large a part of a store is, and where its middle lies, without reading anything.
@Suite struct `Middle keys` {
    /// Bytes that no compression makes fewer.
    private static func noise(_ count: Int, _ random: inout SeededGenerator) -> Bytes {
        var bytes: [UInt8] = []
        for _ in 0..<count { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return Bytes(bytes)
    }

    /// A store of random keys and sizes, some written again, flushed and merged at random; and what
    /// each key was written with, all versions together.
    private func store(
        seed: UInt64, keys: Int = 300
    ) throws -> (rig: StoreRig, sizes: [Bytes: Int]) {
        var random = SeededGenerator(seed: seed)
        let rig = try StoreRig(SimulatedDisk(seed: 1))
        var sizes: [Bytes: Int] = [:]
        var version: UInt64 = 0
        for index in 1...UInt64(4 + random.below(8)) {
            for _ in 0..<keys / 4 {
                version += 1
                // Half of all keys lie in a tenth of their space.
                let number = random.below(2) == 0 ? random.below(1_000) : random.below(100)
                let key = Bytes("k\(1_000 + number)")
                let value = `Middle keys`.noise(20 + Int(random.below(200)), &random)
                rig.store.put(.user(key), value, at: Timestamp(version))
                sizes[key, default: 0] += value.count + key.count + 12
            }
            // The state machine's own rows are nobody's keys.
            rig.store.put(.system("row"), `Middle keys`.noise(500, &random), at: Timestamp(version))
            try rig.flush(index: index)
            while random.below(2) == 0, try rig.runJob(rig.store.nextJob()) != nil {}
        }
        return (rig, sizes)
    }

    @Test(arguments: UInt64(1)...40)
    func `the middle halves what is there, nearly`(seed: UInt64) throws {
        let (rig, sizes) = try store(seed: seed)
        let middle = try #require(rig.store.middleKey(from: Bytes(), upTo: nil))
        let whole = rig.store.bytesOnDisk(from: Bytes(), upTo: nil)
        #expect(middle.bytesBelow + middle.bytesFrom == whole)
        #expect(middle.bytesBelow == rig.store.bytesOnDisk(from: Bytes(), upTo: middle.key))
        #expect(middle.bytesFrom == rig.store.bytesOnDisk(from: middle.key, upTo: nil))
        let below = sizes.reduce(0) { $0 + ($1.key < middle.key ? $1.value : 0) }
        let sum = sizes.values.reduce(0, +)
        #expect(below * 4 > sum && below * 4 < sum * 3, "\(below) of \(sum)")
    }

    @Test(arguments: UInt64(1)...40)
    func `the middle of a part lies inside of it`(seed: UInt64) throws {
        let (rig, sizes) = try store(seed: seed)
        let keys = sizes.keys.sorted()
        let (lower, upper) = (keys[keys.count / 5], keys[keys.count * 4 / 5])
        let middle = try #require(rig.store.middleKey(from: lower, upTo: upper))
        #expect(lower < middle.key && middle.key < upper)
        #expect(
            middle.bytesBelow + middle.bytesFrom
                == rig.store.bytesOnDisk(from: lower, upTo: upper))
        // Cut again and again it comes to an end, and never leaves the part.
        var (low, rounds) = (lower, 0)
        while let next = rig.store.middleKey(from: low, upTo: upper) {
            #expect(low < next.key && next.key < upper)
            low = next.key
            rounds += 1
            try #require(rounds < 200)
        }
    }

    @Test func `a store of one key has no middle that leaves something below it`() throws {
        var random = SeededGenerator(seed: 9)
        let rig = try StoreRig(SimulatedDisk(seed: 1))
        for version in UInt64(1)...200 {
            let value = `Middle keys`.noise(200, &random)
            rig.store.put(.user("only"), value, at: Timestamp(version))
        }
        try rig.flush(index: 1)
        let whole = rig.store.bytesOnDisk(from: Bytes(), upTo: nil)
        #expect(whole > 200 * 200)
        let middle = rig.store.middleKey(from: Bytes(), upTo: nil)
        #expect(middle.map(\.bytesBelow) ?? 0 == 0)
        // Above itself nothing is left to be cut.
        #expect(rig.store.middleKey(from: "only", upTo: nil) == nil)
    }

    @Test func `an empty store, and one without users' keys, has none`() throws {
        let rig = try StoreRig(SimulatedDisk(seed: 1))
        #expect(rig.store.middleKey(from: Bytes(), upTo: nil) == nil)
        rig.store.put(.system("row"), "x", at: Timestamp(1))
        try rig.flush(index: 1)
        #expect(rig.store.bytesOnDisk(from: Bytes(), upTo: nil) == 0)
        #expect(rig.store.middleKey(from: Bytes(), upTo: nil) == nil)
    }
}
