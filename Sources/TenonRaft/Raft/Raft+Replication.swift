package import TenonCore

/// A leader's side of replication: proposals, appends, heartbeats and what the answers tell.
extension Raft {
    /// The configuration in force: the newest in the log, committed or not (Rule C4).
    package var membership: Membership {
        isPlanted(.configurationActiveOnApply) ? history.membership(at: applied) : history.active
    }

    /// The newest configuration in the log, for checks from outside.
    package var membershipInLog: Membership { history.active }

    func checkProposal(bytes: Int) throws(ProposalError) {
        guard role == .leader else { throw .notLeader(hint: leader) }
        // A witness leads only to hand over (Rule C7).
        guard leadership.transfer == nil, !leadership.isMuted, !isWitness else {
            throw .transferring
        }
        // A payload over the bound stands alone; that it may be so large is the node's to check.
        let sum = leadership.uncommittedBytes + bytes
        guard leadership.uncommittedBytes == 0 || sum <= configuration.uncommittedBytesMax else {
            throw .overloaded
        }
    }

    /// Makes `membership` the group's configuration: in force at once, kept when it commits.
    ///
    /// - Throws: ``ProposalError``, `.configurationUnderWay` among them: two changes under way
    ///   could be undone one without the other, and one proposed before the leader's term has a
    ///   committed entry can meet an older leader's (section 4.1).
    mutating func proposeMembership(
        _ membership: Membership
    ) throws(ProposalError) -> LogIndex {
        let payload = membership.encoded()
        try checkProposal(bytes: payload.count)
        guard isReadyToServe, history.activeIndex <= commit else { throw .configurationUnderWay }
        defer { checkInvariants() }
        return appendAsLeader(.configuration, payload, membership)
    }

    /// Appends to the leader's log; ``takeReady()`` sends it before the leader's own disk has it.
    mutating func appendAsLeader(
        _ kind: EntryKind, _ payload: [UInt8], _ membership: Membership? = nil
    ) -> LogIndex {
        if kind != .noop { becomeBusy() }
        let index = log.lastIndex.next
        log.append(Entry(index: index, term: term, kind: kind, payload: payload))
        leadership.uncommittedBytes += payload.count
        if let membership {
            history.append(membership, at: index)
            adoptMembershipAsLeader()
        }
        output.isReplicationDue = true
        return index
    }

    /// Follows the members of the configuration in force, no others.
    mutating func adoptMembershipAsLeader() {
        let known = leadership.progress
        leadership.progress = membership.members.compactMap { member in
            if member.replica == configuration.replica { return nil }
            return known.first { $0.member == member }
                ?? Progress(member: member, next: log.lastIndex.next, now: clock)
        }
        output.isReplicationDue = true
    }

    // MARK: Sending

    /// Sends every follower what it lacks, as far as the windows allow. A silent leader sends
    /// nothing: an append would be heard like a heartbeat.
    mutating func replicate() {
        output.isReplicationDue = false
        guard !leadership.isMuted else { return }
        for position in leadership.progress.indices { replicate(to: position) }
    }

    private mutating func replicate(to position: Int) {
        while leadership.progress[position].maySend(last: log.lastIndex, configuration) {
            let next = leadership.progress[position].next
            guard let previousTerm = log.term(at: next.previous) else {
                return wantSnapshot(for: position)
            }
            let entries = log.entries(
                from: next, through: log.lastIndex, bytesMax: configuration.messageBytesMax)
            leadership.progress[position].sent(
                count: entries.count, bytes: entries.reduce(0) { $0 + $1.encodedBytes },
                round: leadership.lastRound)
            let append = RaftMessage.Append(
                previous: LogPosition(index: next.previous, term: previousTerm), commit: commit,
                entries: entries)
            send(.append(append), to: leadership.progress[position].replica)
        }
    }

    /// Starts a round of heartbeats, which carries the reads that wait for one.
    mutating func broadcastHeartbeat() {
        leadership.heartbeatDeadline = clock + configuration.heartbeatInterval
        guard !leadership.isMuted else { return }
        leadership.lastRound += 1
        if isReadyToServe {
            leadership.reads.startRound(leadership.lastRound, index: commit)
        }
        let closed = closeRound()
        noteHeldElsewhere()
        for progress in leadership.progress {
            let heartbeat = RaftMessage.Heartbeat(
                round: leadership.lastRound, sentAt: clock, wallTime: wallTime,
                commit: min(progress.match, commit), sentThrough: progress.sentThrough,
                wantsPromise: usesLeases, closed: closedAnswer(to: progress, closed),
                heldElsewhere: progress.member.isWitness ? heldElsewhere : .zero)
            send(.heartbeat(heartbeat), to: progress.replica)
        }
        // With one voter there is nobody to wait for.
        confirmReads()
    }

    /// Says to which nodes messages are relayed at the moment (Rule C8): followers there are sent
    /// one append at a time. One that does not lead, or rests, takes no note.
    package mutating func noteRelays(_ isRelayed: (NodeID) -> Bool) {
        guard role == .leader, !isResting else { return }
        for position in leadership.progress.indices {
            let node = leadership.progress[position].member.node
            if leadership.progress[position].take(
                relay: isRelayed(node), round: leadership.lastRound)
            {
                output.isReplicationDue = true
            }
        }
        checkInvariants()
    }

    // MARK: Answers

    mutating func receiveAccepted(_ match: LogIndex, from follower: ReplicaID) {
        guard role == .leader, match <= log.lastIndex,
            let position = leadership.position(of: follower)
        else { return }
        accept(match, at: position)
    }

    mutating func receiveRejected(
        _ previous: LogIndex, hint: LogPosition, from follower: ReplicaID
    ) {
        guard role == .leader, let position = leadership.position(of: follower) else { return }
        // Both logs are cut back by term at once, so that it takes one round trip for each term in
        // which they differ, not for each entry (section 3.5).
        let guess = log.lastPosition(atMost: hint.index, term: hint.term)
        if leadership.progress[position].rejected(previous, guess: guess.index) {
            output.isReplicationDue = true
        }
    }

    mutating func receive(_ answer: RaftMessage.HeartbeatAnswer, from follower: ReplicaID) {
        guard role == .leader, answer.round <= leadership.lastRound,
            answer.durable <= answer.received, answer.applied <= answer.received,
            answer.received <= log.lastIndex,
            let position = leadership.position(of: follower)
        else { return }
        leadership.progress[position].heard(answer, now: clock)
        accept(answer.durable, at: position)
        leadership.progress[position].agreed(through: answer.received)
        leadership.progress[position].noticeLoss(answer, round: leadership.lastRound)
        confirmReads()
    }

    private mutating func accept(_ match: LogIndex, at position: Int) {
        leadership.progress[position].accepted(match, now: clock)
        output.isReplicationDue = true
        advanceCommitAsLeader()
        handOverFromWitness()
        sendTimeoutNowIfDue()
    }

    /// Commits what a quorum holds durably, in two sites where the configuration asks for it
    /// (Rule C6): that holds for every entry, so a new leader's first one, too, and without it no
    /// read is linearizable.
    ///
    /// Only an entry of the current term commits by counting; those before it commit with it
    /// (section 3.6.2, figure 3.7): an entry of an older term on a quorum may still be replaced.
    mutating func advanceCommitAsLeader() {
        let slowest =
            isPlanted(.slowestVoterCounts) ? leadership.progress.map(\.match).min() : nil
        let commitable = membership.commitValue { voter in
            if let slowest { return min(slowest, writes.durable) }
            if voter == configuration.replica { return writes.durable }
            guard let position = leadership.position(of: voter) else { return .zero }
            return leadership.progress[position].match
        }
        guard let reached = commitable else { return }
        let isOwnTerm = log.term(at: reached) == term || isPlanted(.oldTermCommittedByCounting)
        guard reached > commit, isOwnTerm else { return }
        for index in commit.next.rawValue...reached.rawValue {
            leadership.uncommittedBytes -= log[LogIndex(index)].payload.count
        }
        advanceCommit(to: reached)
    }

    /// What is committed stays so: nothing lowers the index again.
    mutating func advanceCommit(to index: LogIndex) {
        precondition(
            index >= commit && index <= log.lastIndex,
            "commit from \(commit) to \(index) in a log that ends at \(log.lastIndex)")
        commit = index
        stall.note(applied: applied, commit: commit, now: clock)
    }

    /// Bytes of the payloads after the commit index. - Complexity: O(their number).
    var uncommittedBytes: Int {
        guard commit < log.lastIndex else { return 0 }
        return (commit.next.rawValue...log.lastIndex.rawValue).reduce(0) {
            $0 + log[LogIndex($1)].payload.count
        }
    }
}
