package import TenonCore
import TenonStore

extension Node {
    /// A background job ended.
    package func jobFinished(_ job: JobID, _ outcome: JobOutcome, now: Instant) {
        guard let purpose = jobs.removeValue(forKey: job) else {
            preconditionFailure("job \(job) finished twice, or was never started")
        }
        switch purpose {
        case .tablet(let id, let replica, let tabletJob):
            guard let tablet = tablet(id), tablet.replica == replica else { return }
            with(tablet) { finished(tabletJob, outcome, of: tablet, now: now, into: &$0) }
        case .saveDirectory: directorySaved(outcome)
        case .openReplica(let record): replicaOpened(record, outcome, now: now)
        case .saveIdentity(let identity):
            if case .fileFailure(let error) = outcome {
                effects.halt = "the node's identity cannot be written: \(error)"
            } else {
                identitySaved(identity, now: now)
            }
        case .snapshotSend(let key): snapshotSendFinished(key, outcome, now: now)
        case .snapshotReceive(let key): snapshotReceiveFinished(key, outcome, now: now)
        case .cleanUp:
            if case .fileFailure(let error) = outcome { notice(.warning, "\(error)") }
        }
    }

    private func finished(
        _ job: TabletJob, _ outcome: JobOutcome, of tablet: Tablet, now: Instant,
        into output: inout TabletOutput
    ) {
        switch (job, outcome) {
        case (.readBlocks(let number), .blocks(let loaded)):
            tablet.resumeRead(number, with: loaded, into: &output)
        case (.writeBlocks(let number), .blocks(let loaded)):
            tablet.resumeWrite(number, with: loaded, into: &output)
        case (.entryBlocks(let index, let term), .blocks(let loaded)):
            tablet.resumeEntry(index, term, with: loaded, into: &output)
        case (.restoreBlocks, .blocks(let loaded)):
            tablet.resumeRestore(with: loaded)
        case (.directoryBlocks, .blocks(let loaded)): resumeDirectoryScan(with: loaded)
        case (.digestBlocks, .blocks(let loaded)):
            tablet.contentDigest.blocks.add(loaded)
            tablet.contentDigest.isWaiting = false
        case (.storeSlice, .storeSlice(let progress)):
            tablet.storeSliceFinished(progress, now: now, into: &output)
        case (.storeSlice, .storeFailure(let error)):
            tablet.storeJobFailed(error, now: now, into: &output)
        case (.scrubSlice, .scrubbed(let bytes)):
            tablet.scrubbed(bytes: bytes)
        case (.scrubSlice, .storeFailure(let error)):
            tablet.scrubFailed(error, into: &output)
        case (_, .storeFailure(let error)):
            tablet.rebuild(because: "\(error)", into: &output)
        default:
            preconditionFailure("job \(job) of tablet \(tablet.id) gave \(outcome)")
        }
    }
}
