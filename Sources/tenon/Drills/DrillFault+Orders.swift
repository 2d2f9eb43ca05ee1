import TenonChecker
import TenonClient
import TenonCore
import TenonWire

/// Faults that nodes bring about in themselves when they are told to.
extension DrillFault {
    /// An order goes on by itself for so long when nobody is left to end it.
    private static let graceSeconds = 60
    private static let flapSeconds = 2
    /// How long a follower's log is held back before it alone can lead.
    private static let headStart = Duration.seconds(1)
    private static let hour: Int64 = 3_600_000
    private static let decade: Int64 = 3_652 * 24 * hour

    func injectByOrder(into nodes: [LocalCluster.Node]) async throws -> FaultObservation {
        var seen = FaultObservation()
        do {
            switch plan.injection {
            case .fill: seen.found = try await fill(nodes)
            case .stall100: try await disk(.stall(milliseconds: 100), nodes)
            case .stall2s: try await disk(.stall(milliseconds: 2_000), nodes)
            case .hang: try await disk(.hang, nodes)
            case .cut, .flap: try await partition(nodes)
            case .deaf: try await lasting(cuts(into: nodes[0]))
            case .mute: try await lasting([Cut(from: nodes[0], to: nil)])
            case .single, .chain, .hub, .constrained: try await shape(around: nodes[0])
            case .delay, .lossy, .capped: seen.found = try await slowLink(of: nodes[0])
            case .clockAhead: try await clock(DrillFault.hour, nodes)
            case .clockBehind: try await clock(-DrillFault.hour, nodes)
            case .clockDecade: try await clock(DrillFault.decade, nodes)
            case .clockDrift: try await clock(0, drift: 500, nodes)
            default: preconditionFailure("\(plan.injection) is no order")
            }
        } catch {
            try await session.clearFaults()
            throw error
        }
        // Until here it was in force; what it left behind begins with the first node that is well.
        seen.endedAt = DrillClock.now
        try await session.clearFaults()
        for node in cluster.layout.nodes where cluster.process(of: node) == nil {
            seen.problems.append("\(node.name) ended: \(cluster.lastWords(of: node))")
            try cluster.launch(node)
        }
        return seen
    }

    // MARK: Links

    /// What a node does not send any more; `to` nil: to nobody.
    struct Cut {
        var from: LocalCluster.Node
        var to: LocalCluster.Node?
    }

    private func cuts(into node: LocalCluster.Node) -> [Cut] {
        cluster.layout.nodes.filter { $0 != node }.map { Cut(from: $0, to: node) }
    }

    /// The node and all others, both ways.
    private func isolation(of node: LocalCluster.Node) -> [Cut] {
        [Cut(from: node, to: nil)] + cuts(into: node)
    }

    func order(_ cuts: [Cut]) async throws {
        let session = session
        let milliseconds = orderMilliseconds
        try await withThrowingTaskGroup(of: Void.self) { group in
            for cut in cuts {
                group.addTask {
                    let peer = cut.to.map(session.number) ?? NodeID(0)
                    try await session.order(
                        FaultOrder(.link(.cut(to: peer)), milliseconds: milliseconds),
                        to: cut.from)
                }
            }
            try await group.waitForAll()
        }
    }

    private var orderMilliseconds: UInt32 {
        let seconds = Int(plan.duration.components.seconds) + DrillFault.graceSeconds
        return UInt32(seconds * 1_000)
    }

    private func lasting(_ cuts: [Cut]) async throws {
        try await order(cuts)
        try await Task.sleep(for: plan.duration)
    }

    /// With clients on the cut-off side, who must not be told what is no longer true.
    private func partition(_ nodes: [LocalCluster.Node]) async throws {
        let cuts = nodes.flatMap(isolation)
        try await withConfinedReader(at: nodes) {
            guard plan.injection == .flap else { return try await lasting(cuts) }
            let turns = Int(plan.duration.components.seconds) / (2 * DrillFault.flapSeconds)
            for _ in 0..<max(1, turns) {
                try await order(cuts)
                try await Task.sleep(for: .seconds(DrillFault.flapSeconds))
                try await session.clearFaults()
                try await Task.sleep(for: .seconds(DrillFault.flapSeconds))
            }
        }
    }

    /// Partial partitions: only some pairs see each other.
    ///
    /// Source: Ng, Haridi, Carbone, "Omni-Paxos", 2023, section 2.
    private func shape(around leader: LocalCluster.Node) async throws {
        let others = cluster.layout.nodes.filter { $0 != leader }
        guard others.count >= 2 else {
            throw ClusterError.badSetting("a partial partition needs three nodes")
        }
        let hub = others[0]
        switch plan.injection {
        case .single: try await lasting(severing { !($0 == leader && $1 == others[1]) })
        case .chain:
            let line = [leader] + others
            let rank = Dictionary(uniqueKeysWithValues: line.enumerated().map { ($1.name, $0) })
            try await lasting(severing { abs((rank[$0.name] ?? 0) - (rank[$1.name] ?? 0)) == 1 })
        case .hub: try await lasting(severing { $0 == hub || $1 == hub })
        default:
            // First the hub falls behind; then it is the only one whom the others see.
            try await order([Cut(from: leader, to: hub)])
            try await Task.sleep(for: DrillFault.headStart)
            try await lasting(
                severing { ($0 == hub || $1 == hub) && $0 != leader && $1 != leader })
        }
    }

    /// Cuts each pair that does not see each other, both ways. `sees` is asked in both orders, and
    /// one no is enough.
    private func severing(
        _ sees: (LocalCluster.Node, LocalCluster.Node) -> Bool
    ) -> [Cut] {
        let nodes = cluster.layout.nodes
        var cuts: [Cut] = []
        for (place, one) in nodes.enumerated() {
            for other in nodes[(place + 1)...] where !sees(one, other) || !sees(other, one) {
                cuts += [Cut(from: one, to: other), Cut(from: other, to: one)]
            }
        }
        return cuts
    }

    private func slowLink(of leader: LocalCluster.Node) async throws -> String {
        guard let follower = cluster.layout.nodes.first(where: { $0 != leader }) else {
            throw ClusterError.badSetting("a slow link needs two nodes")
        }
        for (from, to) in [(leader, follower), (follower, leader)] {
            var fault = LinkDisorder(peer: session.number(of: to))
            switch plan.injection {
            case .capped: fault.bytesPerSecond = 125_000
            default: fault.delayMilliseconds = 200
            }
            if plan.injection == .lossy {
                fault.jitterMilliseconds = 500
                fault.lossPerMille = 50
            }
            try await session.order(
                FaultOrder(.link(fault), milliseconds: orderMilliseconds), to: from)
        }
        try await Task.sleep(for: plan.duration)
        let status = try await session.probe.client.status(of: session.number(of: leader))
        let mebibytes = status.counters.memoryResidentBytes >> 20
        return "\(leader.name)-\(follower.name) is slow; "
            + "\(leader.name) holds \(mebibytes) MiB at the end"
    }

    // MARK: Disk and clock

    private func disk(_ kind: DiskDisorder.Kind, _ nodes: [LocalCluster.Node]) async throws {
        let order = FaultOrder(.disk(DiskDisorder(kind)), milliseconds: orderMilliseconds)
        for node in nodes { try await session.order(order, to: node) }
        try await Task.sleep(for: plan.duration)
    }

    private func clock(
        _ shift: Int64, drift: Int32 = 0, _ nodes: [LocalCluster.Node]
    ) async throws {
        let fault = ClockDisorder(shiftMilliseconds: shift, driftPartsPerMillion: drift)
        let order = FaultOrder(.clock(fault), milliseconds: orderMilliseconds)
        for node in nodes { try await session.order(order, to: node) }
        try await Task.sleep(for: plan.duration)
    }

    /// Waits until the logs are full, and a while longer.
    private func fill(_ nodes: [LocalCluster.Node]) async throws -> String {
        let begin = DrillClock.now
        let order = FaultOrder(.disk(DiskDisorder(.fill)), milliseconds: orderMilliseconds)
        let marks = nodes.map { NodeLog(of: $0, in: cluster) }
        for node in nodes { try await session.order(order, to: node) }
        let numbers = Set(nodes.map(session.number))
        let deadline = begin + .seconds(DrillFault.graceSeconds / 2)
        var isFull = false
        while !isFull, DrillClock.now < deadline {
            try await Task.sleep(for: .milliseconds(50))
            // Of several the first is enough: once a quorum is short nobody writes any more.
            isFull = marks.contains { $0.hasSaid("log is nearly full") }
            if plan.target == .leader, !isFull {
                let leaders = ClusterProbe.leaders(in: await session.probe.statuses())
                isFull = !leaders.isEmpty && numbers.isDisjoint(with: leaders.values)
            }
        }
        let after = DrillClock.now.since(begin).seconds
        try await Task.sleep(for: plan.duration)
        if plan.target == .all {
            try await end(nodes)
            try start(nodes)
        }
        return isFull ? "full after \(after) s" : "not full within \(after) s"
    }
}

/// What a node has written to its log file since some moment.
struct NodeLog: Sendable {
    private let path: String
    private let begin: Int

    init(of node: LocalCluster.Node, in cluster: LocalCluster) {
        self.init(path: cluster.logPath(of: node))
    }

    /// A file that is not there yet counts as empty.
    init(path: String) {
        self.path = path
        begin = ((try? LocalFile.read(path)) ?? "").utf8.count
    }

    /// Whether it has said this since. A node that breaks a rule on purpose says so first: the name
    /// of the fault is no sight of it.
    func hasSaid(_ text: String) -> Bool {
        let all = ((try? LocalFile.read(path)) ?? "").utf8.dropFirst(begin)
        return String(decoding: all, as: UTF8.self).split(separator: "\n").contains {
            !$0.contains(NegativeControl.announcement) && $0.contains(text)
        }
    }
}

extension LocalCluster {
    /// The last line of a node's log, for one that ended.
    func lastWords(of node: Node) -> String { LocalFile.tail(logPath(of: node), lines: 1) }
}

extension DrillSession {
    /// How long an order is repeated to a node that does not answer.
    private static let orderPatience = Duration.seconds(10)

    /// The node's number; 0, which none has, for one that is no member.
    func number(of node: LocalCluster.Node) -> NodeID {
        cluster.layout.number(of: node) ?? NodeID(0)
    }

    /// Has a node become faulty.
    func order(_ order: FaultOrder, to node: LocalCluster.Node) async throws {
        try await insisting { client throws(TenonError) in
            try await client.injectFault(order, on: number(of: node), timeout: .seconds(1))
        }
    }

    /// Ends all faults of all nodes that run.
    func clearFaults() async throws {
        for node in cluster.layout.nodes where cluster.process(of: node) != nil {
            try await insisting { client throws(TenonError) in
                try await client.clearFaults(on: number(of: node), timeout: .seconds(1))
            }
        }
    }

    /// Again and again, for a connection may just be broken; a refusal counts at once.
    private func insisting(
        _ body: (TenonClient) async throws(TenonError) -> Void
    ) async throws(TenonError) {
        let deadline = ContinuousClock.now + DrillSession.orderPatience
        while true {
            do throws(TenonError) {
                return try await body(probe.client)
            } catch {
                guard error.kind == .unavailable, ContinuousClock.now < deadline else {
                    throw error
                }
                // The pause between two attempts, whether it is cut short or not.
                _ = try? await Task.sleep(for: .milliseconds(20))
            }
        }
    }
}
