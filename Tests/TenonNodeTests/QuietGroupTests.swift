import TenonCore
import TenonKV
import TenonLog
import TenonRaft
import TenonSimulator
import Testing

@testable import TenonNode

// Clusters stay out of expectations that may fail: the report would print them whole.

/// Groups that rest, in clusters of whole nodes (Rule C9).
@Suite struct `Quiet groups` {
    private func formed(_ seed: UInt64, tablets: Int = 4) -> SimulatedCluster {
        var options = ClusterOptions(seed: seed)
        options.tabletCount = tablets
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        return cluster
    }

    private func tablets(_ cluster: SimulatedCluster, _ node: Int) -> [Tablet] {
        cluster.host(node).node?.tablets.all.filter { $0.id != .directory } ?? []
    }

    private func resting(_ cluster: SimulatedCluster, _ nodes: [Int] = [1, 2, 3]) -> [Int] {
        nodes.map { node in tablets(cluster, node).filter(\.raft.isResting).count }
    }

    private func terms(_ cluster: SimulatedCluster, _ node: Int = 1) -> [Term] {
        tablets(cluster, node).map(\.raft.term)
    }

    private func awaitRest(_ cluster: SimulatedCluster, _ nodes: [Int] = [1, 2, 3]) -> Bool {
        let all = tablets(cluster, nodes[0]).count
        return cluster.run(within: .seconds(20), every: .milliseconds(50)) {
            resting(cluster, nodes) == nodes.map { _ in all }
        }
    }

    /// Tablet 2 holds keys from the beginning.
    private let key = Bytes("0")

    @Test func `groups with nothing to do rest on all nodes, and keep their leaders`() {
        let cluster = formed(1)
        let isQuiet = awaitRest(cluster)
        #expect(isQuiet)
        let terms = terms(cluster)
        let events = cluster.eventCount
        cluster.run(for: .seconds(30))
        #expect(resting(cluster) == [4, 4, 4])
        #expect(self.terms(cluster) == terms)
        // Two heartbeats and two answers a node in 50 ms, some turns for them, and no more.
        let perSecond = (cluster.eventCount - events) / 30
        #expect(perSecond < 1_200, "\(perSecond) events a second")
    }

    @Test func `a write wakes its group and no other, and the group rests again`() {
        let cluster = formed(2)
        // The directory balances the leaders of a new cluster first.
        cluster.run(for: .seconds(10))
        _ = awaitRest(cluster)
        let terms = terms(cluster)
        #expect(cluster.put(key, "1") != nil)
        #expect(cluster.text(of: key) == "1")
        let isQuiet = awaitRest(cluster)
        #expect(isQuiet)
        #expect(self.terms(cluster) == terms)
        let areEqual = cluster.awaitEqualReplicas()
        #expect(areEqual)
    }

    @Test func `groups that nobody uses rest as soon as they are elected`() {
        let cluster = formed(12, tablets: 24)
        let isQuiet = cluster.run(within: .seconds(5), every: .milliseconds(5)) {
            resting(cluster) == [24, 24, 24]
        }
        #expect(isQuiet)
        // Their leaders' first entries count for nothing: no heartbeats while others are elected.
        let led = (1...3).flatMap { tablets(cluster, $0) }.filter { $0.raft.role == .leader }
        #expect(led.count == 24 && led.allSatisfy { $0.raft.idleSince == .zero })
        #expect((1...3).allSatisfy { cluster.host($0).node?.electing == 0 })
    }

    @Test func `groups without a quorum keep nobody else from electing`() {
        let cluster = formed(14)
        _ = awaitRest(cluster)
        cluster.crash(2)
        cluster.crash(3)
        let areStanding = cluster.run(within: .seconds(10)) {
            tablets(cluster, 1).allSatisfy { $0.raft.role == .preCandidate }
        }
        #expect(areStanding)
        cluster.run(for: .seconds(2))
        #expect(cluster.host(1).node?.electing == 0)
        cluster.start(2)
        let isQuiet = awaitRest(cluster, [1, 2])
        #expect(isQuiet)
    }

    @Test func `a tablet that was written to once writes little before it is quiet for good`() {
        let cluster = formed(13)
        _ = awaitRest(cluster)
        #expect(cluster.put(key, "1") != nil)
        let first = tablets(cluster, 1)[0].raft.lastPosition.index
        cluster.run(for: .seconds(90))
        let isQuiet = awaitRest(cluster)
        #expect(isQuiet)
        let tablet = tablets(cluster, 1)[0]
        // The retention is a minute: an eighth of it at a time, and the last step.
        #expect(tablet.raft.lastPosition.index.rawValue - first.rawValue <= 10)
        #expect(tablet.machine.historyFloor >= tablet.lastClientVersion)
        let isRead = (1...3).allSatisfy { place in
            guard let node = cluster.host(place).node,
                let directory = node.tablets.peek(.directory)
            else { return false }
            return node.isDirectoryRead(directory)
        }
        #expect(isRead)
    }

    @Test func `a read is served while the group rests`() {
        let cluster = formed(3)
        #expect(cluster.put(key, "1") != nil)
        _ = awaitRest(cluster)
        let last = tablets(cluster, 1).map(\.raft.lastPosition)
        #expect(cluster.text(of: key) == "1")
        #expect(resting(cluster) == [4, 4, 4])
        #expect(tablets(cluster, 1).map(\.raft.lastPosition) == last)
    }

    @Test func `the groups of a node that is gone get other leaders, and rest without it`() {
        let cluster = formed(4, tablets: 12)
        _ = awaitRest(cluster)
        cluster.crash(2)
        let isLed = cluster.run(within: .seconds(5), every: .milliseconds(50)) {
            tablets(cluster, 1).allSatisfy {
                $0.leaderNode != NodeID(2) && $0.leaderNode != NodeID(0)
            }
        }
        #expect(isLed)
        let isQuiet = awaitRest(cluster, [1, 3])
        #expect(isQuiet)
        cluster.start(2)
        let isWhole = awaitRest(cluster)
        #expect(isWhole)
        #expect(cluster.put(key, "2") != nil)
        let areEqual = cluster.awaitEqualReplicas()
        #expect(areEqual)
    }

    @Test func `a node that falls silent loses its groups within two election timeouts`() {
        let cluster = formed(5, tablets: 12)
        _ = awaitRest(cluster)
        cluster.isolate(2)
        let isLed = cluster.run(within: .seconds(4), every: .milliseconds(50)) {
            tablets(cluster, 1).allSatisfy {
                $0.leaderNode != NodeID(2) && $0.leaderNode != NodeID(0)
            }
                && tablets(cluster, 2).allSatisfy { $0.raft.role != .leader }
        }
        #expect(isLed)
        cluster.heal()
        let isWhole = awaitRest(cluster)
        #expect(isWhole)
    }

    @Test func `a node that stops hands over what rests`() {
        let cluster = formed(6, tablets: 12)
        _ = awaitRest(cluster)
        cluster.host(1).node?.prepareToStop(now: cluster.now)
        let isFree = cluster.run(within: .seconds(1), every: .milliseconds(5)) {
            cluster.host(1).node?.leadsNothing == true
        }
        #expect(isFree)
    }

    @Test func `a disk that stalls costs a node its resting groups too`() {
        let cluster = formed(7, tablets: 12)
        _ = awaitRest(cluster)
        let led = tablets(cluster, 1).filter { $0.raft.role == .leader }
        #expect(!led.isEmpty)
        cluster.host(1).diskStallsUntil = cluster.now + .seconds(4)
        // Something is to be written, for whichever group.
        cluster.host(1).node?.gathering.append([.metadata(key: 99, value: Bytes("x"))])
        let isFree = cluster.run(within: .seconds(2), every: .milliseconds(20)) {
            cluster.host(1).node?.leadsNothing == true
        }
        #expect(isFree)
    }

    @Test func `a lost change of the set costs no group its leader`() {
        let cluster = formed(8)
        _ = awaitRest(cluster)
        for _ in 0..<10 {
            #expect(cluster.put(key, "1") != nil)
            cluster.run(for: .milliseconds(400))
        }
        let terms = terms(cluster)
        let isQuiet = awaitRest(cluster)
        #expect(isQuiet)
        #expect(self.terms(cluster) == terms)
    }
}
