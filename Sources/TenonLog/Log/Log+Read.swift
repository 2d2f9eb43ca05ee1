internal import TenonCore

/// A batch as it was read back, checked.
struct ReadBatch: Sendable {
    var header: BatchHeader
    /// The body as stored.
    var stored: Bytes
    var records: [BatchRecord]
}

extension Log {
    /// Reads `batch` and checks all of it; nil when it is lost or damaged.
    ///
    /// - Throws: ``LogError/failed(_:)``.
    func readBatch(_ batch: BatchNumber) throws(LogError) -> ReadBatch? {
        guard let segment = used.last(where: { $0.firstBatch <= batch }),
            let offset = segment.offset(of: batch)
        else { return nil }
        return try perform { () throws(FileError) in
            try segment.file.readBatch(batch, use: segment.use, at: offset)
        }
    }
}

extension SegmentFile {
    /// The batch at `offset`, when it is whole and the one that is asked for.
    func readBatch(
        _ batch: BatchNumber, use: SegmentUse, at offset: Int
    ) throws(FileError) -> ReadBatch? {
        let block = try file.read(at: offset, count: Block.bytes)
        guard let bytes = BatchHeader.batchBytes(announcedIn: block) else { return nil }
        let whole = bytes <= block.count ? block : try file.read(at: offset, count: bytes)
        guard let header = BatchHeader(decoding: whole, at: 0), header.number == batch,
            header.use == use
        else { return nil }
        let stored = Bytes(sharing: whole, in: header.bytes..<header.bytes + header.storedBytes)
        guard let records = try? header.records(inStored: stored) else { return nil }
        return ReadBatch(header: header, stored: stored, records: records)
    }
}
