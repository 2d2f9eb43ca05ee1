internal import CTenon

/// CRC-32C (Castagnoli): finds accidental damage of blocks, batches and frames.
///
/// Source: RFC 3720, appendix B.4. - Complexity: O(n), 8 bytes an instruction where the processor
/// has one.
package struct CRC32C: Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package init(_ bytes: [UInt8]) { self.init(bytes, in: 0..<bytes.count) }

    package init(_ bytes: [UInt8], in range: Range<Int>) {
        self.init(bytes, in: range, continuing: CRC32C(rawValue: 0))
    }

    /// The checksum of what `previous` is the checksum of, followed by `bytes`.
    package init(_ bytes: [UInt8], continuing previous: CRC32C) {
        self.init(bytes, in: 0..<bytes.count, continuing: previous)
    }

    /// The checksum of what `previous` is the checksum of, followed by a part of `bytes`.
    package init(_ bytes: [UInt8], in range: Range<Int>, continuing previous: CRC32C) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= bytes.count,
            "checksum of \(range) of \(bytes.count) B")
        rawValue = unsafe bytes.withUnsafeBytes {
            guard let start = $0.baseAddress else { return previous.rawValue }
            return unsafe ctenon_crc32c(previous.rawValue, start + range.lowerBound, range.count)
        }
    }

    package init(_ bytes: Bytes) { self.init(bytes.storage, in: bytes.range) }
}

/// A 64-bit digest of bytes in a chain: two replicas that chained the same pieces in the same
/// order have the same value. It finds divergence by fault, not by malice.
///
/// Each 8-byte word is mixed in by a full 64x64 multiplication whose halves are folded together;
/// a piece's length closes it, so that ("ab","c") and ("a","bc") differ. Equal on every machine.
package struct Digest: Hashable, Sendable, CustomStringConvertible {
    package private(set) var value: UInt64

    package init(value: UInt64 = 0x7465_6E6F_6E5F_3031) { self.value = value }

    package mutating func combine(_ word: UInt64) {
        let product = (value ^ word ^ 0x9E37_79B9_7F4A_7C15)
            .multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
        value = (product.high ^ product.low) &+ (word &* 0xE703_7ED1_A0B4_28DB)
    }

    package mutating func combine(_ bytes: Bytes) { combine(bytes.storage, in: bytes.range) }
    package mutating func combine(_ bytes: [UInt8]) { combine(bytes, in: 0..<bytes.count) }

    private mutating func combine(_ bytes: [UInt8], in range: Range<Int>) {
        unsafe bytes.withUnsafeBytes { whole in
            let piece = unsafe UnsafeRawBufferPointer(rebasing: whole[range])
            var offset = 0
            while offset + 8 <= piece.count {
                let word = unsafe piece.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                combine(UInt64(littleEndian: word))
                offset += 8
            }
            var last: UInt64 = 0
            while offset < piece.count {
                last = (last << 8) | UInt64(unsafe piece[offset])
                offset += 1
            }
            combine(last)
        }
        combine(UInt64(range.count))
    }

    package var description: String { hexadecimal(value, digits: 16) }
}
