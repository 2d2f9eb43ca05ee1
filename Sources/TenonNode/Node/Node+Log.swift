package import TenonCore
import TenonLog
import TenonRaft

extension Node {
    /// Orders the next log write when the log thread is idle: all that gathered meanwhile goes in
    /// one batch (architecture section 6).
    func startLogWork(now: Instant) {
        guard writing == nil else { return }
        if !gathering.isEmpty, now >= logRetryAt {
            let batch = gathering.takeFirst(bytesMax: logBatchBytes)
            if !batch.tickets.isEmpty { hasEntries = true }
            write(batch, now: now)
        } else if gathering.canMakeRoom, now >= roomRetryAt {
            reached(.trimOvertookEntries)
            write(gathering.takeRoomMakers(), now: now)
        } else if let due = sealAt, now >= due {
            sealAt = nil
            writing = LogGathering()
            writingSince = now
            effects.logWork = .seal
        }
    }

    /// What goes to the log at once; after a refusal only what surely fits.
    private var logBatchBytes: Int {
        let half = logStatus.capacityBytes / 2
        return isLogFull ? min(half, logStatus.freeBytes / 8 * 7) : half
    }

    private func write(_ batch: LogGathering, now: Instant) {
        writing = batch
        writingSince = now
        sealAt = nil
        effects.logWork = .append(batch.records)
    }

    /// The log thread is done: what it wrote is durable, or it has no room, or the process ends
    /// (Rule L6).
    package func logFinished(_ result: LogResult, now: Instant) {
        guard let written = writing else {
            preconditionFailure("the log finished work that nobody ordered")
        }
        writing = nil
        logStatus = result.status
        noteLogDamage(result.status.damagedTablets)
        switch result.failure {
        case nil: break
        case .full where isPlanted(.fullLogPassesForWritten): break
        case .full: return logWasFull(for: written, now: now)
        case .some(let failure):
            effects.halt = "the log cannot be written: \(failure)"
            return
        }
        noteRoom(for: written)
        sealAt = result.needsSeal ? now + Node.sealDelay : nil
        for done in written.tickets {
            if done.ticket == Node.removalTicket {
                removeFolder(ofReplicaIn: done.tablet)
            } else if done.ticket == Node.halfTicket {
                halfRecorded(of: done.tablet)
            } else {
                tablet(done.tablet)?.raft.persisted(done.ticket)
            }
        }
    }

    /// Nothing was promised: the same records go first when there is room. Until then only what
    /// makes room is written, and leaders whose writes wait hand over.
    private func logWasFull(for refused: LogGathering, now: Instant) {
        gathering.prepend(refused)
        logRetryAt = now + Node.logRetryDelay
        // Not even what makes room has any: at once it would be refused again.
        if refused.entryBytes == 0 { roomRetryAt = logRetryAt }
        guard !isLogFull else { return }
        reached(.logWasFull)
        isLogFull = true
        notice(.error, "the log is full: writes wait until its tablets have flushed and trimmed")
    }

    private func noteRoom(for written: LogGathering) {
        // A trim may have made the room that the records before it wait for.
        logRetryAt = .zero
        roomRetryAt = .zero
        // The record of a half overtakes: that it fits says nothing of entries.
        let isOfEntries = written.tickets.contains { $0.ticket != Node.halfTicket }
        guard isLogFull, isOfEntries, gathering.entryBytes <= logStatus.freeBytes
        else { return }
        isLogFull = false
        notice(.info, "the log has room again")
    }

    /// Copying forward met damage: it has marked what is lost on the disk, and a start would repair
    /// it from the others (rules L2, L7). Until then this process has those entries in memory: a
    /// flush makes them needless. A tablet that stood still here would hold the log until it is
    /// full, for all tablets.
    private func noteLogDamage(_ damaged: [TabletID]) {
        for id in damaged where damageNoted.insert(id).inserted {
            guard let tablet = tablet(id) else { continue }
            reached(.logForwardingFoundDamage)
            tablet.isTrimming = true
            tablet.isFlushWanted = true
            notice(
                .error, "tablet \(id): its log is damaged on the disk: flushing what is in memory")
        }
    }

    /// Asks the tablets that hold the oldest segment to flush and trim when space gets short.
    func wantFlushesForLogSpace() {
        guard logStatus.wantsTrimming else { return }
        for id in logStatus.oldestSegmentTablets {
            guard let tablet = tablets.peek(id) else { continue }
            // Again while it is not done: a snapshot may have come in between a flush and its trim.
            let isUnderWay = tablet.isFlushWanted || tablet.storeJob != nil
            if tablet.isTrimming, isUnderWay { continue }
            tablet.isTrimming = true
            tablet.isFlushWanted = true
            tablets.touch(tablet)
        }
    }
}

extension Node {
    /// Whether only what frees space may be proposed: the rest of the log is kept for that. What
    /// is on its way to the log counts as written.
    var isLogShort: Bool {
        if isPlanted(.fullLogPassesForWritten) { return false }
        let underWay = gathering.entryBytes + (writing?.entryBytes ?? 0) + bytesTaken
        return isLogFull || logStatus.freeBytes - underWay < logStatus.capacityBytes / 8
    }

    /// Tells the tablets whether the log has room, and they tell their leaders (Rule L6).
    func noteLogRoom() {
        let isShort = isLogShort
        guard isShort != isLogShortNoted else { return }
        isLogShortNoted = isShort
        if isShort {
            notice(
                .error,
                "the log is nearly full: only what frees space is taken until its tablets have "
                    + "flushed and trimmed")
        } else {
            notice(.info, "the log has room for writes again")
        }
        for tablet in tablets.all { tablet.raft.isLogFull = isShort }
        tablets.touchAll()
        lookAtLedRests()
    }
}

extension LogStatus {
    /// With so little room left the tablets in the oldest segment are asked to flush and trim.
    var wantsTrimming: Bool { freeBytes < capacityBytes / 2 }
}
