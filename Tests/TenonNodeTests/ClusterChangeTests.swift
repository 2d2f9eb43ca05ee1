import TenonCore
import TenonRaft
import TenonSimulator
import TenonWire
import Testing

@testable import TenonNode

/// Nodes that join and leave, replicas that move, keyspaces that come and go.
struct ClusterChanges {
    private func formed(
        _ nodes: Int, spares: Int, tablets: Int = 1, seed: UInt64 = 1
    ) -> SimulatedCluster {
        var options = ClusterOptions(seed: seed)
        options.nodeCount = nodes
        options.spareCount = spares
        options.tabletCount = tablets
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        return cluster
    }

    /// The nodes that have a voter of a tablet, as its leader says; empty while nobody leads or
    /// members change.
    private func voters(
        of tablet: TabletID, _ cluster: SimulatedCluster
    ) -> [NodeID] {
        guard let leader = cluster.leader(of: tablet),
            let replica = cluster.host(leader).node?.tablet(tablet)
        else { return [] }
        let membership = replica.raft.membership
        guard !membership.isJoint, membership.learners.isEmpty else { return [] }
        return membership.incoming.map(\.node).sorted()
    }

    private func comes(
        _ cluster: SimulatedCluster, within span: TimeSpan = .seconds(60),
        _ condition: @escaping () -> Bool
    ) -> Bool {
        cluster.run(within: span, every: .milliseconds(50), until: condition)
    }

    @Test func `the directory names founders, the keyspace and the tablets`() throws {
        let cluster = formed(3, spares: 0, tablets: 3)
        #expect(comes(cluster) { cluster.directory?.version ?? .zero > .zero })
        let directory = try #require(cluster.directory)
        #expect(directory.nodes.map(\.name) == ["n1", "n2", "n3"])
        #expect(directory.keyspaces.map(\.name) == ["default"])
        #expect(directory.tablets.map(\.id) == [1, 2, 3, 4].map { TabletID($0) })
        #expect(directory.tablets.allSatisfy { $0.voters.count == 3 })
    }

    @Test func `a node joins, gets a number of its own, and a restart of all finds it again`()
        throws
    {
        let cluster = formed(3, spares: 1)
        #expect(cluster.put("a", "1") != nil)
        #expect(cluster.join(4) == nil)
        #expect(cluster.host(4).nodeID == NodeID(4))
        #expect(comes(cluster) { cluster.host(4).node?.cluster.directory.nodes.count == 4 })
        for node in 1...4 { cluster.cutPower(node) }
        cluster.startAll()
        #expect(cluster.awaitLeaders())
        #expect(cluster.text(of: "a") == "1")
        #expect(cluster.host(4).isRunning)
    }

    @Test func `one node grows to three and to five, and nothing is exported`() throws {
        let cluster = formed(1, spares: 4)
        for number in 0..<20 { #expect(cluster.put(Bytes("k\(number)"), "v") != nil) }
        #expect(cluster.join(2) == nil)
        #expect(voters(of: TabletID(2), cluster) == [NodeID(1)])
        #expect(cluster.join(3) == nil)
        let isThree = comes(cluster) {
            voters(of: TabletID(2), cluster).count == 3
                && voters(of: .directory, cluster).count == 3
        }
        #expect(isThree)
        #expect(cluster.join(4) == nil)
        #expect(cluster.join(5) == nil)
        #expect(comes(cluster) { voters(of: .directory, cluster).count == 5 })
        // The data's keyspace asks for three.
        #expect(voters(of: TabletID(2), cluster).count == 3)
        cluster.crash(1)
        for number in 0..<20 { #expect(cluster.text(of: Bytes("k\(number)")) == "v") }
    }

    @Test func `a removed node's replicas are made again elsewhere, then it is no member`() throws {
        let cluster = formed(3, spares: 1)
        for number in 0..<20 { #expect(cluster.put(Bytes("k\(number)"), "v") != nil) }
        #expect(cluster.join(4) == nil)
        #expect(cluster.direct(.remove(node: "n1", replacement: "n4")) == nil)
        // No directory is no answer: its leader may have been the node that goes.
        let isGone = comes(cluster) {
            cluster.directory.map { $0.node(named: "n1") == nil } ?? false
        }
        #expect(isGone, "\(String(describing: cluster.directory))")
        for tablet in [TabletID.directory, TabletID(2)] {
            #expect(voters(of: tablet, cluster) == [2, 3, 4].map { NodeID($0) })
        }
        #expect(comes(cluster) { !cluster.host(1).isRunning })
        #expect(cluster.host(1).endReason?.contains("was removed") == true)
        for number in 0..<20 { #expect(cluster.text(of: Bytes("k\(number)")) == "v") }
    }

    @Test func `a dead node is replaced`() throws {
        let cluster = formed(3, spares: 1, seed: 7)
        for number in 0..<20 { #expect(cluster.put(Bytes("k\(number)"), "v") != nil) }
        cluster.cutPower(2)
        #expect(cluster.join(4) == nil)
        #expect(cluster.direct(.remove(node: "n2", replacement: nil)) == nil)
        #expect(
            comes(cluster) { cluster.directory.map { $0.node(named: "n2") == nil } ?? false })
        #expect(voters(of: TabletID(2), cluster) == [1, 3, 4].map { NodeID($0) })
        // It comes back from the dead, with its old folder: nobody listens.
        cluster.start(2)
        cluster.run(for: .seconds(3))
        #expect(cluster.put("b", "2") != nil)
        #expect(voters(of: TabletID(2), cluster) == [1, 3, 4].map { NodeID($0) })
    }

    @Test func `every founder is replaced, one after the other`() throws {
        let cluster = formed(3, spares: 3, tablets: 2, seed: 3)
        for number in 0..<20 {
            #expect(cluster.put(Bytes("k\(number)"), Bytes("v\(number)")) != nil)
        }
        for node in 1...3 {
            #expect(cluster.join(node + 3) == nil)
            #expect(cluster.direct(.remove(node: "n\(node)", replacement: "n\(node + 3)")) == nil)
            // No directory is no answer: its leader may have been the node that goes.
            #expect(
                comes(cluster) {
                    cluster.directory.map { $0.node(named: "n\(node)") == nil } ?? false
                })
        }
        #expect(cluster.directory?.nodes.map(\.name) == ["n4", "n5", "n6"])
        for number in 0..<20 { #expect(cluster.text(of: Bytes("k\(number)")) == "v\(number)") }
        // What was removed left tombstones, and no folders.
        let names = try cluster.host(4).disk.list(SimulatedHost.directory + "/cell-0/tablets")
        #expect(names.count == 3)
        for node in 4...6 { cluster.cutPower(node) }
        cluster.startAll()
        #expect(cluster.awaitLeaders())
        for number in 0..<20 { #expect(cluster.text(of: Bytes("k\(number)")) == "v\(number)") }
    }

    @Test func `a drained node leads nothing and keeps its replicas, until it is undrained`() throws
    {
        let cluster = formed(3, spares: 0, tablets: 6)
        let leader = try #require(cluster.leader())
        #expect(cluster.direct(.drain(node: "n\(leader)")) == nil)
        #expect(
            comes(cluster) {
                cluster.host(leader).node?.leadsNothing == true
            })
        cluster.run(for: .seconds(5))
        #expect(cluster.host(leader).node?.leadsNothing == true)
        #expect(voters(of: TabletID(2), cluster).count == 3)
        #expect(cluster.direct(.undrain(node: "n\(leader)")) == nil)
        #expect(comes(cluster) { cluster.host(leader).node?.leadsNothing == false })
    }

    @Test func `a node that was down while a keyspace was created has its replica once it is back`()
        throws
    {
        let cluster = formed(3, spares: 0)
        cluster.crash(3)
        let order = DirectoryOrder.createKeyspace(name: "accounts", KeyspaceSettings(replicas: 3))
        #expect(cluster.direct(order) == nil)
        let tablet = TabletID(3)
        cluster.keyspaces[tablet] = KeyspaceID(2)
        let isWritten = comes(cluster) {
            cluster.directory?.tablets.contains { $0.id == tablet && !$0.voters.isEmpty } ?? false
        }
        #expect(isWritten)
        cluster.run(for: .seconds(1))
        #expect(cluster.start(3))
        #expect(comes(cluster) { cluster.host(3).node?.tablet(tablet) != nil })
        // The two that remain are a majority only when the third has what was written.
        let put = Operation.put(key: "k", value: "v", condition: .none)
        #expect(comes(cluster) { cluster.leader(of: tablet) != nil })
        _ = cluster.write(put, tablet: tablet)
        let leader = cluster.leader(of: tablet)
        let first = leader == 1 ? 2 : 1
        cluster.crash(first)
        guard case .answer(.outcome(.written, _)) = cluster.write(put, tablet: tablet) else {
            Issue.record("the tablet takes no write without node \(first)")
            return
        }
    }

    @Test func `a keyspace is created with a tablet of its own, and dropped with it`() throws {
        let cluster = formed(3, spares: 0)
        let order = DirectoryOrder.createKeyspace(
            name: "accounts", KeyspaceSettings(replicas: 3, retention: .seconds(30)))
        #expect(cluster.direct(order) == nil)
        let tablet = TabletID(3)
        cluster.keyspaces[tablet] = KeyspaceID(2)
        #expect(comes(cluster) { cluster.leader(of: tablet) != nil })
        let put = Operation.put(key: "k", value: "v", condition: .none)
        guard case .answer(.outcome(.written, _)) = cluster.write(put, tablet: tablet) else {
            Issue.record("the new tablet takes no write")
            return
        }
        #expect(cluster.direct(order)?.contains("already") == true)
        #expect(cluster.direct(.dropKeyspace(name: "accounts")) == nil)
        #expect(
            comes(cluster) {
                cluster.directory?.keyspace(named: "accounts") == nil
                    && (1...3).allSatisfy { cluster.host($0).node?.tablet(tablet) == nil }
            })
        // Not made again by a restart.
        for node in 1...3 { cluster.cutPower(node) }
        #expect(cluster.form())
        cluster.run(for: .seconds(2))
        #expect((1...3).allSatisfy { cluster.host($0).node?.tablet(tablet) == nil })
    }

    @Test func `a keyspace's retention and a drain hold from the first moment after a restart`()
        throws
    {
        let cluster = formed(3, spares: 0)
        let order = DirectoryOrder.createKeyspace(
            name: "accounts", KeyspaceSettings(replicas: 3, retention: .seconds(7_200)))
        #expect(cluster.direct(order) == nil)
        #expect(cluster.direct(.drain(node: "n2")) == nil)
        let tablet = TabletID(3)
        #expect(comes(cluster) { cluster.host(2).node?.tablet(tablet) != nil })
        #expect(cluster.host(1).node?.tablet(tablet)?.raft.priority == .first)
        cluster.run(for: .seconds(3))
        for node in 1...3 { cluster.cutPower(node) }
        cluster.startAll()
        #expect(comes(cluster, within: .seconds(1)) { cluster.host(2).node != nil })
        let replica = try #require(cluster.host(2).node?.tablet(tablet))
        #expect(replica.retention == .seconds(7_200))
        #expect(replica.raft.priority == .second)
        #expect(cluster.host(2).node?.tablet(.directory)?.retention != nil)
    }

    /// The word about the earlier one never came, or came to a node that was down.
    @Test func `word of a later replica's removal takes an earlier one away, too`() throws {
        let cluster = formed(3, spares: 0)
        let node = try #require(cluster.host(3).node)
        let id = TabletID(2)
        var record = try #require(node.tablet(id)).record
        node.remove(id, ReplicaID(9), by: .last, now: cluster.now)
        #expect(node.tablet(id) == nil)
        #expect(comes(cluster) { node.removingReplicas.isEmpty })
        record.replica = ReplicaID(12)
        node.create(record, by: .none, now: cluster.now)
        #expect(comes(cluster) { node.tablet(id)?.replica == ReplicaID(12) })
        #expect(node.tablets.all.count { $0.id == id } == 1)
    }

    @Test func `a founder whose replicas all moved away has none after a restart`() throws {
        let cluster = formed(3, spares: 0)
        let node = try #require(cluster.host(3).node)
        for id in [TabletID.directory, TabletID(2)] {
            node.remove(id, ReplicaID(3), by: .last, now: cluster.now)
        }
        #expect(comes(cluster) { node.removingReplicas.isEmpty })
        cluster.cutPower(3)
        cluster.startAll()
        let again = try #require(cluster.host(3).node)
        #expect(again.tablets.all.isEmpty)
    }

    @Test func `replicas and leaders even out over the nodes, and then stay`() throws {
        let cluster = formed(3, spares: 1, tablets: 8, seed: 5)
        #expect(cluster.join(4) == nil)
        func counts() -> [Int] {
            (1...4).map { node in cluster.host(node).node?.tablets.count ?? 0 }
        }
        // 27 replicas of nine tablets, all on three nodes at first.
        #expect(comes(cluster, within: .seconds(120)) { counts().allSatisfy { $0 <= 8 } })
        cluster.run(for: .seconds(20))
        let settled = counts()
        #expect(settled.max()! - settled.min()! <= 2, "\(settled)")
        cluster.run(for: .seconds(30))
        #expect(counts() == settled)
    }

    @Test func `what cannot be done is refused with what to do instead`() throws {
        let cluster = formed(3, spares: 1)
        #expect(comes(cluster) { cluster.directory?.version ?? .zero > .zero })
        let refusals: [(DirectoryOrder, String)] = [
            (.drain(node: "n9"), "there are n1, n2, n3"),
            (.remove(node: "n1", replacement: nil), "add a node first"),
            (.remove(node: "n1", replacement: "n1"), "cannot replace"),
            (.moveReplica(TabletID(9), from: "n1", to: "n2"), "there is no tablet 9"),
            (.moveReplica(TabletID(2), from: "n1", to: "n2"), "has a replica on n2 already"),
            (.dropKeyspace(name: "nothing"), "there are default"),
            (.createKeyspace(name: "a b", KeyspaceSettings()), "letters"),
            (.createKeyspace(name: "even", KeyspaceSettings(replicas: 2)), "odd number"),
            (.createKeyspace(name: "far", KeyspaceSettings(survive: .dc)), "--locality"),
            (.alterKeyspace(name: "nothing", KeyspaceSettings(survive: .dc)), "there are default"),
            (
                .join(name: "n1", address: "x:1", locality: "", folder: FolderID(high: 1, low: 1)),
                "is taken"
            ),
            (
                .join(
                    name: "n7", address: "10.0.0.1:7501", locality: "",
                    folder: FolderID(high: 1, low: 1)), "is the address of n1"
            ),
        ]
        for (order, part) in refusals {
            let answer = cluster.direct(order)
            #expect(answer?.contains(part) == true, "\(order): \(answer ?? "done")")
        }
        guard
            case .notApplied(let refusal?)? = Optional(
                cluster.write(
                    .put(key: "node/1", value: "x", condition: .none), tablet: .directory))
        else {
            Issue.record("the directory was written to")
            return
        }
        #expect(refusal.reason == .denied)
    }

    @Test func `a late word about an earlier replica leaves the one that is there alone`() throws {
        let cluster = formed(3, spares: 1, seed: 11)
        #expect(cluster.put("a", "1") != nil)
        #expect(cluster.join(4) == nil)
        #expect(cluster.direct(.remove(node: "n1", replacement: "n4")) == nil)
        #expect(comes(cluster) { cluster.directory?.node(named: "n1") == nil })
        let node = try #require(cluster.host(4).node)
        let living = try #require(node.tablet(TabletID(2))).replica
        node.remove(
            TabletID(2), ReplicaID(living.rawValue - 1), by: .last, now: cluster.now)
        cluster.run(for: .seconds(1))
        cluster.cutPower(4)
        cluster.start(4)
        #expect(comes(cluster) { cluster.status(4)?.health == "whole" })
        #expect(cluster.host(4).node?.tablet(TabletID(2))?.replica == living)
    }

    /// Seed 3000001048 of the simulator's `members`: a leader of the directory that had not heard of
    /// a new voter wanted another on its node, which put out the first. Two had all entries.
    @Test func `a voter is not put out by a second replica on its node`() throws {
        let cluster = formed(3, spares: 0, seed: 13)
        #expect(cluster.put("a", "1") != nil)
        let leader = try #require(cluster.leader())
        let victim = leader % 3 + 1
        let node = try #require(cluster.host(leader).node)
        let members = try #require(node.tablet(TabletID(2))).raft.membership.incoming
        let target = members.map { member in
            member.node == NodeID(UInt32(victim))
                ? Member(replica: ReplicaID(9), node: member.node) : member
        }.inOrder
        for _ in 0..<20 {
            node.handle(
                .setMembers(TabletID(2), target: target, learners: [], .majority), from: node.id,
                now: cluster.now)
            cluster.run(for: .milliseconds(100))
        }
        #expect(voters(of: TabletID(2), cluster).count == 3)
        let replica = try #require(cluster.host(victim).node?.tablet(TabletID(2))).replica
        #expect(members.contains(Member(replica: replica, node: NodeID(UInt32(victim)))))
        #expect(node.memberWork.targets.isEmpty, "it would be in the way of splits")
    }

    @Test func `where founders stand is written down, and anew when they are started elsewhere`()
        throws
    {
        var options = ClusterOptions(seed: 12)
        options.nodeCount = 3
        let cluster = SimulatedCluster(options)
        for host in cluster.hosts {
            let place = "city=c\(host.id)"
            host.adjust = { $0.locality = place }
        }
        #expect(cluster.form())
        func places() -> [String] { cluster.directory?.nodes.map(\.locality) ?? [] }
        #expect(comes(cluster) { places() == ["city=c1", "city=c2", "city=c3"] })
        // One that is started without a word about it stands where it stood.
        for (number, place) in zip(1...3, ["city=c9", "", "city=c3"]) {
            cluster.cutPower(number)
            cluster.host(number).adjust = { $0.locality = place }
        }
        cluster.startAll()
        #expect(comes(cluster) { places() == ["city=c9", "city=c2", "city=c3"] })
        let version = cluster.directory?.version
        cluster.run(for: .seconds(5))
        #expect(cluster.directory?.version == version, "written once")
    }
}
