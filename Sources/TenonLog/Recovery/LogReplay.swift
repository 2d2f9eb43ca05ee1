internal import TenonCore

/// Puts the scans of all segment files together: which of them are the log, what of it is lost,
/// and where everything lies that is still needed (Rule L2).
struct LogReplay: Sendable {
    /// The segments of the log, oldest first.
    private(set) var segments: [Segment] = []
    /// Files that hold nothing of it.
    private(set) var freeFiles: [SegmentFile] = []
    private(set) var index = RecordIndex()
    private(set) var report = LogRecoveryReport()
    /// The last batch whose header is whole, with its records when the body is, too.
    private(set) var last: (header: BatchHeader, read: ReadBatch?)?
    /// The earliest batch that was needed before the last one came. All up to then is proven
    /// durable, so what lies before this may go even if the last batch should be lost.
    private(set) var provenLeast: BatchNumber?
    /// The highest use number seen.
    private(set) var newestUse: SegmentUse

    init(_ scans: [SegmentScan]) throws(FileError) {
        newestUse = scans.map(\.use).max() ?? .none
        let newest = scans.filter { $0.header != nil }.max { $0.use < $1.use }
        let oldestUse = newest?.header?.oldestUse ?? .none
        var live = scans.filter { $0.isStarted && $0.use >= oldestUse }
            .sorted { $0.use < $1.use }
        let liveNames = Set(live.map(\.file.name))
        freeFiles = scans.filter { !liveNames.contains($0.file.name) }.map(\.file)
        LogReplay.dropSuperseded(&live)
        try replay(live)
        checkEnds(live, newest, oldestUse)
        noteTornTail(live.last, newest)
        if report.tornTail != nil { reached(.logTailTorn) }
        report.damagedMetadata = index.lostMetadata.sorted()
    }

    /// Drops batches that a later segment begins with again, or before: recovery wrote the last
    /// one anew, and what was torn after it is void (Rule L3).
    private static func dropSuperseded(_ live: inout [SegmentScan]) {
        for place in live.indices.dropLast() {
            guard let limit = live[place + 1].firstBatch else { continue }
            live[place].batches.removeAll { $0.number >= limit }
        }
    }

    private mutating func replay(_ live: [SegmentScan]) throws(FileError) {
        var expected = live.first?.header?.firstBatch
        for (place, scan) in live.enumerated() {
            segments.append(
                Segment(
                    file: scan.file, use: scan.use, firstBatch: scan.firstBatch ?? .first))
            if let header = scan.header, header.isAfterLoss {
                noteUnknownLoss(before: header.firstBatch.next)
            }
            for (step, batch) in scan.batches.enumerated() {
                noteLost(from: expected ?? batch.number, to: batch)
                let successor =
                    step + 1 < scan.batches.count
                    ? scan.batches[step + 1]
                    : live[(place + 1)...].lazy.compactMap(\.batches.first).first
                try replay(batch, in: scan, successor)
                enter(batch)
                expected = batch.number.next
            }
            if place + 1 < live.count, let next = live[place + 1].firstBatch {
                fillSegment(upTo: next)
            }
        }
    }

    /// One batch with a whole header.
    private mutating func replay(
        _ batch: FoundBatch, in scan: SegmentScan, _ successor: FoundBatch?
    ) throws(FileError) {
        let next = successor.flatMap { $0.number == batch.number.next ? $0 : nil }
        // A header that the next one does not confirm is one that a lost write left behind.
        let isConfirmed = next.map { $0.header.previousChecksum == batch.header.checksum } ?? true
        if batch.isBodyWhole, isConfirmed, let next, replay(batch, byDirectoryOf: next) { return }
        let read =
            batch.isBodyWhole && isConfirmed
            ? try scan.file.readBatch(batch.number, use: scan.use, at: batch.offset) : nil
        if successor == nil {
            last = (batch.header, read)
            provenLeast = index.leastLiveBatch() ?? batch.number
        }
        if let read {
            report.wholeBatches += 1
            for record in read.records { apply(record, batch.number) }
        } else if let next {
            reached(.logBatchDamaged)
            report.damagedBatches += 1
            applyLost(next)
        } else if successor != nil {
            report.damagedBatches += 1
            noteUnknownLoss(before: batch.number.next)
        }
    }

    /// Takes what a whole batch holds from the directory in its successor's header, which spares
    /// reading and decoding it again: what of it is still needed is read when the entries are
    /// loaded. Returns false when the directory does not do: values of metadata are in no directory.
    private mutating func replay(_ batch: FoundBatch, byDirectoryOf next: FoundBatch) -> Bool {
        guard let directory = try? RecordSummary.directory(next.header.previousDirectory),
            directory.count == batch.header.recordCount,
            !directory.contains(where: { $0.kind == .metadata })
        else { return false }
        report.wholeBatches += 1
        for summary in directory { index.apply(summary, batch: batch.number) }
        return true
    }

    private mutating func apply(_ record: BatchRecord, _ batch: BatchNumber) {
        index.apply(record.summary, batch: batch)
        if case .given(.metadata(let key, let value)) = record {
            index.setMetadata(key, value, batch: batch)
        }
    }

    /// Batches without a whole header before `found`. Its directory names what the last of them
    /// held; those before that one are unknown.
    private mutating func noteLost(from expected: BatchNumber, to found: FoundBatch) {
        let count = expected.distance(to: found.number)
        guard count > 0 else { return }
        report.damagedBatches += count
        if isPlanted(.lostHeaderLeavesTabletsWhole) { return }
        if count > 1 { noteUnknownLoss(before: found.number) }
        applyLost(found)
    }

    /// What the batch before `successor` held, by its directory.
    private mutating func applyLost(_ successor: FoundBatch) {
        let batch = BatchNumber(successor.number.rawValue - 1)
        guard
            let directory = try? RecordSummary.directory(successor.header.previousDirectory)
        else { return noteUnknownLoss(before: successor.number) }
        for summary in directory {
            index.apply(summary, batch: batch, isLost: true)
            if summary.kind == .metadata {
                index.setMetadata(summary.metadataKey, nil, batch: batch)
            }
        }
    }

    private mutating func noteUnknownLoss(before batch: BatchNumber) {
        reached(.logLossUnnamed)
        report.isNodeSuspect = true
        index.noteUnknownLoss(before: batch)
    }

    /// Enters where `batch` lies, after the ones before it that are lost.
    private mutating func enter(_ batch: FoundBatch) {
        fillSegment(upTo: batch.number)
        segments[segments.count - 1].blocks.append(UInt32(batch.offset / Block.bytes))
    }

    private mutating func fillSegment(upTo batch: BatchNumber) {
        while segments[segments.count - 1].endBatch < batch {
            segments[segments.count - 1].blocks.append(0)
        }
    }

    /// Whether whole segments are missing at either end of the log.
    private mutating func checkEnds(
        _ live: [SegmentScan], _ newest: SegmentScan?, _ oldestUse: SegmentUse
    ) {
        guard let newest, let header = newest.header else {
            // Without any header nobody knows where the log began.
            if let first = live.first?.firstBatch { noteUnknownLoss(before: first) }
            return
        }
        let isOldestThere = live.first.map { $0.use == oldestUse } ?? (oldestUse == newest.use)
        let isNewestThere =
            newest.isStarted || header.previousUse <= (live.last?.use ?? .none)
        if !isOldestThere || !isNewestThere {
            noteUnknownLoss(before: live.last?.batches.last?.number ?? header.firstBatch)
        }
    }

    private mutating func noteTornTail(_ last: SegmentScan?, _ newest: SegmentScan?) {
        if let last, let batch = last.batches.last, self.last?.read == nil {
            report.tornTail = LogRecoveryReport.TornTail(
                segment: last.file.name, offset: batch.offset, bytes: batch.header.batchBytes)
        } else if let last, let offset = last.tornOffset {
            report.tornTail = LogRecoveryReport.TornTail(
                segment: last.file.name, offset: offset, bytes: Block.bytes)
        } else if let newest, !newest.isStarted,
            newest.use > (last?.use ?? .none),
            let offset = newest.batches.first?.offset ?? newest.tornOffset
        {
            report.tornTail = LogRecoveryReport.TornTail(
                segment: newest.file.name, offset: offset, bytes: Block.bytes)
        }
    }
}
