/// Appends little-endian fields to a buffer: the mirror of ``ByteReader``.
package struct ByteWriter: Sendable {
    /// What was written so far.
    package private(set) var bytes: [UInt8]

    package init(capacity: Int = 0) {
        bytes = []
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    /// Goes on at the end of `bytes`.
    package init(appendingTo bytes: consuming [UInt8]) { self.bytes = bytes }

    package var count: Int { bytes.count }
    package var isEmpty: Bool { bytes.isEmpty }

    package mutating func integer<Integer: FixedWidthInteger & BitwiseCopyable>(_ value: Integer) {
        unsafe Swift.withUnsafeBytes(of: value.littleEndian) {
            unsafe bytes.append(contentsOf: $0)
        }
    }

    package mutating func uint8(_ value: UInt8) { bytes.append(value) }
    package mutating func uint16(_ value: UInt16) { integer(value) }
    package mutating func uint32(_ value: UInt32) { integer(value) }
    package mutating func uint64(_ value: UInt64) { integer(value) }
    package mutating func flag(_ value: Bool) { bytes.append(value ? 1 : 0) }

    package mutating func identifier<Identifier: NumericIdentifier>(_ value: Identifier)
    where Identifier.RawValue: BitwiseCopyable {
        integer(value.rawValue)
    }

    package mutating func identifier<Identifier: RandomIdentifier>(_ value: Identifier) {
        integer(value.high)
        integer(value.low)
    }

    package mutating func raw(_ value: Bytes) {
        unsafe value.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    }
    package mutating func raw(_ value: [UInt8]) { bytes.append(contentsOf: value) }

    package mutating func zeros(_ count: Int) {
        bytes.append(contentsOf: repeatElement(0, count: count))
    }

    /// A 32-bit length and the bytes.
    package mutating func lengthPrefixed(_ value: Bytes) {
        uint32(UInt32(value.count))
        raw(value)
    }
    package mutating func lengthPrefixed(_ value: [UInt8]) {
        uint32(UInt32(value.count))
        raw(value)
    }
    package mutating func lengthPrefixed(_ text: String) { lengthPrefixed(Array(text.utf8)) }

    /// Overwrites four bytes at `offset` that were written before: a length or a checksum that
    /// is known only afterwards.
    package mutating func patch(uint32 value: UInt32, at offset: Int) {
        patch(value, at: offset)
    }
    package mutating func patch(uint64 value: UInt64, at offset: Int) {
        patch(value, at: offset)
    }

    private mutating func patch<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ value: Integer, at offset: Int
    ) {
        let width = MemoryLayout<Integer>.size
        precondition(
            offset >= 0 && offset + width <= bytes.count,
            "patch at \(offset) of \(bytes.count) B")
        unsafe bytes.withUnsafeMutableBytes {
            unsafe $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Integer.self)
        }
    }

    /// Overwrites bytes from `offset` on that were written before.
    package mutating func replace(from offset: Int, with replacement: [UInt8]) {
        precondition(
            offset >= 0 && offset + replacement.count <= bytes.count,
            "replacing \(replacement.count) B at \(offset) of \(bytes.count) B")
        for (step, byte) in replacement.enumerated() { bytes[offset + step] = byte }
    }

    /// Forgets what was written and keeps the room.
    package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// Hands the buffer over and starts an empty one.
    package mutating func take() -> [UInt8] {
        let taken = bytes
        bytes = []
        return taken
    }
}
