package import TenonCore

/// When each tablet was moved lately by the planner's own choice, so that nothing oscillates.
///
/// Moves for the sake of balance and leaderships that go home have budgets of their own: a city
/// that was lost and is back waits for no balance, and one that comes and goes does not move its
/// leaders all the time.
package struct MoveHistory: Sendable {
    /// So many moves of a tablet within ``window``.
    private struct Budget: Sendable {
        let movesMax: Int
        private var moves: [TabletID: [Instant]] = [:]

        init(_ movesMax: Int) { self.movesMax = movesMax }

        /// Whether the tablet may be moved now; notes the move when it may.
        mutating func take(_ tablet: TabletID, now: Instant) -> Bool {
            let recent = moves[tablet, default: []].filter { now < $0 + MoveHistory.window }
            guard recent.count < movesMax else {
                moves[tablet] = recent
                return false
            }
            moves[tablet] = recent + [now]
            return true
        }

        /// What the tablet was moved for is reached: that counts no more.
        mutating func forgive(_ tablet: TabletID) { moves[tablet] = nil }
    }

    /// A leadership on its way.
    private struct Handover: Hashable, Sendable {
        var node: NodeID
        var since: Instant
        /// How often it was asked for before, and did not come about.
        var failures = 0
    }

    /// Moves of one tablet for the sake of balance within ``window``.
    package static let movesMax = 2
    /// Times that one tablet's leadership goes home within ``window``.
    package static let homeMovesMax = 5
    /// A node that was away for less is thought to come back: copying what it holds would be for
    /// nothing.
    package static let absenceMin = TimeSpan.seconds(60)
    /// What counts as lately.
    package static let window = TimeSpan.seconds(300)
    /// For so long asking again for a handover is the same attempt.
    private static let patience = TimeSpan.seconds(1)
    /// The longest pause before an attempt that failed is made again. The first is two seconds, each
    /// further one twice as long: a node that was just started is behind for some seconds, and one
    /// that cannot take over at all must not be tried all the time, for writes may wait meanwhile.
    private static let pauseMax = TimeSpan.seconds(64)

    private var balance = Budget(movesMax)
    private var homeward = Budget(homeMovesMax)
    /// Voters that were to come for the sake of policies and did not, with the last of them.
    private var towardsPolicy = Budget(movesMax)
    private var newcomers: [TabletID: NodeID] = [:]
    /// Learners that are made again on another node while theirs is away.
    private var copies = Budget(movesMax)
    /// Since when nodes that are away have been away.
    private var absences: [NodeID: Instant] = [:]
    /// Where leaderships are on the way to.
    private var wanted: [TabletID: Handover] = [:]

    package init() {}

    /// Whether the tablet may be moved now; notes the move when it may.
    package mutating func take(_ tablet: TabletID, now: Instant) -> Bool {
        balance.take(tablet, now: now)
    }

    /// Whether a voter of the tablet may be moved to a node now, where its policy rather wants it and
    /// nothing is at risk meanwhile; notes the attempt when it may. Only attempts that come to
    /// nothing are held against it, as those are towards a node that comes and goes.
    mutating func take(_ tablet: TabletID, votedForBy node: NodeID, now: Instant) -> Bool {
        guard towardsPolicy.take(tablet, now: now) else { return false }
        newcomers[tablet] = node
        return true
    }

    /// These are the voters of a tablet now.
    mutating func note(_ tablet: TabletID, voters: [Member]) {
        guard let node = newcomers[tablet], voters.contains(where: { $0.node == node }) else {
            return
        }
        newcomers[tablet] = nil
        towardsPolicy.forgive(tablet)
    }

    /// Whether a learner of the tablet may be made again elsewhere now, for its node is away; notes
    /// it when it may.
    mutating func take(_ tablet: TabletID, copiedAt now: Instant) -> Bool {
        copies.take(tablet, now: now)
    }

    /// Notes who is there and who is not.
    mutating func note(_ nodes: [Placement.Node], now: Instant) {
        var absences: [NodeID: Instant] = [:]
        for node in nodes where !node.isAlive {
            absences[node.id] = self.absences[node.id] ?? now
        }
        self.absences = absences
    }

    /// Whether a node has been away for longer than a restart takes.
    func isLongAway(_ node: NodeID, now: Instant) -> Bool {
        absences[node].map { now >= $0 + MoveHistory.absenceMin } ?? false
    }

    /// Whether leadership of the tablet may be moved to a node now, to even leaders out; notes the
    /// attempt when it may. Attempts that come to nothing count as one move together.
    package mutating func take(_ tablet: TabletID, leadBy node: NodeID, now: Instant) -> Bool {
        if let isDue = isDue(tablet, to: node, now: now) { return isDue }
        guard balance.take(tablet, now: now) else { return false }
        wanted[tablet] = Handover(node: node, since: now)
        return true
    }

    /// As ``take(_:leadBy:now:)``, for leadership that goes to a node nearer to the tablet's home.
    package mutating func take(_ tablet: TabletID, ledHomeBy node: NodeID, now: Instant) -> Bool {
        if let isDue = isDue(tablet, to: node, now: now) { return isDue }
        guard homeward.take(tablet, now: now) else { return false }
        wanted[tablet] = Handover(node: node, since: now)
        return true
    }

    /// Whether a handover that was asked for and has not happened is to be asked for now; nil when
    /// there is none.
    private mutating func isDue(_ tablet: TabletID, to node: NodeID, now: Instant) -> Bool? {
        guard let last = wanted[tablet], now < last.since + MoveHistory.window else { return nil }
        if now < last.since + MoveHistory.patience { return last.node == node }
        guard now >= last.since + MoveHistory.pause(after: last.failures + 1) else { return false }
        wanted[tablet] = Handover(node: node, since: now, failures: last.failures + 1)
        return true
    }

    private static func pause(after failures: Int) -> TimeSpan {
        min(.seconds(1 << min(failures, 6)), pauseMax)
    }

    /// The tablet is led from a node: a move there is done.
    package mutating func note(_ tablet: TabletID, ledBy node: NodeID) {
        if wanted[tablet]?.node == node { wanted[tablet] = nil }
    }
}
