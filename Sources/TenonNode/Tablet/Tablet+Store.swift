import TenonCore
import TenonKV
import TenonLog
import TenonRaft
import TenonStore

extension Tablet {
    /// How long a store job that found the disk full waits before it is made again (Rule L6).
    static let storeRetryDelay = TimeSpan.seconds(1)

    /// Starts what the store wants done: a flush when the memtable is full or wanted on disk,
    /// otherwise a compaction. One job at a time.
    func startStoreWork(now: Instant, into output: inout TabletOutput) {
        guard storeJob == nil, !isApplyPaused || witness.isTakingMetadata, now >= storeRetryAt,
            problem == nil || isRebuilding && witness.isTakingMetadata
        else { return }
        freezeIfDue(into: &output)
        guard let job = halfJob() ?? store.nextJob() else { return }
        run(job, into: &output)
    }

    /// Freezes the memtable for a flush. Never above what is durable in this node's own log
    /// (Rule L5): an entry may be committed by the others while it is not durable here.
    private func freezeIfDue(into output: inout TabletOutput) {
        guard store.wantsFlush || isFlushWanted || wantsFlushForSplit, store.canFreeze,
            !witness.isTakingMetadata
        else {
            return
        }
        let isDurable = machine.appliedIndex <= raft.durableIndex
        guard isDurable || isPlanted(.flushAheadOfLog) else { return }
        if let flushed = store.flushed, flushed.index == machine.appliedIndex {
            isFlushWanted = false
            // Nothing new to flush, but the log may still hold what was kept for followers.
            return isTrimming ? trim(into: &output) : ()
        }
        guard isStaged(into: &output) else { return }
        isFlushWanted = false
        witness.bytesPassed = 0
        let membership = raft.membership(at: machine.appliedIndex)
        do {
            let record = try machine.prepareFlush(configuration: Bytes(membership.encoded()))
            store.freezeMemtable(flush: record)
        } catch {
            quarantine("\(error)", into: &output)
        }
    }

    /// Rows of sessions that one turn writes into the memtable: a few milliseconds of work.
    static let sessionRowsPerTurn = 4_096

    /// Whether what is left of the sessions to write fits into the turn of the flush; otherwise
    /// writes a part of it (Rule S9). It gets done: while this goes on a turn applies fewer
    /// commands than it writes rows.
    private func isStaged(into output: inout TabletOutput) -> Bool {
        isStaging = machine.unwrittenSessionRows > Tablet.sessionRowsPerTurn
        guard isStaging else { return true }
        machine.stageFlush(atMost: Tablet.sessionRowsPerTurn)
        output.wantsTurn = true
        return false
    }

    func run(_ job: any StoreJob, into output: inout TabletOutput) {
        storeJob = job
        output.jobs.append((.storeSlice, .bulk, BackgroundJob.slice(of: job)))
    }

    /// A slice of the store's job ended.
    func storeSliceFinished(
        _ progress: StoreJobProgress, now: Instant, into output: inout TabletOutput
    ) {
        guard let job = storeJob else {
            preconditionFailure("tablet \(id): a slice of no job")
        }
        switch progress {
        case .more:
            output.jobs.append((.storeSlice, .bulk, BackgroundJob.slice(of: job)))
        case .finished(let result):
            storeJob = nil
            store.install(result)
            finished(result, into: &output)
            startStoreWork(now: now, into: &output)
        }
    }

    private func finished(_ result: StoreJobResult, into output: inout TabletOutput) {
        switch result.kind {
        case .flush where witness.isTakingMetadata:
            witness.isTakingMetadata = false
            beginRestore(into: &output)
        case .flush:
            machine.flushFinished()
            trim(into: &output)
        case .compaction: break
        case .split: halfMade(into: &output)
        case .checkpoint:
            if let key = checkpointFor { output.checkpoint = (key, result.snapshot) }
            checkpointFor = nil
        case .snapshotInstall: beginRestore(into: &output)
        }
    }

    /// The store holds a snapshot now: the state machine is taken back from it, a part a turn.
    private func beginRestore(into output: inout TabletOutput) {
        fetched.removeAll()
        contentDigest = ContentDigestState()
        output.wantsTurn = true
        do {
            restoring = try StateMachineRestore(
                store: store, tablet: id, bounds: machine.bounds, generation: machine.generation,
                configuration: machine.configuration)
        } catch {
            restoreFailed(error, into: &output)
        }
    }

    func continueRestore(into output: inout TabletOutput) {
        guard restoring != nil, !isRestoreWaiting, problem == nil || isRebuilding else { return }
        do {
            switch try restoring?.step() {
            case .needs(let read)?:
                isRestoreWaiting = true
                output.jobs.append((.restoreBlocks, .read, BackgroundJob.loading(read)))
            case .more?, nil:
                output.wantsTurn = true
            case .done(let restored)?:
                machine = restored
                writtenIndex = restored.appliedIndex
                if isPlanted(.sessionsLostInSnapshot) { machine.loseSessions() }
                restoring = nil
                output.isSnapshotInstalled = true
            }
        } catch {
            restoreFailed(error, into: &output)
        }
    }

    func resumeRestore(with loaded: LoadedBlocks) {
        restoring?.add(loaded)
        isRestoreWaiting = false
    }

    private func restoreFailed(_ error: KVError, into output: inout TabletOutput) {
        restoring = nil
        output.isSnapshotInstallFailed = true
        quarantine("the snapshot cannot be used: \(error)", into: &output)
    }

    func storeJobFailed(_ error: StoreError, now: Instant, into output: inout TabletOutput) {
        if case .snapshotInstall? = storeJob?.kind { output.isSnapshotInstallFailed = true }
        reached(.storeJobAbandoned)
        storeJob = nil
        checkpointFor = nil
        split.halfFailed()
        isApplyPaused = witness.isTakingMetadata
        store.abandonJob()
        switch error {
        case .damaged:
            reached(.storeDamageQuarantined)
            rebuild(because: "\(error)", into: &output)
        case .manifestFailed: output.halt = "tablet \(id): \(error)"
        default:
            reached(.storeJobRetriedLater)
            storeRetryAt = now + Tablet.storeRetryDelay
            output.notices.append(
                Notice(.warning, "tablet \(id): \(error); tried again in a second"))
        }
    }

    /// Entries that one turn frees: a few milliseconds of work.
    private static let entriesTrimmedPerTurn = 16_384

    /// Drops the entries that a flush made needless, but for what a follower that was away for a
    /// moment may still want. Many are dropped over several turns (Rule S9).
    func trim(into output: inout TabletOutput) {
        guard let flushed = store.flushed else { return }
        // Space comes first: a follower that is sent a snapshot may need another one.
        var bound = isTrimming ? flushed.index : min(flushed.index, trimHold ?? flushed.index)
        if let hold = split.hold, !raft.isLogFull { bound = min(bound, hold) }
        if isWitness { bound = min(bound, droppable(flushed: flushed.index)) }
        let bytes = isTrimming || isPlanted(.witnessDropsEarly) ? 0 : retainedLogBytes
        let point = raft.trimPoint(
            notAbove: bound, keepingBytes: bytes, entriesMax: Tablet.entriesTrimmedPerTurn)
        isTrimUnfinished =
            point.map {
                raft.basePosition.index.distance(to: $0.index) == Tablet.entriesTrimmedPerTurn
            } ?? false
        if isTrimUnfinished { output.wantsTurn = true } else { isTrimming = false }
        guard let through = point else { return }
        output.records.append(
            .trim(tablet: id, replica: replica, through: through.index, term: through.term))
        raft.trim(through: through.index)
    }
}

extension BackgroundJob {
    static func loading(_ read: BlockRead) -> @Sendable () -> JobOutcome {
        {
            do throws(StoreError) {
                return .blocks(try read.run())
            } catch {
                return .storeFailure(error)
            }
        }
    }

    static func slice(of job: any StoreJob) -> @Sendable () -> JobOutcome {
        {
            do throws(StoreError) {
                return .storeSlice(try job.runSlice())
            } catch {
                return .storeFailure(error)
            }
        }
    }
}
