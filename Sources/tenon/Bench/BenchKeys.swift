import TenonCore

/// The keys and values of a benchmark: everything can be computed again, so that what is read back
/// can be compared.
struct BenchKeys: Hashable, Sendable {
    /// How many keys there are.
    let count: UInt64
    /// How long a value is, in bytes.
    let valueSize: Int

    /// Key number `place`: 16 hexadecimal digits of a permuted counter.
    ///
    /// The permutation is SplitMix64's finaliser, which is one to one: no two places share a key,
    /// and neighbours lie far apart.
    func key(_ place: UInt64) -> Bytes {
        Bytes(hexadecimal(BenchKeys.permuted(place), digits: 16))
    }

    /// The value that write number `sequence` gives key number `place`: the sequence in 16
    /// hexadecimal digits when there is room, then bytes that follow from both.
    func value(_ place: UInt64, sequence: UInt64) -> Bytes {
        let isNumbered = valueSize >= BenchKeys.sequenceDigits
        var generator = SeededGenerator(
            seed: BenchKeys.permuted(place) ^ (isNumbered ? sequence &* 0x9E37_79B9 : 0))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(valueSize + 8)
        if isNumbered { bytes += hexadecimal(sequence, digits: BenchKeys.sequenceDigits).utf8 }
        while bytes.count < valueSize {
            let word = generator.next()
            for shift in stride(from: 0, to: 64, by: 8) {
                bytes.append(BenchKeys.letters[Int((word >> UInt64(shift)) & 63)])
            }
        }
        bytes.removeSubrange(valueSize...)
        return Bytes(bytes)
    }

    /// Whether some write of ours gives key number `place` this value.
    func isOurs(_ value: Bytes, at place: UInt64) -> Bool {
        guard value.count == valueSize else { return false }
        guard valueSize >= BenchKeys.sequenceDigits else {
            return value == self.value(place, sequence: 0)
        }
        guard let digits = value[0..<BenchKeys.sequenceDigits].utf8Text,
            let sequence = UInt64(digits, radix: 16)
        else { return false }
        return value == self.value(place, sequence: sequence)
    }

    private static let sequenceDigits = 16
    private static let letters = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func permuted(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
