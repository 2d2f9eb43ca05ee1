package import TenonCore

/// Closed timestamps (Rule S8): how old the content of this replica may be, without asking anybody.
///
/// With each answer to a heartbeat a follower asks, and the leader's next heartbeat answers: the
/// index that it has committed, and how long ago it sent the newest round of heartbeats that a
/// quorum has answered. At that moment nobody else could have committed anything that this leader
/// does not have (as in Rule C2, section 6.4): a later leader needs a vote from one who answered,
/// given after it.
///
/// The index was taken after the question was asked, so the leader's round lies no more than its
/// age before the question. What a replica then knows it knows on its own clock alone: no two
/// clocks are compared, only lengths of time.
extension Raft {
    /// Since when something that was acknowledged may be missing in a state machine that has
    /// applied `index`, on this replica's clock; nil when that is not known.
    package func closedSince(applied index: LogIndex) -> Instant? { closed.since(applied: index) }

    /// Notes what came of a read that was confirmed (Rule C2): it was asked for at `since`, and
    /// what was acknowledged before stands at or before `index`.
    package mutating func noteClosed(_ index: LogIndex, since: Instant) {
        closed.note(index, since: since, applied: applied)
    }

    // MARK: Follower

    var closedQuestion: ClosedQuestion { ClosedQuestion(life: life, askedAt: clock) }

    mutating func receive(_ answer: ClosedAnswer) {
        let asked = answer.question.askedAt
        // A round of before this clock began cannot be named on it.
        guard answer.question.life == life, asked <= clock,
            answer.age.nanoseconds <= asked.nanoseconds
        else { return }
        let since = Instant(nanoseconds: asked.nanoseconds - answer.age.nanoseconds)
        closed.note(answer.index, since: since, applied: applied)
    }

    // MARK: Leader

    /// When the newest round of heartbeats was sent that a quorum has answered in this term; nil
    /// without one.
    private var quorumRoundAt: Instant? {
        if isPlanted(.closedWithoutQuorum) { return clock }
        let sent = membership.quorumValue { voter in
            if voter == configuration.replica { return clock }
            guard let position = leadership.position(of: voter) else { return .zero }
            return leadership.progress[position].answeredAt
        }
        return sent > .zero ? sent : nil
    }

    /// Where the log is closed for all followers of this round; nil when this leader cannot tell.
    ///
    /// A leader notes for itself what it tells others.
    mutating func closeRound() -> (index: LogIndex, age: TimeSpan)? {
        guard isReadyToServe, let sent = quorumRoundAt else { return nil }
        closed.note(commit, since: sent, applied: applied)
        return (commit, clock.since(sent))
    }

    func closedAnswer(
        to follower: Progress, _ round: (index: LogIndex, age: TimeSpan)?
    ) -> ClosedAnswer? {
        guard let round, let question = follower.closedQuestion else { return nil }
        return ClosedAnswer(question: question, index: round.index, age: round.age)
    }
}
