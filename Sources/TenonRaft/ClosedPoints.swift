package import TenonCore

/// What a replica asks its leader with each answer to a heartbeat (Rule S8): how far must I have
/// applied to have all that was acknowledged before now?
package struct ClosedQuestion: Hashable, Sendable {
    /// Drawn by the replica at its start: a moment of an earlier life says nothing in this one.
    package var life: UInt64
    /// When it asked, on its own monotonic clock.
    package var askedAt: Instant

    package init(life: UInt64, askedAt: Instant) {
        self.life = life
        self.askedAt = askedAt
    }
}

/// The leader's answer to a ``ClosedQuestion``, with its next heartbeat.
package struct ClosedAnswer: Hashable, Sendable {
    package var question: ClosedQuestion
    /// Everything that was acknowledged to anybody by `age` before the question was asked stands in
    /// the log at or before this index.
    package var index: LogIndex
    /// How long before this answer the newest round of heartbeats was sent that a quorum has
    /// answered.
    package var age: TimeSpan

    package init(question: ClosedQuestion, index: LogIndex, age: TimeSpan) {
        self.question = question
        self.index = index
        self.age = age
    }
}

/// How new the content of a replica is (Rule S8): moments of its own clock, and for each the index
/// that closes it. Who has applied the index has all that was acknowledged before the moment.
///
/// Such a fact stays true whatever becomes of the leader who told it: indexes that are committed
/// stay. So nothing here is ever taken back, and what comes late or twice does no harm.
///
/// - Invariant: both moments and indexes rise.
struct ClosedPoints: Sendable {
    private struct Point: Sendable {
        var since: Instant
        var index: LogIndex
    }

    /// Points kept: enough for a replica that applies a second late. Of one that is further behind
    /// the newest gives way, so that those it will reach first stay.
    static let countMax = 32

    private var points: [Point] = []

    /// Notes that `index` holds all that was acknowledged before `since`.
    ///
    /// - Parameter applied: what the state machine has.
    /// - Complexity: O(``countMax``).
    mutating func note(_ index: LogIndex, since: Instant, applied: LogIndex) {
        guard points.last.map({ since > $0.since }) ?? true else { return }
        // What asks for more and says less.
        while let last = points.last, last.index >= index { points.removeLast() }
        // Of what is applied only the newest counts.
        while points.count > 1, points[1].index <= applied { points.removeFirst() }
        if points.count == ClosedPoints.countMax { points.removeLast() }
        points.append(Point(since: since, index: index))
    }

    /// Since when something may be missing in a state machine that has applied `index`; nil when
    /// that is not known.
    func since(applied index: LogIndex) -> Instant? {
        if isPlanted(.closedTooEarly) { return points.last?.since }
        return points.last { $0.index <= index }?.since
    }
}
