package import TenonCore

/// How large the log's files and batches are.
package struct LogConfiguration: Hashable, Sendable {
    /// Bytes of one segment file, a multiple of 4 KiB. Fixed for the life of a folder. A large
    /// segment is started rarely; a small one is recycled sooner. 64 MiB; a server's are at least
    /// ``smallestServingSegmentBytes``.
    package var segmentBytes = 64 << 20
    /// How many segment files there are at most: with ``segmentBytes``, the fixed reserve that
    /// the log never grows beyond. At least 5; 8.
    package var segmentsReserved = 8
    /// Bodies of at least so many bytes are LZ4-compressed when that saves an eighth. Lower costs
    /// processor time, higher costs disk bandwidth. 4 KiB.
    package var compressionThresholdBytes = 4 << 10
    /// Bytes of records in one batch, so the bound of one entry. 16 MiB; of a server's smaller
    /// segments the half (``init(segmentBytes:)``).
    package var batchBytesMax = Limits.frameBytesMax
    /// Records in one batch. Bounds the directory that the next header carries. 1,024.
    package var batchRecordsMax = 1_024
    /// Bytes of zeros that are written at once where a segment was never used. No append waits for
    /// longer than one step takes, and steps of megabytes take tens of milliseconds, of which other
    /// logs on the same disk feel as much. 256 KiB.
    package var zeroingStepBytes = 256 << 10
    /// Bytes that are copied forward beside one append, when copying is due, at the least; twice
    /// the append's own when that is more. 256 KiB.
    package var forwardingStepBytes = 256 << 10
    /// The cell whose log this is; a log of another cell is refused. 0.
    package var cell: UInt16 = 0

    package init() {}

    /// What a server writes in segments of `segmentBytes`: batches of which two go into one, so
    /// that little is left unused at its end, but never so small that the largest entry is left
    /// out.
    package init(segmentBytes: Int) {
        self.segmentBytes = segmentBytes
        let half = usableSegmentBytes / 2 - BatchHeader.bytes(directoryCount: batchRecordsMax)
        batchBytesMax = min(batchBytesMax, max(LogConfiguration.largestEntryBatchBytes, half))
    }

    /// What the log in `directory` is opened with by a tool that knows nothing of its node:
    /// segments of the size that is there, and room for a few more. The defaults when there is none.
    ///
    /// - Throws: ``LogError/failed(_:)``, ``LogError/unsupportedFormat(version:)``.
    package static func found(
        in directory: String, fileSystem: any FileSystem
    ) throws(LogError) -> LogConfiguration {
        let folder = LogFolder(fileSystem: fileSystem, path: directory)
        let files: [SegmentFile]
        var sizes: [Int] = []
        do throws(FileError) {
            files = try fileSystem.exists(directory) ? folder.openSegments() : []
        } catch {
            throw .failed(error)
        }
        for file in files {
            if let header = try file.header() { sizes.append(header.segmentBytes) }
        }
        var found = sizes.first.map { LogConfiguration(segmentBytes: $0) } ?? LogConfiguration()
        found.segmentsReserved = max(found.segmentsReserved, files.count + 2)
        return found
    }

    /// The smallest segments that a server may have: 9 MiB, one of the largest entries.
    ///
    /// Every node of a cluster has to take whatever a leader proposed, and nodes may have other
    /// settings than the leader. So what a segment holds is bounded from below, and no write
    /// depends on it: the alternative, to refuse commands by the size of the leader's segments,
    /// would stop a follower with smaller ones.
    package static let smallestServingSegmentBytes = 9 << 20

    /// Bytes of a batch with the largest entry: one command and what entry and record add.
    private static let largestEntryBatchBytes = Limits.commandBytesMax + Block.bytes

    /// Throws ``LogError/configuration(_:)`` with what is wrong.
    package func validate() throws(LogError) {
        try require(
            segmentBytes > 0 && segmentBytes % Block.bytes == 0 && segmentBytes <= 1 << 30,
            "segmentBytes \(segmentBytes): a multiple of 4096, at most 1 GiB")
        try require(
            (5...1_024).contains(segmentsReserved), "segmentsReserved \(segmentsReserved): 5-1024")
        try require(compressionThresholdBytes >= 0, "compressionThresholdBytes below 0")
        try require(
            (1...Limits.frameBytesMax * 2).contains(batchBytesMax),
            "batchBytesMax \(batchBytesMax): 1-\(Limits.frameBytesMax * 2)")
        try require((1...65_536).contains(batchRecordsMax), "batchRecordsMax \(batchRecordsMax)")
        try require(
            largestBatchBytes <= usableSegmentBytes,
            "a batch of up to \(largestBatchBytes) B: more than a segment holds")
        try require(
            zeroingStepBytes > 0 && zeroingStepBytes % Block.bytes == 0,
            "zeroingStepBytes \(zeroingStepBytes): a multiple of 4096")
        try require(forwardingStepBytes > 0, "forwardingStepBytes \(forwardingStepBytes)")
    }

    /// The most that one batch takes on disk, its header included.
    var largestBatchBytes: Int {
        Block.roundedUp(
            BatchHeader.bytes(directoryCount: batchRecordsMax) + batchBytesMax)
    }

    /// The bytes of one segment that hold batches.
    var usableSegmentBytes: Int { segmentBytes - Block.bytes }

    /// Bytes of live records up to which entries are admitted. Four segments are kept back: the
    /// active one, two in hand, and one of garbage, so that copying forward always gains room.
    var entriesBytesMax: Int { (segmentsReserved - 4) * usableSegmentBytes }

    private func require(
        _ condition: Bool, _ text: @autoclosure () -> String
    ) throws(LogError) {
        if !condition { throw .configuration(text()) }
    }
}

/// The unit of alignment: no two batches share one, so writing one never rewrites another.
enum Block {
    static let bytes = 4_096

    /// One block of zeros, to pad with.
    static let zeros = [UInt8](repeating: 0, count: bytes)

    /// `count` rounded up to whole blocks.
    static func roundedUp(_ count: Int) -> Int { (count + bytes - 1) / bytes * bytes }
}
