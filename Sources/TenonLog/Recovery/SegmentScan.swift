internal import TenonCore

/// A batch whose header is whole.
struct FoundBatch: Sendable {
    var header: BatchHeader
    var offset: Int
    /// Whether its body is the one that the header was made for.
    var isBodyWhole: Bool

    var number: BatchNumber { header.number }
}

/// What one segment file holds of its newest use.
struct SegmentScan: Sendable {
    var file: SegmentFile
    /// Nil when the first block is no whole header: never used, torn while being started, or
    /// damaged.
    var header: SegmentHeader?
    /// The use that the header names or, without one, the newest that a batch names.
    var use: SegmentUse
    /// By number.
    var batches: [FoundBatch] = []
    /// Where an unfinished batch begins, behind the last one found.
    var tornOffset: Int?

    /// The number of the first batch.
    var firstBatch: BatchNumber? { header?.firstBatch ?? batches.first?.number }

    /// Whether the segment took over from the one before: its first batch is whole, or a later
    /// one proves that it was. Otherwise the segment before is the last of the log still.
    var isStarted: Bool {
        guard let first = batches.first else { return false }
        return first.isBodyWhole || batches.count > 1 || first.number != header?.firstBatch
    }

    /// Scans the file's whole content, or the first block of one that is known to hold no part of the
    /// log.
    ///
    /// - Throws: `unsupportedFormat`, `foreign`.
    init(
        _ bytes: [UInt8], of file: SegmentFile, configuration: LogConfiguration
    ) throws(LogError) {
        self.file = file
        header = try SegmentHeader(decoding: bytes)
        if let header { try SegmentScan.check(header, configuration) }
        use = header?.use ?? SegmentScan.newestUse(in: bytes) ?? .none
        guard use != .none else { return }
        findBatches(in: bytes)
        let end = batches.last.map { $0.offset + $0.header.batchBytes } ?? Block.bytes
        if end < bytes.count, BatchHeader.begins(in: bytes, at: end, use: use) {
            tornOffset = end
        }
    }

    private static func check(
        _ header: SegmentHeader, _ configuration: LogConfiguration
    ) throws(LogError) {
        guard header.cell == configuration.cell else {
            throw .foreign("log of cell \(header.cell), not \(configuration.cell)")
        }
        guard header.segmentBytes == configuration.segmentBytes else {
            throw .foreign(
                "segments of \(header.segmentBytes) B, configured \(configuration.segmentBytes)")
        }
    }

    /// Walks from batch to batch. Where the next one is not, every later block is looked at, so
    /// that a batch behind a damaged header is found (Rule L2).
    private mutating func findBatches(in bytes: [UInt8]) {
        var offset = Block.bytes
        var least = header?.firstBatch ?? .first
        while offset < bytes.count {
            guard let found = BatchHeader(decoding: bytes, at: offset),
                (found.use == use && found.number >= least) || isPlanted(.staleRecordAccepted)
            else {
                if isPlanted(.damagedMiddleTruncated), !batches.isEmpty { return }
                offset += Block.bytes
                continue
            }
            let body = offset + found.bytes..<offset + found.bytes + found.storedBytes
            let isWhole = CRC32C(bytes, in: body).rawValue == found.bodyChecksum
            if isPlanted(.damagedMiddleTruncated), !isWhole { return }
            batches.append(
                FoundBatch(
                    header: found, offset: offset,
                    isBodyWhole: isWhole || isPlanted(.tornTailAccepted)))
            least = found.number.next
            offset += found.batchBytes
        }
    }

    /// The highest use number among the batches of a file whose own header is not whole. An
    /// earlier use of a file always has a lower number.
    private static func newestUse(in bytes: [UInt8]) -> SegmentUse? {
        stride(from: Block.bytes, to: bytes.count, by: Block.bytes)
            .compactMap { BatchHeader(decoding: bytes, at: $0)?.use }
            .max()
    }
}
