package import TenonCore
package import TenonWire

/// The newest copy of the directory that a node has seen, in its data folder: a start finds the
/// other nodes by it. A copy that is old does no harm, one that is damaged counts as none.
///
/// Layout: magic 4 · version 2 · directory · CRC-32C of all before 4.
package enum DirectoryFile {
    private static let magic: UInt32 = 0x5249_4454  // "TDIR"
    private static let formatVersion: UInt16 = 1
    private static let bytesMax = 64 << 20

    static func path(in directory: String) -> String { directory + "/directory" }

    /// Replaces the copy. Durable when this returns. Blocks.
    package static func write(
        _ content: Directory, in directory: String, fileSystem: any FileSystem
    ) throws(FileError) {
        var writer = ByteWriter()
        writer.uint32(magic)
        writer.uint16(formatVersion)
        content.encode(to: &writer)
        writer.uint32(CRC32C(writer.bytes).rawValue)
        let temporary = path(in: directory) + ".new"
        if try fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
        let file = try fileSystem.open(temporary, .create)
        try file.write(writer.take(), at: 0)
        try file.sync()
        try fileSystem.rename(temporary, to: path(in: directory))
        try fileSystem.syncDirectory(directory)
    }

    /// The copy that is there; nil when there is none, or it is damaged. Blocks.
    static func read(
        from directory: String, fileSystem: any FileSystem
    ) throws(FileError) -> Directory? {
        guard try fileSystem.exists(path(in: directory)) else { return nil }
        let file = try fileSystem.open(path(in: directory), .read)
        let bytes = try file.read(at: 0, count: min(file.size(), bytesMax))
        do throws(DecodingError) {
            return try decode(bytes)
        } catch {
            reached(.directoryFileDamaged)
            return nil
        }
    }

    private static func decode(_ bytes: [UInt8]) throws(DecodingError) -> Directory {
        var reader = try ByteReader.checked(bytes, magic: magic, version: formatVersion)
        let directory = try Directory(from: &reader)
        try reader.finish()
        return directory
    }
}
