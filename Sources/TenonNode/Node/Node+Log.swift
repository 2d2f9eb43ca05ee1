package import TenonCore
import TenonLog
import TenonRaft

extension Node {
    /// Orders the next log write when the log thread is idle: all that gathered meanwhile goes in
    /// one batch (architecture section 6).
    func startLogWork(now: Instant) {
        guard writing == nil else { return }
        if !gathering.isEmpty {
            let batch = gathering
            gathering = LogGathering()
            writing = batch.tickets
            sealAt = nil
            if !batch.tickets.isEmpty { hasEntries = true }
            effects.logWork = .append(batch.records)
        } else if let due = sealAt, now >= due {
            sealAt = nil
            writing = []
            effects.logWork = .seal
        }
    }

    /// The log thread is done: what it wrote is durable, or the process ends (Rule L6).
    package func logFinished(_ result: LogResult, now: Instant) {
        guard let tickets = writing else {
            preconditionFailure("the log finished work that nobody ordered")
        }
        writing = nil
        logStatus = result.status
        if let failure = result.failure {
            effects.halt = "the log cannot be written: \(failure)"
            return
        }
        sealAt = result.needsSeal ? now + Node.sealDelay : nil
        for (tablet, ticket) in tickets { self.tablet(tablet)?.raft.persisted(ticket) }
    }

    /// Asks the tablets that hold the oldest segment to flush and trim when space gets short.
    func wantFlushesForLogSpace() {
        guard logStatus.wantsTrimming else { return }
        for id in logStatus.oldestSegmentTablets {
            guard let tablet = tablet(id), !tablet.isTrimming else { continue }
            tablet.isTrimming = true
            tablet.isFlushWanted = true
        }
    }
}

extension LogStatus {
    /// With so little room left only what frees space is proposed (Rule L6).
    var isNearlyFull: Bool { freeBytes < capacityBytes / 8 }

    /// With so little room left the tablets in the oldest segment are asked to flush and trim.
    var wantsTrimming: Bool { freeBytes < capacityBytes / 2 }
}
