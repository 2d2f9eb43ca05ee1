import TenonCore
import TenonRaft
import TenonSimulator
import TenonWire
import Testing

@testable import TenonNode

/// Replicas go when it is proved that they are no members, and not before.
@Suite struct Departures {
    private struct Unexpected: Error {
        var text: String
    }

    private static let id = TabletID(2)

    private func formed(spares: Int, seed: UInt64) -> SimulatedCluster {
        var options = ClusterOptions(seed: seed)
        options.nodeCount = 3
        options.spareCount = spares
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        return cluster
    }

    private func comes(_ cluster: SimulatedCluster, _ condition: @escaping () -> Bool) -> Bool {
        cluster.run(within: .seconds(60), every: .milliseconds(50), until: condition)
    }

    /// A cluster whose fourth node took the place of its first.
    private func renewed(seed: UInt64) throws -> SimulatedCluster {
        let cluster = formed(spares: 1, seed: seed)
        #expect(cluster.put("a", "1") != nil)
        #expect(cluster.join(4) == nil)
        #expect(cluster.direct(.remove(node: "n1", replacement: "n4")) == nil)
        #expect(comes(cluster) { cluster.directory?.node(named: "n1") == nil })
        return cluster
    }

    /// Seed 70000905 of the simulator's `members`: a directory that had not heard of a change told a
    /// voter that it was none.
    @Test func `a voter stays when it is told so by who knows an older configuration`() throws {
        let cluster = try renewed(seed: 11)
        let node = try #require(cluster.host(4).node)
        let voter = try #require(node.tablet(Departures.id))
        let newest = voter.raft.membership.generation
        let older = Generation(newest.rawValue - 1)
        node.handle(
            .removeReplica(Departures.id, voter.replica, by: older), from: node.id,
            now: cluster.now)
        #expect(node.tablet(Departures.id)?.replica == voter.replica)
        #expect(node.ownMessages.count == 1)
        guard case .isMember(Departures.id, voter.replica, newest) = node.ownMessages.first else {
            throw Unexpected(text: "\(node.ownMessages)")
        }
        node.handle(
            .removeReplica(Departures.id, voter.replica, by: newest), from: NodeID(2),
            now: cluster.now)
        #expect(node.tablet(Departures.id) == nil)
    }

    @Test func `a voter makes room for a later replica only when a newer configuration names it`()
        throws
    {
        let cluster = try renewed(seed: 12)
        let node = try #require(cluster.host(4).node)
        let voter = try #require(node.tablet(Departures.id))
        let newest = voter.raft.membership.generation
        var record = voter.record
        record.replica = ReplicaID(9)
        for older in [Generation.none, Generation(newest.rawValue - 1)] {
            node.create(record, by: older, now: cluster.now)
            #expect(node.tablet(Departures.id)?.replica == voter.replica)
        }
        node.create(record, by: newest.next, now: cluster.now)
        #expect(node.tablet(Departures.id) == nil)
    }

    @Test func `the directory says nothing to who knows a newer configuration`() throws {
        let cluster = try renewed(seed: 13)
        let leader = try #require(cluster.leader(of: .directory))
        let node = try #require(cluster.host(leader).node)
        let known = try #require(node.controller.state.tablet(Departures.id)).configuration
        /// What the node says to itself: replica 1 was a member once.
        func answers(to newest: Generation) -> Bool {
            node.handle(
                .isMember(Departures.id, ReplicaID(1), newest: newest), from: node.id,
                now: cluster.now)
            let isTold = node.ownMessages.contains { message in
                if case .removeReplica = message { true } else { false }
            }
            node.ownMessages = []
            return isTold
        }
        #expect(answers(to: known))
        #expect(!answers(to: known.next))
    }

    /// Its newest configuration was proposed by a leader that fell: nobody else ever hears of it, and
    /// the tablet's own number stays below it.
    @Test func `a replica of a configuration that was given up goes`() throws {
        let cluster = formed(spares: 1, seed: 14)
        #expect(cluster.put("a", "1") != nil)
        #expect(cluster.join(4) == nil)
        let leader = try #require(cluster.leader())
        let led = try #require(cluster.host(leader).node?.tablet(Departures.id))
        let before = led.raft.membership
        let node = try #require(cluster.host(4).node)
        var record = led.record
        record.replica = ReplicaID(9)
        record.membership = before
        node.create(record, by: .none, now: cluster.now)
        #expect(comes(cluster) { node.tablet(Departures.id) != nil })
        let givenUp = try Membership(
            incoming: before.incoming, learners: [Member(replica: ReplicaID(9), node: NodeID(4))],
            generation: before.generation.next)
        let entry = Entry(
            index: LogIndex(1), term: led.raft.term, kind: .configuration,
            payload: givenUp.encoded())
        node.step(
            RaftMessage(
                tablet: Departures.id, from: led.replica, to: ReplicaID(9), epoch: .first,
                term: led.raft.term,
                body: .append(
                    RaftMessage.Append(previous: .zero, commit: .zero, entries: [entry]))),
            from: NodeID(UInt32(leader)), now: cluster.now)
        #expect(node.tablet(Departures.id)?.raft.membership == givenUp)
        #expect(comes(cluster) { node.tablet(Departures.id) == nil })
        let after = led.raft.membership
        #expect(after.incoming == before.incoming)
        #expect(after.generation == before.generation.next, "stated again, and once only")
    }

    /// Seed 78 of `members`: a tablet had a voter on the node that its leader had not been able to
    /// report.
    @Test func `a leaving node goes when every tablet's leader reported, knowing that it leaves`()
        throws
    {
        var records = DirectoryRecords()
        records.take(try records.state.change(for: .remove(node: "n4", replacement: nil)))
        var controller = DirectoryController()
        controller.state = try records.state
        let since = try #require(controller.state.version(of: .node(NodeID(4))))
        let tablets = controller.state.directory.tablets
        #expect(tablets.count == 2 && !tablets.contains { $0.isOn(NodeID(4)) })
        #expect(controller.clearedChange().isEmpty)
        for tablet in tablets { controller.take(tablet, knowing: Timestamp(since.rawValue - 1)) }
        #expect(controller.clearedChange().isEmpty)
        controller.take(tablets[0], knowing: since)
        #expect(controller.clearedChange().isEmpty)
        var other = controller
        controller.take(tablets[1], knowing: since)
        #expect(!controller.clearedChange().isEmpty)
        // Another leader of the directory has heard nothing.
        controller.forget()
        #expect(controller.clearedChange().isEmpty)
        // The node has a voter after all.
        var newer = tablets[1]
        newer.configuration = newer.configuration.next
        newer.voters[2] = Member(replica: ReplicaID(4), node: NodeID(4))
        other.take(newer, knowing: since)
        records.take(other.reportedChange())
        other.state = try records.state
        #expect(other.clearedChange().isEmpty)
    }
}
