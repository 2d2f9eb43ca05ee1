import TenonCore
import TenonNode
import TenonSimulator
import TenonWire
import Testing

/// Reads, writes, crashes and changes of leader of a small cluster.
@Suite struct ServiceTests {
    @Test func `what was written is read back, also after all nodes crashed`() {
        let cluster = SimulatedCluster(ClusterOptions(seed: 1))
        #expect(cluster.form())
        let version = cluster.put("alice", "100")
        #expect(version != nil)
        #expect(cluster.text(of: "alice") == "100")
        for node in 1...3 { cluster.crash(node) }
        cluster.startAll()
        #expect(cluster.awaitLeaders())
        #expect(cluster.text(of: "alice") == "100")
    }

    @Test(arguments: [UInt64(1), 2, 3, 4])
    func `a power cut of all nodes loses nothing that was acknowledged`(seed: UInt64) {
        let cluster = SimulatedCluster(ClusterOptions(seed: seed))
        #expect(cluster.form())
        var acknowledged: [(Bytes, String)] = []
        for number in 0..<40 {
            let key = Bytes("key\(number)")
            if cluster.put(key, Bytes("\(number)")) != nil {
                acknowledged.append((key, "\(number)"))
            }
        }
        #expect(acknowledged.count == 40)
        for node in 1...3 { cluster.cutPower(node) }
        cluster.startAll()
        #expect(cluster.awaitLeaders())
        for (key, value) in acknowledged { #expect(cluster.text(of: key) == value) }
    }

    @Test func `after its leader was killed the cluster serves, and the killed node catches up`()
        throws
    {
        let cluster = SimulatedCluster(ClusterOptions(seed: 5))
        #expect(cluster.form())
        #expect(cluster.put("a", "1") != nil)
        let old = try #require(cluster.leader())
        cluster.crash(old)
        let killedAt = cluster.now
        #expect(cluster.put("a", "2") != nil)
        #expect(cluster.now.since(killedAt) < .seconds(2))
        #expect(cluster.text(of: "a") == "2")
        cluster.start(old)
        #expect(cluster.awaitEqualReplicas())
        #expect(cluster.status(old)?.logDigest == cluster.status(old % 3 + 1)?.logDigest)
    }

    @Test func `a leader that was paused serves no stale read when it goes on`() throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 6))
        #expect(cluster.form())
        #expect(cluster.put("a", "old") != nil)
        let old = try #require(cluster.leader())
        cluster.pause(old)
        #expect(cluster.put("a", "new") != nil)
        cluster.resume(old)
        // The very next thing it gets is a read, before it knows of another leader.
        let answer = cluster.ask(old, .get(key: "a", at: nil))
        if case .value(let value, _) = answer { #expect(value?.bytes == "new") }
        #expect(cluster.text(of: "a") == "new")
    }

    @Test(arguments: [UInt64(1), 2, 3, 4])
    func `a read at a version that only a write on its way will reach waits for it`(
        seed: UInt64
    ) throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: seed))
        #expect(cluster.form())
        let leader = try #require(cluster.leader())
        Coverage.clear()
        for number in 0..<20 {
            let version = try #require(cluster.put("a", Bytes("\(number)")))
            let session = Session(
                client: ClientID(high: 7, low: UInt64(number)), sequence: SequenceNumber(1),
                firstIssue: version, lowWaterMark: SequenceNumber(1))
            let write = Command(
                operation: .put(key: "b", value: "x", condition: .none), session: session)
            cluster.send(.write(command: Bytes(write.encoded())), to: leader)
            let next = Timestamp(version.rawValue + 1)
            let answer = cluster.ask(leader, .get(key: "a", at: next))
            guard case .value(let value, _) = answer else {
                Issue.record("\(String(describing: answer))")
                return
            }
            #expect(value?.bytes == Bytes("\(number)"))
        }
        #expect(Coverage.count(of: .readAwaitsEntryOnItsWay) > 0)
    }

    @Test func `an order that a leader cannot propose is not said to be done`() throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 6))
        #expect(cluster.form())
        let leader = try #require(cluster.leader())
        let target = leader % 3 + 1
        #expect(cluster.ask(leader, .contentDigest) == .done)
        cluster.pause(target)
        cluster.send(.transferLeadership(to: NodeID(UInt32(target))), to: leader)
        cluster.run(for: .milliseconds(5))
        guard case .refusal(let refusal) = cluster.ask(leader, .contentDigest) else {
            Issue.record("said to be done")
            return
        }
        #expect(refusal.reason == .unavailable)
    }

    @Test func `a follower refuses and names the leader`() throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 7))
        #expect(cluster.form())
        let leader = try #require(cluster.leader())
        cluster.run(for: .milliseconds(200))
        let answer = cluster.ask(leader % 3 + 1, .get(key: "a", at: nil))
        guard case .refusal(let refusal) = answer else {
            Issue.record("\(String(describing: answer))")
            return
        }
        #expect(refusal.reason == .notLeader)
        #expect(refusal.leader == NodeID(UInt32(leader)))
    }

    @Test func `without a quorum a write ends at its deadline, unknown or not applied`() {
        let cluster = SimulatedCluster(ClusterOptions(seed: 8))
        #expect(cluster.form())
        cluster.crash(1)
        cluster.crash(2)
        let before = cluster.now
        let result = cluster.write(
            .put(key: "a", value: "1", condition: .none), tablet: TabletID(2),
            within: .seconds(3))
        #expect(cluster.now.since(before) == .seconds(3))
        if case .answer(let answer) = result { Issue.record("answered \(answer)") }
    }

    @Test func `a read that no quorum confirms is refused at its deadline`() throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 9))
        #expect(cluster.form())
        let leader = try #require(cluster.leader())
        cluster.isolate(leader, fromClients: false)
        let answer = cluster.ask(leader, .get(key: "a", at: nil), within: .seconds(3))
        guard case .refusal(let refusal) = answer else {
            Issue.record("\(String(describing: answer))")
            return
        }
        #expect([.deadlinePassed, .unavailable, .notLeader].contains(refusal.reason))
    }

    @Test func `keys and values over their bounds are refused before they are proposed`() throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 10))
        #expect(cluster.form())
        #expect(cluster.awaitEqualReplicas())
        let last = cluster.status(1)?.last
        let longKey = Bytes([UInt8](repeating: 0x61, count: Limits.keyBytesMax + 1))
        let longValue = Bytes([UInt8](repeating: 0x61, count: Limits.valueBytesMax + 1))
        for operation in [
            Operation.put(key: longKey, value: "v", condition: .none),
            .put(key: "k", value: longValue, condition: .none),
        ] {
            let leader = try #require(cluster.leader())
            let answer = cluster.ask(leader, cluster.client.write(operation))
            guard case .refusal(let refusal) = answer else {
                Issue.record("\(String(describing: answer))")
                continue
            }
            #expect(refusal.reason == .tooLarge)
            #expect(!refusal.isOutcomeUnknown)
        }
        #expect(cluster.status(1)?.last == last)
    }
}
