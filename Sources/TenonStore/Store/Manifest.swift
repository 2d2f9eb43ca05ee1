internal import TenonCore

/// What a store consists of. The file `MANIFEST` holds the newest one, whole, little-endian:
///
/// ```
///  0  8  magic "TENONMAN"
///  8  2  format version (1)
/// 10  1  algorithm (0)
/// 11  1  zero
/// 12  2  key id (0)
/// 14  2  cell number
/// 16  8  number of this manifest, one above that of the manifest before
/// 24  4  body bytes
/// 28  4  CRC-32C of bytes 0 ..< 28 and the body
/// 32  …  body:
///        8  history floor
///        8  next table number
///        1  whether there is a flush record; if so
///           8 index, 8 term, 4 + … payload
///        1  levels; for each, from 0 on
///           4  tables; for each (level 0: newest first; deeper: in key order)
///              8 number, 8 bytes, 4 file checksum, 4 footer checksum
/// ```
///
/// Every change writes a whole manifest to `MANIFEST.new`, syncs it, renames it over `MANIFEST`
/// and syncs the folder. A log of edits would save a few kilobytes beside the 32 MiB table that
/// each change is about, and would bring back what the rename does away with: a torn tail that
/// looks like a damaged one. So every truncation and every flipped bit is damage, never guessed
/// at, and a full disk is found before anything has changed.
struct Manifest: Sendable, Equatable {
    var number: UInt64 = 0
    var cell: UInt16 = 0
    var historyFloor = Timestamp.zero
    var nextTable = TableNumber(1)
    var flush: FlushRecord?
    var levels: [[TableEntry]] = Array(repeating: [], count: StoreConfiguration.levelsMax)

    /// Whether there is one on disk.
    var isFounded: Bool { number > 0 }

    static let fileName = "MANIFEST"
    static let newFileName = "MANIFEST.new"
    static let magic = Array("TENONMAN".utf8)
    static let formatVersion: UInt16 = 1
    private static let headerBytes = 32
    private static let entryBytes = 24
    /// The largest manifest that is read: over two million tables.
    static let bytesMax = 64 << 20

    /// All tables, level by level.
    var tables: [TableEntry] { levels.flatMap { $0 } }

    // MARK: Codec

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.raw(Manifest.magic)
        writer.uint16(Manifest.formatVersion)
        writer.uint16(0)
        writer.uint16(0)
        writer.uint16(cell)
        writer.uint64(number)
        writer.zeros(8)
        encodeBody(to: &writer)
        writer.patch(uint32: UInt32(writer.count - Manifest.headerBytes), at: 24)
        writer.patch(uint32: Manifest.checksum(of: writer.bytes).rawValue, at: 28)
        return writer.take()
    }

    private func encodeBody(to writer: inout ByteWriter) {
        writer.identifier(historyFloor)
        writer.identifier(nextTable)
        writer.flag(flush != nil)
        if let flush { flush.encode(to: &writer) }
        writer.uint8(UInt8(levels.count))
        for level in levels {
            writer.uint32(UInt32(level.count))
            for table in level {
                writer.identifier(table.number)
                writer.uint64(UInt64(table.bytes))
                writer.uint32(table.checksum.rawValue)
                writer.uint32(table.footerChecksum.rawValue)
            }
        }
    }

    private static func checksum(of bytes: [UInt8]) -> CRC32C {
        CRC32C(bytes, in: 32..<bytes.count, continuing: CRC32C(bytes, in: 0..<28))
    }

    init() {}

    init(_ bytes: [UInt8]) throws(DecodingError) {
        var reader = ByteReader(bytes)
        guard try reader.bytes(8).array == Manifest.magic else { throw .malformed("magic") }
        let version = try reader.uint16()
        try reader.skip(4)
        cell = try reader.uint16()
        number = try reader.uint64()
        let bodyCount = Int(try reader.uint32())
        let checksum = CRC32C(rawValue: try reader.uint32())
        guard reader.remaining == bodyCount else {
            throw .malformed("\(reader.remaining) B of body instead of \(bodyCount)")
        }
        guard Manifest.checksum(of: bytes) == checksum else { throw .malformed("checksum") }
        // After the checksum: a flipped bit in the version is damage, not another format.
        guard version == Manifest.formatVersion, bytes[10..<14].allSatisfy({ $0 == 0 }) else {
            throw .unknownKind(field: "manifest format", value: UInt64(version))
        }
        try decodeBody(from: &reader)
        try reader.finish()
    }

    private mutating func decodeBody(from reader: inout ByteReader) throws(DecodingError) {
        historyFloor = try reader.identifier(Timestamp.self)
        nextTable = try reader.identifier(TableNumber.self)
        flush = try reader.flag("flush record") ? try FlushRecord(from: &reader) : nil
        guard try reader.uint8() == UInt8(StoreConfiguration.levelsMax) else {
            throw .malformed("levels")
        }
        for level in levels.indices {
            let count = try reader.count("tables", itemBytes: Manifest.entryBytes)
            levels[level].reserveCapacity(count)
            for _ in 0..<count { levels[level].append(try table(from: &reader)) }
        }
    }

    private func table(from reader: inout ByteReader) throws(DecodingError) -> TableEntry {
        let number = try reader.identifier(TableNumber.self)
        let bytes = try reader.uint64()
        let checksum = CRC32C(rawValue: try reader.uint32())
        let footerChecksum = CRC32C(rawValue: try reader.uint32())
        guard number < nextTable, bytes >= TableFooter.encodedBytes, bytes <= 1 << 48
        else { throw .malformed("table \(number) of \(bytes) B") }
        return TableEntry(
            number: number, bytes: Int(bytes), checksum: checksum, footerChecksum: footerChecksum)
    }

    // MARK: File

    /// The manifest of `folder`; nil when there is none.
    /// - Throws: `damaged`, `unknownFormat`, `file`.
    static func read(from folder: StoreFolder) throws(StoreError) -> Manifest? {
        let path = folder.path(of: fileName)
        let bytes: [UInt8]
        do throws(FileError) {
            guard try folder.fileSystem.exists(path) else { return nil }
            let file = try folder.fileSystem.open(path, .read)
            let size = try file.size()
            guard size <= bytesMax else { throw FileError(.notFound, call: "size", path: path) }
            bytes = try file.read(at: 0, count: size)
        } catch {
            if error.call == "size" { throw .damaged(file: path, reason: "over \(bytesMax) B") }
            throw .file(error)
        }
        do throws(DecodingError) {
            return try Manifest(bytes)
        } catch {
            if case .unknownKind(_, let value) = error {
                throw .unknownFormat(file: path, version: Int(clamping: value))
            }
            throw .damaged(file: path, reason: "\(error)")
        }
    }

    /// Makes this the manifest of `folder`. Durable when it returns.
    ///
    /// The tables that it names are synced already, and their names become durable here before
    /// the manifest does.
    /// - Throws: `noSpace` with the old manifest in place; `manifestFailed` with either of them.
    func write(to folder: StoreFolder) throws(StoreError) {
        let newPath = folder.path(of: Manifest.newFileName)
        do throws(FileError) {
            try folder.fileSystem.syncDirectory(folder.path)
            if try folder.fileSystem.exists(newPath) { try folder.fileSystem.remove(newPath) }
            let file = try folder.fileSystem.open(newPath, .create)
            try file.write(encoded, at: 0)
            try file.sync()
        } catch {
            guard error.reason == .noSpace else { throw .manifestFailed(error) }
            folder.discard([Manifest.newFileName])
            throw .noSpace(path: newPath)
        }
        do throws(FileError) {
            try folder.fileSystem.rename(newPath, to: folder.path(of: Manifest.fileName))
            try folder.fileSystem.syncDirectory(folder.path)
        } catch {
            throw .manifestFailed(error)
        }
    }
}

extension FlushRecord {
    /// Layout: index 8, term 8, payload 4 + ….
    func encode(to writer: inout ByteWriter) {
        writer.identifier(index)
        writer.identifier(term)
        writer.lengthPrefixed(payload)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let index = try reader.identifier(LogIndex.self)
        let term = try reader.identifier(Term.self)
        let payload = try reader.lengthPrefixedBytes(
            "flush record", atMost: FlushRecord.payloadBytesMax)
        self.init(index: index, term: term, payload: payload.compacted())
    }
}
