internal import TenonCore

/// How entries travel to one follower.
package enum ReplicationState: UInt8, Sendable, Hashable {
    /// One append at a time, to find where the logs agree.
    case probe
    /// A stream of appends, as far as the window allows.
    case replicate
    /// The follower needs entries that are trimmed: nothing is sent until it has a snapshot.
    case snapshot
}

/// What a leader knows of one follower, and what is under way to it.
///
/// - Invariant: `match < next`.
struct Progress: Sendable {
    /// An append that was not acknowledged yet.
    struct Inflight: Sendable {
        var last: LogIndex
        var bytes: Int
    }

    let member: Member
    private(set) var state = ReplicationState.probe
    /// The follower has this durably.
    private(set) var match = LogIndex.zero
    /// Its state machine has this, as it last said; a snapshot may have brought it further.
    private(set) var applied = LogIndex.zero
    /// When ``match`` last rose.
    private(set) var advancedAt: Instant
    /// The first entry to send next.
    private(set) var next: LogIndex
    /// Whether messages to it go through a third node, so that nothing is known of their order:
    /// it stays in state probe, one append at a time (Rule C8).
    private(set) var isRelayed = false
    /// In state probe: where the logs agree is known.
    private var isAgreed = false
    /// The last index of the probe under way; nil when one may be sent.
    private(set) var probeEnd: LogIndex?
    /// In state snapshot: the follower can be sent entries again once it has this.
    private var snapshotFloor = LogIndex.zero
    /// Appends under way, in order.
    private(set) var inflight: [Inflight] = []
    private(set) var inflightBytes = 0
    /// Answers to heartbeats up to this round tell nothing of what was sent after it.
    private(set) var sentRound: UInt64 = 0
    /// The newest round of heartbeats that was answered.
    private(set) var answeredRound: UInt64 = 0
    /// When the newest answered heartbeat was *sent*: evidence of a round trip (Rule C1).
    private(set) var heardAt: Instant
    /// When the newest heartbeat was sent that was answered with a promise (Rule C3).
    private(set) var promisedAt = Instant.zero
    /// When the newest heartbeat was sent that it answered in this term; zero before the first.
    private(set) var answeredAt = Instant.zero
    /// What it asked with that answer (Rule S8).
    private(set) var closedQuestion: ClosedQuestion?
    /// The follower's wall clock as it last told.
    private(set) var clock: PeerClock?
    /// The follower's log has no room, as far as is known.
    private(set) var isLogFull = false

    init(member: Member, next: LogIndex, now: Instant) {
        self.member = member
        self.next = next
        heardAt = now
        advancedAt = now
    }

    var replica: ReplicaID { member.replica }

    /// The follower was sent everything through here.
    var sentThrough: LogIndex {
        switch state {
        case .probe: probeEnd ?? match
        case .replicate: next.previous
        case .snapshot: match
        }
    }

    /// Whether an append may be sent now, when the log ends at `last`.
    func maySend(last: LogIndex, _ bounds: Raft.Configuration) -> Bool {
        switch state {
        // An empty probe is worth sending: its answer tells where the logs agree.
        case .probe: probeEnd == nil && (!isAgreed || next <= last)
        case .replicate:
            next <= last && inflight.count < bounds.windowMessagesMax
                && inflightBytes < bounds.windowBytesMax
        case .snapshot: false
        }
    }

    /// An append of `count` entries from `next` on left during `round`.
    mutating func sent(count: Int, bytes: Int, round: UInt64) {
        let end = next.advanced(by: count - 1)
        if state == .probe {
            probeEnd = end
            sentRound = round
        } else {
            next = end.next
        }
        if count > 0 {
            inflight.append(Inflight(last: end, bytes: bytes))
            inflightBytes += bytes
        }
    }

    /// The follower has everything through `index` durably.
    mutating func accepted(_ index: LogIndex, now: Instant) {
        if index > match { advancedAt = now }
        match = max(match, index)
        next = max(next, match.next)
        agreed(through: index)
        let freed = inflight.prefix { $0.last <= match }
        inflightBytes -= freed.reduce(0) { $0 + $1.bytes }
        inflight.removeFirst(freed.count)
    }

    /// The follower's log is the leader's through `index`, durable or not: no need to probe on.
    mutating func agreed(through index: LogIndex) {
        switch state {
        case .replicate:
            return
        case .probe:
            guard index >= next.previous else { return }
            if isRelayed {
                guard index >= probeEnd ?? next.previous else { return }
                next = index.next
                probeEnd = nil
                isAgreed = true
                return
            }
            next = max(index, probeEnd ?? .zero).next
        case .snapshot:
            guard index >= snapshotFloor else { return }
            next = index.next
        }
        state = .replicate
        probeEnd = nil
    }

    /// The follower lacks the entry before `rejected + 1`; the logs may agree through `guess`.
    /// - Returns: whether that is news.
    mutating func rejected(_ rejected: LogIndex, guess: LogIndex) -> Bool {
        guard rejected > match else { return false }
        switch state {
        case .snapshot: return false
        case .probe where rejected != next.previous: return false
        case .replicate where rejected >= next: return false
        case .probe, .replicate: break
        }
        becomeProbe(next: max(match, min(guess, rejected.previous)).next, round: sentRound)
        return true
    }

    /// Something that was sent did not arrive: send it again, from what is known to be there.
    ///
    /// `answer` tells of the follower as it was when the heartbeat of its round arrived. What left
    /// after that round started may arrive yet.
    mutating func noticeLoss(_ answer: RaftMessage.HeartbeatAnswer, round: UInt64) {
        guard state != .snapshot, answer.round > sentRound, answer.received < answer.sentThrough
        else { return }
        becomeProbe(next: max(match, min(answer.received, next.previous)).next, round: round)
    }

    /// The follower has lost what it had after `index`.
    mutating func lost(after index: LogIndex, round: UInt64) {
        guard index < match else { return }
        match = index
        guard state != .snapshot else { return }
        becomeProbe(next: index.next, round: round)
    }

    mutating func becomeProbe(next: LogIndex, round: UInt64) {
        state = .probe
        self.next = next
        sentRound = round
        probeEnd = nil
        isAgreed = false
        inflight.removeAll(keepingCapacity: true)
        inflightBytes = 0
    }

    /// From now on messages to it take another way: what is under way may be lost or come late.
    /// - Returns: whether that is news.
    mutating func take(relay: Bool, round: UInt64) -> Bool {
        guard relay != isRelayed else { return false }
        isRelayed = relay
        if state != .snapshot { restart(round: round) }
        return true
    }

    /// Forget what is under way: the connection is gone.
    mutating func restart(round: UInt64) { becomeProbe(next: match.next, round: round) }

    /// The log starts after `base`: the follower needs a snapshot at least that new.
    mutating func becomeSnapshot(base: LogIndex) {
        becomeProbe(next: match.next, round: sentRound)
        state = .snapshot
        snapshotFloor = base
    }

    /// A snapshot at `index` was sent, or none was: probe on, but not before a heartbeat sent
    /// after `round` is answered, so that a follower that cannot take snapshots is not flooded.
    mutating func snapshotEnded(at index: LogIndex?, round: UInt64) {
        guard state == .snapshot else { return }
        becomeProbe(next: max(match, index ?? match).next, round: round)
        if index == nil { probeEnd = match.next }
    }

    /// It was told that what it has is committed, and will say nothing until its group wakes.
    mutating func rested() { applied = match }

    /// A round trip to its node that began at `moment` spoke for the follower (Rule C9).
    mutating func heard(at moment: Instant) { heardAt = max(heardAt, moment) }

    /// A heartbeat of `answer.round` made a round trip that ended at `now`.
    mutating func heard(_ answer: RaftMessage.HeartbeatAnswer, now: Instant) {
        guard answer.round > answeredRound else { return }
        answeredRound = answer.round
        heardAt = max(heardAt, min(answer.sentAt, now))
        answeredAt = max(answeredAt, min(answer.sentAt, now))
        closedQuestion = answer.question
        applied = answer.applied
        if answer.isPromised { promisedAt = max(promisedAt, min(answer.sentAt, now)) }
        isLogFull = answer.isLogFull
        clock = PeerClock(
            replica: replica, wallTime: answer.wallTime, sampledAt: now,
            roundTrip: now.since(answer.sentAt))
    }
}
