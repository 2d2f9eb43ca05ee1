internal import TenonCore

extension Log {
    /// Makes `records` durable, in one batch or, when they are many, in several. Durable when it
    /// returns; each batch is one write and one fdatasync.
    ///
    /// Traps on a record that does not fit the replica's log: entries that leave a gap or lie
    /// below its base, a replica that was removed.
    ///
    /// - Throws: ``LogError/full`` when the reserve is used up: nothing is promised, and the same
    ///   append may be made again once there is room. ``LogError/tooLarge(bytes:bound:)``, with
    ///   nothing changed. ``LogError/failed(_:)``: the process must end.
    package func append(_ records: [LogRecord]) throws(LogError) {
        try requireWorking()
        checkFit(records)
        let batches = try split(records)
        let bytes = batches.joined().reduce(0) { $0 + $1.encodedBytes }
        let purpose: WritePurpose = records.contains(where: \.holdsEntries) ? .entries : .states
        if purpose == .entries, !admits(bytes: bytes) {
            reached(.logRefusedWhenFull)
            throw .full
        }
        for batch in batches { try write(batch, for: purpose) }
        try forwardWhenLow(after: bytes)
        checkInvariants()
    }

    /// Writes one batch, a seal when `records` is empty, and makes it durable.
    func write(_ records: [BatchRecord], for purpose: WritePurpose) throws(LogError) {
        try makeRoom(for: purpose) { $0.boundBytes(records) }
        // Space before the plan: a disk that is full leaves the writer as it was, and the same
        // batch can be made again under the same number.
        try zeroActive(upTo: writer.offset + writer.boundBytes(records))
        let batch = writer.nextBatch
        try writeBatch(atMost: writer.boundBytes(records)) { $0.plan(records) }
        if purpose != .entries || records.contains(where: \.mayFree) { oldestTablets = nil }
        for record in records {
            index.apply(record.summary, batch: batch)
            if case .given(.metadata(let key, let value)) = record {
                index.setMetadata(key, value, batch: batch)
            }
        }
    }

    /// Performs the batch of at most `bytes` that `plan` makes. There is room for it in the
    /// active segment.
    func writeBatch(
        atMost bytes: Int, isSynced: Bool = true, _ plan: (inout LogWriter) -> PlannedWrite
    ) throws(LogError) {
        // Space first: where zeros were written the batch itself cannot run out of it, and until
        // here nothing has changed.
        try zeroActive(upTo: writer.offset + bytes)
        let planned = plan(&writer)
        try performWrite(planned, isSynced: isSynced)
        used[used.count - 1].blocks.append(UInt32(planned.offset / Block.bytes))
    }

    /// One write and one sync of the active segment.
    func performWrite(_ planned: PlannedWrite, isSynced: Bool = true) throws(LogError) {
        let file = used[used.count - 1].file.file
        if isPlanted(.acknowledgedInMemory) { return try performLate(planned, in: file) }
        try perform { () throws(FileError) in
            try file.write(planned.bytes, at: planned.offset)
            if isSynced && !isPlanted(.acknowledgedBeforeSync) { try file.sync() }
        }
        bytesWritten += planned.bytes.count
        syncs += 1
    }

    /// Breaks the rule: the newest batches count as written and are in memory only.
    private func performLate(_ planned: PlannedWrite, in file: any File) throws(LogError) {
        #if PLANTED_FAULTS
            heldBack.append((file, planned))
            guard heldBack.count > Log.heldBackMax else { return }
            let (file, oldest) = heldBack.removeFirst()
            try perform { () throws(FileError) in try file.write(oldest.bytes, at: oldest.offset) }
        #endif
    }

    /// The batches that `records` make, each within the bounds of one.
    private func split(_ records: [LogRecord]) throws(LogError) -> [[BatchRecord]] {
        var batches: [[BatchRecord]] = []
        var batch: [BatchRecord] = []
        var batchBytes = 0
        for record in records {
            for piece in try pieces(of: record) {
                let bytes = piece.encodedBytes
                let isFull =
                    batchBytes + bytes > configuration.batchBytesMax
                    || batch.count == configuration.batchRecordsMax
                if isFull, !batch.isEmpty {
                    batches.append(batch)
                    batch = []
                    batchBytes = 0
                }
                batch.append(piece)
                batchBytes += bytes
            }
        }
        if !batch.isEmpty { batches.append(batch) }
        return batches
    }

    /// `record`, or the same entries in several records when one batch cannot hold them.
    private func pieces(of record: LogRecord) throws(LogError) -> [BatchRecord] {
        let whole = BatchRecord.given(record)
        let bound = configuration.batchBytesMax
        guard whole.encodedBytes > bound else { return [whole] }
        let (tablet, replica, entries, isRepair): (TabletID, ReplicaID, [Entry], Bool)
        switch record {
        case .entries(let of, let by, let list):
            (tablet, replica, entries, isRepair) = (of, by, list, false)
        case .repaired(let of, let by, let list):
            (tablet, replica, entries, isRepair) = (of, by, list, true)
        case .hardState, .trim, .reset, .remove, .metadata:
            throw .tooLarge(bytes: whole.encodedBytes, bound: bound)
        }
        var pieces: [BatchRecord] = []
        var start = 0
        while start < entries.count {
            var end = start
            var bytes = BatchRecord.headerBytes + 4
            while end < entries.count, bytes + entries[end].encodedBytes <= bound {
                bytes += entries[end].encodedBytes
                end += 1
            }
            guard end > start else {
                throw .tooLarge(bytes: bytes + entries[start].encodedBytes, bound: bound)
            }
            let piece = Array(entries[start..<end])
            pieces.append(
                .given(
                    isRepair
                        ? .repaired(tablet: tablet, replica: replica, entries: piece)
                        : .entries(tablet: tablet, replica: replica, entries: piece)))
            start = end
        }
        return pieces
    }
}

extension BatchRecord {
    /// Whether records of earlier batches may not be needed any more after this one.
    fileprivate var mayFree: Bool {
        switch self {
        case .given(.trim), .given(.reset), .given(.remove): true
        default: false
        }
    }
}

extension LogRecord {
    fileprivate var holdsEntries: Bool {
        switch self {
        case .entries, .repaired: true
        case .hardState, .trim, .reset, .remove, .metadata: false
        }
    }
}
