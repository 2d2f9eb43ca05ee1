package import TenonCore

/// What one replica of a group tells another.
///
/// Messages may be lost, repeated, delayed and reordered; no part of the protocol rests on their
/// arrival. All of them may be sent at once: what depends on the disk leaves ``Raft`` only when it
/// is durable.
package struct RaftMessage: Hashable, Sendable {
    package var tablet: TabletID
    package var from: ReplicaID
    package var to: ReplicaID
    package var epoch: Epoch
    /// The sender's current term.
    package var term: Term
    package var body: Body

    package init(
        tablet: TabletID, from: ReplicaID, to: ReplicaID, epoch: Epoch, term: Term, body: Body
    ) {
        self.tablet = tablet
        self.from = from
        self.to = to
        self.epoch = epoch
        self.term = term
        self.body = body
    }

    package enum Body: Hashable, Sendable {
        /// Would you vote for me in the term after mine? Binds nobody.
        case preVoteRequest(last: LogPosition)
        case preVoteAnswer(granted: Bool)
        /// A vote for the sender in this term. `isTransfer`: the leader itself asked for the
        /// election, so having heard from it lately is no reason to refuse.
        case voteRequest(last: LogPosition, isTransfer: Bool)
        case voteAnswer(granted: Bool)
        case append(Append)
        /// The sender's log is the leader's through `match`, and durable that far.
        case appendAccepted(match: LogIndex)
        /// The sender has no entry as the append's `previous` was; try at or before `hint`.
        case appendRejected(previous: LogIndex, hint: LogPosition)
        case heartbeat(Heartbeat)
        case heartbeatAnswer(HeartbeatAnswer)
        /// You have everything that I have: stand for election now.
        case timeoutNow
        /// Which index must I apply to read linearizably? One request for many reads.
        case readRequest(batch: UInt64)
        /// The index that `readRequest` asked for; nil when the sender cannot tell.
        case readAnswer(batch: UInt64, index: LogIndex?)
        /// Your append or heartbeat is of an older term than mine.
        case newerTerm
        /// The sender has lost what it acknowledged after this place (Rule L7).
        case lostEntries(after: LogIndex)
    }

    /// Entries to go after `previous`.
    package struct Append: Hashable, Sendable {
        package var previous: LogPosition
        package var commit: LogIndex
        package var entries: [Entry]

        package init(previous: LogPosition, commit: LogIndex, entries: [Entry]) {
            self.previous = previous
            self.commit = commit
            self.entries = entries
        }
    }

    /// I lead. Answered at once, never after the disk.
    package struct Heartbeat: Hashable, Sendable {
        /// Rises with each round of heartbeats of a term; its answers confirm reads (Rule C2).
        package var round: UInt64
        /// On the leader's monotonic clock; comes back in the answer.
        package var sentAt: Instant
        /// The leader's wall clock (Rule S2).
        package var wallTime: WallTime
        /// Committed, and durable at the receiver.
        package var commit: LogIndex
        /// The leader has sent the receiver everything through here.
        package var sentThrough: LogIndex
        /// Whether the leader asks for a promise: no vote to another for the length of a lease (Rule C3).
        package var wantsPromise: Bool
        /// What the receiver asked with its last answer (Rule S8); nil when the leader cannot tell.
        package var closed: ClosedAnswer?
        /// To a witness only (Rule C7): committed, and durable on voters with data in two sites
        /// through here, so that it need not keep it; 0 for nothing.
        package var heldElsewhere: LogIndex

        package init(
            round: UInt64, sentAt: Instant, wallTime: WallTime, commit: LogIndex,
            sentThrough: LogIndex, wantsPromise: Bool = false, closed: ClosedAnswer? = nil,
            heldElsewhere: LogIndex = .zero
        ) {
            self.round = round
            self.sentAt = sentAt
            self.wallTime = wallTime
            self.commit = commit
            self.sentThrough = sentThrough
            self.wantsPromise = wantsPromise
            self.closed = closed
            self.heldElsewhere = heldElsewhere
        }
    }

    package struct HeartbeatAnswer: Hashable, Sendable {
        /// The round, the sending time and the index that the heartbeat named.
        package var round: UInt64
        package var sentAt: Instant
        package var sentThrough: LogIndex
        /// The sender's wall clock (Rule S2).
        package var wallTime: WallTime
        /// The sender's log is the leader's through here, durable or not.
        package var received: LogIndex
        /// The same, as far as it is durable: as good as an ``Body/appendAccepted(match:)``.
        package var durable: LogIndex
        /// The sender's state machine has everything through here.
        package var applied: LogIndex
        /// The sender's log has no room for entries but those that free space (Rule L6).
        package var isLogFull: Bool
        /// The sender has given the promise that the heartbeat asked for.
        package var isPromised: Bool
        /// How far must the sender have applied to have all that was acknowledged before now
        /// (Rule S8)?
        package var question: ClosedQuestion

        package init(
            round: UInt64, sentAt: Instant, sentThrough: LogIndex, wallTime: WallTime,
            received: LogIndex, durable: LogIndex, applied: LogIndex = .zero,
            isLogFull: Bool = false, isPromised: Bool = false,
            question: ClosedQuestion = ClosedQuestion(life: 0, askedAt: .zero)
        ) {
            self.round = round
            self.sentAt = sentAt
            self.sentThrough = sentThrough
            self.wallTime = wallTime
            self.received = received
            self.durable = durable
            self.applied = applied
            self.isLogFull = isLogFull
            self.isPromised = isPromised
            self.question = question
        }
    }
}
