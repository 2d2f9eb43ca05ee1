import Glibc
import TenonChecker
import TenonClient
import TenonCore
import TenonWire

/// Injects a planned fault into a session and brings the cluster back. The load goes on meanwhile.
struct DrillFault: Sendable {
    let session: DrillSession
    let plan: PlannedRound

    /// How long a fault is watched before the node is brought back.
    private static let watched = Duration.seconds(3)
    private static let paused = Duration.seconds(10)
    /// How long all nodes stay silent before they are ended and started anew.
    private static let allSilent = Duration.seconds(1)
    private static let wholeSecondsMax = 60

    private var cluster: LocalCluster { session.cluster }

    /// Whom the fault will meet.
    func targets() async throws -> [LocalCluster.Node] {
        let leader = try cluster.node(try await leaderID())
        switch plan.target {
        case .leader: return [leader]
        case .follower: return Array(cluster.layout.nodes.filter { $0 != leader }.prefix(1))
        case .all: return cluster.layout.nodes
        }
    }

    /// The fault, from its first effect until all replicas are there again.
    func inject(into nodes: [LocalCluster.Node]) async throws {
        switch plan.injection {
        case .kill:
            try await end(nodes)
            try await watch(nodes)
            try start(nodes)
        case .silence:
            for node in nodes { try await cluster.pause(node) }
            try await watch(nodes)
            try await end(nodes)
            try start(nodes)
        case .pause:
            for node in nodes { try await cluster.pause(node) }
            try await Task.sleep(for: DrillFault.paused)
            for node in nodes { try cluster.resume(node) }
        case .drain:
            for node in nodes { try await drain(node) }
        }
        try await awaitWhole()
    }

    /// Ends all of them within milliseconds, then waits until they are gone.
    private func end(_ nodes: [LocalCluster.Node]) async throws {
        for node in nodes { cluster.process(of: node)?.signal(SIGKILL) }
        for node in nodes where cluster.process(of: node) != nil {
            // Between the two looks the node may have ended: that is what is wanted.
            try? await cluster.kill(node)
        }
    }

    private func start(_ nodes: [LocalCluster.Node]) throws {
        for node in nodes { try cluster.launch(node) }
    }

    private func watch(_ nodes: [LocalCluster.Node]) async throws {
        guard plan.target == .all else { return try await Task.sleep(for: DrillFault.watched) }
        if plan.injection == .silence { try await Task.sleep(for: DrillFault.allSilent) }
    }

    /// Hands every tablet that the node leads to the others in turn.
    private func drain(_ node: LocalCluster.Node) async throws {
        let others = cluster.layout.nodes.filter { $0 != node }.map(\.name)
        let ranks = cluster.layout.nodes.map(\.name).sorted()
        guard !others.isEmpty else { throw ClusterError.badSetting("one node cannot be drained") }
        let leaders = ClusterProbe.leaders(in: await session.probe.statuses())
        var turn = 0
        for (tablet, leader) in leaders.sorted(by: { $0.key < $1.key })
        where ranks[Int(leader.rawValue) - 1] == node.name {
            let target = others[turn % others.count]
            turn += 1
            let rank = (ranks.firstIndex(of: target) ?? 0) + 1
            try await session.probe.client.transferLeadership(
                of: tablet, to: NodeID(UInt32(rank)))
        }
        try await until("the drained node leads nothing") { statuses in
            ClusterProbe.leaders(in: statuses).values.allSatisfy {
                ranks[Int($0.rawValue) - 1] != node.name
            }
        }
        try await Task.sleep(for: DrillFault.watched)
    }

    /// Waits until every replica has applied what was committed when the wait began.
    func awaitWhole() async throws {
        try await cluster.awaitServing()
        var floor: [TabletID: UInt64] = [:]
        for tablet in await session.probe.statuses().compactMap({ $0 }).flatMap(\.tablets) {
            floor[tablet.tablet] = max(floor[tablet.tablet] ?? 0, tablet.commit)
        }
        try await until("all replicas have caught up") { statuses in
            statuses.allSatisfy { status in
                guard let status else { return false }
                return status.tablets.allSatisfy { $0.applied >= floor[$0.tablet] ?? 0 }
            }
        }
    }

    private func leaderID() async throws -> NodeID {
        let statuses = await session.probe.statuses()
        guard let leader = ClusterProbe.leader(in: statuses) else { throw ClusterError.noLeader }
        return leader
    }

    private func until(
        _ what: String, _ isReached: ([NodeStatus?]) -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(DrillFault.wholeSecondsMax)
        while ContinuousClock.now < deadline {
            if isReached(await session.probe.statuses()) { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ClusterError.notServing(
            seconds: DrillFault.wholeSecondsMax, reason: "waited in vain until \(what)")
    }
}
