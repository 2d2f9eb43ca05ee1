package import TenonCore

/// Elections: pre-vote, votes, stickiness, check-quorum, and the changes of role.
extension Raft {
    /// Whether this replica has a vote in the configuration in force.
    package var isVoter: Bool { membership.isVoter(configuration.replica) }

    /// A voter has heard no leader for its timeout: ask whether an election could be won.
    ///
    /// Pre-vote (section 9.6): a replica that was cut off does not raise its term, and so does not
    /// depose a healthy leader when it comes back.
    mutating func standForElection() {
        // Its own vote is one, too. Leaders are not forgotten by a promise that is kept.
        if hasPromised { return putOffElection() }
        forgetLeader()
        electionDeadline = clock + randomElectionTimeout()
        // Without its disk it could not vote for itself, and would only raise the term.
        // One that was made by a split and has not the split's content yet is not to lead.
        // With lost entries it could be elected without what it promised (Rule L7).
        guard isVoter, !isLogStalled, isWhole, log.last >= configuration.birth else {
            return role = .follower
        }
        if isPlanted(.everyTimeoutRaisesTerm) { return startElection(isTransfer: false) }
        role = .preCandidate
        election = Election()
        election.record(true, from: configuration.replica)
        for voter in otherVoters { send(.preVoteRequest(last: log.last), to: voter) }
        concludeElection()
    }

    /// Ask for votes in a new term. The requests leave when the term, the vote for itself and the
    /// log they speak of are durable: otherwise a crash could take back an entry on whose account
    /// a vote was given, and the same vote would elect the replica without it.
    mutating func startElection(isTransfer: Bool) {
        forgetLeader()
        enter(term.next, votingFor: configuration.replica)
        role = .candidate
        electionDeadline = clock + randomElectionTimeout()
        election = Election()
        election.ownVoteTicket = coveringTicket
        for voter in otherVoters {
            sendOnceDurable(.voteRequest(last: log.last, isTransfer: isTransfer), to: voter)
        }
        countOwnVote()
    }

    /// The candidate's vote counts like any other: once it is durable.
    mutating func countOwnVote() {
        guard election.ownVoteTicket <= writes.lastPersisted else { return }
        count(true, from: configuration.replica)
    }

    mutating func count(_ granted: Bool, from voter: ReplicaID) {
        if isPlanted(.voteCountedTwice), election.ballot(of: voter) != nil,
            let silent = otherVoters.first(where: { election.ballot(of: $0) == nil })
        {
            election.record(granted, from: silent)
        }
        election.record(granted, from: voter)
        concludeElection()
    }

    private mutating func concludeElection() {
        switch membership.outcome({ election.ballot(of: $0) }) {
        case .pending:
            break
        case .lost:
            reached(role == .preCandidate ? .preVoteLost : .electionLost)
            role = .follower
        case .won:
            if role == .preCandidate { startElection(isTransfer: false) } else { becomeLeader() }
        }
    }

    /// Answers a pre-vote. A yes promises nothing, so it needs no disk.
    mutating func answerPreVote(from candidate: ReplicaID, last: LogPosition) {
        guard !isSticky, isWhole else { return }
        send(.preVoteAnswer(granted: isUpToDate(last)), to: candidate)
    }

    /// Answers by the sender's ReplicaID, not by this replica's idea of the membership: its
    /// configuration may be older than the candidate's (Rule C4).
    mutating func answerVote(from candidate: ReplicaID, last: LogPosition) {
        guard isWhole else { return }
        guard vote == .none || vote == candidate, isUpToDate(last) else {
            return send(.voteAnswer(granted: false), to: candidate)
        }
        role = .follower
        vote = candidate
        electionDeadline = clock + randomElectionTimeout()
        sendOnceDurable(.voteAnswer(granted: true), to: candidate)
    }

    /// Whether a candidate whose log ends at `last` may lead: it has all that this replica has, and
    /// what the group began with (Raft, section 3.6.1).
    private func isUpToDate(_ last: LogPosition) -> Bool {
        last >= log.last && last >= configuration.birth
    }

    /// Whether a leader is there, so that votes are refused (section 4.2.3). A leader that found
    /// its own disk stalled does not count as one.
    var isSticky: Bool {
        if isPlanted(.everyTimeoutRaisesTerm) { return false }
        if role == .leader { return !leadership.isMuted }
        guard let leaderHeardAt else { return false }
        return clock < leaderHeardAt + configuration.electionTimeoutMin
    }

    /// Brings this replica to the message's term, or the sender to ours.
    /// - Returns: whether the message is of the current term and to be looked at.
    mutating func agreeOnTerm(with message: RaftMessage) -> Bool {
        if message.term < term {
            answerOldTerm(message)
            return false
        }
        switch message.body {
        case .voteRequest(_, isTransfer: false) where isSticky || hasPromised,
            .preVoteRequest where isSticky || hasPromised:
            reached(.stickyVoterKeptLeader)
            // Before its term is adopted: that alone would depose the leader.
            return false
        case .append, .heartbeat:
            precondition(
                message.term > term || role != .leader,
                "two leaders of term \(term): \(configuration.replica) and \(message.from)")
            hearLeader(message.from, term: message.term)
        default:
            if message.term > term { becomeFollower(message.term) }
        }
        return true
    }

    /// A sender that is behind must learn so: a leader to step down, a candidate to catch up.
    /// Without it a replica with a newer term, which no leader can reach, is never heard again.
    private mutating func answerOldTerm(_ message: RaftMessage) {
        reached(.oldTermAnswered)
        switch message.body {
        case .append, .heartbeat: send(.newerTerm, to: message.from)
        case .preVoteRequest where !isSticky: send(.preVoteAnswer(granted: false), to: message.from)
        case .voteRequest where !isSticky: send(.voteAnswer(granted: false), to: message.from)
        default: break
        }
    }

    /// Follows nobody in `newTerm`, which may be the current one.
    mutating func becomeFollower(_ newTerm: Term) {
        if role != .follower { electionDeadline = clock + randomElectionTimeout() }
        forgetLeader()
        role = .follower
        if newTerm > term { enter(newTerm, votingFor: .none) }
        following.matched = max(following.matched, commit)
    }

    mutating func hearLeader(_ sender: ReplicaID, term newTerm: Term) {
        precondition(
            newTerm > term || leader == nil || leader == sender,
            "two leaders of term \(term): \(leader ?? .none) and \(sender)")
        if newTerm > term || leader != sender { becomeFollower(newTerm) }
        leader = sender
        leaderHeardAt = clock
        electionDeadline = clock + randomElectionTimeout()
    }

    /// No leader is known any more; what waited for one is given up.
    mutating func forgetLeader() {
        isResting = false
        if role == .leader { abandonLeadership() }
        rejectFollowerReads()
        leader = nil
        leaderHeardAt = nil
    }

    private mutating func enter(_ newTerm: Term, votingFor candidate: ReplicaID) {
        precondition(newTerm > term, "entering term \(newTerm) from \(term)")
        term = newTerm
        vote = candidate
        following = Following(matched: commit, firstBatch: following.nextBatch)
    }

    private mutating func becomeLeader() {
        precondition(vote == configuration.replica, "leading on a vote for \(vote)")
        role = .leader
        leader = configuration.replica
        leadership = Leadership()
        leadership.electedAt = clock
        leadership.heartbeatDeadline = clock
        leadership.tickDeadline = clock
        leadership.uncommittedBytes = uncommittedBytes
        adoptMembershipAsLeader()
        // Entries of earlier terms commit only together with one of this (section 3.6.2).
        _ = appendAsLeader(.noop, [])
        broadcastHeartbeat()
    }

    private mutating func abandonLeadership() {
        output.rejectedReads += leadership.reads.takeLocalTokens()
        leadership = Leadership()
        output.snapshotsWanted = []
    }

    /// A leader that reaches no quorum steps down: clients go elsewhere, and followers that do
    /// reach one another need not wait for it (section 6.2).
    mutating func stepDownWithoutQuorum() -> Bool {
        if isPlanted(.deafLeaderStays) || isPlanted(.isolatedLeaderServes) { return false }
        let bound = configuration.electionTimeoutMin
        let isHeard = membership.hasQuorum { voter in
            if voter == configuration.replica { return true }
            guard let position = leadership.position(of: voter) else { return false }
            return clock < leadership.progress[position].heardAt + bound
        }
        if !isHeard {
            reached(.leaderSteppedDownWithoutQuorum)
            becomeFollower(term)
        }
        return !isHeard
    }

    /// The connection to `node` was refused or reset (Rule C1). When the leader was there it is
    /// not waited for any longer; when a follower was, what was under way to it is sent again.
    ///
    /// - Parameter spread: over how long the elections of all groups that learn of it at the same
    ///   time are spread; a heartbeat interval at least.
    package mutating func peerUnreachable(
        node: NodeID, now: Instant, spread: TimeSpan = .zero
    ) {
        advanceClock(to: now)
        if role == .leader {
            // One that rests sends nothing; its node wakes it when the other is back.
            for position in leadership.progress.indices
            where !isResting && leadership.progress[position].member.node == node
                && leadership.progress[position].state == .replicate
            {
                leadership.progress[position].restart(round: leadership.lastRound)
                output.isReplicationDue = true
            }
        } else if let leader,
            membership.node(of: leader) == node,
            !isPlanted(.silentLeaderKept)
        {
            forgetLeader()
            // All followers learn of it in the same moment. A part of a heartbeat apart, the first
            // gets all votes; at exactly the same time they split them.
            electionDeadline =
                clock + reluctance
                + randomSpan(below: max(spread, configuration.heartbeatInterval))
        }
        checkInvariants()
    }

    /// Stands for election at once: an operator's or the node's wish. A leader ignores it.
    package mutating func campaign(now: Instant) {
        advanceClock(to: now)
        if role != .leader { standForElection() }
        checkInvariants()
    }

    mutating func randomElectionTimeout() -> TimeSpan {
        let minimum = configuration.electionTimeoutMin
        let spread = configuration.electionTimeoutMax.nanoseconds - minimum.nanoseconds
        return TimeSpan(
            nanoseconds: minimum.nanoseconds + reluctance.nanoseconds
                + randomSpan(below: TimeSpan(nanoseconds: spread)).nanoseconds)
    }

    /// How much longer than others this replica waits before it stands for election.
    var reluctance: TimeSpan {
        switch isWitness ? .witness : priority {
        case .first: .zero
        case .away: configuration.electionTimeoutMin * 3 / 10
        case .second: configuration.electionTimeoutMax
        case .last: configuration.electionTimeoutMax * 2
        case .witness: configuration.electionTimeoutMax * 5 / 2
        }
    }

    mutating func randomSpan(below bound: TimeSpan) -> TimeSpan {
        TimeSpan(nanoseconds: random.below(bound.nanoseconds))
    }

    private var otherVoters: [ReplicaID] {
        membership.members.map(\.replica)
            .filter { $0 != configuration.replica && membership.isVoter($0) }
    }
}
