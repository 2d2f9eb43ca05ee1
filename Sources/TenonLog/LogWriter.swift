internal import TenonCore

/// A write that the log is to do: these bytes, there, then one sync.
struct PlannedWrite: Sendable {
    var offset: Int
    var bytes: [UInt8]
}

/// Makes batches: records in, planned writes out. A value without I/O; ``Log`` performs what it
/// plans and asks for the next plan only when that is durable (Rule L1).
struct LogWriter: Sendable {
    private let cell: UInt16
    private let segmentBytes: Int
    private let compressionThresholdBytes: Int

    /// The segment in use.
    private(set) var use: SegmentUse
    /// Where the next batch goes in it.
    private(set) var offset: Int
    /// The number of the next batch.
    private(set) var nextBatch: BatchNumber
    /// Whether the last batch holds records and no batch after it proves that it was durable.
    private(set) var needsSeal = false
    /// Of the last batch: what the next header repeats.
    private var previousChecksum: UInt32
    private var previousDirectory: Bytes
    /// The last plan's buffer, whose room the next one uses.
    private var buffer = ByteWriter()

    /// A writer that goes on after batch `nextBatch - 1`, in a segment that is yet to start.
    init(
        _ configuration: LogConfiguration, use: SegmentUse = .none,
        nextBatch: BatchNumber = .first, previousChecksum: UInt32 = 0,
        previousDirectory: Bytes = Bytes()
    ) {
        cell = configuration.cell
        segmentBytes = configuration.segmentBytes
        compressionThresholdBytes = configuration.compressionThresholdBytes
        self.use = use
        offset = configuration.segmentBytes
        self.nextBatch = nextBatch
        self.previousChecksum = previousChecksum
        self.previousDirectory = previousDirectory
    }

    /// Bytes that the segment has left.
    var room: Int { segmentBytes - offset }

    /// The most that a batch of `records` will take.
    func boundBytes(_ records: [BatchRecord]) -> Int {
        Block.roundedUp(
            headerBytes + records.reduce(0) { $0 + $1.encodedBytes })
    }

    /// Of the next batch.
    var headerBytes: Int { BatchHeader.fixedBytes + previousDirectory.count + 4 }

    /// Goes on in a fresh use of a segment; returns its header.
    mutating func startSegment(
        use: SegmentUse, previousUse: SegmentUse, oldestUse: SegmentUse
    ) -> PlannedWrite {
        precondition(use > self.use, "segment use \(use) after \(self.use)")
        self.use = use
        offset = Block.bytes
        let header = SegmentHeader(
            cell: cell, use: use, previousUse: previousUse, oldestUse: oldestUse,
            firstBatch: nextBatch, segmentBytes: segmentBytes)
        return PlannedWrite(offset: 0, bytes: header.encoded())
    }

    /// The next batch, with `records` or, with none, a seal. It fits in ``room``.
    mutating func plan(_ records: [BatchRecord]) -> PlannedWrite {
        beginBatch()
        for record in records { record.encode(to: &buffer) }
        let bodyBytes = buffer.count - headerBytes
        let algorithm = compressBody()
        let planned = finishBatch(
            algorithm: algorithm, bodyBytes: bodyBytes, recordCount: records.count)
        var directory = ByteWriter(capacity: records.count * RecordSummary.encodedBytes)
        for record in records { record.summary.encode(to: &directory) }
        previousDirectory = Bytes(directory.take())
        return planned
    }

    /// The batch of `header` once more, in this segment, under the same number: the last one
    /// that recovery found (Rule L3).
    ///
    /// - Parameters:
    ///   - stored: its body as it was stored; nil to write a seal in its place, because the body
    ///     was torn and so never acknowledged.
    ///   - directory: what its body holds.
    mutating func rewrite(
        _ header: BatchHeader, stored: Bytes?, directory: [RecordSummary]
    ) -> PlannedWrite {
        precondition(
            header.number == nextBatch, "batch \(header.number) anew, next is \(nextBatch)")
        previousChecksum = header.previousChecksum
        previousDirectory = header.previousDirectory
        beginBatch()
        if let stored { buffer.raw(stored) }
        let planned = finishBatch(
            algorithm: stored == nil ? .none : header.algorithm,
            bodyBytes: stored == nil ? 0 : header.bodyBytes,
            recordCount: stored == nil ? 0 : header.recordCount)
        var encoded = ByteWriter()
        for summary in directory { summary.encode(to: &encoded) }
        previousDirectory = Bytes(encoded.take())
        return planned
    }

    private mutating func beginBatch() {
        buffer.removeAll()
        buffer.zeros(BatchHeader.fixedBytes)
        buffer.raw(previousDirectory)
        buffer.zeros(4)
    }

    /// Puts the body's compressed form in its place when that is worth it.
    private mutating func compressBody() -> BatchHeader.Algorithm {
        guard buffer.count - headerBytes >= compressionThresholdBytes,
            let compressed = LZ4.compress(Array(buffer.bytes[headerBytes...]))
        else { return .none }
        beginBatch()
        buffer.raw(compressed)
        return .lz4
    }

    private mutating func finishBatch(
        algorithm: BatchHeader.Algorithm, bodyBytes: Int, recordCount: Int
    ) -> PlannedWrite {
        let header = BatchHeader(
            cell: cell, algorithm: algorithm, use: use, number: nextBatch,
            storedBytes: buffer.count - headerBytes, bodyBytes: bodyBytes,
            recordCount: recordCount, previousChecksum: previousChecksum,
            bodyChecksum: CRC32C(buffer.bytes, in: headerBytes..<buffer.count).rawValue,
            previousDirectory: previousDirectory, checksum: 0)
        previousChecksum = header.stamp(&buffer)
        buffer.raw(Bytes(sharing: Block.zeros, in: 0..<header.batchBytes - buffer.count))
        precondition(buffer.count <= room, "a batch of \(buffer.count) B, room for \(room) B")
        let planned = PlannedWrite(offset: offset, bytes: buffer.bytes)
        offset += buffer.count
        nextBatch = nextBatch.next
        needsSeal = recordCount > 0
        return planned
    }
}
