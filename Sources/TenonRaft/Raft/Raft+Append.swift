internal import TenonCore

/// A follower's side of replication: appends, heartbeats, and the answers to them.
extension Raft {
    /// Takes a leader's entries. Accepting is answered by ``answerAppends()``, when they are
    /// durable; rejecting at once.
    mutating func receive(_ append: RaftMessage.Append, from sender: ReplicaID) {
        guard let configurations = configurations(of: append) else { return }
        let end = append.previous.index.advanced(by: append.entries.count)
        // What is committed here is equal there; only the rest is to be compared. It may also lie
        // before the base, where there is nothing to compare with.
        let known = max(0, append.previous.index.distance(to: commit))
        if known < append.entries.count || end >= commit {
            let previous =
                known == 0
                ? append.previous : LogPosition(index: commit, term: log.term(at: commit) ?? .zero)
            guard log.term(at: previous.index) == previous.term else {
                return reject(append, to: sender)
            }
            take(append.entries.dropFirst(known), configurations)
            following.matched = max(following.matched, end)
        }
        following.owesAnswer = true
        advanceCommit(to: max(commit, min(append.commit, following.matched)))
    }

    mutating func receive(_ heartbeat: RaftMessage.Heartbeat, from sender: ReplicaID) {
        advanceCommit(to: max(commit, min(heartbeat.commit, following.matched)))
        following.leaderClock = PeerClock(
            replica: sender, wallTime: heartbeat.wallTime, sampledAt: clock, roundTrip: nil)
        if let closed = heartbeat.closed { receive(closed) }
        heldElsewhere = max(heldElsewhere, heartbeat.heldElsewhere)
        let answer = RaftMessage.HeartbeatAnswer(
            round: heartbeat.round, sentAt: heartbeat.sentAt, sentThrough: heartbeat.sentThrough,
            wallTime: wallTime, received: following.matched, durable: durablyMatched,
            applied: applied, isLogFull: isLogFull,
            isPromised: heartbeat.wantsPromise && isKnownAtStart, question: closedQuestion)
        if heartbeat.wantsPromise { givePromise() }
        send(.heartbeatAnswer(answer), to: sender)
        tellLoss(to: sender)
    }

    /// What may be acknowledged: the leader's entries, and durable here.
    private var durablyMatched: LogIndex {
        isPlanted(.acknowledgedBeforeDurable)
            ? following.matched : min(following.matched, writes.durable)
    }

    /// Whether there is an acknowledgement to send: progress, or a repeated append that a leader
    /// waits for, which is answered when all that is known to match is durable.
    var isAnswerDue: Bool {
        guard role == .follower, leader != nil else { return false }
        return durablyMatched > following.acknowledged
            || (following.owesAnswer && writes.durable >= following.matched)
    }

    /// Acknowledges all appends as far as they are durable now, in one answer.
    mutating func answerAppends() {
        guard isAnswerDue, let leader else { return }
        following.acknowledged = durablyMatched
        following.owesAnswer = writes.durable < following.matched
        send(.appendAccepted(match: durablyMatched), to: leader)
    }

    /// Names a place at or before which the logs may agree: the last one here whose term is not
    /// above that of the entry the leader asked for.
    private mutating func reject(_ append: RaftMessage.Append, to sender: ReplicaID) {
        reached(.appendRejected)
        let hint = log.lastPosition(atMost: append.previous.index, term: append.previous.term)
        send(.appendRejected(previous: append.previous.index, hint: hint), to: sender)
    }

    /// Appends what is new of `entries`, which stand after an entry that both logs have.
    private mutating func take(
        _ entries: ArraySlice<Entry>, _ configurations: [MembershipHistory.Element]
    ) {
        let conflict = entries.firstIndex { log.term(at: $0.index) != $0.term }
        guard
            let first = isPlanted(.committedSuffixTruncated) ? entries.indices.first : conflict
        else { return }
        let start = entries[first].index
        dropAside()
        if start <= log.lastIndex { truncate(from: start) }
        for entry in entries[first...] { log.append(entry) }
        for element in configurations where element.index >= start {
            history.append(element.membership, at: element.index)
        }
    }

    /// Drops entries that another leader never finished replicating.
    private mutating func truncate(from index: LogIndex) {
        precondition(index > commit, "truncating at \(index), committed \(commit)")
        precondition(
            index > following.matched, "truncating at \(index), matched \(following.matched)")
        reached(.entriesTruncated)
        log.truncate(from: index)
        writes.truncate(from: index)
        _ = history.truncate(from: index)
    }

    /// The configurations among an append's entries; nil when the entries are no continuation of
    /// a log of this term, so that nothing of the message may be used.
    private func configurations(
        of append: RaftMessage.Append
    ) -> [MembershipHistory.Element]? {
        var last = append.previous
        var found: [MembershipHistory.Element] = []
        for entry in append.entries {
            guard entry.index == last.index.next, entry.term >= last.term else { return nil }
            if entry.kind == .configuration {
                do {
                    let membership = try Membership(payload: entry.payload)
                    found.append(.init(index: entry.index, membership: membership))
                } catch {
                    return nil
                }
            }
            last = entry.position
        }
        return last.term <= term ? found : nil
    }
}
