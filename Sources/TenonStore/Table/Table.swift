internal import TenonCore

/// Names a table file of a store. Never used twice in it.
struct TableNumber: NumericIdentifier {
    let rawValue: UInt64
    init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The name of the table's file: twenty digits, so that names sort as numbers do.
    var fileName: String {
        let digits = String(rawValue)
        return String(repeating: "0", count: max(0, 20 - digits.utf8.count)) + digits
            + TableNumber.fileSuffix
    }
    static let fileSuffix = ".table"

    /// The number whose file name is `name`; nil when it is no table's.
    init?(fileName name: String) {
        guard name.hasSuffix(TableNumber.fileSuffix),
            let value = UInt64(name.dropLast(TableNumber.fileSuffix.utf8.count))
        else { return nil }
        self.init(value)
        guard fileName == name else { return nil }
    }
}

/// What the manifest knows of a table.
struct TableEntry: Sendable, Hashable {
    var number: TableNumber
    /// The size of the file.
    var bytes: Int
    /// The checksum of the whole file.
    var checksum: CRC32C
    /// The checksum of the footer, its own checksum field included.
    var footerChecksum: CRC32C
}

/// A sorted table, open: its index, filter and range tombstones are in memory, its data blocks
/// are read by jobs.
final class Table: Sendable {
    let entry: TableEntry
    let properties: TableProperties
    let index: BlockIndex
    let filter: BloomFilter
    let tombstones: RangeTombstones
    private let file: any File

    var number: TableNumber { entry.number }
    /// The first prefixed key that it may hold or hide.
    var lower: [UInt8] { properties.lower }
    /// The first prefixed key behind it.
    var upper: [UInt8] { properties.upper }
    /// Memory that the open table takes.
    var pinnedBytes: Int { index.bytes + filter.bytes + tombstones.bytes }

    /// Opens the table file `entry` of `folder`. Blocks.
    /// - Throws: `damaged` when it is missing, has another size or checksum than the manifest
    ///   says, or breaks a rule of the format; `unknownFormat`; `file`.
    init(_ entry: TableEntry, in folder: StoreFolder) throws(StoreError) {
        let name = entry.number.fileName
        self.entry = entry
        file = try folder.openForReading(name)
        let footer = try Table.readFooter(of: file, entry)
        index = try Table.decode(.index, footer.index, file) { content throws(DecodingError) in
            try BlockIndex(content, fileBytes: entry.bytes)
        }
        filter = try Table.decode(.filter, footer.filter, file) { content throws(DecodingError) in
            try BloomFilter(content)
        }
        tombstones = try Table.decode(.tombstones, footer.tombstones, file) {
            content throws(DecodingError) in try RangeTombstones(content)
        }
        properties = try Table.decode(.properties, footer.properties, file) {
            content throws(DecodingError) in try TableProperties(content)
        }
    }

    private static func readFooter(
        of file: any File, _ entry: TableEntry
    ) throws(StoreError) -> TableFooter {
        let size: Int
        let bytes: [UInt8]
        do throws(FileError) {
            size = try file.size()
            bytes = try file.read(
                at: max(0, entry.bytes - TableFooter.encodedBytes),
                count: TableFooter.encodedBytes)
        } catch {
            throw .file(error)
        }
        guard size == entry.bytes, bytes.count == TableFooter.encodedBytes else {
            throw .damaged(file: file.path, reason: "\(size) B instead of \(entry.bytes)")
        }
        guard CRC32C(bytes) == entry.footerChecksum else {
            throw .damaged(file: file.path, reason: "footer checksum")
        }
        do throws(DecodingError) {
            return try TableFooter(bytes, fileBytes: entry.bytes)
        } catch {
            throw Table.failure(error, file.path)
        }
    }

    private static func failure(_ error: DecodingError, _ path: String) -> StoreError {
        if case .unknownKind(_, let value) = error {
            return .unknownFormat(file: path, version: Int(clamping: value))
        }
        return .damaged(file: path, reason: "\(error)")
    }

    private static func decode<Content>(
        _ kind: BlockKind, _ place: BlockPlace, _ file: any File,
        _ make: ([UInt8]) throws(DecodingError) -> Content
    ) throws(StoreError) -> Content {
        let framed = try read(place.offset..<place.offset + place.bytes, of: file)
        let content = try BlockFrame.decode(Bytes(framed), as: kind, at: place, file: file.path)
        do throws(DecodingError) {
            return try make(content)
        } catch {
            throw failure(error, file.path)
        }
    }

    private static func read(
        _ range: Range<Int>, of file: any File
    ) throws(StoreError) -> [UInt8] {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try file.read(at: range.lowerBound, count: range.count)
        } catch {
            throw .file(error)
        }
        guard bytes.count == range.count else {
            throw .damaged(file: file.path, reason: "ends at \(range.lowerBound + bytes.count)")
        }
        return bytes
    }

    /// Reads consecutive data blocks in one call, verified and decompressed. Blocks.
    /// - Throws: `damaged` for the first block that is wrong; `file`.
    func readBlocks(_ blocks: Range<Int>) throws(StoreError) -> [Block] {
        guard !blocks.isEmpty else { return [] }
        let first = index.places[blocks.lowerBound]
        let last = index.places[blocks.upperBound - 1]
        let start = first.offset
        let bytes = Bytes(try Table.read(start..<last.offset + last.bytes, of: file))
        var read: [Block] = []
        read.reserveCapacity(blocks.count)
        for place in index.places[blocks] {
            let framed = bytes[place.offset - start..<place.offset - start + place.bytes]
            let content = try BlockFrame.decode(framed, as: .data, at: place, file: file.path)
            do throws(DecodingError) {
                read.append(try Block(content))
            } catch {
                throw Table.failure(error, file.path)
            }
        }
        return read
    }

    var path: String { file.path }

    /// Bytes of the file as they are, fewer at its end. Blocks.
    func readRaw(at offset: Int, count: Int) throws(StoreError) -> [UInt8] {
        do throws(FileError) {
            return try file.read(at: offset, count: count)
        } catch {
            throw .file(error)
        }
    }

    /// The bytes on disk of consecutive data blocks.
    func bytes(of blocks: Range<Int>) -> Int {
        index.places[blocks].reduce(0) { $0 + $1.bytes }
    }

    /// Whether the table may hold or hide a key of the half-open range.
    func overlaps(_ lower: [UInt8], _ upper: [UInt8]) -> Bool {
        compareKeys(self.lower, upper) < 0 && compareKeys(lower, self.upper) < 0
    }

    /// Whether `key` lies in the table's key range.
    func covers(_ key: [UInt8]) -> Bool {
        compareKeys(lower, key) <= 0 && compareKeys(key, upper) < 0
    }
}
