import TenonCore
import Testing

@Suite("Bytes")
struct BytesTests {
    private static let sorted: [Bytes] = [
        [], [0], [0, 0], [0, 1], [1], "a", "aa", "b", [0x7F], [0x80], [0xFF], [0xFF, 0xFF],
    ]

    @Test("Order is that of unsigned bytes, then of length")
    func order() {
        for (place, left) in BytesTests.sorted.enumerated() {
            for (other, right) in BytesTests.sorted.enumerated() {
                #expect((left < right) == (place < other), "\(left) and \(right)")
                #expect((left == right) == (place == other))
            }
        }
    }

    @Test("A slice equals and hashes as a buffer of its own")
    func slices() {
        let buffer = Bytes("hello world")
        let slice = buffer[6..<11]
        #expect(slice == "world")
        #expect(slice.hashValue == Bytes("world").hashValue)
        #expect(slice[1..<3] == "or")
        #expect(slice.array == Array("world".utf8))
        #expect(slice.compacted().storage.count == 5)
        #expect(slice[0] == UInt8(ascii: "w"))
        #expect(slice.description == "\"world\"")
    }

    @Test("The end of a prefix's range is the least above all that begin with it")
    func prefixes() {
        #expect(Bytes("ab").prefixSuccessor == "ac")
        #expect(Bytes([1, 0xFF, 0xFF]).prefixSuccessor == [2])
        #expect(Bytes([0xFF, 0xFF]).prefixSuccessor == nil)
        #expect(Bytes().prefixSuccessor == nil)
        #expect(Bytes("a").successor == [0x61, 0])
        #expect(Bytes("abc").starts(with: "ab"))
        #expect(!Bytes("a").starts(with: "ab"))
    }

    @Test("What is not UTF-8 prints as hexadecimal digits")
    func description() {
        #expect(Bytes([0xFF, 0x01]).description == "0xff01")
        #expect(Bytes([0xFF]).utf8Text == nil)
    }

    @Test("Identifiers of random bits read back what they print")
    func identifiers() {
        var generator = SeededGenerator(seed: 1)
        let client = ClientID(using: &generator)
        #expect(ClientID(hexadecimal: client.description) == client)
        #expect(ClientID(hexadecimal: "xyz") == nil)
    }
}

@Suite("Checksums and digests")
struct ChecksumTests {
    @Test("CRC-32C of the test vectors of RFC 3720")
    func vectors() {
        #expect(CRC32C(Array("123456789".utf8)).rawValue == 0xE306_9283)
        #expect(CRC32C([UInt8](repeating: 0, count: 32)).rawValue == 0x8A91_36AA)
        #expect(CRC32C([UInt8](repeating: 0xFF, count: 32)).rawValue == 0x62A8_AB43)
        #expect(CRC32C((0..<32).map { UInt8($0) }).rawValue == 0x46DD_794E)
        #expect(CRC32C([]).rawValue == 0)
    }

    @Test("A checksum of a part is that of the part alone")
    func parts() {
        let whole = (0..<200).map { UInt8($0) }
        for start in [0, 1, 7, 8, 9] {
            let part = Array(whole[start..<150])
            #expect(CRC32C(whole, in: start..<150) == CRC32C(part))
            #expect(CRC32C(Bytes(whole)[start..<150]) == CRC32C(part))
        }
    }

    @Test("Every flipped bit changes the checksum and the digest")
    func flips() {
        let bytes = (0..<40).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        for place in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[place / 8] ^= 1 << UInt8(place % 8)
            #expect(CRC32C(flipped) != CRC32C(bytes))
            #expect(digest([flipped]) != digest([bytes]))
        }
    }

    @Test("A digest depends on the pieces, their borders and their order")
    func digests() {
        #expect(digest([[1, 2], [3]]) != digest([[1], [2, 3]]))
        #expect(digest([[1], [2]]) != digest([[2], [1]]))
        #expect(digest([[]]) != digest([]))
        #expect(digest([[0]]) != digest([[]]))
        #expect(digest([[0, 0]]) != digest([[0]]))
    }

    @Test("A digest is the same on every machine")
    func goldenDigest() {
        #expect(Digest().description == "74656e6f6e5f3031")
        #expect(
            digest([Array("tenon".utf8), Array("0123456789".utf8)]).description
                == "999cdc091a9e738c")
    }

    private func digest(_ pieces: [[UInt8]]) -> Digest {
        var digest = Digest()
        for piece in pieces { digest.combine(piece) }
        return digest
    }
}

@Suite("LZ4")
struct LZ4Tests {
    @Test("What compresses reads back; noise is left alone")
    func roundTrip() throws {
        let text = Array(String(repeating: "alice owes bob ten. ", count: 200).utf8)
        let compressed = try #require(LZ4.compress(text))
        #expect(compressed.count < text.count / 4)
        #expect(try LZ4.decompress(Bytes(compressed), size: text.count) == text)
        var generator = SeededGenerator(seed: 3)
        let noise = (0..<4_096).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        #expect(LZ4.compress(noise) == nil)
        #expect(LZ4.compress([1, 2, 3]) == nil)
        #expect(try LZ4.decompress(Bytes(), size: 0) == [])
    }

    @Test("A block of another size than was said is refused")
    func wrongSize() throws {
        let text = [UInt8](repeating: 7, count: 1_000)
        let compressed = Bytes(try #require(LZ4.compress(text)))
        for size in [999, 1_001, 1, -1] {
            #expect(throws: DecodingError.self) { try LZ4.decompress(compressed, size: size) }
        }
    }

    @Test("Damaged blocks never read or write outside")
    func damage() throws {
        let text = (0..<2_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let compressed = try #require(LZ4.compress(text))
        for place in compressed.indices {
            var damaged = compressed
            damaged[place] ^= 0xFF
            _ = try? LZ4.decompress(Bytes(damaged), size: text.count)
            #expect(throws: DecodingError.self) {
                try LZ4.decompress(Bytes(Array(compressed[..<place])), size: text.count)
            }
        }
    }
}

@Suite("Time")
struct TimeTests {
    @Test("A hybrid clock follows the wall and never goes back")
    func hybridClock() {
        var clock = HybridClock(last: .zero)
        let wall = WallTime(milliseconds: 1_000)
        let first = clock.reserve(3, at: wall)
        #expect(first == Timestamp(1_000 << 16))
        #expect(clock.last == first.advanced(by: 2))
        let second = clock.reserve(1, at: wall)
        #expect(second == first.advanced(by: 3))
        #expect(clock.reserve(1, at: WallTime(milliseconds: 900)) == second.next)
        clock.observe(Timestamp(2_000 << 16))
        #expect(clock.reserve(1, at: wall) == Timestamp(2_000 << 16).next)
        clock.observe(Timestamp(5))
        #expect(clock.reserve(1, at: WallTime(milliseconds: 3_000)) == Timestamp(3_000 << 16))
    }

    @Test("Every version handed out is above all before it", arguments: 0..<20)
    func monotony(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var clock = HybridClock(last: Timestamp(generator.below(1 << 30)))
        for _ in 0..<500 {
            let last = clock.last
            if generator.below(4) == 0 { clock.observe(Timestamp(generator.below(1 << 32))) }
            let count = Int(generator.below(100)) + 1
            let base = clock.reserve(
                count, at: WallTime(milliseconds: generator.below(1 << 16)))
            #expect(base > last)
            #expect(clock.last == base.advanced(by: UInt64(count - 1)))
        }
    }

    @Test("Timestamps go back by wall time and stop at zero")
    func earlier() {
        let timestamp = Timestamp(WallTime(milliseconds: 10_000)).advanced(by: 3)
        #expect(timestamp.earlier(by: .seconds(1)).wallTime == WallTime(milliseconds: 9_000))
        #expect(timestamp.earlier(by: .seconds(100)) == .zero)
        #expect(timestamp.wallTime == WallTime(milliseconds: 10_000))
    }

    @Test("Instants saturate")
    func instants() {
        #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
        #expect(Instant.zero.since(Instant(nanoseconds: 5)) == .zero)
        #expect(Instant(nanoseconds: 9).since(Instant(nanoseconds: 5)).nanoseconds == 4)
        #expect((TimeSpan.milliseconds(3) * 2 / 3).wholeMilliseconds == 2)
    }

    @Test("A generator's sequence is fixed by its seed")
    func generator() {
        // The first outputs of SplitMix64 for the seed 1234567, as published with it.
        var generator = SeededGenerator(seed: 1_234_567)
        #expect(generator.next() == 6_457_827_717_110_365_317)
        #expect(generator.next() == 3_203_168_211_198_807_973)
        for bound in [UInt64(1), 2, 10, 1 << 40] {
            #expect((0..<100).allSatisfy { _ in generator.below(bound) < bound })
        }
    }
}
