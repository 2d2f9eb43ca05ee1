internal import TenonCore

/// What a block of a table file holds. The raw value is on disk.
enum BlockKind: UInt8, Sendable, Hashable {
    case data = 1
    case index = 2
    case filter = 3
    case tombstones = 4
    case properties = 5
}

/// Where a block lies in its file, and the checksum that its header must carry.
///
/// The checksum stands in the parent (the index, the footer, the manifest) as well, so a block
/// that is whole but not the right one, as a misdirected write leaves it, is found too.
struct BlockPlace: Sendable, Hashable {
    var offset: Int
    /// Bytes on disk, header included.
    var bytes: Int
    var checksum: CRC32C

    /// What ``encode(to:)`` writes: offset 8, bytes 4, checksum 4.
    static let encodedBytes = 16

    func encode(to writer: inout ByteWriter) {
        writer.uint64(UInt64(offset))
        writer.uint32(UInt32(bytes))
        writer.uint32(checksum.rawValue)
    }

    init(offset: Int, bytes: Int, checksum: CRC32C) {
        self.offset = offset
        self.bytes = bytes
        self.checksum = checksum
    }

    /// Reads a place and checks that it lies inside a file of `fileBytes`.
    init(from reader: inout ByteReader, fileBytes: Int) throws(DecodingError) {
        let offset = try reader.uint64()
        bytes = Int(try reader.uint32())
        checksum = CRC32C(rawValue: try reader.uint32())
        guard bytes >= BlockFrame.headerBytes, bytes <= fileBytes,
            offset <= UInt64(fileBytes - bytes)
        else { throw .malformed("a block of \(bytes) B at \(offset) of \(fileBytes)") }
        self.offset = Int(offset)
    }
}

/// The frame around every block of a table file, little-endian:
///
/// ```
///  0  4  CRC-32C of all bytes after this field
///  4  1  format version (1)
///  5  1  kind (BlockKind)
///  6  1  algorithm (0 none, 1 LZ4)
///  7  1  zero
///  8  2  key id (0 = not encrypted)
/// 10  2  cell number
/// 12  4  plain bytes
/// 16  4  stored bytes
/// 20  …  stored bytes
/// ```
enum BlockFrame {
    static let headerBytes = 20
    static let formatVersion: UInt8 = 1
    private static let plain: UInt8 = 0
    private static let lz4: UInt8 = 1

    /// The framed form of `content`, compressed when that helps and `compress` allows it.
    static func encode(
        _ kind: BlockKind, _ content: [UInt8], cell: UInt16, compress: Bool = true
    ) -> [UInt8] {
        let compressed = compress ? LZ4.compress(content) : nil
        let stored = compressed ?? content
        var writer = ByteWriter(capacity: headerBytes + stored.count)
        writer.uint32(0)
        writer.uint8(formatVersion)
        writer.uint8(kind.rawValue)
        writer.uint8(compressed == nil ? plain : lz4)
        writer.uint8(0)
        writer.uint16(0)
        writer.uint16(cell)
        writer.uint32(UInt32(content.count))
        writer.uint32(UInt32(stored.count))
        writer.raw(stored)
        writer.patch(uint32: checksum(of: writer.bytes).rawValue, at: 0)
        return writer.take()
    }

    /// The checksum of a framed block, without the field that holds it.
    static func checksum(of framed: [UInt8]) -> CRC32C {
        CRC32C(framed, in: 4..<framed.count)
    }

    /// The content of a framed block.
    /// - Throws: `damaged` when the checksum is not `place`'s or a field is wrong, and
    ///   `unknownFormat` for a version, algorithm or key that this code does not know.
    static func decode(
        _ framed: Bytes, as kind: BlockKind, at place: BlockPlace, file: String
    ) throws(StoreError) -> [UInt8] {
        guard framed.count == place.bytes, framed.count >= headerBytes else {
            throw damage(file, place, "\(framed.count) B instead of \(place.bytes)")
        }
        guard CRC32C(framed[4..<framed.count]) == place.checksum else {
            throw damage(file, place, "checksum")
        }
        do throws(DecodingError) {
            return try content(of: framed, kind: kind, checksum: place.checksum)
        } catch {
            if case .unknownKind(_, let value) = error {
                throw .unknownFormat(file: file, version: Int(value))
            }
            throw damage(file, place, "\(error)")
        }
    }

    private static func damage(
        _ file: String, _ place: BlockPlace, _ reason: String
    ) -> StoreError {
        .damaged(file: file, reason: "block at \(place.offset): \(reason)")
    }

    private static func content(
        of framed: Bytes, kind: BlockKind, checksum: CRC32C
    ) throws(DecodingError) -> [UInt8] {
        var reader = ByteReader(framed)
        guard try reader.uint32() == checksum.rawValue else { throw .malformed("checksum field") }
        let version = try reader.uint8()
        guard version == formatVersion else {
            throw .unknownKind(field: "block format", value: UInt64(version))
        }
        guard try reader.uint8() == kind.rawValue else { throw .malformed("not a \(kind) block") }
        let algorithm = try reader.uint8()
        try reader.skip(1)
        let keyID = try reader.uint16()
        guard keyID == 0 else { throw .unknownKind(field: "key id", value: UInt64(keyID)) }
        try reader.skip(2)
        let plainCount = Int(try reader.uint32())
        let storedCount = Int(try reader.uint32())
        let stored = try reader.bytes(storedCount)
        try reader.finish()
        switch algorithm {
        case plain:
            guard plainCount == storedCount else { throw .malformed("length") }
            return stored.array
        case lz4:
            // LZ4 cannot make more than 255 bytes of one: a bound before memory is taken.
            guard plainCount <= 255 * storedCount else { throw .malformed("length") }
            return try LZ4.decompress(stored, size: plainCount)
        default: throw .unknownKind(field: "algorithm", value: UInt64(algorithm))
        }
    }
}
