import TenonCore
import TenonNode
import TenonSimulator
import TenonWire
import Testing

/// Clusters whose wall clocks are wrong (Rule S2).
@Suite("Clocks of a cluster")
struct ClockTests {
    private static let hour: Int64 = 3_600_000
    private static let decade: Int64 = 315_360_000_000

    private func jump(_ cluster: SimulatedCluster, _ nodes: [Int], _ milliseconds: Int64) {
        for node in nodes { cluster.host(node).clock.jump(byMilliseconds: milliseconds) }
    }

    /// How far a version is ahead of the right time, in milliseconds.
    private func error(of version: Timestamp?, _ cluster: SimulatedCluster) -> Int64 {
        guard let version else { return .max }
        return Int64(version.wallTime.milliseconds) - Int64(cluster.wallTime.milliseconds)
    }

    /// Writes twice: a step that is accepted ends the sessions of the time before, and the first
    /// answer tells the client so.
    private func putAgain(_ cluster: SimulatedCluster, _ value: Bytes) -> Timestamp? {
        if let version = cluster.put("a", value) { return version }
        return cluster.put("a", value)
    }

    private func clock(_ cluster: SimulatedCluster, _ node: Int) -> NodeStatus.Clock? {
        cluster.host(node).node?.status(now: cluster.now).clock
    }

    @Test(arguments: [hour, -hour, decade, 2_000, -2_000])
    func `a leader whose clock jumps hands over, and versions stay right`(step: Int64) throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 1))
        #expect(cluster.form())
        #expect(cluster.put("a", "1") != nil)
        let old = try #require(cluster.leader())
        jump(cluster, [old], step)
        let jumpedAt = cluster.now
        // No write waits for it, and none gets its time.
        while cluster.now.since(jumpedAt) < .seconds(2) {
            let before = cluster.now
            let version = cluster.put("a", "2")
            #expect(cluster.now.since(before) < .milliseconds(100))
            #expect(abs(error(of: version, cluster)) < 100)
        }
        #expect(cluster.leader() != old)
        #expect(cluster.host(old).noticed("leads nothing"))
        #expect(abs((clock(cluster, old)?.errorMilliseconds ?? 0) - step) < 50)
        #expect(clock(cluster, old % 3 + 1)?.state == "agreed")
        jump(cluster, [old], -step)
        cluster.run(for: .seconds(2))
        #expect(clock(cluster, old)?.state == "agreed")
        #expect(cluster.host(old).noticed("right again"))
    }

    @Test func `a node whose clock is off is not elected while another can be`() throws {
        for seed in UInt64(1)...6 {
            let cluster = SimulatedCluster(ClusterOptions(seed: seed))
            #expect(cluster.form())
            let leader = try #require(cluster.leader())
            let off = leader % 3 + 1
            jump(cluster, [off], ClockTests.hour)
            cluster.run(for: .seconds(2))
            cluster.crash(leader)
            #expect(cluster.put("a", "1") != nil)
            #expect(cluster.leader() == 6 - leader - off)
        }
    }

    @Test func `after a step of all clocks versions go on and nothing expires`() throws {
        var options = ClusterOptions(seed: 2)
        options.retention = .seconds(2)
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        for number in 0..<20 {
            #expect(cluster.put("a", Bytes("\(number)")) != nil)
            cluster.run(for: .milliseconds(300))
        }
        jump(cluster, [1, 2, 3], ClockTests.decade)
        #expect(cluster.put("a", "x") != nil)
        cluster.run(for: .seconds(2))
        let leader = try #require(cluster.leader())
        let floor = try #require(cluster.status(leader)?.historyFloor)
        let before = try #require(cluster.put("a", "y"))
        for _ in 0..<10 {
            cluster.run(for: .milliseconds(500))
            let version = try #require(cluster.put("a", "z"))
            #expect(version > before)
            #expect(version.wallTime.milliseconds <= before.wallTime.milliseconds + 1)
        }
        let later = try #require(cluster.leader())
        #expect(cluster.status(later)?.historyFloor == floor)
        for node in 1...3 {
            #expect(clock(cluster, node)?.state.hasPrefix("stopped") == true)
            #expect(cluster.host(node).noticed("tenon clock accept"))
        }
        // One word at one node, and the cluster lives in the new time.
        #expect(cluster.ask(later % 3 + 1, .acceptClock) == .done)
        cluster.run(for: .seconds(1))
        let accepted = putAgain(cluster, "new")
        #expect(abs(error(of: accepted, cluster) - ClockTests.decade) < 100)
        for node in 1...3 { #expect(clock(cluster, node)?.state == "agreed") }
        #expect(cluster.awaitEqualReplicas())
    }

    @Test func `voters do not take entries of a time that they do not share yet`() throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 3))
        #expect(cluster.form())
        #expect(cluster.put("a", "1") != nil)
        jump(cluster, [1, 2, 3], ClockTests.hour)
        cluster.run(for: .seconds(3))
        let leader = try #require(cluster.leader())
        // Accepted at the leader: its next entry comes before the news of it.
        cluster.send(.acceptClock, to: leader)
        cluster.run(for: .milliseconds(3))
        let version = putAgain(cluster, "2")
        #expect(abs(error(of: version, cluster) - ClockTests.hour) < 500)
        let withheld = (1...3).compactMap {
            cluster.host($0).node?.status(now: cluster.now).counters.untimelyEntries
        }
        #expect(withheld.contains { $0 > 0 }, "\(withheld)")
        #expect(cluster.awaitEqualReplicas())
    }

    @Test func `a leader whose entries nobody takes steps down, and they are forgotten`() throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 4))
        #expect(cluster.form())
        #expect(cluster.put("a", "1") != nil)
        let leader = try #require(cluster.leader())
        let other = leader % 3 + 1
        jump(cluster, [leader, other], ClockTests.hour)
        cluster.run(for: .seconds(3))
        #expect(cluster.leader() == leader)
        // The leader accepts what is the time of a majority no more; the others know.
        cluster.isolate(leader, fromClients: false)
        jump(cluster, [other], -ClockTests.hour)
        cluster.run(for: .milliseconds(250))
        cluster.send(.acceptClock, to: leader)
        cluster.run(for: .milliseconds(2))
        cluster.heal()
        let version = cluster.put("a", "2", within: .seconds(10))
        #expect(abs(error(of: version, cluster)) < 1_000)
        #expect(cluster.leader() != leader)
        jump(cluster, [leader], -ClockTests.hour)
        let later = cluster.put("a", "3")
        #expect(later != nil)
        let isEqual = cluster.awaitEqualReplicas()
        #expect(isEqual)
    }

    @Test func `a node that starts while time stands still learns so from the others`() throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 5))
        #expect(cluster.form())
        #expect(cluster.put("a", "1") != nil)
        jump(cluster, [1, 2, 3], ClockTests.decade)
        cluster.run(for: .seconds(2))
        for node in 1...3 {
            cluster.crash(node)
            cluster.run(for: .milliseconds(100))
            cluster.start(node)
            cluster.run(for: .seconds(3))
            #expect(clock(cluster, node)?.state.hasPrefix("stopped") == true)
        }
        #expect(error(of: cluster.put("a", "2"), cluster) < 100)
        jump(cluster, [1, 2, 3], -ClockTests.decade)
        cluster.run(for: .seconds(2))
        #expect(abs(error(of: cluster.put("a", "3"), cluster)) < 100)
    }

    @Test func `a cluster of one goes by its clock, and waits for an operator too`() throws {
        var options = ClusterOptions(seed: 6)
        options.nodeCount = 1
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        #expect(abs(error(of: cluster.put("a", "1"), cluster)) < 100)
        jump(cluster, [1], ClockTests.hour)
        #expect(error(of: cluster.put("a", "2"), cluster) < 100)
        #expect(cluster.ask(1, .acceptClock) == .done)
        cluster.run(for: .milliseconds(200))
        #expect(abs(error(of: putAgain(cluster, "3"), cluster) - ClockTests.hour) < 100)
    }
}
