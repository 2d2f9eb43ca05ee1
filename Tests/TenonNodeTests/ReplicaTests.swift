import TenonCore
import TenonKV
import TenonRaft
import TenonSimulator
import TenonStore
import TenonWire
import Testing

@testable import TenonNode

/// What replicas have in common: digests, the history floor, leaderships, and what happens to one
/// that differs.
@Suite struct ReplicaTests {
    private func formed(_ seed: UInt64, tablets: Int = 1) -> SimulatedCluster {
        var options = ClusterOptions(seed: seed)
        options.tabletCount = tablets
        options.retention = .seconds(2)
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        return cluster
    }

    private func replica(
        _ node: Int, of cluster: SimulatedCluster, _ tablet: TabletID = TabletID(2)
    ) throws -> Tablet {
        try #require(cluster.host(node).node?.tablet(tablet))
    }

    @Test func `eight tablets serve, each with a leader of its own, also after a restart`() {
        let cluster = formed(1, tablets: 8)
        let keys = StaticDirectory.tablets(count: 8).map { $0.lower.isEmpty ? "0" : $0.lower }
        for key in keys { #expect(cluster.put(key, "v") != nil) }
        cluster.crash(2)
        cluster.start(2)
        for node in 1...3 { cluster.cutPower(node) }
        #expect(cluster.form())
        for key in keys { #expect(cluster.text(of: key) == "v") }
    }

    @Test func `a leadership is handed over on request, and a client finds the new leader`() throws
    {
        let cluster = formed(2)
        let old = try #require(cluster.leader())
        let new = old % 3 + 1
        #expect(cluster.put("a", "1") != nil)
        #expect(cluster.ask(old, .transferLeadership(to: NodeID(UInt32(new)))) == .done)
        #expect(
            cluster.run(within: .seconds(1), every: .milliseconds(5)) { cluster.leader() == new })
        #expect(cluster.text(of: "a") == "1")
        guard case .refusal(let refusal) = cluster.ask(old, .transferLeadership(to: NodeID(9)))
        else {
            Issue.record("a transfer to nobody was taken")
            return
        }
        #expect(refusal.reason == .notLeader)
    }

    @Test func `a node that stops lets go of what it leads`() throws {
        let cluster = formed(3)
        let old = try #require(cluster.leader())
        cluster.run(for: .milliseconds(200))
        cluster.host(old).node?.prepareToStop(now: cluster.now)
        let isFree = cluster.run(within: .seconds(1), every: .milliseconds(5)) {
            cluster.host(old).node?.leadsNothing == true
        }
        #expect(isFree)
    }

    @Test func `the history floor rises past the last write, and then a quiet tablet is quiet`()
        throws
    {
        let cluster = formed(4)
        let version = try #require(cluster.put("a", "1"))
        cluster.run(for: .seconds(6))
        #expect(try #require(cluster.status(1)).historyFloor >= version)
        let last = cluster.status(1)?.last
        cluster.run(for: .seconds(10))
        #expect(cluster.status(1)?.last == last)
        // A read below the floor is refused, whatever is still there.
        let leader = try #require(cluster.leader())
        let early = Timestamp(version.rawValue - 1)
        guard case .refusal(let refusal) = cluster.ask(leader, .get(key: "a", at: early)) else {
            Issue.record("answered below the floor")
            return
        }
        #expect(refusal.reason == .historyGone)
    }

    @Test func `both digests are equal on all replicas`() throws {
        let cluster = formed(5)
        for number in 0..<30 { #expect(cluster.put(Bytes("k\(number)"), "v") != nil) }
        let leader = try #require(cluster.leader())
        #expect(cluster.ask(leader, .contentDigest) == .done)
        cluster.run(for: .seconds(2))
        #expect(cluster.awaitEqualReplicas())
        let states = (1...3).compactMap { cluster.status($0) }
        #expect(Set(states.map(\.logDigest)).count == 1)
        #expect(Set(states.map(\.contentDigest)).count == 1)
        #expect(Set(states.map(\.contentDigestVersion)).count == 1)
        #expect(states[0].contentDigestVersion > .zero)
        #expect(states.allSatisfy { $0.health == "whole" })
    }

    @Test func `a follower whose content differs is found and quarantined`() throws {
        let cluster = formed(6)
        #expect(cluster.put("a", "1") != nil)
        #expect(cluster.awaitEqualReplicas())
        let leader = try #require(cluster.leader())
        let victim = leader % 3 + 1
        let tablet = try replica(victim, of: cluster)
        tablet.store.put(.user("a"), "rotten", at: tablet.machine.lastVersion)
        #expect(cluster.ask(leader, .contentDigest) == .done)
        let isFound = cluster.run(within: .seconds(5), every: .milliseconds(5)) {
            cluster.status(victim)?.health.contains("majority") == true
        }
        #expect(isFound)
        #expect(cluster.status(leader)?.health == "whole")
        #expect(cluster.put("b", "2") != nil)
    }

    @Test func `a leader whose content differs stops, and another serves`() throws {
        let cluster = formed(7)
        #expect(cluster.put("a", "1") != nil)
        #expect(cluster.awaitEqualReplicas())
        let leader = try #require(cluster.leader())
        let tablet = try replica(leader, of: cluster)
        tablet.store.put(.user("a"), "rotten", at: tablet.machine.lastVersion)
        #expect(cluster.ask(leader, .contentDigest) == .done)
        #expect(cluster.run(within: .seconds(5), every: .milliseconds(5)) { tablet.problem != nil })
        #expect(cluster.text(of: "a", within: .seconds(10)) == "1")
        #expect(cluster.leader() != leader)
        // It does not come back as a leader, and keeps no endless log.
        cluster.run(for: .seconds(5))
        #expect(cluster.leader() != leader)
        #expect(tablet.applyQueue.isEmpty)
    }

    @Test func `a follower that applied something else is found by the log digest`() throws {
        let cluster = formed(8)
        #expect(cluster.put("a", "1") != nil)
        #expect(cluster.awaitEqualReplicas())
        let leader = try #require(cluster.leader())
        let victim = leader % 3 + 1
        let tablet = try replica(victim, of: cluster)
        tablet.store.put(.user("a"), "rotten", at: tablet.machine.lastVersion)
        // Its outcome differs from the others', so the chain of digests does from here on.
        let result = cluster.write(
            .put(key: "a", value: "2", condition: .value("1")), tablet: TabletID(2))
        guard case .answer(.outcome(.written, _)) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(cluster.run(within: .seconds(5), every: .milliseconds(5)) { tablet.problem != nil })
        #expect(cluster.host(victim).noticed("majority"))
        #expect(cluster.text(of: "a") == "2")
    }

    @Test func `a quarantined replica stops taking messages when its log is at the bound`() throws {
        var options = ClusterOptions(seed: 9)
        options.retainedLogBytes = 4 << 10
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        let leader = try #require(cluster.leader())
        let victim = leader % 3 + 1
        let tablet = try replica(victim, of: cluster)
        var output = TabletOutput()
        tablet.quarantine("a test says so", into: &output)
        for number in 0..<60 {
            #expect(
                cluster.put(Bytes("k\(number)"), Bytes([UInt8](repeating: 1, count: 500))) != nil)
        }
        #expect(!tablet.takesMessages)
        #expect(tablet.raft.payloadBytes < 8 << 10)
        #expect(cluster.host(victim).isRunning)
    }
}
