import TenonCore
import TenonRaft
import TenonSimulator
import TenonWire
import Testing

@testable import TenonNode

// Clusters stay out of expectations that may fail: the report would print them whole.

/// Cuts between some nodes, and messages that go around them (Rule C8).
@Suite struct `Relayed messages` {
    private func formed(_ seed: UInt64, nodes: Int = 5) -> SimulatedCluster {
        var options = ClusterOptions(seed: seed)
        options.nodeCount = nodes
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        return cluster
    }

    private func term(_ cluster: SimulatedCluster) -> UInt64 {
        cluster.hosts.compactMap { $0.node?.tablets.peek(TabletID(2))?.raft.term.rawValue }.max()
            ?? 0
    }

    /// Writes once a second for a minute; how many succeeded.
    private func writes(_ cluster: SimulatedCluster) -> Int {
        var done = 0
        for number in 0..<60 {
            if cluster.put("k", Bytes("\(number)"), within: .milliseconds(900)) != nil { done += 1 }
            cluster.run(for: .milliseconds(500))
        }
        return done
    }

    private func relayed(_ cluster: SimulatedCluster) -> UInt64 {
        cluster.hosts.reduce(0) { $0 + ($1.node?.counters.messagesRelayed ?? 0) }
    }

    private func cutPair(_ one: Int, _ other: Int, _ cluster: SimulatedCluster) {
        cluster.cut(from: one, to: other, isBreaking: true)
        cluster.cut(from: other, to: one, isBreaking: true)
    }

    @Test func `when all nodes see only one, the leader stays and writes go on`() throws {
        let cluster = formed(1)
        let leader = try #require(cluster.leader())
        let hub = leader % 5 + 1
        let before = term(cluster)
        for one in 1...5 {
            for other in 1...5 where one < other && one != hub && other != hub {
                cutPair(one, other, cluster)
            }
        }
        let done = writes(cluster)
        #expect(done >= 57, "\(done) of 60 writes")
        #expect(term(cluster) - before <= 2)
        #expect(relayed(cluster) > 0)
        cluster.heal()
        let areEqual = cluster.awaitEqualReplicas()
        #expect(areEqual)
    }

    @Test func `when only one node has links to a quorum and lags, the leader stays`() throws {
        let cluster = formed(2)
        let leader = try #require(cluster.leader())
        let hub = leader % 5 + 1
        // The hub misses some writes first.
        for other in 1...5 where other != hub { cutPair(hub, other, cluster) }
        for number in 0..<5 { #expect(cluster.put("k", Bytes("a\(number)")) != nil) }
        let before = term(cluster)
        cluster.heal()
        let alone = (1...5).first { $0 != hub && $0 != leader } ?? 0
        for one in 1...5 {
            for other in 1...5 where one < other && one != hub && other != hub {
                cutPair(one, other, cluster)
            }
        }
        cutPair(hub, alone, cluster)
        let done = writes(cluster)
        #expect(done >= 54, "\(done) of 60 writes")
        #expect(term(cluster) - before <= 2)
    }

    @Test func `in a chain whose end leads, the leader stays`() throws {
        let cluster = formed(3, nodes: 3)
        let leader = try #require(cluster.leader())
        let (middle, end) = (leader % 3 + 1, (leader + 1) % 3 + 1)
        let before = term(cluster)
        cutPair(leader, end, cluster)
        let done = writes(cluster)
        #expect(done >= 57, "\(done) of 60 writes")
        #expect(term(cluster) == before)
        #expect(cluster.host(middle).node?.counters.messagesRelayed ?? 0 > 0)
        let areEqual = cluster.awaitEqualReplicas()
        #expect(areEqual)
    }

    @Test func `a way that is cut in one direction is gone around in both`() throws {
        let cluster = formed(4, nodes: 3)
        let leader = try #require(cluster.leader())
        let follower = leader % 3 + 1
        let before = term(cluster)
        cluster.cut(from: leader, to: follower)
        let done = writes(cluster)
        #expect(done >= 57, "\(done) of 60 writes")
        #expect(term(cluster) == before)
        let areEqual = cluster.awaitEqualReplicas()
        #expect(areEqual)
    }

    @Test func `the relay ends when the link is back`() throws {
        let cluster = formed(5, nodes: 3)
        let leader = try #require(cluster.leader())
        cutPair(leader, leader % 3 + 1, cluster)
        cluster.run(for: .seconds(3))
        #expect(cluster.host(leader).node?.heartbeats.relaysAny == true)
        cluster.heal()
        let isDirect = cluster.run(within: .seconds(10), every: .milliseconds(50)) {
            cluster.hosts.allSatisfy { $0.node?.heartbeats.relaysAny == false }
        }
        #expect(isDirect)
        let passed = relayed(cluster)
        #expect(cluster.put("k", "v") != nil)
        #expect(relayed(cluster) == passed)
    }

    @Test func `a node that joins is reached through another, too, and one that left is not`()
        throws
    {
        var options = ClusterOptions(seed: 8)
        options.nodeCount = 3
        options.spareCount = 1
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        #expect(cluster.join(4) == nil)
        let isKnown = cluster.run(within: .seconds(10), every: .milliseconds(50)) {
            cluster.hosts.allSatisfy { $0.node?.heartbeats.peers.count == 3 }
        }
        #expect(isKnown)
        cutPair(1, 4, cluster)
        let isRelayed = cluster.run(within: .seconds(5), every: .milliseconds(50)) {
            cluster.host(1).node?.heartbeats.via(NodeID(4)) != nil
                && cluster.host(4).node?.heartbeats.via(NodeID(1)) != nil
        }
        #expect(isRelayed)
        // Orders and reports are not consensus: they wait for the link.
        cluster.heal()
        cluster.run(for: .seconds(10))
        #expect(cluster.direct(.remove(node: "n4", replacement: nil)) == nil)
        let isGone = cluster.run(within: .seconds(60), every: .milliseconds(50)) {
            (1...3).allSatisfy { cluster.host($0).node?.heartbeats.peers.count == 2 }
        }
        #expect(isGone)
        #expect((1...3).allSatisfy { cluster.host($0).node?.heartbeats.relaysAny == false })
    }

    @Test func `a relayed message of a folder that is not the node's newest is not heard`() throws {
        let cluster = formed(6, nodes: 3)
        let leader = try #require(cluster.leader())
        let target = try #require(cluster.host(leader).node)
        let origin = leader % 3 + 1
        let other = (leader + 1) % 3 + 1
        let sender = try #require(cluster.host(origin).node)
        let raft = RaftMessage(
            tablet: TabletID(2), from: ReplicaID(UInt64(origin)), to: ReplicaID(UInt64(leader)),
            epoch: .first, term: Term(99), body: .newerTerm)
        let genuine = sender.hello(to: NodeID(UInt32(leader)), stream: .consensus)
        var wiped = genuine
        wiped.identity.folder = FolderID(high: 1, low: 1)
        var older = genuine
        older.identity.boot = BootNumber(genuine.identity.boot.rawValue - 1)
        var cloned = genuine
        cloned.identity.nonce ^= 1
        var elsewhere = genuine
        elsewhere.identity.cluster = ClusterID(high: 1, low: 1)
        var cutOff = genuine
        cutOff.identity.epoch = Epoch(0)
        let before = target.tablets.peek(TabletID(2))?.raft.term
        for hello in [wiped, older, cloned, elsewhere, cutOff] {
            target.heard(
                RelayedMessages(origin: hello, messages: [raft]), from: NodeID(UInt32(other)),
                now: cluster.now)
            #expect(target.tablets.peek(TabletID(2))?.raft.term == before)
        }
        target.heard(
            RelayedMessages(origin: genuine, messages: [raft]), from: NodeID(UInt32(other)),
            now: cluster.now)
        #expect(target.tablets.peek(TabletID(2))?.raft.term == Term(99))
    }

    @Test func `nobody passes on what its origin did not bring itself`() throws {
        let cluster = formed(7, nodes: 3)
        let relay = try #require(cluster.host(1).node)
        let sender = try #require(cluster.host(2).node)
        let raft = RaftMessage(
            tablet: TabletID(2), from: ReplicaID(2), to: ReplicaID(3), epoch: .first,
            term: Term(1), body: .newerTerm)
        let relayed = RelayedMessages(
            origin: sender.hello(to: NodeID(3), stream: .consensus), messages: [raft])
        relay.heard(relayed, from: NodeID(3), now: cluster.now)
        #expect(relay.counters.messagesRelayed == 0)
        relay.heard(relayed, from: NodeID(2), now: cluster.now)
        #expect(relay.counters.messagesRelayed == 1)
    }

    @Test func `a budget lets what it holds pass, fills again, and owes for what is larger`() {
        var budget = RelayBudget()
        let begin = Instant(nanoseconds: 1_000)
        let later = begin + .milliseconds(1)
        let full = later + .seconds(1)
        let asked: [(bytes: Int, at: Instant)] = [
            (RelayBudget.bytesMax - 1, begin), (2, begin),
            (RelayBudget.bytesPerSecond / 1_000, later),
            (RelayBudget.bytesMax * 2, full), (1, full + .milliseconds(200)),
            (1, full + .milliseconds(260)),
        ]
        let isTaken = asked.map { budget.take($0.bytes, now: $0.at) }
        #expect(isTaken == [true, false, true, true, false, true])
    }

    @Test
    func `a heartbeat, its answer and what is relayed survive the wire, and no shorter form does`()
        throws
    {
        let cluster = formed(9, nodes: 3)
        let sender = try #require(cluster.host(2).node)
        let raft = RaftMessage(
            tablet: TabletID(2), from: ReplicaID(2), to: ReplicaID(3), epoch: .first,
            term: Term(1), body: .newerTerm)
        let messages: [NodeMessage] = [
            .nodeHeartbeat(
                NodeHeartbeat(
                    boot: BootNumber(1), peerBoot: BootNumber(2), sentAt: cluster.now,
                    set: 7, reaches: [NodeID(1), NodeID(3)])),
            .nodeHeartbeatAnswer(
                NodeHeartbeatAnswer(
                    boot: BootNumber(1), peerBoot: BootNumber(2), sentAt: cluster.now, namedSet: 7,
                    heldSet: 6, left: [TabletID(2)])),
            .relayed(
                RelayedMessages(
                    origin: sender.hello(to: NodeID(3), stream: .consensus),
                    messages: [raft, raft])),
        ]
        for message in messages {
            var writer = ByteWriter()
            message.encode(to: &writer)
            let bytes = writer.take()
            var reader = ByteReader(bytes)
            let back = try NodeMessage(from: &reader)
            try reader.finish()
            var again = ByteWriter()
            back.encode(to: &again)
            #expect(again.take() == bytes)
            for count in 0..<bytes.count {
                #expect(throws: DecodingError.self) {
                    var short = ByteReader(Array(bytes[..<count]))
                    _ = try NodeMessage(from: &short)
                    try short.finish()
                }
            }
        }
    }
}
