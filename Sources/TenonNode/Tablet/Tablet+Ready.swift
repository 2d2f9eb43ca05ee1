import TenonCore
import TenonLog
import TenonRaft
import TenonWire

extension Tablet {
    /// How many commands, and keys that commands read, a turn applies before it lets others have
    /// the loop (Rule S9): 5 to 10 ms of work. The last entry may go beyond it.
    static let commandsAppliedPerTurn = 4_096

    /// Closes the tablet's turn: what was gathered is proposed and joins rounds, and whatever
    /// Raft makes ready goes on its way.
    func finishTurn(time: WallTime?, now: Instant, into output: inout TabletOutput) {
        lastTurn = now
        closeEntry(at: time, into: &output)
        startReads(now: now)
        while raft.hasReady { take(raft.takeReady(), into: &output) }
        continueRestore(into: &output)
        applyCommitted(into: &output)
        if !isApplyPaused { serveReads(into: &output) }
        if isTrimUnfinished || takesDropUp() { trim(into: &output) }
        // Applying may have let Raft go on: a new leader serves once its no-op is applied.
        closeEntry(at: time, into: &output)
        if raft.hasReady { output.wantsTurn = true }
    }

    private func take(_ ready: Ready, into output: inout TabletOutput) {
        persist(ready, into: &output)
        output.messages.append(contentsOf: ready.messages)
        // One that is quarantined applies nothing more: what it would apply is not kept.
        if problem == nil { applyQueue.append(contentsOf: ready.committed) }
        fetchAhead(ready.entries, into: &output)
        fetchAhead(ready.committed, into: &output)
        for read in ready.confirmedReads {
            guard let since = reads.confirm(read.token, index: read.index) else { continue }
            raft.noteClosed(read.index, since: since)
        }
        for token in ready.rejectedReads { reject(token, into: &output) }
        for follower in ready.snapshotsWanted { output.snapshotsWanted.append((id, follower)) }
        if let change = ready.roleChange { changeRole(change, into: &output) }
    }

    private func persist(_ ready: Ready, into output: inout TabletOutput) {
        guard let ticket = ready.ticket else { return }
        if let reset = ready.logReset {
            output.records.append(
                .reset(tablet: id, replica: replica, at: reset.index, term: reset.term))
        }
        if !ready.repaired.isEmpty {
            output.records.append(
                .repaired(tablet: id, replica: replica, entries: ready.repaired))
        }
        if let hardState = ready.hardState {
            output.records.append(.hardState(tablet: id, replica: replica, hardState))
        }
        if !ready.entries.isEmpty {
            output.records.append(
                .entries(tablet: id, replica: replica, entries: ready.entries))
        }
        output.tickets.append((id, ticket))
    }

    private func reject(_ token: ReadToken, into output: inout TabletOutput) {
        for read in reads.take(token) ?? [] {
            answer(read.waiter, .refusal(notServing), into: &output)
        }
    }

    private func changeRole(_ change: RoleChange, into output: inout TabletOutput) {
        let leader = change.leader.flatMap { node(of: $0) }.map { "node \($0)" } ?? "nobody"
        output.notices.append(
            Notice(
                .info,
                "tablet \(id): \(change.role) in term \(change.term), led by \(leader)"))
        output.isReportDue = true
        if change.role == .candidate { noteElection() }
        if change.role == .leader { lastClientVersion = max(lastClientVersion, clock.last) }
        if change.role != .leader {
            split.proposed = nil
            refuseAll(notServing, into: &output)
        }
    }
}
