package import TenonCore

/// Groups that rest (Rule C9).
///
/// A group in which nothing happens costs nothing: its leader sends no heartbeats and its followers
/// wait for none, while the nodes' own heartbeats speak for all such groups at once. The node says
/// when a replica rests and when it must not any longer; any event that matters ends the rest by
/// itself. Resting touches liveness only: votes, commits and reads go by the same rules as ever, and
/// a read is confirmed by a round of its own, which followers answer in their rest.
extension Raft {
    /// Where a group stands that could rest.
    package struct RestPoint: Hashable, Sendable {
        package var leader: ReplicaID
        package var term: Term
        /// The last entry: committed, and of `term`, so that a log that ends there is this log.
        package var commit: LogIndex

        package init(leader: ReplicaID, term: Term, commit: LogIndex) {
            self.leader = leader
            self.term = term
            self.commit = commit
        }
    }

    /// Since when a leader has had nothing to do; nil on others. A new one that was asked for
    /// nothing yet has had nothing for ever: where thousands are elected together, each rests as
    /// soon as its first entry is everywhere, and the others are not late for its heartbeats.
    package var idleSince: Instant? { role == .leader ? leadership.busyAt : nil }

    /// Whether this replica was elected less than an election timeout ago and was asked for nothing
    /// yet: its group rests as soon as its first entry is everywhere.
    package func isNew(now: Instant) -> Bool {
        role == .leader && leadership.busyAt == .zero && !isResting
            && now.since(leadership.electedAt) < configuration.electionTimeoutMin
    }

    /// Where the group stands when nothing is under way and every member on a node that `isHere`
    /// has everything; nil otherwise, and on those who do not lead.
    ///
    /// A member on a node that is gone does not keep the group awake: it is sent nothing, and when
    /// its node is back the leader's node wakes the group.
    package func restPoint(isHere: (NodeID) -> Bool) -> RestPoint? {
        guard isReadyToServe, !isWitness, isWhole, commit == log.lastIndex, applied == commit,
            writes.durable == log.lastIndex, leadership.transfer == nil,
            leadership.reads.count == 0, !leadership.isMuted, !isLogFull, !isStalled,
            !membership.isJoint, output.held.isEmpty
        else { return nil }
        for progress in leadership.progress where isHere(progress.member.node) {
            guard progress.state == .replicate, progress.match == log.lastIndex,
                !progress.isLogFull
            else { return nil }
        }
        guard hasQuorum(on: isHere), areWitnessesTold(isHere: isHere) else { return nil }
        return RestPoint(leader: configuration.replica, term: term, commit: commit)
    }

    /// Whether the voters on nodes for which `isHere` holds, and this replica, are a quorum.
    package func hasQuorum(on isHere: (NodeID) -> Bool) -> Bool {
        membership.hasQuorum { voter in
            if voter == configuration.replica { return true }
            guard let position = leadership.position(of: voter) else { return false }
            return isHere(leadership.progress[position].member.node)
        }
    }

    /// Lets a leader rest: every member that is there has been told where it rests, and holds it.
    package mutating func rest() {
        precondition(role == .leader && commit == log.lastIndex, "a rest with work under way")
        isResting = true
        for position in leadership.progress.indices { leadership.progress[position].rested() }
        checkInvariants()
    }

    /// Lets a follower rest under the leader that `point` names, as if its heartbeat had come.
    ///
    /// - Returns: false when this replica does not stand there: then nothing but the leader, if it
    ///   is one of this replica's term or a newer one, was taken note of.
    package mutating func rest(at point: RestPoint, now: Instant) -> Bool {
        advanceClock(to: now)
        guard point.term >= term, point.leader != configuration.replica,
            point.term > term || role != .leader
        else { return false }
        hearLeader(point.leader, term: point.term)
        defer { checkInvariants() }
        // One that lost entries has to tell its leader, with each heartbeat (Rule L7).
        guard isWhole else { return false }
        // Equal index and term: equal logs (section 3.5, log matching).
        guard log.last == LogPosition(index: point.commit, term: point.term) else { return false }
        following.matched = max(following.matched, point.commit)
        advanceCommit(to: max(commit, point.commit))
        isResting = true
        return true
    }

    /// Ends a rest; when there is none, nothing changes.
    ///
    /// - Parameter heardAt: when the node on which a member lives was last heard by a round trip
    ///   that spoke for this group; nil when it never was.
    package mutating func wake(now: Instant, heardAt: (NodeID) -> Instant?) {
        guard isResting else { return }
        advanceClock(to: now)
        if role == .leader {
            for position in leadership.progress.indices {
                let node = leadership.progress[position].member.node
                if let moment = heardAt(node) { leadership.progress[position].heard(at: moment) }
            }
            endRest()
        } else {
            if let moment = leader.flatMap({ membership.node(of: $0) }).flatMap(heardAt) {
                leaderHeardAt = max(leaderHeardAt ?? moment, moment)
            }
            isResting = false
            electionDeadline = (leaderHeardAt ?? clock) + randomElectionTimeout()
        }
        checkInvariants()
    }

    /// What time it is, for a group that is told none while it rests: what is written from now on
    /// is not taken for as old as the rest.
    package mutating func note(now: Instant) { advanceClock(to: now) }

    /// Whether silence makes this replica stand for election with the next tick.
    package var isElectionDue: Bool {
        role != .leader && !isResting && electionDeadline <= clock
    }

    /// Puts off the election that silence brings, by a random part of `span`: where thousands of
    /// groups lose their leader in one moment they elect one after the other (Rule C9).
    package mutating func deferElection(within span: TimeSpan) {
        guard role != .leader, span > .zero else { return }
        electionDeadline = max(electionDeadline, clock) + randomSpan(below: span)
    }

    /// Whether `message` is to end this replica's rest before it is looked at: all but what comes
    /// of a round of heartbeats in the term that it rests in.
    package func endsRest(_ message: RaftMessage) -> Bool {
        if message.term != term { return message.term > term }
        return switch message.body {
        case .heartbeat(let heartbeat):
            message.from != leader || heartbeat.sentThrough > log.lastIndex
        case .heartbeatAnswer, .appendAccepted, .preVoteAnswer, .voteAnswer: false
        // A follower's reads are the leader's: a round of their own serves them.
        case .readRequest, .readAnswer: false
        default: true
        }
    }

    private mutating func endRest() {
        isResting = false
        leadership.heartbeatDeadline = clock
    }

    /// A leader has something to do. One that rested has heard nobody of late, which is no reason
    /// to step down: whom its node's heartbeats spoke for counts as heard when the next tick tells
    /// what time it is, for a group that rests is told none.
    mutating func becomeBusy() {
        leadership.busyAt = clock
        guard isResting else { return }
        leadership.isWaking = true
        endRest()
    }

    /// The first tick after such an end.
    mutating func finishWaking() {
        guard leadership.isWaking else { return }
        leadership.isWaking = false
        leadership.busyAt = clock
        for position in leadership.progress.indices {
            leadership.progress[position].heard(at: clock)
        }
    }
}
