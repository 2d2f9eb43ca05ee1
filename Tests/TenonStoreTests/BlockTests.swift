import TenonCore
import Testing

@testable import TenonStore

@Suite("Blocks")
struct BlockTests {
    /// Sorted entries: (prefixed key, version, value or nil for a tombstone).
    private typealias Entry = (key: [UInt8], version: Timestamp, value: Bytes?)

    private func makeEntries(_ count: Int, seed: UInt64) -> [Entry] {
        var generator = SeededGenerator(seed: seed)
        var entries: [Entry] = []
        var number: UInt64 = 0
        var version: UInt64 = 0
        while entries.count < count {
            if version < 2 || generator.below(3) > 0 {
                number += 1 + generator.below(9)
                version = 20
            } else {
                version -= 1
            }
            let key = StoreKey.user(Bytes("key-" + hexadecimal(number, digits: 6))).prefixed
            let value = generator.below(6) == 0 ? nil : Bytes(String(generator.next()))
            entries.append((key, Timestamp(version), value))
        }
        return entries
    }

    private func build(_ entries: [Entry]) -> [UInt8] {
        var builder = BlockBuilder()
        for entry in entries {
            builder.add(
                entry.key, entry.version, isTombstone: entry.value == nil,
                entry.value ?? Bytes())
        }
        return builder.take()
    }

    @Test("every entry is found, and what lies between two is the later one")
    func seeks() throws {
        for count in [1, 2, 15, 16, 17, 100] {
            let entries = makeEntries(count, seed: UInt64(count))
            let block = try Block(build(entries))
            var found: [UInt8] = []
            for (index, expected) in entries.enumerated() {
                let entry = try #require(
                    block.firstEntry(atOrAfter: expected.key, expected.version, key: &found))
                #expect(found == expected.key && entry.version == expected.version)
                #expect(entry.isTombstone == (expected.value == nil))
                let value = Bytes(sharing: block.bytes, in: entry.value)
                #expect(value == expected.value ?? Bytes())
                let older = Timestamp(expected.version.rawValue - 1)
                let next = block.firstEntry(atOrAfter: expected.key, older, key: &found)
                #expect((next == nil) == (index + 1 == count))
                if index + 1 < count { #expect(found == entries[index + 1].key) }
                let below = block.lastKey(below: expected.key)
                #expect(below == entries.last { compareKeys($0.key, expected.key) < 0 }?.key)
            }
        }
    }

    /// Keys of zero to four bytes of three kinds: prefixes of each other everywhere.
    private func makeAwkwardEntries(_ generator: inout SeededGenerator) -> [Entry] {
        var entries: [Entry] = []
        for _ in 0..<(1 + generator.below(90)) {
            let key = (0..<generator.below(5)).map { _ in UInt8(generator.below(3)) * 127 }
            let version = Timestamp(1 + generator.below(6))
            let value = generator.below(4) == 0 ? nil : Bytes(String(generator.next()))
            entries.append((StoreKey.user(Bytes(key)).prefixed, version, value))
        }
        entries.sort { compareEntries($0.key, $0.version, $1.key, $1.version) < 0 }
        var unique: [Entry] = []
        for entry in entries {
            if let last = unique.last, last.key == entry.key, last.version == entry.version {
                continue
            }
            unique.append(entry)
        }
        return unique
    }

    @Test("the newest entry of a key at a version is that of a search from the first to the last")
    func newestEntries() throws {
        var generator = SeededGenerator(seed: 77)
        for _ in 0..<60 {
            let entries = makeAwkwardEntries(&generator)
            let block = try Block(build(entries))
            for _ in 0..<200 {
                let bytes = (0..<generator.below(5)).map { _ in UInt8(generator.below(3)) * 127 }
                let key = StoreKey.user(Bytes(bytes)).prefixed
                let version = Timestamp(generator.below(8))
                let expected = entries.first { $0.key == key && $0.version <= version }
                let found = block.newestEntry(of: key, at: version)
                #expect(found?.version == expected?.version)
                #expect(
                    found.map { Bytes(sharing: block.bytes, in: $0.value) }
                        == expected.map { $0.value ?? Bytes() })
                #expect(found?.isTombstone == expected.map { $0.value == nil })
            }
        }
    }

    @Test("a block's content never changes (golden bytes)")
    func goldenContent() {
        let content = build([
            ([1, 0x61, 0x62], Timestamp(0x0102), "x"), ([1, 0x61, 0x62], Timestamp(1), nil),
            ([1, 0x61, 0x63, 0x64], Timestamp(2), ""),
        ])
        #expect(
            content == [
                0, 3, 2, 2, 1, 0, 0, 0, 0, 0, 0, 1, 0x61, 0x62, 0x78,
                3, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0,
                2, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0x63, 0x64,
                0, 0, 0, 0, 1, 0, 0, 0,
            ])
    }

    @Test("a block's frame never changes (golden bytes)")
    func goldenFrame() throws {
        let framed = BlockFrame.encode(.filter, [1, 2, 3], cell: 0x0504)
        #expect(
            framed[4...] == [
                1, 3, 0, 0, 0, 0, 4, 5, 3, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3,
            ])
        let crc = BlockFrame.checksum(of: framed).rawValue
        #expect(
            framed[0..<4] == [
                UInt8(crc & 255), UInt8(crc >> 8 & 255), UInt8(crc >> 16 & 255), UInt8(crc >> 24),
            ])
    }

    @Test("a frame gives back its content, and refuses every flipped bit and truncation")
    func frames() throws {
        for content in [[UInt8](repeating: 5, count: 300), [1, 2, 3]] {
            let framed = BlockFrame.encode(.data, content, cell: 1)
            let place = BlockPlace(
                offset: 0, bytes: framed.count, checksum: BlockFrame.checksum(of: framed))
            let decoded = try BlockFrame.decode(Bytes(framed), as: .data, at: place, file: "f")
            #expect(decoded == content)
            for bit in 0..<framed.count * 8 {
                var damaged = framed
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(throws: StoreError.self) {
                    try BlockFrame.decode(Bytes(damaged), as: .data, at: place, file: "f")
                }
            }
            for length in 0..<framed.count {
                let cut = Bytes(Array(framed[..<length]))
                #expect(throws: StoreError.self) {
                    try BlockFrame.decode(cut, as: .data, at: place, file: "f")
                }
            }
            #expect(throws: StoreError.self) {
                try BlockFrame.decode(Bytes(framed), as: .index, at: place, file: "f")
            }
        }
    }

    @Test("content that is not a block is refused and never traps")
    func garbage() {
        let content = build(makeEntries(20, seed: 3))
        var generator = SeededGenerator(seed: 8)
        for length in 0..<content.count {
            #expect(throws: DecodingError.self) { try Block(Array(content[..<length])) }
        }
        for _ in 0..<5_000 {
            var damaged = content
            for _ in 0...generator.below(3) {
                damaged[Int(generator.below(UInt64(damaged.count)))] = UInt8(generator.below(256))
            }
            // A changed value is a block still; what matters is that nothing traps.
            if let block = try? Block(damaged) { _ = block.lastKey(below: [9]) }
        }
    }
}

@Suite("Bloom filter")
struct BloomFilterTests {
    private func hash(_ number: Int) -> UInt64 {
        BloomFilter.hash(of: StoreKey.user(Bytes("key-\(number)")).prefixed)
    }

    @Test("knows every key, and about one in a hundred others at ten bits a key")
    func falsePositives() throws {
        let written = BloomFilter(hashes: (0..<10_000).map(hash), bitsPerKey: 10)
        let filter = try BloomFilter(written.content)
        #expect((0..<10_000).allSatisfy { filter.mayContain(hash($0)) })
        let wrong = (10_000..<30_000).count { filter.mayContain(hash($0)) }
        #expect(wrong < 400, "\(wrong) of 20,000")
    }

    @Test("without bits everything may be there")
    func none() throws {
        let filter = try BloomFilter(BloomFilter(hashes: [1], bitsPerKey: 0).content)
        #expect(filter.mayContain(hash(1)))
    }

    @Test("the hash of a key never changes")
    func golden() {
        #expect(hash(1) == BloomFilterTests.hashOfKeyOne)
    }
    private static let hashOfKeyOne: UInt64 = 11_597_735_211_174_369_390
}

@Suite("Block cache")
struct BlockCacheTests {
    private func makeBlock(_ bytes: Int) throws -> Block {
        var builder = BlockBuilder()
        builder.add(
            [1], Timestamp(1), isTombstone: false, Bytes([UInt8](repeating: 0, count: bytes - 20)))
        return try Block(builder.take())
    }

    @Test("forgets the least recently used block and keeps its bound")
    func leastRecentlyUsed() throws {
        let cache = BlockCache(bytesMax: 1_000)
        func key(_ number: UInt32) -> BlockKey {
            BlockKey(store: 1, block: number, table: TableNumber(1))
        }
        for number in 0..<4 { cache.insert(key(UInt32(number)), try makeBlock(200)) }
        #expect(cache.block(key(0)) != nil)
        for number in 4..<6 { cache.insert(key(UInt32(number)), try makeBlock(200)) }
        #expect(cache.block(key(0)) != nil)
        #expect(cache.block(key(1)) == nil)
        #expect(cache.bytes <= 1_000)
        cache.insert(key(9), try makeBlock(2_000))
        #expect(cache.block(key(9)) == nil)
        cache.checkInvariants()
    }
}
