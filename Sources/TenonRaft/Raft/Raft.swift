package import TenonCore

/// Consensus of one group, as a value: steps go in, one ``Ready`` comes out.
///
/// It does no I/O, has no clock, thread or lock, and is a function of its inputs and its seed, so
/// a whole group can be copied, replayed and explored. The caller, one loop turn at a time:
///
///     raft.step(message, now: now) … raft.propose(…) … raft.tick(now: now, wallTime: wall)
///     while raft.hasReady {
///         let ready = raft.takeReady()      // write, send, apply, answer reads
///     }
///     raft.persisted(ticket)                // when the write of `ready.ticket` is durable
///     raft.applied(through: index)          // when committed entries are applied
///     raft.trim(through: index)             // when the state machine's flush holds them
///
/// Where a promise may leave this replica:
/// - a granted vote, and a request for votes, only when the hard state and the whole log they speak
///   of are durable;
/// - an accepted append only as far as the entries are durable under the last ticket that wrote
///   them (Rule L4); the leader counts itself by the same rule;
/// - a confirmed read only after a quorum answered a round of heartbeats that began after the read
///   arrived (Rule C2).
///
/// Source: Ongaro, "Consensus: Bridging Theory and Practice", 2014 ("the thesis"); section numbers
/// in comments are its.
package struct Raft: Sendable {
    package let configuration: Configuration

    // What a restart keeps.

    package internal(set) var term: Term
    /// Who got this replica's vote in `term`.
    var vote: ReplicaID
    var log: RaftLog
    var history: MembershipHistory
    /// The hard state as the last ticket wrote it.
    var writtenHardState: HardState

    // What it does not.

    package internal(set) var role = Role.follower
    /// The leader of `term`, once known.
    package internal(set) var leader: ReplicaID?
    package internal(set) var commit: LogIndex
    /// The last entry that ``Ready/committed`` has handed out.
    var handedOut: LogIndex
    /// The last entry that the state machine has applied.
    package internal(set) var applied: LogIndex
    var writes: WriteTracker
    var stall = ApplyStall()
    /// The node's log has no room but for entries that free space (Rule L6). Set by the node.
    package var isLogFull = false
    /// How soon this replica stands for election. Set by the node; a timeout that runs already
    /// stays as it is.
    package var priority = LeaderPriority.first
    /// Whether this group's leader reads by leases (Rule C3). Set by the node.
    package var usesLeases = false
    /// Until then this replica votes for nobody: it has promised its leader, or may have before it
    /// was started.
    var promisedUntil: Instant
    /// Set while entries that were promised are not there (Rule L7).
    package internal(set) var lost: Lost?
    /// The node's disk has not ended a write for the stall bound, for whichever group. Set by the
    /// node.
    package var isDiskStalled = false
    /// Whether the node's heartbeats speak for this group (Rule C9); see ``rest()``.
    package internal(set) var isResting = false
    /// The newest moment that the outside told.
    var clock: Instant
    var wallTime = WallTime(milliseconds: 0)
    var random: SeededGenerator
    /// When this replica stands for election, unless it hears a leader before.
    var electionDeadline: Instant
    /// When a leader was last heard; nil when none is to be waited for.
    var leaderHeardAt: Instant?
    var election = Election()
    var following: Following
    var leadership = Leadership()
    /// How new what this replica has is (Rule S8).
    var closed = ClosedPoints()
    /// Where voters with data stand, at the level that the tablet is to survive the loss of: what a
    /// leader goes by when it tells witnesses what they may drop (Rule C7). Set by the node; empty
    /// while it does not know.
    package var dataSites: [NodeID: SiteID] = [:]
    /// Committed, and durable on voters with data in two sites through here, as a leader told or as
    /// this one knows. What was so once stays so: it never falls.
    package internal(set) var heldElsewhere = LogIndex.zero
    /// A random number, another for each start of this replica.
    let life: UInt64
    var output = Output()

    /// The group as it was left.
    ///
    /// - Parameter seed: must differ between starts of a replica: it sets the replica's election
    ///   timeouts apart from others', and its read requests from those of its earlier life.
    /// - Throws: ``RestoreError`` when what was recovered is no log; nothing of it may be used.
    package init(
        configuration: Configuration, restored: Restored, now: Instant, seed: UInt64
    ) throws(RestoreError) {
        do { try configuration.validate() } catch { throw .configuration(error) }
        self.configuration = configuration
        term = restored.hardState.term
        vote = restored.hardState.vote
        writtenHardState = restored.hardState
        let flushed = restored.flushed
        history = MembershipHistory(base: flushed.index, membership: restored.membership)
        log = try restored.makeLog(&history)
        writes = WriteTracker(durable: log.lastIndex)
        if log.term(at: flushed.index) != flushed.term {
            reached(.startAfterUnfinishedInstall)
            // A crash came between a snapshot's installation and the reset of the log: what the
            // log holds is not what the state machine went on from.
            log.reset(to: flushed)
            // Nothing was promised of what was dropped but the snapshot.
            history = MembershipHistory(base: flushed.index, membership: restored.membership)
            writes.reset(to: flushed.index)
            output.logReset = flushed
        }
        if flushed.term > term {
            // The same crash: the snapshot tells of a term that the log has no hard state of.
            term = flushed.term
            vote = .none
        }
        lost = restored.lost
        applied = flushed.index
        handedOut = applied
        commit = max(applied, min(restored.hardState.commit, log.lastIndex))
        clock = now
        random = SeededGenerator(seed: seed)
        life = random.next()
        following = Following(matched: commit, firstBatch: life)
        electionDeadline = now
        promisedUntil = Raft.promiseAtStart(term, configuration, now: now)
        electionDeadline = now + randomElectionTimeout()
        output.announced = RoleChange(role: role, term: term, leader: nil)
        checkInvariants()
    }

    /// What a replica has on stable storage when it starts.
    package struct Restored: Sendable {
        package var hardState: HardState
        /// The log on disk starts after it.
        package var base: LogPosition
        /// From `base.index + 1` on.
        package var entries: [Entry]
        /// The last entry whose effect the state machine holds durably; not before `base`. The
        /// entries after it are handed out again. A log that does not lead up to it was left by a
        /// crash right after a snapshot's installation, and is dropped; one that is damaged is for
        /// the caller to find (Rule L2), and never gets here.
        package var flushed: LogPosition
        /// The configuration in force as of `flushed`, from the same flush.
        package var membership: Membership
        /// What the log had behind `entries` and lost.
        package var lost: Lost?

        package init(
            hardState: HardState = HardState(), base: LogPosition = .zero, entries: [Entry] = [],
            flushed: LogPosition = .zero, membership: Membership
        ) {
            self.hardState = hardState
            self.base = base
            self.entries = entries
            self.flushed = flushed
            self.membership = membership
        }
    }
}

extension Raft.Restored {
    /// The log, each entry checked against the one before it, and its configurations.
    fileprivate func makeLog(
        _ history: inout MembershipHistory
    ) throws(RestoreError) -> RaftLog {
        guard base.index <= flushed.index else {
            throw .trimmedPastFlush(base: base.index, flushed: flushed.index)
        }
        var log = RaftLog(base: base)
        for entry in entries {
            guard entry.index == log.lastIndex.next else {
                throw .gap(expected: log.lastIndex.next, found: entry.index)
            }
            guard entry.term >= log.last.term else {
                throw .termOutOfOrder(index: entry.index, term: entry.term)
            }
            if entry.kind == .configuration, entry.index > flushed.index {
                do {
                    history.append(try Membership(payload: entry.payload), at: entry.index)
                } catch {
                    throw .configurationEntry(index: entry.index, error)
                }
            }
            log.append(entry)
        }
        guard log.last.term <= hardState.term else {
            throw .termOutOfOrder(index: log.lastIndex, term: log.last.term)
        }
        return log
    }
}

/// What happens from outside, in the order of a group's life.
extension Raft {
    /// Time passes. To be called at ``nextDeadline`` at the latest.
    package mutating func tick(now: Instant, wallTime: WallTime) {
        advanceClock(to: now)
        self.wallTime = wallTime
        expireFollowerReads()
        if role == .leader {
            tickAsLeader()
        } else if !isResting, clock >= electionDeadline {
            if isPlanted(.silentLeaderKept), leader != nil {
                electionDeadline = clock + randomElectionTimeout()
            } else {
                standForElection()
            }
        }
        checkInvariants()
    }

    /// When ``tick(now:wallTime:)`` is to be called next.
    package var nextDeadline: Instant {
        // Each round of reads is one of heartbeats too and puts the next off. With reads all the
        // time a leader would never look at its own disk.
        var own =
            role == .leader
            ? min(leadership.heartbeatDeadline, leadership.tickDeadline) : electionDeadline
        // A read's round is repeated all the same.
        if isResting, leadership.reads.count == 0 { own = .distantFuture }
        return min(own, following.batches.first?.deadline ?? .distantFuture)
    }

    /// A message arrived. One for another tablet, replica or epoch is dropped (Rule I3).
    package mutating func step(_ message: RaftMessage, now: Instant) {
        advanceClock(to: now)
        guard message.tablet == configuration.tablet, message.to == configuration.replica,
            message.epoch == configuration.epoch || isPlanted(.epochFenceOff),
            message.from != configuration.replica
        else { return }
        if isResting, endsRest(message) {
            if role == .leader { becomeBusy() } else { wake(now: now) { _ in nil } }
        }
        if agreeOnTerm(with: message) { dispatch(message) }
        checkInvariants()
    }

    /// Appends a new leader's or a client's entry.
    ///
    /// - Returns: its index. It is committed when ``Ready/committed`` brings an entry of this index
    ///   *and this term*; one of another term took its place.
    /// - Throws: ``ProposalError``; the entry is nowhere then.
    package mutating func propose(
        _ kind: EntryKind, _ payload: [UInt8]
    ) throws(ProposalError) -> LogIndex {
        precondition(kind != .configuration, "configurations go through proposeMembership")
        try checkProposal(bytes: payload.count)
        defer { checkInvariants() }
        return appendAsLeader(kind, payload)
    }

    /// The write of `ticket`, and of all before it, is on stable storage.
    package mutating func persisted(_ ticket: WriteTicket) {
        writes.complete(ticket)
        noteWhole()
        releaseHeldMessages()
        switch role {
        case .candidate: countOwnVote()
        case .leader: advanceCommitAsLeader()
        case .follower, .preCandidate: break
        }
        checkInvariants()
    }

    /// The state machine has applied everything through `index`.
    package mutating func applied(through index: LogIndex) {
        precondition(index <= handedOut, "applied \(index) of \(handedOut) handed out")
        applied = max(applied, index)
        stall.note(applied: applied, commit: commit, now: clock)
        if isPlanted(.configurationActiveOnApply), role == .leader { adoptMembershipAsLeader() }
        checkInvariants()
    }

    private mutating func dispatch(_ message: RaftMessage) {
        let sender = message.from
        switch message.body {
        case .preVoteRequest(let last): answerPreVote(from: sender, last: last)
        case .preVoteAnswer(let granted):
            if role == .preCandidate { count(granted, from: sender) }
        case .voteRequest(let last, _): answerVote(from: sender, last: last)
        case .voteAnswer(let granted): if role == .candidate { count(granted, from: sender) }
        case .append(let append): receive(append, from: sender)
        case .appendAccepted(let match): receiveAccepted(match, from: sender)
        case .appendRejected(let previous, let hint):
            receiveRejected(previous, hint: hint, from: sender)
        case .heartbeat(let heartbeat): receive(heartbeat, from: sender)
        case .heartbeatAnswer(let answer): receive(answer, from: sender)
        case .timeoutNow: receiveTimeoutNow(from: sender)
        case .readRequest(let batch): receiveReadRequest(batch, from: sender)
        case .readAnswer(let batch, let index): receiveReadAnswer(batch, index, from: sender)
        case .lostEntries(let match): receiveLoss(after: match, from: sender)
        case .newerTerm: break  // agreeOnTerm has done what there is to do
        }
    }

    /// Moments never go back, whatever order the outside reports them in.
    mutating func advanceClock(to now: Instant) { clock = max(clock, now) }
}
