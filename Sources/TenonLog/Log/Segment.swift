internal import TenonCore

/// A segment in use: a file and the batches in it.
struct Segment: Sendable {
    var file: SegmentFile
    var use: SegmentUse
    var firstBatch: BatchNumber
    /// Where each batch begins, in blocks, from the first batch on; 0 for one that is lost.
    var blocks: [UInt32] = []

    /// The number after the last batch.
    var endBatch: BatchNumber { BatchNumber(firstBatch.rawValue + UInt64(blocks.count)) }

    /// Where `batch` begins; nil when it is not here or lost.
    func offset(of batch: BatchNumber) -> Int? {
        guard batch >= firstBatch, batch < endBatch else { return nil }
        let block = Int(blocks[firstBatch.distance(to: batch)])
        return block == 0 ? nil : block * Block.bytes
    }
}

/// A segment's file, in use or not.
struct SegmentFile: Sendable {
    var name: String
    var file: any File
    /// How far the file was written once: up to here a write takes no new space and a sync no
    /// change of the file system's own records.
    var zeroedBytes: Int
}

extension SegmentFile {
    /// The header in its first block; nil when there is none, or a damaged one.
    ///
    /// - Throws: ``LogError/unsupportedFormat(version:)``, ``LogError/failed(_:)``.
    func header() throws(LogError) -> SegmentHeader? {
        let block: [UInt8]
        do throws(FileError) {
            block = try file.read(at: 0, count: Block.bytes)
        } catch {
            throw .failed(error)
        }
        return try SegmentHeader(decoding: block)
    }
}

/// Names and opens the files of a log's folder.
struct LogFolder: Sendable {
    let fileSystem: any FileSystem
    let path: String

    private static let prefix = "segment-"

    /// Makes the folder, and makes its own name durable.
    func create() throws(FileError) {
        try fileSystem.createDirectory(path)
        let parent = path.split(separator: "/").dropLast().joined(separator: "/")
        try fileSystem.syncDirectory(path.hasPrefix("/") ? "/" + parent : parent)
    }

    /// Opens every segment file, by name.
    ///
    /// The names are made durable first: a process that made a file may have ended before it could
    /// do so, and what is written into the file now would be lost with its name (Rule L3).
    func openSegments() throws(FileError) -> [SegmentFile] {
        try fileSystem.syncDirectory(path)
        var segments: [SegmentFile] = []
        for name in try fileSystem.list(path) where name.hasPrefix(LogFolder.prefix) {
            let file = try fileSystem.open("\(path)/\(name)", .readWrite)
            let size = try file.size()
            segments.append(
                SegmentFile(
                    name: name, file: file, zeroedBytes: size / Block.bytes * Block.bytes))
        }
        return segments
    }

    /// Makes an empty segment file under the lowest free number.
    func createSegment(besides names: Set<String>) throws(FileError) -> SegmentFile {
        var number = 0
        while names.contains(LogFolder.name(number)) { number += 1 }
        let name = LogFolder.name(number)
        let file = try fileSystem.open("\(path)/\(name)", .create)
        try fileSystem.syncDirectory(path)
        return SegmentFile(name: name, file: file, zeroedBytes: 0)
    }

    func removeSegment(_ name: String) throws(FileError) {
        try fileSystem.remove("\(path)/\(name)")
        try fileSystem.syncDirectory(path)
    }

    private static func name(_ number: Int) -> String {
        let digits = String(number)
        return prefix + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
    }
}
