package import TenonCore

/// One file of a snapshot.
package struct SnapshotFile: Hashable, Sendable {
    /// Its name in the checkpoint's folder.
    package var name: String
    package var bytes: Int
    /// The checksum of the whole file.
    package var checksum: CRC32C
}

/// What a snapshot consists of: the tables of a checkpoint and the manifest that names them. One for
/// a witness (Rule C7) has no files: only its flush record says where the log goes on.
///
/// Layout, little-endian: 1 format version (1), 4 files, for each 4 + … name, 8 bytes, 4
/// checksum; then the flush record (8 index, 8 term, 4 + … payload).
package struct SnapshotManifest: Hashable, Sendable {
    /// The files, the store's manifest last; none for a witness.
    package var files: [SnapshotFile]
    /// Up to where in the log the snapshot goes.
    package var flush: FlushRecord

    /// All bytes of all files.
    package var bytes: Int { files.reduce(0) { $0 + $1.bytes } }

    static let formatVersion: UInt8 = 1
    /// The most files that a snapshot has.
    static let filesMax = 1 << 20
    private static let nameBytesMax = 64

    package init(files: [SnapshotFile], flush: FlushRecord) {
        self.files = files
        self.flush = flush
    }

    package func encode(to writer: inout ByteWriter) {
        writer.uint8(SnapshotManifest.formatVersion)
        writer.uint32(UInt32(files.count))
        for file in files {
            writer.lengthPrefixed(file.name)
            writer.uint64(UInt64(file.bytes))
            writer.uint32(file.checksum.rawValue)
        }
        flush.encode(to: &writer)
    }

    /// - Throws: `unknownKind` for another format version; `malformed` when a name is not one
    ///   that a store makes, or comes twice, or the last one is not the manifest's.
    package init(from reader: inout ByteReader) throws(DecodingError) {
        let version = try reader.uint8()
        guard version == SnapshotManifest.formatVersion else {
            throw .unknownKind(field: "snapshot format", value: UInt64(version))
        }
        let count = try reader.count("files", itemBytes: 16, atMost: SnapshotManifest.filesMax)
        files = []
        files.reserveCapacity(count)
        for _ in 0..<count {
            let name = try reader.lengthPrefixedText(
                "file name", atMost: SnapshotManifest.nameBytesMax)
            let bytes = try reader.uint64()
            guard bytes < 1 << 48 else { throw .malformed("a file of \(bytes) B") }
            let checksum = CRC32C(rawValue: try reader.uint32())
            files.append(SnapshotFile(name: name, bytes: Int(bytes), checksum: checksum))
        }
        flush = try FlushRecord(from: &reader)
        guard files.isEmpty || hasValidNames else { throw .malformed("file names") }
    }

    /// Whether the names are a store's own, so that no file is written elsewhere: tables in rising
    /// order, then the manifest.
    private var hasValidNames: Bool {
        guard files.last?.name == Manifest.fileName else { return false }
        var last: TableNumber?
        for file in files.dropLast() {
            guard let number = TableNumber(fileName: file.name), last.map({ $0 < number }) ?? true
            else { return false }
            last = number
        }
        return true
    }
}

/// A part of a file of a snapshot.
package struct SnapshotChunk: Hashable, Sendable {
    /// Which of the manifest's files.
    package var file: Int
    package var offset: Int
    package var bytes: Bytes
    /// The checksum of `bytes`.
    package var checksum: CRC32C

    package init(file: Int, offset: Int, bytes: Bytes) {
        self.file = file
        self.offset = offset
        self.bytes = bytes
        checksum = CRC32C(bytes)
    }

    /// The most bytes of one chunk: what each end holds of a snapshot at a time.
    package static let bytesMax = 1 << 20

    /// Layout: 4 file, 8 offset, 4 checksum, 4 + … bytes.
    package func encode(to writer: inout ByteWriter) {
        writer.uint32(UInt32(file))
        writer.uint64(UInt64(offset))
        writer.uint32(checksum.rawValue)
        writer.lengthPrefixed(bytes)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        file = Int(try reader.uint32())
        let offset = try reader.uint64()
        guard offset < 1 << 48 else { throw .malformed("a chunk at \(offset)") }
        self.offset = Int(offset)
        checksum = CRC32C(rawValue: try reader.uint32())
        bytes = try reader.lengthPrefixedBytes("chunk", atMost: SnapshotChunk.bytesMax)
        guard CRC32C(bytes) == checksum else { throw .malformed("chunk checksum") }
    }
}

/// Where in a snapshot a transfer stands: the next chunk begins there.
package struct SnapshotPosition: Hashable, Sendable {
    package var file: Int
    package var offset: Int
    /// The checksum of the file's bytes before `offset`.
    package var checksum: CRC32C

    package init(file: Int, offset: Int, checksum: CRC32C = CRC32C([])) {
        self.file = file
        self.offset = offset
        self.checksum = checksum
    }

    package static let start = SnapshotPosition(file: 0, offset: 0)
}
