internal import TenonCore

/// The parts of a replica's volatile state, by the role that uses them.
extension Raft {
    /// A candidacy, asked or real.
    struct Election: Sendable {
        /// Each voter's answer; a repeated answer changes nothing.
        private(set) var ballots: [(voter: ReplicaID, granted: Bool)] = []
        /// When this is durable, so is the candidate's own vote, and it counts.
        var ownVoteTicket = WriteTicket.zero

        func ballot(of voter: ReplicaID) -> Bool? {
            ballots.first { $0.voter == voter }?.granted
        }

        mutating func record(_ granted: Bool, from voter: ReplicaID) {
            if ballot(of: voter) == nil { ballots.append((voter, granted)) }
        }
    }

    /// What a follower keeps of the term it is in.
    struct Following: Sendable {
        /// The log is known to be the leader's through here. Starts at the commit index, for a
        /// leader has all that is committed (section 3.4, leader completeness).
        var matched: LogIndex
        /// The highest index acknowledged to the leader.
        var acknowledged = LogIndex.zero
        /// An append arrived that no answer has covered yet.
        var owesAnswer = false
        var leaderClock: PeerClock?
        /// Reads that arrived since the last request to the leader.
        var gathering: [ReadToken] = []
        /// Requests for a read index under way, oldest first.
        var batches: [ReadBatch] = []
        /// Starts at a random number, so that an answer to a request of an earlier life is not
        /// taken for one to this.
        var nextBatch: UInt64

        init(matched: LogIndex, firstBatch: UInt64) {
            self.matched = matched
            nextBatch = firstBatch
        }
    }

    /// Reads that share one request to the leader.
    struct ReadBatch: Sendable {
        var number: UInt64
        var tokens: [ReadToken]
        var deadline: Instant
    }

    /// What a leader keeps of its term.
    struct Leadership: Sendable {
        /// Every other member, in rising order of replica.
        var progress: [Progress] = []
        var heartbeatDeadline = Instant.zero
        /// When the leader looks after itself next: reads put off heartbeats, but not this.
        var tickDeadline = Instant.zero
        /// When it last had something to do but heartbeats and its first entry; zero before.
        var busyAt = Instant.zero
        var electedAt = Instant.zero
        /// It rested until now, and no tick has come since.
        var isWaking = false
        /// The number of the last round of heartbeats. Unique within the term.
        var lastRound: UInt64 = 0
        var reads = ReadQueue()
        var transfer: Transfer?
        /// Where the log ended at the ticks of the last election timeout, and at one before, oldest
        /// first.
        var logEnds: [(at: Instant, index: LogIndex)] = []
        /// The first round of heartbeats that told witnesses what they may drop as of now.
        var heldToldRound: UInt64 = 0
        /// To whom a transfer was begun last and given up.
        var lateTarget: ReplicaID?
        /// Bytes of the entries after the commit index.
        var uncommittedBytes = 0
        /// Somebody was told to stand for election: the voters' promises do not keep it from
        /// leading at any time in this term (Rule C3).
        var hasOrderedElection = false
        /// Since when it stalls and nobody could take over; nil when that is not so.
        var stalledAloneAt: Instant?
        /// Its disk stalls and nobody could take over: it sends no heartbeats, so that others
        /// elect a leader.
        var isMuted = false

        func position(of replica: ReplicaID) -> Int? {
            progress.firstIndex { $0.replica == replica }
        }
    }

    /// Leadership on its way to another replica.
    struct Transfer: Sendable {
        var target: ReplicaID
        /// When it is given up.
        var deadline: Instant
        /// Whether the target was told to stand for election.
        var isSent = false
    }

    /// How long the oldest committed entry known to be unapplied has been waiting.
    struct ApplyStall: Sendable {
        /// An index that was committed at `since` and is not applied.
        private var waiting: (index: LogIndex, since: Instant)?

        var since: Instant? { waiting?.since }

        mutating func note(applied: LogIndex, commit: LogIndex, now: Instant) {
            if let waiting, waiting.index > applied { return }
            waiting = commit > applied ? (commit, now) : nil
        }
    }

    /// What waits for the next ``Ready``.
    struct Output: Sendable {
        var messages: [RaftMessage] = []
        /// Messages that may leave when their ticket is persisted, in order of tickets.
        var held: [(ticket: WriteTicket, message: RaftMessage)] = []
        var confirmedReads: [ConfirmedRead] = []
        var rejectedReads: [ReadToken] = []
        var snapshotsWanted: [ReplicaID] = []
        /// Entries that were lost and are here again, and in no ticket yet.
        var repaired: [Entry] = []
        /// A snapshot replaced the log, and no ticket has said so yet.
        var logReset: LogPosition?
        /// A follower may have something to be sent.
        var isReplicationDue = false
        /// What the outside was last told of the role.
        var announced: RoleChange?
    }
}
