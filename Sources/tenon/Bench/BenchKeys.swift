import TenonCore

/// The keys and values of a benchmark: everything can be computed again, so that what is read back
/// can be compared.
struct BenchKeys: Hashable, Sendable {
    /// How many keys there are.
    let count: UInt64
    /// How long a value is, in bytes.
    let valueSize: Int
    /// What every key begins with.
    private let prefix: [UInt8]

    init(count: UInt64, valueSize: Int, prefix: Bytes = "") {
        self.count = count
        self.valueSize = valueSize
        self.prefix = prefix.array
    }

    /// Key number `place`: the prefix and 16 hexadecimal digits of a permuted counter.
    ///
    /// The permutation is SplitMix64's finaliser, which is one to one: no two places share a key,
    /// and neighbours lie far apart.
    func key(_ place: UInt64) -> Bytes {
        var key: [UInt8] = []
        key.reserveCapacity(prefix.count + BenchKeys.digits)
        key += prefix
        BenchKeys.append(BenchKeys.permuted(place), to: &key)
        return Bytes(key)
    }

    /// The value that write number `sequence` gives key number `place`: the sequence in 16
    /// hexadecimal digits when there is room, then bytes that follow from both.
    func value(_ place: UInt64, sequence: UInt64) -> Bytes {
        let isNumbered = valueSize >= BenchKeys.digits
        var generator = SeededGenerator(
            seed: BenchKeys.permuted(place) ^ (isNumbered ? sequence &* 0x9E37_79B9 : 0))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(valueSize + 8)
        if isNumbered { BenchKeys.append(sequence, to: &bytes) }
        let letters = BenchKeys.letters
        while bytes.count < valueSize {
            var word = generator.next()
            for _ in 0..<8 {
                bytes.append(letters[Int(word & 63)])
                word >>= 8
            }
        }
        bytes.removeSubrange(valueSize...)
        return Bytes(bytes)
    }

    /// Whether some write of ours gives key number `place` this value.
    func isOurs(_ value: Bytes, at place: UInt64) -> Bool {
        guard value.count == valueSize else { return false }
        guard valueSize >= BenchKeys.digits else {
            return value == self.value(place, sequence: 0)
        }
        guard let digits = value[0..<BenchKeys.digits].utf8Text,
            let sequence = UInt64(digits, radix: 16)
        else { return false }
        return value == self.value(place, sequence: sequence)
    }

    /// Hexadecimal digits of a number.
    private static let digits = 16
    private static let letters = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Appends `value` in ``digits`` lowercase hexadecimal digits: no text in between, because
    /// this is done for every operation and counts as the client's time.
    private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        for place in (0..<digits).reversed() {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(4 * place)) & 15
            bytes.append(digit + (digit < 10 ? 48 : 87))
        }
    }

    private static func permuted(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
