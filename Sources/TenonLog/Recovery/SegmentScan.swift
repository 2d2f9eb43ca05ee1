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

    /// Scans the file, or the first block of one whose use is known to be over.
    ///
    /// - Parameter header: what ``SegmentFile/header()`` gave.
    /// - Throws: `foreign`, `failed`.
    init(
        _ file: SegmentFile, header: SegmentHeader?, isOver: Bool, configuration: LogConfiguration
    ) throws(LogError) {
        self.file = file
        self.header = header
        if let header { try SegmentScan.check(header, configuration) }
        use = header?.use ?? .none
        var pieces = try SegmentPieces(
            of: file.file, limit: isOver ? Block.bytes : configuration.segmentBytes)
        if header == nil { use = try SegmentScan.newestUse(in: &pieces) ?? .none }
        guard use != .none else { return }
        try findBatches(in: &pieces)
        let end = batches.last.map { $0.offset + $0.header.batchBytes } ?? Block.bytes
        guard end < pieces.end else { return }
        let (piece, place) = try pieces.bytes(at: end, count: Block.bytes)
        if BatchHeader.begins(in: piece, at: place, use: use) { tornOffset = end }
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
    private mutating func findBatches(in pieces: inout SegmentPieces) throws(LogError) {
        var offset = Block.bytes
        var least = header?.firstBatch ?? .first
        while offset < pieces.end {
            guard let (found, bytes, place) = try pieces.batch(at: offset),
                (found.use == use && found.number >= least) || isPlanted(.staleRecordAccepted)
            else {
                if isPlanted(.damagedMiddleTruncated), !batches.isEmpty { return }
                offset += Block.bytes
                continue
            }
            let body = place + found.bytes..<place + found.bytes + found.storedBytes
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
    private static func newestUse(
        in pieces: inout SegmentPieces
    ) throws(LogError) -> SegmentUse? {
        var newest: SegmentUse?
        for offset in stride(from: Block.bytes, to: pieces.end, by: Block.bytes) {
            guard let use = try pieces.batch(at: offset)?.header.use else { continue }
            newest = max(newest ?? use, use)
        }
        return newest
    }
}
