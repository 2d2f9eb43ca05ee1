internal import TenonCore

/// What a table says about itself. Content of its properties block, little-endian:
///
/// ```
/// 4 + …  lower: the first key covered, prefixed
/// 4 + …  upper: the first prefixed key behind the table
/// 8      the oldest version of an entry or range tombstone
/// 8      the newest
/// 8      entries
/// 8      point tombstones among them
/// 8      versions of range tombstone fragments
/// ```
struct TableProperties: Sendable, Equatable {
    var lower: [UInt8] = []
    var upper: [UInt8] = []
    var oldestVersion = Timestamp.newest
    var newestVersion = Timestamp.zero
    var entryCount = 0
    var tombstoneCount = 0
    var rangeTombstoneCount = 0

    init() {}

    init(_ content: [UInt8]) throws(DecodingError) {
        var reader = ByteReader(content)
        lower = try reader.lengthPrefixedBytes("lower", atMost: StoreKey.boundBytesMax).array
        upper = try reader.lengthPrefixedBytes("upper", atMost: StoreKey.boundBytesMax).array
        oldestVersion = try reader.identifier(Timestamp.self)
        newestVersion = try reader.identifier(Timestamp.self)
        entryCount = Int(clamping: try reader.uint64())
        tombstoneCount = Int(clamping: try reader.uint64())
        rangeTombstoneCount = Int(clamping: try reader.uint64())
        try reader.finish()
        guard compareKeys(lower, upper) < 0 else { throw .malformed("an empty key range") }
    }

    /// The content of a properties block.
    var content: [UInt8] {
        var writer = ByteWriter()
        writer.lengthPrefixed(lower)
        writer.lengthPrefixed(upper)
        writer.identifier(oldestVersion)
        writer.identifier(newestVersion)
        writer.uint64(UInt64(entryCount))
        writer.uint64(UInt64(tombstoneCount))
        writer.uint64(UInt64(rangeTombstoneCount))
        return writer.take()
    }

    mutating func includeVersion(_ version: Timestamp) {
        oldestVersion = min(oldestVersion, version)
        newestVersion = max(newestVersion, version)
    }
}

/// The end of a table file, through which everything else in it is found, little-endian:
///
/// ```
///  0  8  magic "TENONTAB"
///  8  2  format version (1)
/// 10  2  cell number
/// 12 16  place of the index block
/// 28 16  place of the filter block
/// 44 16  place of the range tombstone block
/// 60 16  place of the properties block
/// 76  4  CRC-32C of bytes 0 ..< 76
/// ```
///
/// A table file is its data blocks in order, then filter, range tombstone, index and properties
/// block, then this. The manifest knows the file's size and the footer's checksum; the footer
/// knows those of its blocks, the index those of the data blocks.
struct TableFooter: Sendable, Equatable {
    static let encodedBytes = 80
    static let magic = Array("TENONTAB".utf8)
    static let formatVersion: UInt16 = 1

    var cell: UInt16
    var index: BlockPlace
    var filter: BlockPlace
    var tombstones: BlockPlace
    var properties: BlockPlace

    /// The footer's bytes; the last four are the checksum of the others.
    var encoded: [UInt8] {
        var writer = ByteWriter(capacity: TableFooter.encodedBytes)
        writer.raw(TableFooter.magic)
        writer.uint16(TableFooter.formatVersion)
        writer.uint16(cell)
        for place in [index, filter, tombstones, properties] { place.encode(to: &writer) }
        writer.uint32(CRC32C(writer.bytes).rawValue)
        return writer.take()
    }

    init(
        cell: UInt16, index: BlockPlace, filter: BlockPlace, tombstones: BlockPlace,
        properties: BlockPlace
    ) {
        self.cell = cell
        self.index = index
        self.filter = filter
        self.tombstones = tombstones
        self.properties = properties
    }

    /// Reads a footer whose bytes were checked by its checksum.
    init(_ bytes: [UInt8], fileBytes: Int) throws(DecodingError) {
        var reader = ByteReader(bytes)
        guard try reader.bytes(8).array == TableFooter.magic else { throw .malformed("magic") }
        let version = try reader.uint16()
        guard version == TableFooter.formatVersion else {
            throw .unknownKind(field: "table format", value: UInt64(version))
        }
        cell = try reader.uint16()
        index = try BlockPlace(from: &reader, fileBytes: fileBytes)
        filter = try BlockPlace(from: &reader, fileBytes: fileBytes)
        tombstones = try BlockPlace(from: &reader, fileBytes: fileBytes)
        properties = try BlockPlace(from: &reader, fileBytes: fileBytes)
        try reader.skip(4)
        try reader.finish()
    }
}

/// The content of a range tombstone block, little-endian: fragments 4, then for each its lower
/// and upper prefixed key (4 + …), the number of its versions 4, and the versions (8), newest
/// first.
extension RangeTombstones {
    init(_ content: [UInt8]) throws(DecodingError) {
        var reader = ByteReader(content)
        let count = try reader.count("fragments", itemBytes: 20)
        var fragments: [Fragment] = []
        fragments.reserveCapacity(count)
        for _ in 0..<count {
            let fragment = try RangeTombstones.fragment(from: &reader)
            if let last = fragments.last, compareKeys(last.upper, fragment.lower) > 0 {
                throw .malformed("fragments overlap")
            }
            fragments.append(fragment)
        }
        try reader.finish()
        self.init(fragments: fragments)
    }

    private static func fragment(from reader: inout ByteReader) throws(DecodingError) -> Fragment {
        let lower = try reader.lengthPrefixedBytes("lower", atMost: StoreKey.boundBytesMax).array
        let upper = try reader.lengthPrefixedBytes("upper", atMost: StoreKey.boundBytesMax).array
        let count = try reader.count("versions", itemBytes: 8)
        var versions: [Timestamp] = []
        versions.reserveCapacity(count)
        for _ in 0..<count {
            let version = try reader.identifier(Timestamp.self)
            if let last = versions.last, last <= version { throw .malformed("versions") }
            versions.append(version)
        }
        guard compareKeys(lower, upper) < 0, !versions.isEmpty else {
            throw .malformed("an empty fragment")
        }
        return Fragment(lower: lower, upper: upper, versions: versions)
    }

    /// The content of a range tombstone block.
    var content: [UInt8] {
        var writer = ByteWriter()
        writer.uint32(UInt32(fragments.count))
        for fragment in fragments {
            writer.lengthPrefixed(fragment.lower)
            writer.lengthPrefixed(fragment.upper)
            writer.uint32(UInt32(fragment.versions.count))
            for version in fragment.versions { writer.identifier(version) }
        }
        return writer.take()
    }
}
