import TenonCore
import TenonKV
import TenonNode
import TenonSimulator
import TenonStore
import TenonWire
import Testing

// Clusters stay out of expectations that may fail: the report would print them whole.

/// The loop never waits for the disk, and no turn of it takes long (Rule S9).
@Suite struct LoopTests {
    private func key(_ number: Int) -> Bytes { Bytes("key\(number % 10)\(number)") }

    /// No block stays in memory, and what is written goes to tables soon.
    private func withoutCache(_ seed: UInt64) -> ClusterOptions {
        var options = ClusterOptions(seed: seed)
        options.blockCacheBytes = 0
        options.store.memtableBytesMax = 32 << 10
        options.store.tableBytesMax = 32 << 10
        options.store.levelBytesBase = 128 << 10
        options.store.blockBytes = 1 << 10
        return options
    }

    /// Writes 60 keys and waits until all replicas have them in tables.
    private func fill(_ cluster: SimulatedCluster) {
        for number in 0..<60 {
            #expect(cluster.put(key(number), Bytes([UInt8](repeating: 1, count: 1_500))) != nil)
        }
        let areEqual = cluster.awaitEqualReplicas()
        #expect(areEqual)
        cluster.run(for: .seconds(8))
        let flushed = (1...3).map { cluster.status($0)?.flushed ?? 0 }
        #expect(flushed.allSatisfy { $0 > 20 }, "\(flushed)")
    }

    private func appliesDelayed(_ cluster: SimulatedCluster) -> [UInt64] {
        cluster.hosts.map { $0.node?.status(now: cluster.now).counters.appliesDelayed ?? 0 }
    }

    @Test func `no apply waits for a block that was not ordered before, on any replica`() throws {
        let cluster = SimulatedCluster(withoutCache(1))
        #expect(cluster.form())
        fill(cluster)
        let before = appliesDelayed(cluster)
        for number in 0..<20 {
            #expect(cluster.put(key(number), "new", if: .present) != nil)
            let deleted = cluster.write(
                .delete(key: key(number + 20), condition: .none), tablet: TabletID(2))
            guard case .answer(.outcome(.deleted(_, found: true), _)) = deleted else {
                Issue.record("\(deleted)")
                return
            }
        }
        let transaction = Transaction(
            conditions: [.init(key: key(0), condition: .value("new"))],
            then: [.get(key: key(50)), .put(key: key(1), value: "t", condition: .none)],
            else: [])
        let answer = cluster.write(.transaction(transaction), tablet: TabletID(2))
        guard case .answer(.outcome(.transaction(_, succeeded: true, _), _)) = answer else {
            Issue.record("\(answer)")
            return
        }
        let areEqual = cluster.awaitEqualReplicas()
        #expect(areEqual)
        #expect(appliesDelayed(cluster) == before)
        #expect(cluster.text(of: key(1)) == "t")
    }

    @Test func `a write does not wait behind the blocks of another one`() throws {
        var options = withoutCache(2)
        options.jobDelay = .milliseconds(300)...(.milliseconds(400))
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        fill(cluster)
        var ended: [String] = []
        let (slow, quick) = (cluster.makeClient(), cluster.makeClient())
        slow.start(
            slow.write(.put(key: key(3), value: "a", condition: .present)), tablet: TabletID(2),
            within: .seconds(5)
        ) { ended.append("slow \($0)") }
        cluster.run(for: .milliseconds(5))
        quick.start(
            quick.write(.put(key: key(4), value: "b", condition: .none)), tablet: TabletID(2),
            within: .seconds(5)
        ) { ended.append("quick \($0)") }
        _ = cluster.run(within: .milliseconds(250)) { ended.count == 1 }
        #expect(ended.first?.hasPrefix("quick answer") == true, "\(ended)")
        _ = cluster.run(within: .seconds(5)) { ended.count == 2 }
        #expect(ended.last?.hasPrefix("slow answer") == true, "\(ended)")
    }

    @Test func `a write that waits for its blocks is refused when the leader is deposed`() throws {
        var options = withoutCache(3)
        options.jobDelay = .milliseconds(300)...(.milliseconds(400))
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        fill(cluster)
        let leader = try #require(cluster.leader())
        var result: CallResult?
        let client = cluster.makeClient()
        client.start(
            client.write(.put(key: key(5), value: "once", condition: .value("no"))),
            tablet: TabletID(2), within: .seconds(8)
        ) { result = $0 }
        cluster.run(for: .milliseconds(20))
        let answer = cluster.ask(leader, .transferLeadership(to: NodeID(UInt32(leader % 3 + 1))))
        #expect(answer == .done)
        _ = cluster.run(within: .seconds(8)) { result != nil }
        guard case .answer(.outcome(.conditionFailed, _))? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        let areEqual = cluster.awaitEqualReplicas()
        #expect(areEqual)
        let digests = (1...2).map { cluster.status($0)?.logDigest }
        #expect(digests[0] == digests[1])
    }

    @Test func `the scrubber finds damage that nobody reads`() throws {
        let cluster = SimulatedCluster(withoutCache(4))
        for host in cluster.hosts { host.adjust = { $0.scrubInterval = .seconds(2) } }
        #expect(cluster.form())
        fill(cluster)
        let victim = try #require(cluster.leader()) % 3 + 1
        cluster.run(for: .seconds(6))
        let counters = try #require(cluster.host(victim).node?.status(now: cluster.now).counters)
        #expect(counters.scrubbedBytes > 0)
        #expect(cluster.status(victim)?.health == "whole")
        let disk = cluster.host(victim).disk
        let directory = SimulatedHost.directory + "/cell-0/tablets"
        let tablet = try #require(try disk.list(directory).first { $0.hasPrefix("2-") })
        let names = try disk.list(directory + "/" + tablet)
        let table = try #require(names.first { $0.hasSuffix(".table") }, "\(names)")
        disk.flipBit(1, at: 200, of: "\(directory)/\(tablet)/\(table)")
        let isFound = cluster.run(within: .seconds(20), every: .milliseconds(50)) {
            cluster.status(victim)?.health.contains("scrubber found") == true
        }
        #expect(isFound, "\(String(describing: cluster.status(victim)))")
        #expect(cluster.put("b", "2") != nil)
    }

    @Test func `nodes with other session bounds refuse each other`() {
        let cluster = SimulatedCluster(ClusterOptions(seed: 5))
        cluster.host(3).adjust = { $0.sessions.sessionsMax = 99 }
        cluster.startAll()
        cluster.run(for: .seconds(3))
        let leader = cluster.leader()
        #expect(leader == nil)
        let problems = cluster.host(1).node?.status(now: cluster.now).peers.map(\.problem) ?? []
        #expect(problems.contains { $0.contains("session bounds") }, "\(problems)")
    }
}

/// Logs that are full on several nodes at once (Rule L6).
@Suite struct FullLogTests {
    private func value(_ number: Int) -> Bytes {
        var generator = SeededGenerator(seed: UInt64(number))
        return Bytes((0..<4_000).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
    }

    /// Starts a write of each of many clients at once.
    private func burst(_ cluster: SimulatedCluster, _ count: Int) -> [SimulatedClient] {
        (0..<count).map { number in
            let client = cluster.makeClient()
            let write = client.write(
                .put(key: Bytes("burst\(number)"), value: value(number), condition: .none))
            client.start(write, tablet: TabletID(2), within: .seconds(3)) { _ in }
            return client
        }
    }

    private func refusal(_ result: CallResult) -> Refusal? {
        switch result {
        case .answer: nil
        case .notApplied(let refusal), .unknown(let refusal): refusal
        }
    }

    /// With the reserve of the log there from the start, or with none: then the disks' end comes
    /// in the middle of a write.
    @Test(arguments: [true, false])
    func `when no voter has space leadership stays, reads go on, and space brings all back`(
        isReserved: Bool
    ) throws {
        var options = ClusterOptions(seed: 11)
        options.isLogReserved = isReserved
        options.store.memtableBytesMax = 64 << 10
        options.store.tableBytesMax = 64 << 10
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        for number in 0..<10 {
            #expect(cluster.put(Bytes("k\(number)"), Bytes("v\(number)")) != nil)
        }
        for host in cluster.hosts { host.disk.capacityBytes = host.disk.usedBytes + (8 << 10) }
        let clients = burst(cluster, 150)
        cluster.run(for: .seconds(3))
        let leader = try #require(cluster.leader())
        let term = try #require(cluster.status(leader)?.term)
        // For long enough that a stalled leader would have been replaced several times.
        for round in 0..<10 {
            cluster.run(for: .milliseconds(500))
            #expect(cluster.text(of: Bytes("k\(round)")) == "v\(round)", "round \(round)")
            let write = cluster.write(
                .put(key: "more", value: value(round), condition: .none), tablet: TabletID(2),
                within: .seconds(2))
            #expect(refusal(write)?.reason == .diskFull, "round \(round): \(write)")
        }
        let leaderNow = cluster.leader()
        #expect(leaderNow == leader)
        let termNow = cluster.status(leader)?.term
        #expect(termNow == term)
        if isReserved {
            let deleted = cluster.write(
                .delete(key: "k0", condition: .none), tablet: TabletID(2))
            #expect(refusal(deleted) == nil, "\(deleted)")
        }
        for host in cluster.hosts { host.disk.capacityBytes = nil }
        let isBack = cluster.run(within: .seconds(30), every: .milliseconds(500)) {
            cluster.put("back", "1") != nil
        }
        #expect(isBack)
        let areRunning = cluster.hosts.allSatisfy { $0.isRunning }
        #expect(areRunning)
        let areIdle = cluster.run(within: .seconds(10)) { clients.allSatisfy { $0.isIdle } }
        #expect(areIdle)
        let areEqual = cluster.awaitEqualReplicas(within: .seconds(60))
        #expect(areEqual)
        let digests = (1...2).map { cluster.status($0)?.logDigest }
        #expect(digests[0] == digests[1])
    }

    @Test func `a leader whose log is full hands over to a voter that has room`() throws {
        var options = ClusterOptions(seed: 12)
        options.isLogReserved = true
        options.store.memtableBytesMax = 64 << 10
        options.store.tableBytesMax = 64 << 10
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        #expect(cluster.put("a", "1") != nil)
        let leader = try #require(cluster.leader())
        let disk = cluster.host(leader).disk
        disk.capacityBytes = disk.usedBytes + (8 << 10)
        var written = 0
        for number in 0..<300 where cluster.put(Bytes("k\(number)"), value(number)) != nil {
            written += 1
        }
        #expect(written == 300, "\(cluster.host(leader).notices.suffix(5).map(\.text))")
        let leaderNow = cluster.leader()
        #expect(leaderNow != leader)
        disk.capacityBytes = nil
        let areEqual = cluster.awaitEqualReplicas(within: .seconds(60))
        #expect(areEqual, "\((1...3).map { cluster.status($0) })")
    }
}
