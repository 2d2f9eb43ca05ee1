internal import TenonCore

/// What leaves a group: the ``Ready``, the messages, and what they wait for.
extension Raft {
    /// Whether ``takeReady()`` has anything to say.
    package var hasReady: Bool {
        hasUnwritten || commit > handedOut || isAnswerDue || !output.messages.isEmpty
            || !output.confirmedReads.isEmpty || !output.rejectedReads.isEmpty
            || !output.snapshotsWanted.isEmpty || output.announced != currentRole
            || (role == .leader && (output.isReplicationDue || isReadRoundDue))
            || (leader != nil && !following.gathering.isEmpty)
    }

    /// Takes out everything that is to be done outside, and starts a write ticket when something
    /// of it is to be written.
    package mutating func takeReady() -> Ready {
        if role == .leader {
            leaveJointConfiguration()
            if isReadRoundDue { broadcastHeartbeat() }
            replicate()
        } else {
            requestGatheredReads()
            answerAppends()
        }
        var ready = Ready()
        takeWrites(into: &ready)
        takeCommitted(into: &ready)
        swap(&ready.messages, &output.messages)
        swap(&ready.confirmedReads, &output.confirmedReads)
        swap(&ready.rejectedReads, &output.rejectedReads)
        swap(&ready.snapshotsWanted, &output.snapshotsWanted)
        if output.announced != currentRole {
            output.announced = currentRole
            ready.roleChange = currentRole
        }
        checkInvariants()
        return ready
    }

    /// Role, term and leader now.
    private var currentRole: RoleChange { RoleChange(role: role, term: term, leader: leader) }

    // MARK: Writes

    private var hardState: HardState { HardState(term: term, vote: vote, commit: commit) }

    /// Whether a ticket is due. A commit index alone is not worth a write: it goes along.
    private var hasUnwritten: Bool {
        term != writtenHardState.term || vote != writtenHardState.vote
            || writes.nextUnwritten <= log.lastIndex || output.logReset != nil
            || !output.repaired.isEmpty
    }

    private mutating func takeWrites(into ready: inout Ready) {
        guard hasUnwritten else { return }
        ready.logReset = output.logReset
        output.logReset = nil
        swap(&ready.repaired, &output.repaired)
        if hardState != writtenHardState {
            ready.hardState = hardState
            if isPlanted(.voteNotPersisted) { ready.hardState?.vote = .none }
            writtenHardState = hardState
        }
        ready.entries = log.entries(
            from: writes.nextUnwritten, through: log.lastIndex, bytesMax: .max)
        ready.ticket = writes.issue(end: log.lastIndex.next, now: clock)
    }

    private mutating func takeCommitted(into ready: inout Ready) {
        guard commit > handedOut else { return }
        ready.committed = log.entries(
            from: handedOut.next, through: commit, bytesMax: configuration.applyBytesMax)
        handedOut = handedOut.advanced(by: ready.committed.count)
    }

    /// The ticket whose end makes everything durable that this replica holds now.
    var coveringTicket: WriteTicket { hasUnwritten ? writes.lastIssued.next : writes.lastIssued }

    // MARK: Messages

    mutating func send(_ body: RaftMessage.Body, to receiver: ReplicaID) {
        output.messages.append(message(body, to: receiver))
    }

    /// Sends when the hard state and the log as they are now are durable.
    mutating func sendOnceDurable(_ body: RaftMessage.Body, to receiver: ReplicaID) {
        let ticket = coveringTicket
        if ticket <= writes.lastPersisted {
            send(body, to: receiver)
        } else {
            output.held.append((ticket, message(body, to: receiver)))
        }
    }

    /// Messages whose ticket is persisted may leave, unless their term is over.
    mutating func releaseHeldMessages() {
        let free = output.held.prefix { $0.ticket <= writes.lastPersisted }
        output.messages += free.lazy.map(\.message).filter { $0.term == term }
        output.held.removeFirst(free.count)
    }

    private func message(_ body: RaftMessage.Body, to receiver: ReplicaID) -> RaftMessage {
        RaftMessage(
            tablet: configuration.tablet, from: configuration.replica, to: receiver,
            epoch: configuration.epoch, term: term, body: body)
    }
}
