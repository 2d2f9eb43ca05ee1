import Foundation
import TenonChecker
import TenonClient
import TenonCore
import TenonWire

/// Nodes that are replaced and drained.
extension DrillFault {
    /// How long a node that must be refused is watched.
    static let refusalSecondsMax = 10

    func changeMembers(_ node: LocalCluster.Node) async throws -> FaultObservation {
        switch plan.injection {
        case .renew: return try await renew()
        case .destroy: return try await destroy(node)
        case .drainStop: return try await drainAndStop(node)
        default: return try await callBackDrain(of: node)
        }
    }

    // MARK: Replacing

    /// Replaces every node: two join first, so that there are two more for a while.
    private func renew() async throws -> FaultObservation {
        let begin = DrillClock.now
        let olds = cluster.layout.nodes
        var news: [LocalCluster.Node] = []
        var spans: [String] = []
        for (place, old) in olds.enumerated() {
            while news.count < min(max(2, place + 1), olds.count) { news.append(try await add()) }
            let start = DrillClock.now
            session.members.change(
                to: try await cluster.removing(old, replacement: news[place]))
            spans.append(
                "\(old.name) by \(news[place].name) in \(DrillClock.now.since(start).seconds) s")
        }
        var seen = FaultObservation()
        seen.endedAt = DrillClock.now
        seen.found =
            "replaced " + spans.joined(separator: ", ")
            + "; all in \(DrillClock.now.since(begin).seconds) s"
        return seen
    }

    private func add() async throws -> LocalCluster.Node {
        let (cluster, node) = try await cluster.adding()
        session.members.change(to: cluster)
        return node
    }

    /// The node and its files are gone; then somebody starts an empty one in its place, which has
    /// forgotten what it promised and must not be believed (Rule I1).
    private func destroy(_ node: LocalCluster.Node) async throws -> FaultObservation {
        var seen = FaultObservation()
        try await end([node])
        try LocalFile.remove(cluster.dataPath(of: node))
        let refused = try await refuses(emptied: node)
        if !refused { seen.problems = ["\(node.name) without its files was not refused"] }
        let begin = DrillClock.now
        let replacement = try await add()
        session.members.change(to: try await cluster.removing(node, replacement: replacement))
        let seconds = DrillClock.now.since(begin).seconds
        try await awaitWhole()
        let bytes = try FolderSize.bytes(of: cluster.dataPath(of: replacement) + "/cell-0/tablets")
        seen.endedAt = DrillClock.now
        seen.found =
            "all copies again after \(seconds) s, \(bytes >> 10) KiB of tables on "
            + replacement.name
        return seen
    }

    private func refuses(emptied node: LocalCluster.Node) async throws -> Bool {
        let watch = RefusalWatch(cluster, of: [cluster.logPath(of: node)])
        try start([node])
        let deadline = ContinuousClock.now + .seconds(DrillFault.refusalSecondsMax)
        var isRefused = false
        while !isRefused, ContinuousClock.now < deadline {
            // One that joined once is told by the directory, and ends.
            isRefused =
                watch.hasSeen("wiped: join as a new node") || cluster.process(of: node) == nil
            // The pace of the questions.
            try await Task.sleep(for: .milliseconds(50))
        }
        try await end([node])
        try LocalFile.remove(cluster.dataPath(of: node))
        return isRefused
    }

    // MARK: Draining

    private func drainAndStop(_ node: LocalCluster.Node) async throws -> FaultObservation {
        let number = session.number(of: node)
        let begin = DrillClock.now
        try await session.probe.client.direct(.drain(node: node.name))
        try await until("\(node.name) leads nothing") { !$0.show(leader: number) }
        var seen = FaultObservation()
        seen.found = "drained after \(DrillClock.now.since(begin).seconds) s"
        try await cluster.stop(node)
        try await Task.sleep(for: plan.duration)
        try start([node])
        try await awaitWhole()
        if await session.probe.statuses().show(leader: number) {
            seen.problems.append("\(node.name) leads although it is drained")
        }
        try await session.probe.client.direct(.undrain(node: node.name))
        seen.endedAt = DrillClock.now
        return seen
    }

    private func callBackDrain(of node: LocalCluster.Node) async throws -> FaultObservation {
        let client = session.probe.client
        try await client.direct(.drain(node: node.name))
        try await client.direct(.undrain(node: node.name))
        try await Task.sleep(for: plan.duration)
        var seen = FaultObservation()
        let isMarked = try await client.describe().node(named: node.name)?.state != .serving
        if isMarked { seen.problems.append("\(node.name) does not serve after its undrain") }
        seen.endedAt = DrillClock.now
        return seen
    }
}

extension [NodeStatus?] {
    /// Whether a node says that it leads something.
    fileprivate func show(leader node: NodeID) -> Bool {
        contains { status in
            status?.node == node && status?.tablets.contains { $0.role == "leader" } == true
        }
    }
}

/// What nodes of a cluster, and others, have written to their logs since some moment.
struct RefusalWatch: Sendable {
    private let logs: [NodeLog]

    /// - Parameter more: log files of processes that are no nodes of the cluster.
    init(_ cluster: LocalCluster, of more: [String] = []) {
        let paths = cluster.layout.nodes.map(cluster.logPath) + more
        logs = paths.map(NodeLog.init(path:))
    }

    func hasSeen(_ text: String) -> Bool { logs.contains { $0.hasSaid(text) } }
}

/// How large a folder is.
enum FolderSize {
    /// The bytes of all files in it.
    static func bytes(of folder: String) throws -> Int {
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String }
        return try (names ?? []).reduce(0) { sum, name in
            let attributes = try FileManager.default.attributesOfItem(atPath: folder + "/" + name)
            guard attributes[.type] as? FileAttributeType == .typeRegular else { return sum }
            return sum + (attributes[.size] as? Int ?? 0)
        }
    }
}
