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

    /// The chunk that begins at `position`, whole up to the end of its file, and where the one after
    /// it begins; nil at the end. Blocks.
    ///
    /// Chunks are read in their order, and the last of a file only when all of it is what the
    /// manifest says: whoever sends a copy learns of its own damage, and does not leave it to
    /// each receiver to find.
    /// - Throws: `damaged` when the file is missing, cannot be read, or is not what was written;
    ///   `file` when it cannot be opened.
    package func chunk(
        at position: SnapshotPosition
    ) throws(StoreError) -> (chunk: SnapshotChunk, next: SnapshotPosition?) {
        precondition(
            manifest.files.indices.contains(position.file) && position.offset >= 0
                && position.offset < manifest.files[position.file].bytes,
            "a chunk at \(position) of \(manifest.files.count) files")
        let described = manifest.files[position.file]
        let bytes = try read(described, at: position.offset)
        let end = position.offset + bytes.count
        let checksum = CRC32C(bytes, continuing: position.checksum)
        let chunk = SnapshotChunk(
            file: position.file, offset: position.offset, bytes: Bytes(bytes))
        guard end == described.bytes else {
            let next = SnapshotPosition(file: position.file, offset: end, checksum: checksum)
            return (chunk, next)
        }
        guard checksum == described.checksum else {
            throw .damaged(
                file: folder.path(of: described.name), reason: "checksum of the file")
        }
        let next = position.file + 1
        return (
            chunk, next < manifest.files.count ? SnapshotPosition(file: next, offset: 0) : nil
        )
    }

    /// As many bytes as a chunk takes.
    private func read(_ described: SnapshotFile, at offset: Int) throws(StoreError) -> [UInt8] {
        let count = min(SnapshotChunk.bytesMax, described.bytes - offset)
        let file = try folder.openForReading(described.name)
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try file.read(at: offset, count: count)
        } catch {
            throw .damaged(file: file.path, reason: "\(error)")
        }
        guard bytes.count == count else {
            throw .damaged(file: file.path, reason: "ends at \(offset + bytes.count)")
        }
        return bytes
    }
}
