package import TenonCore

/// Writes the chunks of a snapshot to the folder `incoming` of a store, in order.
///
/// It holds one chunk at a time, and believes a file only when its length and checksum are those
/// of the snapshot's manifest. When it is complete, ``Store/installSnapshotJob(_:)`` makes the
/// files the store's content. A restart forgets what came in.
///
/// Unchecked: one thread at a time uses it; its calls block.
package final class SnapshotReceiver: @unchecked Sendable {
    /// What is being received.
    package let manifest: SnapshotManifest
    /// Where the next chunk must begin; nil when all are there.
    package private(set) var expected: SnapshotPosition?

    let folder: StoreFolder
    private var file: (any File)?
    private var pace = SyncPace()

    /// Begins to receive `manifest` for the store in `directory`; what came in before is removed.
    /// - Throws: `noSpace`, also when there is not room for all of it; `file`.
    package init(
        _ manifest: SnapshotManifest, fileSystem: any FileSystem, storeDirectory directory: String
    ) throws(StoreError) {
        self.manifest = manifest
        expected = .start
        let folder = StoreFolder(fileSystem: fileSystem, path: directory).incoming
        self.folder = folder
        let free = try folder.unreferenced { fileSystem throws(FileError) in
            try fileSystem.removeTree(folder.path)
            try fileSystem.createDirectory(folder.path)
            return try fileSystem.freeBytes(at: folder.path)
        }
        guard free >= manifest.bytes else { throw .noSpace(path: folder.path) }
    }

    /// Whether every file is there, verified and synced.
    package var isComplete: Bool { expected == nil }

    /// Writes the next chunk. Durable when the last one was taken in.
    /// - Throws: `badChunk` when it is not the next one, is not what it says, or ends a file
    ///   whose checksum is not the manifest's: the transfer begins anew, with another receiver.
    ///   `noSpace`, `file`.
    package func receive(_ chunk: SnapshotChunk) throws(StoreError) {
        guard let expected, chunk.file == expected.file, chunk.offset == expected.offset else {
            throw .badChunk("at \(chunk.file)/\(chunk.offset), not the expected one")
        }
        let described = manifest.files[chunk.file]
        guard !chunk.bytes.isEmpty, chunk.bytes.count <= SnapshotChunk.bytesMax,
            chunk.bytes.count <= described.bytes - chunk.offset,
            CRC32C(chunk.bytes) == chunk.checksum
        else { throw .badChunk("at \(chunk.file)/\(chunk.offset): length or checksum") }
        let bytes = chunk.bytes.array
        try write(bytes, at: chunk.offset, of: described)
        let next = SnapshotPosition(
            file: chunk.file, offset: chunk.offset + bytes.count,
            checksum: CRC32C(bytes, continuing: expected.checksum))
        self.expected = next
        if next.offset == described.bytes { try endFile(described, at: next) }
    }

    private func write(
        _ bytes: [UInt8], at offset: Int, of described: SnapshotFile
    ) throws(StoreError) {
        let target: any File
        if let file { target = file } else { target = try folder.createFile(described.name) }
        file = target
        let isSyncDue = pace.isDue(after: bytes.count)
        try folder.unreferenced { _ throws(FileError) in
            try target.write(bytes, at: offset)
            if isSyncDue { try target.sync() }
        }
    }

    private func endFile(
        _ described: SnapshotFile, at end: SnapshotPosition
    ) throws(StoreError) {
        guard end.checksum == described.checksum else {
            throw .badChunk("\(described.name) has another checksum than the sender's")
        }
        let ended = file
        try folder.unreferenced { _ throws(FileError) in try ended?.sync() }
        file = nil
        let next = end.file + 1
        if next < manifest.files.count {
            expected = SnapshotPosition(file: next, offset: 0)
        } else {
            try folder.unreferenced { fileSystem throws(FileError) in
                try fileSystem.syncDirectory(folder.path)
            }
            expected = nil
        }
    }
}
