import TenonCore
import TenonRaft

/// A node's heartbeats with every peer: who is there, and which quiet groups the two share.
struct NodeHeartbeats {
    /// One peer.
    struct Peer {
        let node: NodeID
        var pulse = PeerPulse()
        /// The quiet groups that are led here.
        var leading = QuietSet()
        /// The quiet groups that are led there.
        var following = QuietFollowing()
        /// Through whom consensus messages go there at the moment (Rule C8); nil: directly.
        var via: NodeID?
        /// What this node relays of the peer's messages.
        var relayBudget = RelayBudget()
    }

    private(set) var peers: [Peer]
    var nextHeartbeat = Instant.zero

    init(others: [NodeID]) {
        peers = others.sorted().map { Peer(node: $0) }
    }

    func place(of node: NodeID) -> Int? { peers.firstIndex { $0.node == node } }

    /// Nodes joined the cluster, or left it.
    /// - Returns: the tablets whose rest is to be looked at.
    mutating func setOthers(_ others: [NodeID]) -> [TabletID] {
        var affected: [TabletID] = []
        for place in peers.indices where !others.contains(peers[place].node) {
            affected += peers[place].following.giveUp() + peers[place].leading.tablets
        }
        peers.removeAll { !others.contains($0.node) }
        for node in others where place(of: node) == nil { peers.append(Peer(node: node)) }
        peers.sort { $0.node < $1.node }
        return affected
    }

    /// Lets `body` change what is kept of `node`; nil when it is no peer.
    mutating func with<Result>(_ node: NodeID, _ body: (inout Peer) -> Result) -> Result? {
        guard let place = place(of: node) else { return nil }
        return body(&peers[place])
    }

    mutating func forEach(_ body: (inout Peer) -> Void) {
        for place in peers.indices { body(&peers[place]) }
    }

    /// Whether a round trip to `node` began less than `bound` ago.
    func isFresh(_ node: NodeID, now: Instant, bound: TimeSpan) -> Bool {
        place(of: node).map { peers[$0].pulse.isFresh(now: now, bound: bound) } ?? false
    }

    /// Through whom messages to `node` go; nil: directly.
    func via(_ node: NodeID) -> NodeID? { place(of: node).flatMap { peers[$0].via } }
    /// Whether messages to some node are relayed.
    var relaysAny: Bool { peers.contains { $0.via != nil } }

    /// Looks for a way to each peer: the direct one while its round trips are recent, otherwise
    /// through the lowest node that has recent ones with both ends.
    /// - Returns: whether a way has changed.
    mutating func findWays(now: Instant, bound: TimeSpan) -> Bool {
        var isNew = false
        for place in peers.indices {
            let target = peers[place].node
            let isDirect = peers[place].pulse.isFresh(now: now, bound: bound)
            let relay =
                isDirect
                ? nil
                : peers.first {
                    $0.node != target && $0.pulse.isFresh(now: now, bound: bound)
                        && $0.pulse.reaches(target, now: now, bound: bound)
                }?.node
            if relay != nil, peers[place].via == nil { reached(.messagesRelayed) }
            if relay != peers[place].via { isNew = true }
            peers[place].via = relay
        }
        return isNew
    }

    /// The peers that are fresh, in rising order.
    func fresh(now: Instant, bound: TimeSpan) -> [NodeID] {
        peers.filter { $0.pulse.isFresh(now: now, bound: bound) }.map(\.node)
    }
}
