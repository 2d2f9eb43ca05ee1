package import TenonCore

/// Linearizable reads without a log entry (Rule C2; section 6.4).
///
/// A read joins the next round of heartbeats and takes the commit index as of that round's start.
/// When a quorum has answered that round or a later one, no other leader can have committed
/// anything before the round started, so a state machine that has applied that index is new
/// enough. At most one round under way carries reads; while it is, the next gathers.
extension Raft {
    /// Asks for the index that must be applied before the read may be served.
    ///
    /// The answer comes in a ``Ready``: confirmed or rejected. A follower asks its leader.
    ///
    /// - Parameter now: read after the read arrived: a lease counts only if it holds then.
    package mutating func requestRead(_ token: ReadToken, now: Instant) {
        advanceClock(to: now)
        if let index = leaseIndex {
            output.confirmedReads.append(ConfirmedRead(token: token, index: index))
        } else if role == .leader {
            queue(.local(token))
        } else if leader != nil, pendingFollowerReads < configuration.pendingReadsMax {
            following.gathering.append(token)
        } else {
            output.rejectedReads.append(token)
        }
    }

    /// Whether this replica leads and an entry of its own term is committed. Before that it does
    /// not know which entries of earlier terms are, and confirms no read (section 6.4).
    package var isReadyToServe: Bool {
        role == .leader && log.term(at: commit) == term
    }

    // MARK: Leader

    /// Whether gathered reads can start a round.
    var isReadRoundDue: Bool {
        isReadyToServe && !leadership.isMuted && leadership.reads.canStartRound
    }

    /// Confirms every read whose round a quorum has answered.
    mutating func confirmReads() {
        guard leadership.reads.isRoundUnderWay else { return }
        let round = membership.quorumValue { voter in
            if voter == configuration.replica || isPlanted(.readIndexWithoutQuorum)
                || isPlanted(.isolatedLeaderServes)
            {
                return leadership.lastRound
            }
            guard let position = leadership.position(of: voter) else { return 0 }
            return leadership.progress[position].answeredRound
        }
        for (read, index) in leadership.reads.takeConfirmed(through: round) {
            switch read {
            case .local(let token):
                output.confirmedReads.append(ConfirmedRead(token: token, index: index))
            case .remote(let follower, let batch):
                send(.readAnswer(batch: batch, index: index), to: follower)
            }
        }
    }

    mutating func receiveReadRequest(_ batch: UInt64, from follower: ReplicaID) {
        guard role == .leader, leadership.position(of: follower) != nil else {
            return send(.readAnswer(batch: batch, index: nil), to: follower)
        }
        if let index = leaseIndex {
            return send(.readAnswer(batch: batch, index: index), to: follower)
        }
        queue(.remote(follower, batch: batch))
    }

    private mutating func queue(_ read: ReadQueue.Read) {
        if leadership.reads.count < configuration.pendingReadsMax {
            return leadership.reads.append(read)
        }
        switch read {
        case .local(let token): output.rejectedReads.append(token)
        case .remote(let follower, let batch):
            send(.readAnswer(batch: batch, index: nil), to: follower)
        }
    }

    // MARK: Follower

    /// Sends one request for all reads gathered in this turn.
    mutating func requestGatheredReads() {
        guard let leader, !following.gathering.isEmpty else { return }
        let batch = ReadBatch(
            number: following.nextBatch, tokens: following.gathering,
            deadline: clock + configuration.electionTimeoutMin)
        following.nextBatch &+= 1
        following.gathering = []
        following.batches.append(batch)
        send(.readRequest(batch: batch.number), to: leader)
    }

    mutating func receiveReadAnswer(
        _ number: UInt64, _ index: LogIndex?, from sender: ReplicaID
    ) {
        guard sender == leader,
            let position = following.batches.firstIndex(where: { $0.number == number })
        else { return reached(.staleReadAnswerDropped) }
        let tokens = following.batches.remove(at: position).tokens
        guard let index else {
            reached(.followerReadRefused)
            return output.rejectedReads += tokens
        }
        output.confirmedReads += tokens.map { ConfirmedRead(token: $0, index: index) }
        // The leader has committed that far: no need to wait for its next heartbeat to apply it.
        advanceCommit(to: max(commit, min(index, following.matched)))
    }

    /// Requests or answers get lost; a read does not wait for ever.
    mutating func expireFollowerReads() {
        let late = following.batches.prefix { $0.deadline <= clock }
        if !late.isEmpty { reached(.followerReadExpired) }
        for batch in late { output.rejectedReads += batch.tokens }
        following.batches.removeFirst(late.count)
    }

    /// No leader to ask: whoever reads is told at once.
    mutating func rejectFollowerReads() {
        for batch in following.batches { output.rejectedReads += batch.tokens }
        output.rejectedReads += following.gathering
        following.batches = []
        following.gathering = []
    }

    private var pendingFollowerReads: Int {
        following.batches.reduce(following.gathering.count) { $0 + $1.tokens.count }
    }
}

/// A leader's reads on their way to a confirmed index, in order of arrival.
struct ReadQueue: Sendable {
    enum Read: Sendable {
        case local(ReadToken)
        /// All reads of one request of a follower.
        case remote(ReplicaID, batch: UInt64)
    }

    /// Reads that share a round of heartbeats.
    private struct Round: Sendable {
        var number: UInt64
        var index: LogIndex
        var reads: [Read]
    }

    private var gathering: [Read] = []
    private var rounds: [Round] = []
    private(set) var count = 0

    var isRoundUnderWay: Bool { !rounds.isEmpty }
    var canStartRound: Bool { rounds.isEmpty && !gathering.isEmpty }

    mutating func append(_ read: Read) {
        count += 1
        if isPlanted(.readJoinsSentRound), !rounds.isEmpty {
            return rounds[rounds.count - 1].reads.append(read)
        }
        gathering.append(read)
    }

    /// What has gathered joins the round that starts now; nothing that comes later may.
    mutating func startRound(_ number: UInt64, index: LogIndex) {
        guard !gathering.isEmpty else { return }
        rounds.append(Round(number: number, index: index, reads: gathering))
        gathering = []
    }

    /// Takes out the reads of all rounds up to `number`, each with its index.
    mutating func takeConfirmed(through number: UInt64) -> [(Read, LogIndex)] {
        let done = rounds.prefix { $0.number <= number }
        let confirmed = done.flatMap { round in round.reads.map { ($0, round.index) } }
        rounds.removeFirst(done.count)
        count -= confirmed.count
        return confirmed
    }

    /// Takes out everything, and names the reads of this replica; followers learn of the end of
    /// the leadership by themselves.
    mutating func takeLocalTokens() -> [ReadToken] {
        let all = rounds.flatMap(\.reads) + gathering
        self = ReadQueue()
        return all.compactMap { read in
            if case .local(let token) = read { token } else { nil }
        }
    }
}
