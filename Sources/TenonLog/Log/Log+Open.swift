package import TenonCore

extension Log {
    /// Opens the log in `directory`, which is made when it is not there, and says what it holds.
    ///
    /// When this returns, everything in the recovery is durable: the last batch was written anew
    /// into a fresh segment and synced, and each earlier one is proven by its successor (Rule L3).
    ///
    /// - Throws: ``LogError/configuration(_:)``; ``LogError/unsupportedFormat(version:)`` and
    ///   ``LogError/foreign(_:)`` for a folder that is not ours, untouched;
    ///   ``LogError/full`` when the disk has no space for one segment's beginning;
    ///   ``LogError/failed(_:)``.
    /// - Complexity: reads the segments of the log once, and the first block of the files that wait
    ///   for their next use.
    package static func open(
        fileSystem: any FileSystem, directory: String, configuration: LogConfiguration
    ) throws(LogError) -> (log: Log, recovery: LogRecovery) {
        try configuration.validate()
        let folder = LogFolder(fileSystem: fileSystem, path: directory)
        let scans = try scans(folder, configuration)
        let replay = try reading { () throws(FileError) in try LogReplay(scans) }
        let log = Log(replay, folder: folder, configuration: configuration)
        let entries = try log.loadEntries()
        try log.makeTailDurable(replay)
        let recovery = log.recovery(entries, replay.report)
        log.index.endReplay()
        if replay.report.isNodeSuspect { try log.recordSuspicions() }
        try log.regainReserve()
        log.checkInvariants()
        return (log, recovery)
    }

    /// Scans every file, and reads those whole that may hold a part of the log: not one whose own
    /// header names a use that was over when the newest segment began.
    private static func scans(
        _ folder: LogFolder, _ configuration: LogConfiguration
    ) throws(LogError) -> [SegmentScan] {
        let files = try reading { () throws(FileError) in
            try folder.create()
            return try folder.openSegments()
        }
        var heads: [SegmentHeader?] = []
        for file in files {
            heads.append(try file.header())
        }
        let oldestUse = heads.compactMap(\.self).max { $0.use < $1.use }?.oldestUse ?? .none
        var scans: [SegmentScan] = []
        for (file, head) in zip(files, heads) {
            scans.append(
                try SegmentScan(
                    file, header: head, isOver: head.map { $0.use < oldestUse } ?? false,
                    configuration: configuration))
        }
        return scans
    }

    private static func reading<Result>(
        _ work: () throws(FileError) -> Result
    ) throws(LogError) -> Result {
        do throws(FileError) { return try work() } catch {
            if error.reason == .noSpace { throw .full }
            throw .failed(error)
        }
    }

    private convenience init(
        _ replay: LogReplay, folder: LogFolder, configuration: LogConfiguration
    ) {
        let nextBatch = replay.last?.header.number ?? .first
        self.init(
            folder: folder, configuration: configuration,
            writer: LogWriter(configuration, use: replay.newestUse, nextBatch: nextBatch),
            index: replay.index, used: replay.segments, free: replay.freeFiles)
    }

    /// Reads every entry that is needed, and marks those that cannot be read as damaged.
    private func loadEntries() throws(LogError) -> [TabletID: [Entry]] {
        var loaded: [TabletID: [(first: LogIndex, entries: [Entry])]] = [:]
        var batch: (number: BatchNumber, records: [BatchRecord]?)?
        for case .run(let tablet, let run) in index.items(before: writer.nextBatch.next) {
            guard !run.isDamaged, let replica = index.tablets[tablet]?.replica else { continue }
            if batch?.number != run.batch { batch = (run.batch, try readBatch(run.batch)?.records) }
            if let entries = batch?.records?.entries(of: run, tablet, replica) {
                loaded[tablet, default: []].append((run.first, entries))
            } else {
                index.markDamaged(tablet, at: run.first)
            }
        }
        return loaded.mapValues { pieces in
            pieces.sorted { $0.first < $1.first }.flatMap(\.entries)
        }
    }

    /// Starts a fresh segment with the last batch, or with a seal in the place of a torn one, and
    /// syncs it (Rule L3).
    private func makeTailDurable(_ replay: LogReplay) throws(LogError) {
        if let last = used.last, last.endBatch > writer.nextBatch {
            used[used.count - 1].blocks.removeLast()
        }
        // A file given back by the last batch alone is not reused before that one is durable, and
        // one that shows a loss not before the new segment tells of it.
        let isAfterLoss = replay.report.isNodeSuspect
        if !isAfterLoss { releaseSegments(before: replay.provenLeast) }
        try startSegment(isAfterLoss: isAfterLoss)
        guard let last = replay.last else { return }
        reached(.logTailRewritten)
        let directory = last.read?.records.map(\.summary) ?? []
        let isSynced = !isPlanted(.recoveredTailNotSynced)
        try writeBatch(atMost: last.header.batchBytes, isSynced: isSynced) {
            $0.rewrite(last.header, stored: last.read?.stored, directory: directory)
        }
    }

    /// Writes down which replicas are suspect: so far only a gap in the log or a segment's header
    /// says so, and segments are recycled (Rule L2).
    private func recordSuspicions() throws(LogError) {
        let suspects = index.tablets.filter { $0.value.suspicion != nil }
            .sorted { $0.key < $1.key }
            .map { BatchRecord.suspicion(tablet: $0.key, replica: $0.value.replica) }
        for start in stride(from: 0, to: suspects.count, by: configuration.batchRecordsMax) {
            let end = min(start + configuration.batchRecordsMax, suspects.count)
            try write(Array(suspects[start..<end]), for: .opening)
        }
        releaseSegments()
    }

    /// Crashes in a row take a segment each; copying forward gets them back.
    private func regainReserve() throws(LogError) {
        releaseSegments()
        var attemptsLeft = used.count
        while segmentsInHand <= WritePurpose.entries.segmentsLeft, used.count > 1, attemptsLeft > 0
        {
            reached(.logReserveRegained)
            attemptsLeft -= 1
            do throws(LogError) {
                try forwardOldestSegment()
            } catch {
                // What is needed fills the reserve: trims come first.
                guard error == .full else { throw error }
                return
            }
        }
    }

    private func recovery(
        _ entries: [TabletID: [Entry]], _ report: LogRecoveryReport
    ) -> LogRecovery {
        var recovery = LogRecovery(tablets: [], metadata: [], tombstones: [], report: report)
        for (tablet, state) in index.tablets.sorted(by: { $0.key < $1.key }) {
            let last = state.runs.runs.last
            recovery.tablets.append(
                RecoveredTablet(
                    tablet: tablet, replica: state.replica, verdict: state.verdict,
                    hardState: state.hardState?.value, baseIndex: state.baseIndex,
                    baseTerm: state.base?.value.term ?? .zero, entries: entries[tablet] ?? [],
                    last: state.lastIndex, lastTerm: last?.term ?? state.base?.value.term ?? .zero))
        }
        for (key, placed) in index.metadata.sorted(by: { $0.key < $1.key }) {
            recovery.metadata.append((key, placed.value))
        }
        for (tablet, placed) in index.tombstones.sorted(by: { $0.key < $1.key }) {
            recovery.tombstones.append((tablet, placed.value.next))
        }
        return recovery
    }
}

extension RecordIndex.Tablet {
    /// Whether the replica's log is what it promised to be.
    var verdict: LogVerdict {
        if suspicion != nil { return .suspect }
        var lost: [ClosedRange<LogIndex>] = []
        var next = baseIndex.next
        for run in runs.runs {
            // Where nothing lies between two runs a mark went missing, too.
            if run.first > next { lost.append(next...run.first.previous) }
            if run.isDamaged { lost.append(run.first...run.last) }
            next = run.last.next
        }
        return lost.isEmpty ? .whole : .damaged(lost)
    }
}
