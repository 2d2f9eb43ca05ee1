import Glibc
import TenonChecker
import TenonClient
import TenonCore
import TenonWire

/// Injects a planned fault into a session and brings the cluster back. The load goes on meanwhile.
struct DrillFault: Sendable {
    let session: DrillSession
    let plan: PlannedRound
    /// The round's number: keys of the round begin with it.
    let round: Int
    /// Where chance begins in this round.
    let seed: UInt64

    /// How long all nodes stay silent before they are ended and started anew.
    private static let allSilent = Duration.seconds(1)
    private static let wholeSecondsMax = 60

    var cluster: LocalCluster { session.cluster }

    /// Whom the fault will meet.
    func targets() async throws -> [LocalCluster.Node] {
        let leader = try cluster.node(try await leaderID())
        switch plan.target {
        case .leader where plan.injection == .loseMajority: return majority(with: leader)
        case .leader: return [leader]
        case .follower: return Array(cluster.layout.nodes.filter { $0 != leader }.prefix(1))
        case .all: return cluster.layout.nodes
        case .dc: return try await nodes(lostAt: .dc)
        case .city where plan.injection == .loseMajority: return largestCity()
        case .city: return try await nodes(lostAt: .city)
        }
    }

    /// The nodes of a room or city that leads some of the loaded tablets: each in its turn.
    private func nodes(lostAt level: FailureLevel) async throws -> [LocalCluster.Node] {
        let leaders = ClusterProbe.leaders(in: await session.probe.statuses())
        let leading = Set(session.tablets.compactMap { leaders[$0] })
        let all = cluster.layout.nodes
        let struck = all.filter { leading.contains(session.number(of: $0)) }
        let domains = Set(struck.compactMap { $0.domain(at: level) }).sorted()
        guard !domains.isEmpty else { throw ClusterError.noLeader }
        let domain = domains[(round - 1) % domains.count]
        return all.filter { $0.domain(at: level) == domain }
    }

    /// The fault, from its first effect until all replicas are there again.
    func inject(into nodes: [LocalCluster.Node]) async throws -> FaultObservation {
        var seen = FaultObservation()
        switch plan.injection {
        case .kill:
            try await end(nodes)
            try await watch()
            seen.backAt = DrillClock.now
            try start(nodes)
        case .silence:
            for node in nodes { try await cluster.pause(node) }
            try await watch()
            try await end(nodes)
            seen.backAt = DrillClock.now
            try start(nodes)
        case .pause:
            try await withConfinedReader(at: nodes) {
                for node in nodes { try await cluster.pause(node) }
                try await Task.sleep(for: plan.duration)
                for node in nodes { try cluster.resume(node) }
                // What the woken node still believes shows in its first answers.
                try await Task.sleep(for: .seconds(1))
            }
        case .drain:
            for node in nodes { try await drain(node) }
        case .flipLog, .flipTable:
            seen = try await flip(in: nodes)
        case .renew, .destroy, .drainStop, .drainCancel:
            seen = try await changeMembers(nodes[0])
        case .clone, .rolledBack, .stranger, .doctored:
            seen = try await intrude(as: nodes[0])
        case .loseMajority: seen = try await loseMajority(nodes)
        default:
            seen = try await injectByOrder(into: nodes)
        }
        try await awaitWhole()
        if !session.homes.cities.isEmpty { seen.homeAt = try await awaitHome() }
        return seen
    }

    /// Waits until every loaded tablet is led from its home again; nil when that does not happen.
    private func awaitHome() async throws -> Instant? {
        let places = session.cities
        let isHome = try await comes { statuses in
            let leaders = ClusterProbe.leaders(in: statuses)
            return session.homes.cities.allSatisfy { tablet, city in
                leaders[tablet].flatMap { places[$0] } == city
            }
        }
        return isHome ? DrillClock.now : nil
    }

    /// Ends all of them within milliseconds, then waits until they are gone.
    func end(_ nodes: [LocalCluster.Node]) async throws {
        for node in nodes { cluster.process(of: node)?.signal(SIGKILL) }
        for node in nodes where cluster.process(of: node) != nil {
            // Between the two looks the node may have ended: that is what is wanted.
            try? await cluster.kill(node)
        }
    }

    func start(_ nodes: [LocalCluster.Node]) throws {
        for node in nodes { try cluster.launch(node) }
    }

    private func watch() async throws {
        guard plan.target == .all else { return try await Task.sleep(for: plan.duration) }
        if plan.injection == .silence { try await Task.sleep(for: DrillFault.allSilent) }
    }

    /// Hands every tablet that the node leads to the others in turn.
    private func drain(_ node: LocalCluster.Node) async throws {
        let others = cluster.layout.nodes.filter { $0 != node }.map(session.number)
        guard !others.isEmpty else { throw ClusterError.badSetting("one node cannot be drained") }
        let drained = session.number(of: node)
        let leaders = ClusterProbe.leaders(in: await session.probe.statuses())
        var turn = 0
        for (tablet, leader) in leaders.sorted(by: { $0.key < $1.key }) where leader == drained {
            try await session.probe.client.transferLeadership(
                of: tablet, to: others[turn % others.count])
            turn += 1
        }
        try await until("the drained node leads nothing") { statuses in
            !ClusterProbe.leaders(in: statuses).values.contains(drained)
        }
        try await Task.sleep(for: plan.duration)
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

    func leaderID() async throws -> NodeID {
        let deadline = ContinuousClock.now + .seconds(DrillFault.wholeSecondsMax)
        while ContinuousClock.now < deadline {
            let statuses = await session.probe.statuses()
            if let leader = ClusterProbe.leader(in: statuses) { return leader }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ClusterError.noLeader
    }

    func until(
        _ what: String, _ isReached: ([NodeStatus?]) -> Bool
    ) async throws {
        if try await comes(isReached) { return }
        throw ClusterError.notServing(
            seconds: DrillFault.wholeSecondsMax, reason: "waited in vain until \(what)")
    }

    /// Whether it is so within a minute.
    private func comes(_ isReached: ([NodeStatus?]) -> Bool) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(DrillFault.wholeSecondsMax)
        while ContinuousClock.now < deadline {
            if isReached(await session.probe.statuses()) { return true }
            try await Task.sleep(for: .milliseconds(20))
        }
        return false
    }
}

/// What was seen of a fault besides what the history tells.
struct FaultObservation: Sendable {
    /// When the fault was over: what came after is recovery.
    var endedAt: Instant?
    /// When nodes that were lost were started again.
    var backAt: Instant?
    /// When all tablets with a home were led from there again; nil when they never were.
    var homeAt: Instant?
    /// When an operator gave the command to recover, and what came of it.
    var commandAt: Instant?
    var majorityLoss: MajorityLoss?
    /// What the cluster itself said of the fault.
    var found: String?
    /// What must not be.
    var problems: [String] = []
}
