import TenonCore
import TenonNode
import TenonWire
import Testing

/// The formation of a cluster as a value, step by step (Rule I1).
@Suite struct FormationTests {
    private let cluster = ClusterID(high: 1, low: 2)
    private let other = ClusterID(high: 3, low: 4)
    private let members = [NodeID(1), NodeID(2), NodeID(3)]

    private func formation(
        of node: UInt32, cluster: ClusterID = .none, hasEntries: Bool = false
    ) -> Formation {
        Formation(me: NodeID(node), members: members, cluster: cluster, hasEntries: hasEntries)
    }

    private func peer(
        _ node: UInt32, cluster: ClusterID = .none, hasEntries: Bool = false
    ) -> PeerIdentity {
        PeerIdentity(
            cluster: cluster, node: NodeID(node), folder: FolderID(high: 0, low: UInt64(node)),
            boot: BootNumber(1), nonce: 1, epoch: .first, hasEntries: hasEntries, logPosition: 0,
            memberListDigest: 0)
    }

    /// A founder that has heard both others and has the id on disk.
    private func savedFounder() -> Formation {
        var founder = formation(of: 1)
        _ = founder.heard(peer(2))
        _ = founder.heard(peer(3))
        _ = founder.saved(cluster)
        return founder
    }

    @Test func `the founder acts only when all have answered`() {
        var founder = formation(of: 1)
        #expect(founder.start() == [])
        #expect(founder.heard(peer(2)) == [])
        #expect(founder.heard(peer(3)) == [.save(.none)])
        #expect(founder.saved(cluster) == [.propose(cluster, to: [NodeID(2), NodeID(3)])])
        #expect(founder.cluster == nil)
    }

    @Test func `an answer that was lost again does not count`() {
        var founder = formation(of: 1)
        _ = founder.heard(peer(2))
        founder.lost(NodeID(2))
        #expect(founder.heard(peer(3)) == [])
        #expect(founder.heard(peer(2)) == [.save(.none)])
    }

    @Test func `the others wait for the founder's order`() {
        var follower = formation(of: 2)
        #expect(follower.heard(peer(1)) == [])
        #expect(follower.heard(peer(3)) == [])
        #expect(follower.proposed(cluster, by: NodeID(3)) == [], "node 3 is not the founder")
        #expect(follower.proposed(.none, by: NodeID(1)) == [], "no id")
        #expect(follower.proposed(cluster, by: NodeID(1)) == [.save(cluster)])
        #expect(follower.proposed(cluster, by: NodeID(1)) == [], "being saved")
        #expect(follower.saved(cluster) == [.acknowledge(cluster, to: NodeID(1))])
        #expect(
            follower.proposed(cluster, by: NodeID(1)) == [.acknowledge(cluster, to: NodeID(1))])
        #expect(follower.announced(cluster, by: NodeID(3)) == [], "not the founder's word")
        #expect(follower.announced(other, by: NodeID(1)) == [], "another cluster")
        #expect(follower.announced(cluster, by: NodeID(1)) == [.begin(cluster)])
        #expect(follower.cluster == cluster)
    }

    @Test func `nobody votes before all have acknowledged`() {
        var founder = savedFounder()
        #expect(founder.acknowledgement(of: cluster, from: NodeID(2)) == [])
        #expect(founder.acknowledgement(of: other, from: NodeID(3)) == [])
        #expect(founder.acknowledgement(of: cluster, from: NodeID(2)) == [], "twice the same")
        #expect(founder.acknowledgement(of: cluster, from: NodeID(9)) == [], "a stranger")
        #expect(
            founder.acknowledgement(of: cluster, from: NodeID(3)) == [
                .announce(cluster, to: [NodeID(2), NodeID(3)]), .begin(cluster),
            ])
    }

    @Test func `who still acknowledges has not heard the last word, and hears it again`() {
        var founder = savedFounder()
        _ = founder.acknowledgement(of: cluster, from: NodeID(2))
        _ = founder.acknowledgement(of: cluster, from: NodeID(3))
        #expect(
            founder.acknowledgement(of: cluster, from: NodeID(3)) == [
                .announce(cluster, to: [NodeID(3)])
            ])
    }

    @Test func `who saved the id in an earlier life asks for the last word, and takes it`() {
        var follower = formation(of: 2, cluster: cluster)
        #expect(follower.start() == [])
        #expect(follower.reminders() == [.acknowledge(cluster, to: NodeID(1))])
        #expect(follower.announced(other, by: NodeID(1)) == [], "of another formation")
        #expect(follower.announced(cluster, by: NodeID(3)) == [], "node 3 is not the founder")
        #expect(follower.announced(cluster, by: NodeID(1)) == [.begin(cluster)])

        var empty = formation(of: 3)
        #expect(empty.reminders() == [])
        #expect(empty.announced(cluster, by: NodeID(1)) == [], "it has saved nothing")
    }

    @Test func `a formed node acknowledges to a founder that starts over`() {
        var follower = formation(of: 2)
        _ = follower.proposed(cluster, by: NodeID(1))
        _ = follower.saved(cluster)
        _ = follower.announced(cluster, by: NodeID(1))
        #expect(
            follower.proposed(cluster, by: NodeID(1)) == [.acknowledge(cluster, to: NodeID(1))])
        #expect(follower.proposed(other, by: NodeID(1)) == [])
    }

    @Test func `reminders ask again whoever is missing`() {
        var founder = savedFounder()
        #expect(founder.reminders() == [.propose(cluster, to: [NodeID(2), NodeID(3)])])
        _ = founder.acknowledgement(of: cluster, from: NodeID(2))
        #expect(founder.reminders() == [.propose(cluster, to: [NodeID(3)])])
        var follower = formation(of: 3)
        #expect(follower.reminders() == [])
        _ = follower.proposed(cluster, by: NodeID(1))
        _ = follower.saved(cluster)
        #expect(follower.reminders() == [.acknowledge(cluster, to: NodeID(1))])
    }

    @Test func `an interrupted formation goes on with the id it left behind`() {
        var founder = formation(of: 1)
        _ = founder.heard(peer(2, cluster: cluster))
        #expect(founder.heard(peer(3)) == [.save(cluster)])
        var again = formation(of: 1, cluster: cluster)
        _ = again.heard(peer(2))
        #expect(again.heard(peer(3, cluster: cluster)) == [.save(cluster)])
    }

    @Test func `two formations are not mixed`() {
        var founder = formation(of: 1, cluster: cluster)
        let actions = founder.heard(peer(2, cluster: other))
        guard case .refuse = actions.first else {
            Issue.record("\(actions)")
            return
        }
        var follower = formation(of: 2, cluster: other)
        guard case .refuse = follower.proposed(cluster, by: NodeID(1)).first else {
            Issue.record("a follower of \(other) followed \(cluster)")
            return
        }
    }

    @Test func `an empty node that meets a member with data was wiped`() {
        var wiped = formation(of: 1)
        let actions = wiped.heard(peer(2, cluster: cluster, hasEntries: true))
        guard case .refuse(let reason) = actions.first else {
            Issue.record("\(actions)")
            return
        }
        #expect(reason.contains("wiped"))
        guard case .refused = wiped.phase else {
            Issue.record("\(wiped.phase)")
            return
        }
        #expect(wiped.proposed(cluster, by: NodeID(1)) == [])
    }

    @Test func `a node of the cluster that meets a member with data knows it is formed`() {
        var late = formation(of: 3, cluster: cluster)
        #expect(late.heard(peer(2, cluster: cluster, hasEntries: true)) == [.begin(cluster)])
        var foreign = formation(of: 3, cluster: other)
        let actions = foreign.heard(peer(2, cluster: cluster, hasEntries: true))
        guard case .refuse = actions.first else {
            Issue.record("\(actions)")
            return
        }
    }

    @Test func `a node with entries is formed from the start`() {
        var node = formation(of: 2, cluster: cluster, hasEntries: true)
        #expect(node.cluster == cluster)
        #expect(node.heard(peer(1)) == [])
        #expect(node.start() == [])
    }

    @Test func `one node alone forms its cluster by itself`() {
        var only = Formation(
            me: NodeID(1), members: [NodeID(1)], cluster: .none, hasEntries: false)
        #expect(only.start() == [.save(.none)])
        #expect(only.saved(cluster) == [.begin(cluster)])
    }
}
