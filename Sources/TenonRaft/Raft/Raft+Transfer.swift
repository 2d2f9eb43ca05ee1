package import TenonCore

/// Handing leadership over: on request, and when the leader's own disk stalls.
extension Raft {
    /// Hands leadership to `target` (section 3.10). From now on proposals are refused; when the
    /// target has everything it is told to stand for election. After an election timeout without
    /// one the transfer is given up and proposals are taken again.
    ///
    /// - Throws: ``TransferError``; only a voter that keeps up is taken (Rule C4), for another
    ///   would leave the group without a leader until it has caught up.
    package mutating func transferLeadership(
        to target: ReplicaID, now: Instant
    ) throws(TransferError) {
        advanceClock(to: now)
        guard role == .leader else { throw .notLeader(hint: leader) }
        guard target != configuration.replica else { throw .alreadyLeader }
        guard membership.isVoter(target), let position = leadership.position(of: target) else {
            throw .notVoter
        }
        // It would only hand it on (Rule C7).
        guard !leadership.progress[position].member.isWitness else { throw .witness }
        if let transfer = leadership.transfer { throw .underWay(to: transfer.target) }
        becomeBusy()
        finishWaking()
        // What was proposed in this turn is under way too.
        replicate()
        let progress = leadership.progress[position]
        guard isKeepingUp(progress), isPrompt(progress) else { throw .notCaughtUp }
        beginTransfer(to: target)
        checkInvariants()
    }

    /// Lets go of leadership without a successor, and leaves the next election to the others.
    package mutating func stepDown(now: Instant) {
        advanceClock(to: now)
        guard role == .leader else { return }
        becomeFollower(term)
        electionDeadline = electionDeadline + configuration.electionTimeoutMax * 2
        checkInvariants()
    }

    mutating func beginTransfer(to target: ReplicaID) {
        leadership.transfer = Transfer(
            target: target, deadline: clock + configuration.electionTimeoutMin)
        sendTimeoutNowIfDue()
    }

    /// Whether all that the follower lacks is already under way to it.
    func isKeepingUp(_ progress: Progress) -> Bool {
        progress.state == .replicate && progress.next == log.lastIndex.next
            && clock < progress.heardAt + configuration.electionTimeoutMin
    }

    /// Whether the follower has all that the log held a moment ago, and has applied it: one whose
    /// disk stalls, or that writes down what it missed, would keep all proposals waiting until the
    /// transfer is given up; one that applies what it missed would lead, and answer nobody.
    private func isPrompt(_ progress: Progress) -> Bool {
        let patience = configuration.electionTimeoutMin / 4
        let roundTrip = progress.clock?.roundTrip ?? .zero
        // One that leads for less than that has only newer notes.
        let written = leadership.logEnds.last { $0.at + patience + roundTrip <= clock }
        guard
            progress.match >= (written ?? leadership.logEnds.first)?.index ?? log.lastIndex
        else { return false }
        // An entry is committed a round trip later, and told to be, applied and answered for with
        // the heartbeats after that.
        let applied = leadership.logEnds.last {
            $0.at + patience * 2 + roundTrip * 2 <= clock
        }
        return progress.applied >= min(applied?.index ?? .zero, commit)
    }

    /// Remembers where the log ends now, for as long as ``isPrompt(_:)`` may ask.
    private mutating func noteLogEnd() {
        let span = configuration.electionTimeoutMin
        leadership.logEnds.append((at: clock, index: log.lastIndex))
        let outdated = leadership.logEnds.dropFirst().prefix { $0.at + span <= clock }
        leadership.logEnds.removeFirst(outdated.count)
    }

    /// Tells the target to stand for election as soon as it has the whole log.
    mutating func sendTimeoutNowIfDue() {
        guard let transfer = leadership.transfer, !transfer.isSent,
            let position = leadership.position(of: transfer.target),
            leadership.progress[position].match == log.lastIndex
        else { return }
        leadership.transfer?.isSent = true
        leadership.hasOrderedElection = true
        if isPlanted(.transferTargetNotTold) { return }
        send(.timeoutNow, to: transfer.target)
    }

    /// The leader wants this replica to take over: stand for election at once, without a pre-vote,
    /// for the others have heard from the leader a moment ago.
    mutating func receiveTimeoutNow(from sender: ReplicaID) {
        // Without its disk it could not vote for itself, and would only depose its leader.
        guard role == .follower, sender == leader, isVoter, isWhole, !isLogStalled else { return }
        startElection(isTransfer: true)
    }

    // MARK: Time

    mutating func tickAsLeader() {
        leadership.tickDeadline = clock + configuration.heartbeatInterval
        if isResting {
            if clock >= leadership.heartbeatDeadline, leadership.reads.count > 0 {
                broadcastHeartbeat()
            }
            return
        }
        finishWaking()
        noteLogEnd()
        if stepDownWithoutQuorum() { return }
        endLateTransfer()
        handOverFromWitness()
        handOverWhenStalled()
        leaveJointConfiguration()
        if clock >= leadership.heartbeatDeadline {
            // Asked again: the request may have been lost.
            leadership.transfer?.isSent = false
            broadcastHeartbeat()
            sendTimeoutNowIfDue()
        }
    }

    private mutating func endLateTransfer() {
        guard let transfer = leadership.transfer, clock >= transfer.deadline else { return }
        reached(.transferLate)
        leadership.lateTarget = transfer.target
        leadership.transfer = nil
        // Nobody took over from a leader whose disk stalls: fall silent, and be replaced.
        if isStalled { muteForOthers() }
    }

    /// Leadership depends on the disk (architecture, section 4, rule 6): a leader whose oldest
    /// write or oldest unapplied commit is too old, or whose log is full, looks for a successor
    /// that keeps up. One voter alone has nobody to make room for.
    private mutating func handOverWhenStalled() {
        if isPlanted(.stalledLeaderStays) { return }
        if !isStalled || isLogFull {
            leadership.stalledAloneAt = nil
            unmute()
        }
        guard isStalled || isLogFull, !leadership.isMuted, leadership.transfer == nil,
            !otherVotersProgress.isEmpty
        else { return }
        replicate()
        if let successor {
            reached(.leaderHandsOverWhenStalled)
            leadership.stalledAloneAt = nil
            beginTransfer(to: successor)
        } else if isStalled {
            // For as long again nobody is asked to do better: where one disk or one machine is
            // behind all stalls, they end together.
            let since = leadership.stalledAloneAt ?? clock
            leadership.stalledAloneAt = since
            if clock.since(since) >= configuration.stallBound { muteForOthers() }
        }
    }

    /// Sends no more heartbeats, so that others elect a leader. Not when none of them has room
    /// either: then leadership stays, and with it the reads (Rule L6). Nor when this log is
    /// merely full: who has room catches up, and is handed the leadership.
    private mutating func muteForOthers() {
        guard !isLogFull, quorumHasRoom else { return }
        reached(.leaderMutedWhenStalled)
        leadership.isMuted = true
    }

    /// Who may take over from a leader that cannot go on. Nobody, when a quorum has no room: votes
    /// wait for room like entries, and an election would only end the leadership that there is.
    private var successor: ReplicaID? {
        guard quorumHasRoom else { return nil }
        return
            otherVotersProgress
            .filter {
                isKeepingUp($0) && isGoingOn($0) && !$0.isLogFull && !$0.member.isWitness
            }
            .max { ($0.match, $1.replica) < ($1.match, $0.replica) }?.replica
    }

    /// Whether the follower's disk does what it is asked to: it has everything, or got on lately.
    /// One that stalls like this one would only hand the leadership back.
    private func isGoingOn(_ progress: Progress) -> Bool {
        progress.match == log.lastIndex
            || clock < progress.advancedAt + configuration.stallBound / 2
    }

    private var quorumHasRoom: Bool { membership.hasQuorum(hasRoom) }

    /// More than a quorum may be needed for a commit (Rule C6).
    private var commitHasRoom: Bool { membership.canCommit(hasRoom) }

    private func hasRoom(_ voter: ReplicaID) -> Bool {
        if voter == configuration.replica { return !isLogFull }
        guard let position = leadership.position(of: voter) else { return false }
        return !leadership.progress[position].isLogFull
    }

    /// Where the group has room for more entries, as its leader knows it (Rule L6).
    package var room: LogRoom {
        guard isLogFull || leadership.progress.contains(where: \.isLogFull) else { return .here }
        guard commitHasRoom else { return .nowhere }
        guard isLogFull else { return .here }
        return successor == nil ? .nowhere : .elsewhere
    }

    private mutating func unmute() {
        guard leadership.isMuted else { return }
        leadership.isMuted = false
        output.isReplicationDue = true
    }

    /// Whether this replica's log or state machine has not moved for the stall bound.
    package var isStalled: Bool { isLogStalled || isOverdue(stall.since) }

    /// Whether the oldest write under way has not ended for the stall bound.
    var isLogStalled: Bool { isDiskStalled || isOverdue(writes.pending.first?.issuedAt) }

    private func isOverdue(_ start: Instant?) -> Bool {
        guard let start else { return false }
        return clock.since(start) > configuration.stallBound
    }

    private var otherVotersProgress: [Progress] {
        leadership.progress.filter { membership.isVoter($0.replica) }
    }
}
