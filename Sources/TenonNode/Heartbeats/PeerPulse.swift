import TenonCore

/// What this node knows of the way to a peer and back (Rule C1): only an answered heartbeat is
/// evidence, and it counts from when the heartbeat was *sent*.
struct PeerPulse {
    /// When the newest heartbeat that the peer answered was sent.
    private(set) var answeredAt: Instant?
    private(set) var roundTrip = TimeSpan.zero
    /// The peer's boot as it last told; 0 before.
    var boot = BootNumber(0)
    /// Whom the peer reaches, as it told at ``toldAt``.
    private(set) var reaches: [NodeID] = []
    private(set) var toldAt: Instant?
    /// Whether the node has acted on the peer's being fresh, or on its not being so.
    var wasFresh = false

    /// An answer arrived.
    /// - Returns: whether it answers a newer heartbeat than every one before.
    mutating func answered(sentAt: Instant, now: Instant) -> Bool {
        guard sentAt <= now, answeredAt.map({ sentAt > $0 }) ?? true else { return false }
        answeredAt = sentAt
        roundTrip = now.since(sentAt)
        return true
    }

    /// The peer told whom it reaches.
    mutating func told(_ nodes: [NodeID], now: Instant) {
        reaches = nodes
        toldAt = now
    }

    /// Whether a round trip began less than `bound` ago.
    func isFresh(now: Instant, bound: TimeSpan) -> Bool {
        answeredAt.map { now < $0 + bound } ?? false
    }

    /// Whether the peer said less than `bound` ago that it reaches `node`.
    func reaches(_ node: NodeID, now: Instant, bound: TimeSpan) -> Bool {
        toldAt.map { now < $0 + bound } ?? false && reaches.contains(node)
    }
}
