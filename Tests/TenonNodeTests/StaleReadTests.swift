import TenonCore
import TenonNode
import TenonSimulator
import TenonWire
import Testing

// Clusters stay out of expectations that may fail: the report would print them whole.

/// Reads of replicas that may be behind, in clusters of whole nodes (Rule S8).
@Suite struct `Stale reads` {
    private func formed(_ seed: UInt64) -> SimulatedCluster {
        let cluster = SimulatedCluster(ClusterOptions(seed: seed))
        #expect(cluster.form())
        return cluster
    }

    /// What a node answered: the value's text, the point, or why it refused.
    private struct Seen: Equatable {
        var text: String?
        var point: ReadPoint?
        var refusal: Refusal.Reason?
        var message = ""

        /// How old it says that it may be, in milliseconds.
        var milliseconds: UInt32? {
            if case .within(let milliseconds)? = point?.age { milliseconds } else { nil }
        }
    }

    private func get(
        _ cluster: SimulatedCluster, at node: Int, _ staleness: Staleness, version: Timestamp? = nil
    ) -> Seen {
        switch cluster.ask(node, .get(key: "a", at: version, staleness: staleness)) {
        case .value(let value, let point)?:
            Seen(
                text: value.map { String(decoding: $0.bytes.array, as: UTF8.self) }, point: point)
        case .refusal(let refusal)?:
            Seen(refusal: refusal.reason, message: refusal.message)
        default: Seen(message: "no answer")
        }
    }

    private func follower(_ cluster: SimulatedCluster) throws -> Int {
        try #require(cluster.leader()) % 3 + 1
    }

    /// Lets the group have work, so that it does not rest.
    private func keepBusy(_ cluster: SimulatedCluster) {
        for number in 0..<10 {
            _ = cluster.put("b", Bytes("\(number)"))
            cluster.run(for: .milliseconds(50))
        }
    }

    @Test func `a follower answers alone, at the version it has applied, and says how old it is`()
        throws
    {
        let cluster = formed(1)
        let version = try #require(cluster.put("a", "1"))
        keepBusy(cluster)
        let follower = try follower(cluster)
        let seen = get(cluster, at: follower, .within(milliseconds: 2_000))
        #expect(seen.text == "1")
        #expect(try #require(seen.point).version > version)
        let age = try #require(seen.milliseconds)
        // Heartbeats are 50 ms apart: the one before last asked, the last one answered.
        #expect(age > 0 && age < 400)
    }

    @Test func `a bound shorter than the heartbeats asks the leader, and lacks nothing`() throws {
        let cluster = formed(2)
        #expect(cluster.put("a", "1") != nil)
        let follower = try follower(cluster)
        for number in 2...12 {
            #expect(cluster.put("a", Bytes("\(number)")) != nil)
            let seen = get(cluster, at: follower, .within(milliseconds: 0))
            #expect(seen.text == "\(number)")
            #expect(seen.milliseconds == 0)
        }
    }

    @Test func `a group that rests is asked once, and serves the bound from what it was told`()
        throws
    {
        let cluster = formed(3)
        #expect(cluster.put("a", "1") != nil)
        cluster.run(for: .seconds(30))
        let follower = try follower(cluster)
        let first = get(cluster, at: follower, .within(milliseconds: 1_000))
        #expect(first.text == "1" && first.milliseconds == 0)
        cluster.run(for: .milliseconds(400))
        let second = get(cluster, at: follower, .within(milliseconds: 1_000))
        let age = try #require(second.milliseconds)
        // It was told with the first, and has asked nobody since.
        #expect(second.text == "1" && age >= 400 && age <= 1_000)
        cluster.run(for: .seconds(1))
        let third = get(cluster, at: follower, .within(milliseconds: 1_000))
        #expect(third.text == "1" && third.milliseconds == 0)
    }

    @Test func `without a majority a bound is refused once it is passed, and any age is served`()
        throws
    {
        let cluster = formed(4)
        let version = try #require(cluster.put("a", "1"))
        keepBusy(cluster)
        let leader = try #require(cluster.leader())
        let survivor = leader % 3 + 1
        cluster.crash(leader)
        cluster.crash((leader + 1) % 3 + 1)
        let soon = get(cluster, at: survivor, .within(milliseconds: 60_000))
        #expect(soon.text == "1")
        cluster.run(for: .seconds(5))
        #expect(get(cluster, at: survivor, .none).refusal != nil)
        let late = get(cluster, at: survivor, .within(milliseconds: 2_000))
        #expect(late.refusal == .unavailable)
        #expect(late.message.contains("ms old"), "\(late.message)")
        let any = get(cluster, at: survivor, .any)
        #expect(any.text == "1")
        let age = try #require(any.milliseconds)
        #expect(age >= 5_000 && age < 6_000)
        #expect(try #require(any.point).version >= version)
    }

    @Test func `a replica that was started without a leader does not know its age, and says so`()
        throws
    {
        let cluster = formed(5)
        #expect(cluster.put("a", "1") != nil)
        #expect(cluster.awaitEqualReplicas())
        for node in 1...3 { cluster.crash(node) }
        cluster.start(1)
        cluster.run(for: .seconds(2))
        let any = get(cluster, at: 1, .any)
        #expect(any.point?.age == .unknown)
        let bounded = get(cluster, at: 1, .within(milliseconds: 3_600_000))
        #expect(bounded.refusal == .unavailable)
        #expect(bounded.message.contains("unknown age"), "\(bounded.message)")
    }

    @Test func `a follower that is cut off shows the past, and calls it that`() throws {
        let cluster = formed(6)
        #expect(cluster.put("a", "old") != nil)
        keepBusy(cluster)
        let follower = try follower(cluster)
        cluster.isolate(follower, fromClients: false)
        #expect(cluster.put("a", "new") != nil)
        cluster.run(for: .seconds(1))
        let any = get(cluster, at: follower, .any)
        #expect(any.text == "old")
        #expect(try #require(any.milliseconds) >= 1_000)
        let bounded = get(cluster, at: follower, .within(milliseconds: 500))
        #expect(bounded.refusal != nil)
        cluster.heal()
        let isNew = cluster.run(within: .seconds(10)) {
            self.get(cluster, at: follower, .within(milliseconds: 500)).text == "new"
        }
        #expect(isNew)
    }

    @Test func `a version that a follower has passed is read there, one ahead of it is not`() throws
    {
        let cluster = formed(7)
        let first = try #require(cluster.put("a", "1"))
        let second = try #require(cluster.put("a", "2"))
        #expect(cluster.awaitEqualReplicas())
        let follower = try follower(cluster)
        let past = get(cluster, at: follower, .within(milliseconds: 0), version: first)
        #expect(past.text == "1" && past.point?.version == first && past.point?.age == .newest)
        #expect(get(cluster, at: follower, .any, version: second).text == "2")
        let ahead = get(
            cluster, at: follower, .any, version: Timestamp(second.rawValue + 5_000_000))
        #expect(ahead.refusal == .unavailable)
        #expect(ahead.message.contains("ask the leader"), "\(ahead.message)")
    }

    @Test func `a page goes on at a replica that is behind as little as it is new enough`() throws {
        let cluster = formed(9)
        for key in ["a", "b", "c"] { #expect(cluster.put(Bytes(key), "1") != nil) }
        #expect(cluster.awaitEqualReplicas())
        let leader = try #require(cluster.leader())
        let follower = try follower(cluster)
        cluster.isolate(follower, fromClients: false)
        #expect(cluster.put("a", "2") != nil)
        var scan = ScanRequest(from: "a", to: nil, limit: 1, staleness: .any)
        guard case .page(_, let next?, _) = cluster.ask(leader, .scan(scan)) else {
            Issue.record("no page")
            return
        }
        scan.page = next
        guard case .refusal(let refusal) = cluster.ask(follower, .scan(scan)) else {
            Issue.record("a page of two versions")
            return
        }
        #expect(refusal.reason == .unavailable, "another replica has it: \(refusal.message)")
        guard case .page(let items, _, let point) = cluster.ask(leader, .scan(scan)) else {
            Issue.record("no second page")
            return
        }
        #expect(items.map(\.key) == ["b"])
        // It is as old as the scan is long, and the first page said how old that one was.
        #expect(point.age == .newest)
    }

    /// The closed version is that of the last entry applied: no later entry may have one at or below
    /// it, whoever leads, and whatever the clocks do. Told by what every replica shows at any time.
    @Test(arguments: UInt64(1)...4)
    func `no version is committed at or below one that a replica has called closed`(
        seed: UInt64
    ) throws {
        let cluster = formed(20 + seed)
        var draws = SeededGenerator(seed: seed)
        /// By index: the version at which a replica stood that had applied so far.
        var closed: [LogIndex: Timestamp] = [:]
        var leaders: Set<NodeID> = []
        for round in 0..<60 {
            _ = cluster.put("a", Bytes("\(round)"), within: .milliseconds(500))
            if let leader = cluster.leader() { leaders.insert(NodeID(UInt32(leader))) }
            let node = 1 + Int(draws.below(3))
            switch draws.below(6) {
            case 0: cluster.crash(node)
            case 1: cluster.isolate(node)
            case 2: cluster.host(node).clock.jump(byMilliseconds: -4_000)
            case 3: cluster.host(node).clock.jump(byMilliseconds: 4_000)
            default:
                cluster.startAll()
                cluster.heal()
            }
            cluster.run(for: TimeSpan.milliseconds(Int(draws.below(600))))
            for host in cluster.hosts {
                guard let node = host.node else { continue }
                for place in 0..<node.probeCount {
                    let probe = node.probe(place)
                    guard probe.tablet == StaticDirectory.firstTablet else { continue }
                    let known = closed[probe.applied] ?? probe.lastVersion
                    #expect(known == probe.lastVersion, "at \(probe.applied)")
                    closed[probe.applied] = probe.lastVersion
                }
            }
        }
        #expect(leaders.count > 1 && closed.count > 20)
        let rising = closed.sorted { $0.key < $1.key }.map(\.value)
        #expect(rising == rising.sorted())
    }

    @Test func `the leader serves a stale read like any replica`() throws {
        let cluster = formed(8)
        #expect(cluster.put("a", "1") != nil)
        let leader = try #require(cluster.leader())
        #expect(get(cluster, at: leader, .any).text == "1")
        #expect(get(cluster, at: leader, .within(milliseconds: 0)).text == "1")
    }
}
