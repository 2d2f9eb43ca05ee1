package import TenonCore

/// Reads a checkpoint in chunks, for sending. Holds no more than one of them.
package struct SnapshotReader: Sendable {
    /// What the other end is told first.
    package let manifest: SnapshotManifest
    private let folder: StoreFolder

    package init(fileSystem: any FileSystem, directory: String, manifest: SnapshotManifest) {
        self.manifest = manifest
        folder = StoreFolder(fileSystem: fileSystem, path: directory)
    }

    /// Where the chunk after the one at `position` begins; nil at the end.
    package func position(after chunk: SnapshotChunk) -> SnapshotPosition? {
        let end = chunk.offset + chunk.bytes.count
        if end < manifest.files[chunk.file].bytes {
            return SnapshotPosition(file: chunk.file, offset: end)
        }
        let next = chunk.file + 1
        return next < manifest.files.count ? SnapshotPosition(file: next, offset: 0) : nil
    }

    /// The chunk that begins at `position`, whole up to the end of its file. Blocks.
    ///
    /// What rots on the way from the disk is found at the other end, by the file's checksum.
    /// - Throws: `damaged` when the file is missing or shorter than the manifest says; `file`.
    package func chunk(at position: SnapshotPosition) throws(StoreError) -> SnapshotChunk {
        precondition(
            manifest.files.indices.contains(position.file) && position.offset >= 0
                && position.offset < manifest.files[position.file].bytes,
            "a chunk at \(position) of \(manifest.files.count) files")
        let described = manifest.files[position.file]
        let count = min(SnapshotChunk.bytesMax, described.bytes - position.offset)
        let file = try folder.openForReading(described.name)
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try file.read(at: position.offset, count: count)
        } catch {
            throw .file(error)
        }
        guard bytes.count == count else {
            throw .damaged(
                file: file.path, reason: "ends at \(position.offset + bytes.count)")
        }
        return SnapshotChunk(file: position.file, offset: position.offset, bytes: Bytes(bytes))
    }
}
