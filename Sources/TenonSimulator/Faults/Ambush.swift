internal import TenonCore
internal import TenonNode
internal import TenonRaft

/// Waits for the most delicate moment of a change of members: a leader's joint configuration has
/// just ended. Whom to strike then: the old voters lose their power, so that they know only what
/// is on their disks, and are parted from the new ones, who are a majority without them.
///
/// Each half has a majority of its own in the configuration that it would go by if a configuration
/// counted from its commit on, and not from its entry on (Rule C4; thesis, section 4.1).
struct Ambush {
    /// What to do.
    struct Strike {
        /// Hosts by number: old voters but the leader, and the leader with the new voters.
        var losers: [Int]
        var others: [Int]

        /// All ways between the two halves.
        var ways: [FaultWay] {
            losers.flatMap { loser in
                others.flatMap { [FaultWay(loser, $0), FaultWay($0, loser)] }
            }
        }
    }

    /// Between two looks: less than a message takes.
    static let pace = TimeSpan.microseconds(200)
    static let patience = TimeSpan.seconds(6)
    static let downFor = TimeSpan.milliseconds(200)
    static let partedFor = TimeSpan.seconds(4)

    /// The joint configurations of leaders at the last look.
    private var joint: [TabletID: Membership] = [:]

    /// The strike whose moment has come; nil while there is none.
    mutating func look(at cluster: SimulatedCluster) -> Strike? {
        for host in cluster.hosts {
            guard let node = host.node else { continue }
            for place in 0..<node.probeCount {
                let probe = node.probe(place)
                guard probe.role == .leader else { continue }
                if let strike = look(at: probe, of: cluster) { return strike }
            }
        }
        return nil
    }

    private mutating func look(at probe: TabletProbe, of cluster: SimulatedCluster) -> Strike? {
        guard !probe.membership.isJoint else {
            joint[probe.tablet] = probe.membership
            return nil
        }
        guard let before = joint.removeValue(forKey: probe.tablet) else { return nil }
        let losers = before.outgoing.filter { $0.replica != probe.replica }
        let others = probe.membership.incoming.filter { member in
            member.replica == probe.replica || !before.outgoing.contains(member)
        }
        guard probe.membership.hasQuorum({ voter in others.contains { $0.replica == voter } })
        else { return nil }
        return Strike(
            losers: losers.compactMap { Ambush.host(of: $0, in: cluster) },
            others: others.compactMap { Ambush.host(of: $0, in: cluster) })
    }

    private static func host(of member: Member, in cluster: SimulatedCluster) -> Int? {
        cluster.hosts.first { $0.nodeID == member.node }.map { Int($0.id.rawValue) }
    }
}
