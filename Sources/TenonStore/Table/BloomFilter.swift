internal import TenonCore

/// Says of a key that a table certainly does not hold it, or that it may.
///
/// Content of a filter block: one byte with the number of probes (0: no filter, everything may
/// be there), then the bits, byte by byte, lowest bit first.
///
/// Source: Bloom, "Space/time trade-offs in hash coding with allowable errors", 1970; probes by
/// double hashing: Kirsch and Mitzenmacher, "Less hashing, same performance", 2006.
struct BloomFilter: Sendable {
    private let probes: Int
    private let bits: [UInt8]

    /// Memory in use.
    var bytes: Int { bits.count }

    /// A filter over the keys with these hashes.
    init(hashes: [UInt64], bitsPerKey: Int) {
        guard bitsPerKey > 0, !hashes.isEmpty else {
            probes = 0
            bits = []
            return
        }
        // ln 2 times the bits of a key gives the fewest false positives; 69/100 is close enough.
        probes = max(1, bitsPerKey * 69 / 100)
        var bits = [UInt8](repeating: 0, count: max(8, (hashes.count * bitsPerKey + 7) / 8))
        for hash in hashes {
            BloomFilter.forEachBit(of: hash, probes, of: bits.count * 8) {
                bits[$0 / 8] |= 1 << UInt8($0 % 8)
                return true
            }
        }
        self.bits = bits
    }

    /// Reads the content of a filter block.
    init(_ content: [UInt8]) throws(DecodingError) {
        guard let probes = content.first else { throw .truncated }
        guard probes <= 32, (probes == 0) == (content.count == 1) else {
            throw .malformed("a filter of \(probes) probes and \(content.count) B")
        }
        self.probes = Int(probes)
        bits = Array(content.dropFirst())
    }

    /// The content of a filter block.
    var content: [UInt8] { [UInt8(probes)] + bits }

    /// Whether the key with this hash may be there.
    func mayContain(_ hash: UInt64) -> Bool {
        BloomFilter.forEachBit(of: hash, probes, of: bits.count * 8) {
            bits[$0 / 8] & (1 << UInt8($0 % 8)) != 0
        }
    }

    /// The hash of a prefixed key. On disk by its effect: it changes with the format version only.
    static func hash(of key: [UInt8]) -> UInt64 {
        var digest = Digest()
        digest.combine(key)
        return digest.value
    }

    /// Calls `body` with each bit of a hash until it says no; whether it never did.
    @discardableResult
    private static func forEachBit(
        of hash: UInt64, _ probes: Int, of bitCount: Int, _ body: (Int) -> Bool
    ) -> Bool {
        let step = (hash >> 33 | hash << 31) | 1
        var probe = hash
        for _ in 0..<probes {
            guard body(Int(probe.multipliedFullWidth(by: UInt64(bitCount)).high)) else {
                return false
            }
            probe &+= step
        }
        return true
    }
}
