/// Why bytes could not be read. Nothing of a message that throws this is used.
package enum DecodingError: Error, Equatable, Sendable {
    /// A field reaches past the end of the bytes.
    case truncated
    /// Bytes follow the last field.
    case trailingBytes(Int)
    /// A length is over the bound of its field.
    case tooLong(field: String, count: Int, bound: Int)
    /// A number that names no case.
    case unknownKind(field: String, value: UInt64)
    /// A field's content breaks a rule of the format.
    case malformed(String)
}

/// Reads little-endian fields from bytes, each one checked against the end before it is touched.
///
/// The one audited reader: no other file of the engine loads integers from raw bytes.
package struct ByteReader: Sendable {
    private let bytes: [UInt8]
    private var offset: Int
    private let end: Int

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        offset = 0
        end = bytes.count
    }

    package init(_ bytes: Bytes) {
        self.bytes = bytes.storage
        offset = bytes.range.lowerBound
        end = bytes.range.upperBound
    }

    package init(_ bytes: [UInt8], in range: Range<Int>) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= bytes.count,
            "reading \(range) of \(bytes.count) B")
        self.bytes = bytes
        offset = range.lowerBound
        end = range.upperBound
    }

    /// How many bytes are left.
    package var remaining: Int { end - offset }
    /// Where the next byte stands in the underlying buffer.
    package var position: Int { offset }
    package var isAtEnd: Bool { offset == end }

    package mutating func integer<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ type: Integer.Type
    ) throws(DecodingError) -> Integer {
        let width = MemoryLayout<Integer>.size
        guard end - offset >= width else { throw .truncated }
        let start = offset
        offset += width
        return unsafe Integer(
            littleEndian: bytes.withUnsafeBytes {
                unsafe $0.loadUnaligned(fromByteOffset: start, as: Integer.self)
            })
    }

    package mutating func uint8() throws(DecodingError) -> UInt8 {
        guard offset < end else { throw .truncated }
        offset += 1
        return bytes[offset - 1]
    }
    package mutating func uint16() throws(DecodingError) -> UInt16 { try integer(UInt16.self) }
    package mutating func uint32() throws(DecodingError) -> UInt32 { try integer(UInt32.self) }
    package mutating func uint64() throws(DecodingError) -> UInt64 { try integer(UInt64.self) }

    /// A byte that must be 0 or 1.
    package mutating func flag(_ field: String) throws(DecodingError) -> Bool {
        let byte = try uint8()
        guard byte <= 1 else { throw .unknownKind(field: field, value: UInt64(byte)) }
        return byte == 1
    }

    package mutating func identifier<Identifier: NumericIdentifier>(
        _ type: Identifier.Type
    ) throws(DecodingError) -> Identifier where Identifier.RawValue: BitwiseCopyable {
        Identifier(try integer(Identifier.RawValue.self))
    }

    package mutating func identifier<Identifier: RandomIdentifier>(
        _ type: Identifier.Type
    ) throws(DecodingError) -> Identifier {
        let high = try uint64()
        return Identifier(high: high, low: try uint64())
    }

    /// The next `count` bytes, shared with the underlying buffer.
    package mutating func bytes(_ count: Int) throws(DecodingError) -> Bytes {
        guard count >= 0, end - offset >= count else { throw .truncated }
        offset += count
        return Bytes(sharing: bytes, in: offset - count..<offset)
    }

    /// A 32-bit length, checked against `bound` and the end, and so many bytes.
    package mutating func lengthPrefixedBytes(
        _ field: String, atMost bound: Int
    ) throws(DecodingError) -> Bytes {
        let count = Int(try uint32())
        guard count <= bound else { throw .tooLong(field: field, count: count, bound: bound) }
        return try bytes(count)
    }

    /// A 32-bit length and so many bytes of UTF-8.
    package mutating func lengthPrefixedText(
        _ field: String, atMost bound: Int
    ) throws(DecodingError) -> String {
        guard let text = try lengthPrefixedBytes(field, atMost: bound).utf8Text else {
            throw .malformed("\(field) is not UTF-8")
        }
        return text
    }

    /// A 32-bit count of items that take at least `minimumBytes` each, so that no count makes
    /// room for more than the bytes can hold.
    package mutating func count(
        _ field: String, itemBytes minimumBytes: Int, atMost bound: Int = .max
    ) throws(DecodingError) -> Int {
        let count = Int(try uint32())
        guard count <= bound else { throw .tooLong(field: field, count: count, bound: bound) }
        guard count <= remaining / max(1, minimumBytes) else { throw .truncated }
        return count
    }

    package mutating func skip(_ count: Int) throws(DecodingError) {
        guard count >= 0, end - offset >= count else { throw .truncated }
        offset += count
    }

    /// Everything that is left.
    package mutating func rest() -> Bytes {
        defer { offset = end }
        return Bytes(sharing: bytes, in: offset..<end)
    }

    /// Throws unless everything was read.
    package func finish() throws(DecodingError) {
        guard offset == end else { throw .trailingBytes(end - offset) }
    }
}
