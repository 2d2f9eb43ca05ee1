package import TenonCore
package import TenonWire

/// The formation of a cluster as one node sees it (Rule I1).
///
/// A cluster is formed once, when *all* nodes of the list answer with empty folders. The node of
/// the lowest id is the founder: it picks the cluster id, or takes up one that an interrupted
/// formation left behind, and orders every node to write it down. Only when all have it on stable
/// storage does anybody vote.
///
/// ```
/// gathering ──all answered empty──▶ (founder) saving ──▶ proposing ──all saved──▶ formed
///     └──order of the founder──▶ (others) saving ──▶ saved ──word of the founder──▶ formed
/// ```
/// A node that has the cluster id and meets a member with entries knows that the formation was
/// completed. An empty node *without* the id that meets one was wiped, and is refused.
package struct Formation: Sendable {
    package enum Phase: Hashable, Sendable {
        /// Waits until all nodes answered.
        case gathering
        /// The cluster id is on its way to this node's disk.
        case saving(ClusterID)
        /// Founder: durable here; waits for the others. Others: durable, waits for the founder.
        case saved(ClusterID)
        /// Everybody has the id: this node may vote.
        case formed(ClusterID)
        /// This folder has no place in the cluster; the process ends with the reason.
        case refused(String)
    }

    /// What to do after an event.
    package enum Action: Hashable, Sendable {
        /// Write the cluster id to the folder and call ``saved()`` when it is durable.
        case save(ClusterID)
        /// Tell every other node to save the cluster id.
        case propose(ClusterID, to: [NodeID])
        /// Tell the founder that it is saved here.
        case acknowledge(ClusterID, to: NodeID)
        /// Tell every other node that all have it.
        case announce(ClusterID, to: [NodeID])
        /// Start voting.
        case begin(ClusterID)
        /// End the process.
        case refuse(String)
    }

    package private(set) var phase: Phase
    private let me: NodeID
    private let members: [NodeID]
    /// What the others said of themselves, by place in `members`; nil while not heard.
    private var answers: [PeerIdentity?]
    private var acknowledged: [Bool]
    private var ownCluster: ClusterID

    private var founder: NodeID { members[0] }
    private var others: [NodeID] { members.filter { $0 != me } }

    /// - Parameters:
    ///   - cluster: what the folder says.
    ///   - hasEntries: whether this node's log holds anything; then the cluster was formed.
    package init(me: NodeID, members: [NodeID], cluster: ClusterID, hasEntries: Bool) {
        precondition(members.contains(me), "node \(me) is not among \(members)")
        self.me = me
        self.members = members.sorted()
        ownCluster = cluster
        answers = Array(repeating: nil, count: members.count)
        acknowledged = Array(repeating: false, count: members.count)
        phase = hasEntries && cluster != .none ? .formed(cluster) : .gathering
    }

    /// The cluster this node may vote in, once it may.
    package var cluster: ClusterID? {
        if case .formed(let cluster) = phase { return cluster }
        return nil
    }

    /// A cluster of one needs nobody's answer.
    package mutating func start() -> [Action] { decide() }

    /// A peer said who it is.
    package mutating func heard(_ peer: PeerIdentity) -> [Action] {
        guard cluster == nil, let place = members.firstIndex(of: peer.node) else { return [] }
        answers[place] = peer
        if peer.hasEntries { return meetMember(peer) }
        return decide()
    }

    /// A peer's link broke: what it said does not hold any more.
    package mutating func lost(_ node: NodeID) {
        guard cluster == nil, let place = members.firstIndex(of: node) else { return }
        answers[place] = nil
    }

    private mutating func meetMember(_ peer: PeerIdentity) -> [Action] {
        if ownCluster == peer.cluster || isPlanted(.wipedNodeVotes) {
            // The id only spreads while everybody is empty, and entries only come after all had
            // it: the formation was completed without this node hearing the last word.
            if case .saving = phase { return [] }
            return begin(peer.cluster)
        }
        let reason =
            ownCluster == .none
            ? "node \(peer.node) is a member of cluster \(peer.cluster) with data, and this "
                + "folder is empty: wiped: join as a new node"
            : "node \(peer.node) belongs to cluster \(peer.cluster), this folder to \(ownCluster)"
        phase = .refused(reason)
        return [.refuse(reason)]
    }

    /// The founder acts when all have answered; the others wait for its order.
    private mutating func decide() -> [Action] {
        guard case .gathering = phase, me == founder else { return [] }
        var known = ownCluster
        for (place, node) in members.enumerated() where node != me {
            guard let answer = answers[place] else {
                if isPlanted(.twoEmptyNodesFoundCluster), isQuorum(answers.count { $0 != nil }) {
                    continue
                }
                return []
            }
            guard answer.cluster != .none else { continue }
            if known != .none && known != answer.cluster {
                let reason =
                    "node \(node) was part of the formation of cluster \(answer.cluster), "
                    + "another of \(known): clear the data folder of the one that is wrong"
                phase = .refused(reason)
                return [.refuse(reason)]
            }
            known = answer.cluster
        }
        phase = .saving(known)
        return [.save(known)]
    }

    /// The cluster id is durable in this node's folder. For ``ClusterID/none`` in
    /// ``Action/save(_:)`` the caller made a random one, `cluster`.
    package mutating func saved(_ cluster: ClusterID) -> [Action] {
        guard case .saving = phase else { return [] }
        ownCluster = cluster
        phase = .saved(cluster)
        if me != founder { return [.acknowledge(cluster, to: founder)] }
        return others.isEmpty ? begin(cluster) : [.propose(cluster, to: others)]
    }

    /// The founder orders to save a cluster id.
    package mutating func proposed(_ cluster: ClusterID, by node: NodeID) -> [Action] {
        guard node == founder, me != founder, cluster != .none else { return [] }
        switch phase {
        case .gathering:
            guard ownCluster == .none || ownCluster == cluster else {
                let reason = "the founder forms \(cluster), this folder belongs to \(ownCluster)"
                phase = .refused(reason)
                return [.refuse(reason)]
            }
            phase = .saving(cluster)
            return [.save(cluster)]
        case .saved(let mine) where mine == cluster, .formed(let mine) where mine == cluster:
            // A founder that restarted before anything was written asks again those who had its
            // last word already.
            return [.acknowledge(cluster, to: founder)]
        case .saving, .saved, .formed, .refused:
            return []
        }
    }

    /// A node has saved the id.
    package mutating func acknowledgement(of cluster: ClusterID, from node: NodeID) -> [Action] {
        guard me == founder, let place = members.firstIndex(of: node) else { return [] }
        // One that still asks has not heard the last word: its link was down.
        if case .formed(cluster) = phase { return [.announce(cluster, to: [node])] }
        guard case .saved(cluster) = phase else { return [] }
        acknowledged[place] = true
        let isComplete = members.indices.allSatisfy { members[$0] == me || acknowledged[$0] }
        let suffices =
            isPlanted(.twoEmptyNodesFoundCluster) && isQuorum(acknowledged.count(where: \.self))
        guard isComplete || suffices else { return [] }
        return [.announce(cluster, to: others)] + begin(cluster)
    }

    /// The founder says that all have saved the id: this node, too, in this life or an earlier one.
    package mutating func announced(_ cluster: ClusterID, by node: NodeID) -> [Action] {
        guard node == founder, durable == cluster else { return [] }
        return begin(cluster)
    }

    /// The cluster id in this node's folder, while it waits for the others or the last word.
    private var durable: ClusterID? {
        switch phase {
        case .saved(let cluster): cluster
        // It had saved the id and was started again.
        case .gathering where me != founder && ownCluster != .none: ownCluster
        case .gathering, .saving, .formed, .refused: nil
        }
    }

    /// Asks again where an answer may have been lost. Called now and then.
    package func reminders() -> [Action] {
        guard let cluster = durable else { return [] }
        guard me == founder else { return [.acknowledge(cluster, to: founder)] }
        let missing = members.indices.filter { members[$0] != me && !acknowledged[$0] }
        return missing.isEmpty ? [] : [.propose(cluster, to: missing.map { members[$0] })]
    }

    /// Whether so many others and this node are a majority.
    private func isQuorum(_ others: Int) -> Bool { (others + 1) * 2 > members.count }

    private mutating func begin(_ cluster: ClusterID) -> [Action] {
        phase = .formed(cluster)
        return [.begin(cluster)]
    }
}
