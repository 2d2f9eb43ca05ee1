internal import TenonCore

/// The write-ahead log that all groups of a node share (rules L1-L3, L6).
///
/// Entries and states of all replicas go into one sequence of batches, so that one fdatasync
/// serves them all. Batches lie in segment files of a fixed size, which are written with zeros
/// before their first use and recycled after their last; together they never grow beyond a fixed
/// reserve. What is still needed of the oldest segment when room runs low is copied forward.
///
/// All calls block on the disk. They are made by one thread at a time: the edge's log thread, or
/// one simulated step.
///
/// | what | where |
/// |---|---|
/// | bytes on disk | ``SegmentHeader``, ``BatchHeader``, `RecordSummary`, `BatchRecord` |
/// | batches made, no I/O | `LogWriter` |
/// | what is still needed, and where it lies | `RecordIndex` |
/// | room: starting, recycling and copying forward | `Log+Segments`, `Log+Forwarding` |
/// | what a folder holds | `SegmentScan`, `LogReplay`, `Log+Open` |
// @unchecked: one thread at a time uses it; it is handed over with the log thread's start.
package final class Log: @unchecked Sendable {
    let folder: LogFolder
    let configuration: LogConfiguration
    var writer: LogWriter
    var index: RecordIndex
    /// Segments that hold something needed, oldest first. The last one is written to.
    var used: [Segment]
    /// Files without anything needed.
    var free: [SegmentFile]
    /// What is being copied out of the oldest segment.
    var forwarding: Forwarding?
    /// What ``oldestSegmentTablets()`` found; nil when records that free something came since.
    var oldestTablets: (use: SegmentUse, tablets: [TabletID])?
    /// The error after which nothing works any more.
    var failure: FileError?
    #if PLANTED_FAULTS
        /// What counts as written and is not (``PlantedFault/acknowledgedInMemory``).
        var heldBack: [(file: any File, write: PlannedWrite)] = []
        static let heldBackMax = 50
    #endif
    /// Tablets in which copying forward found damage.
    var damagedTablets: Set<TabletID> = []
    var syncs = 0
    var bytesWritten = 0

    init(
        folder: LogFolder, configuration: LogConfiguration, writer: LogWriter, index: RecordIndex,
        used: [Segment], free: [SegmentFile]
    ) {
        self.folder = folder
        self.configuration = configuration
        self.writer = writer
        self.index = index
        self.used = used
        self.free = free
    }

    /// Whether the last batch is not yet followed by another. When nothing follows for 10 ms,
    /// the caller calls ``sealIfNeeded()``.
    package var needsSeal: Bool { writer.needsSeal && failure == nil }

    /// Writes an empty batch when the last one holds records, so that its loss would show as
    /// damage instead of a torn tail (Rule L1). Durable when it returns.
    ///
    /// - Throws: ``LogError/full`` when there is no room, ``LogError/failed(_:)``.
    package func sealIfNeeded() throws(LogError) {
        try requireWorking()
        guard writer.needsSeal else { return }
        try write([], for: .states)
    }

    /// Whether an append of entries of so many bytes would be admitted now.
    package func admits(bytes: Int) -> Bool {
        failure == nil && index.liveBytes + bytes <= configuration.entriesBytesMax
    }

    /// Figures and needs. - Complexity: O(1), but O(runs) once after each trim and each segment.
    package var status: LogStatus {
        LogStatus(
            segmentsReserved: configuration.segmentsReserved, segmentsUsed: used.count,
            freeBytes: max(0, configuration.entriesBytesMax - index.liveBytes),
            liveBytes: index.liveBytes, capacityBytes: configuration.entriesBytesMax,
            fileBytes: (used.count + free.count) * configuration.segmentBytes,
            lastBatch: writer.nextBatch.rawValue - 1, syncs: syncs, bytesWritten: bytesWritten,
            oldestSegmentTablets: oldestSegmentTablets(),
            damagedTablets: damagedTablets.sorted())
    }

    /// The tablets with entries in the oldest segment. Kept between calls: a status is asked for
    /// with every append.
    private func oldestSegmentTablets() -> [TabletID] {
        guard let oldest = used.first else { return [] }
        if let kept = oldestTablets, kept.use == oldest.use, used.count > 1 { return kept.tablets }
        // With thousands of tablets in the only segment every append would walk them all.
        guard used.count > 1 || index.liveBytes * 2 > configuration.entriesBytesMax else {
            return []
        }
        let tablets = index.tabletsWithEntries(before: oldest.endBatch)
        oldestTablets = (oldest.use, tablets)
        return tablets
    }

    /// Throws what ended the log, if anything did.
    func requireWorking() throws(LogError) {
        if let failure { throw .failed(failure) }
    }

    /// Does file work whose failure ends the log (Rule L6).
    func perform<Result>(
        _ work: () throws(FileError) -> Result
    ) throws(LogError) -> Result {
        do throws(FileError) {
            return try work()
        } catch {
            failure = error
            throw .failed(error)
        }
    }

    /// Does file work that takes new space. No space is no failure: nothing rests on it yet.
    func performGrowing<Result>(
        _ work: () throws(FileError) -> Result
    ) throws(LogError) -> Result {
        do throws(FileError) {
            return try work()
        } catch {
            if error.reason == .noSpace { throw .full }
            failure = error
            throw .failed(error)
        }
    }

    /// Traps unless index, segments and writer agree.
    func checkInvariants() {
        #if INVARIANT_CHECKS || DEBUG
            index.checkInvariants()
            guard failure == nil, let oldest = used.first, let active = used.last else { return }
            precondition(
                active.endBatch == writer.nextBatch,
                "segment ends at \(active.endBatch), next batch \(writer.nextBatch)")
            precondition(active.use == writer.use, "use \(active.use), writer \(writer.use)")
            for (left, right) in zip(used, used.dropFirst()) {
                precondition(left.use < right.use, "use \(left.use) before \(right.use)")
                precondition(
                    left.endBatch == right.firstBatch,
                    "segment ends at \(left.endBatch), next begins at \(right.firstBatch)")
            }
            if let least = index.leastLiveBatch() {
                precondition(
                    least >= oldest.firstBatch,
                    "batch \(least) needed, oldest is \(oldest.firstBatch)")
            }
        #endif
    }
}
