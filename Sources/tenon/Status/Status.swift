import ArgumentParser
import TenonClient
import TenonCore
import TenonWire

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how the nodes and tablets of the cluster are.",
        discussion: """
            Every node is asked. Exits with 2 when none answers.

            EXAMPLE
              tenon status --json
            """)

    @OptionGroup var connection: ConnectionOptions
    @Flag(help: "Print it as JSON.")
    var json = false

    func run() async throws {
        try await connection.withClient(defaultTimeout: .seconds(2)) { client in
            let report = try await report(client)
            print(json ? report.json.text : report.table)
            guard report.nodes.contains(where: { $0.status != nil }) else {
                Console.error("no node answers: start the nodes, or correct --endpoints")
                throw Exit.notApplied
            }
        }
    }

    private func report(_ client: TenonClient) async throws -> StatusReport {
        do throws(TenonError) {
            return try await StatusReport(asking: client)
        } catch {
            // The usual advice for an error is to look at the status.
            guard error.kind == .unavailable else { throw error }
            Console.error("\(error); start the nodes, or correct --endpoints")
            throw Exit.notApplied
        }
    }
}

/// What the nodes of a cluster say of themselves.
struct StatusReport: Sendable {
    /// A node of the directory and its answer.
    struct Node: Sendable {
        let node: Directory.Node
        let status: NodeStatus?
        /// Why there is no status.
        let problem: String
    }

    let nodes: [Node]
    /// The highest applied index of each tablet, against which lag is counted.
    private let appliedMax: [TabletID: UInt64]

    /// Asks every node of the directory, all at once.
    init(asking client: TenonClient) async throws(TenonError) {
        let directory = try await client.describe()
        let answers = await withTaskGroup(of: (Int, Node).self) { group in
            for (place, node) in directory.nodes.enumerated() {
                group.addTask { (place, await StatusReport.ask(client, node)) }
            }
            var answers: [(place: Int, node: Node)] = []
            for await (place, node) in group { answers.append((place, node)) }
            return answers
        }
        self.init(answers.sorted { $0.place < $1.place }.map(\.node))
    }

    init(_ nodes: [Node]) {
        self.nodes = nodes
        var appliedMax: [TabletID: UInt64] = [:]
        for tablet in nodes.flatMap({ $0.status?.tablets ?? [] }) {
            appliedMax[tablet.tablet] = max(appliedMax[tablet.tablet] ?? 0, tablet.applied)
        }
        self.appliedMax = appliedMax
    }

    private static func ask(_ client: TenonClient, _ node: Directory.Node) async -> Node {
        do throws(TenonError) {
            return Node(node: node, status: try await client.status(of: node.id), problem: "")
        } catch {
            return Node(node: node, status: nil, problem: error.message)
        }
    }

    private func lag(_ tablet: NodeStatus.Tablet) -> UInt64 {
        (appliedMax[tablet.tablet] ?? 0) - tablet.applied
    }
}

extension StatusReport {
    /// For scripts.
    var json: JSON {
        let security = nodes.lazy.compactMap { $0.status?.security }.first ?? "unknown"
        return [
            "security": .string(security),
            "cluster": nodes.lazy.compactMap { $0.status?.cluster }.first
                .map { .string($0.description) } ?? .null,
            "nodes": .array(nodes.map(json)),
        ]
    }

    private func json(_ node: Node) -> JSON {
        var members: [JSON.Member] = [
            .init("node", .integer(node.node.id.rawValue)), .init("name", .string(node.node.name)),
            .init("address", .string(node.node.address)),
            .init("locality", .string(node.node.locality)),
            .init("reachable", .bool(node.status != nil)),
        ]
        guard let status = node.status else {
            return .object(members + [.init("problem", .string(node.problem))])
        }
        members += [
            .init("state", .string(status.state)), .init("security", .string(status.security)),
            .init("faultInjection", .bool(status.counters.faultInjection > 0)),
            .init("faultsInForce", .integer(max(1, status.counters.faultInjection) - 1)),
            .init("boot", .integer(status.boot.rawValue)),
            .init("epoch", .integer(status.epoch.rawValue)),
            .init("uptimeMs", .integer(status.uptimeMilliseconds)),
            .init("counters", StatusReport.json(status.counters)),
            .init("clock", status.clock.json),
            .init("peers", .array(status.peers.map(StatusReport.json))),
            .init("tablets", .array(status.tablets.map(json))),
        ]
        return .object(members)
    }

    private static func json(_ counters: NodeStatus.Counters) -> JSON {
        let named: [(String, UInt64)] = [
            ("logSyncs", counters.logSyncs), ("logBytesWritten", counters.logBytesWritten),
            ("logSegmentsUsed", counters.logSegmentsUsed),
            ("logSegmentsTotal", counters.logSegmentsTotal),
            ("logBytesReserved", counters.logBytesReserved),
            ("tabletBytesOnDisk", counters.tabletBytesOnDisk),
            ("storeBytesWritten", counters.storeBytesWritten),
            ("diskFreeBytes", counters.diskFreeBytes),
            ("memoryResidentBytes", counters.memoryResidentBytes),
            ("cpuMicroseconds", counters.cpuMicroseconds),
            ("longestTurnMicroseconds", counters.longestTurnMicroseconds),
            ("clientConnections", counters.clientConnections), ("requests", counters.requests),
            ("elections", counters.elections), ("snapshotsSent", counters.snapshotsSent),
            ("snapshotsInstalled", counters.snapshotsInstalled),
            ("snapshotBytesHeldMax", counters.snapshotBytesHeldMax),
            ("damagedEntries", counters.damagedEntries),
            ("appliesDelayed", counters.appliesDelayed),
            ("scrubbedBytes", counters.scrubbedBytes),
            ("messagesRelayed", counters.messagesRelayed),
            ("groupsResting", counters.groupsResting),
            ("clockHandOvers", counters.clockHandOvers), ("clockStops", counters.clockStops),
            ("untimelyEntries", counters.untimelyEntries),
            ("entriesRepaired", counters.entriesRepaired),
            ("tabletsRepaired", counters.tabletsRepaired),
            ("storesRebuilt", counters.storesRebuilt),
        ]
        return .object(named.map { .init($0.0, .integer($0.1)) })
    }

    private static func json(_ peer: NodeStatus.Peer) -> JSON {
        [
            "node": .integer(peer.node.rawValue), "connected": .bool(peer.isConnected),
            "roundTripMicros": .integer(peer.roundTripMicroseconds),
            "problem": .string(peer.problem),
        ]
    }

    private func json(_ tablet: NodeStatus.Tablet) -> JSON {
        [
            "tablet": .integer(tablet.tablet.rawValue), "role": .string(tablet.role),
            "term": .integer(tablet.term), "leader": .integer(tablet.leader.rawValue),
            "first": .integer(tablet.first), "last": .integer(tablet.last),
            "commit": .integer(tablet.commit), "applied": .integer(tablet.applied),
            "flushed": .integer(tablet.flushed), "lag": .integer(lag(tablet)),
            "lastVersion": .string("\(tablet.lastVersion)"),
            "historyFloor": .string("\(tablet.historyFloor)"),
            "logDigest": .string(hexadecimal(tablet.logDigest, digits: 16)),
            "contentDigest": .string(hexadecimal(tablet.contentDigest, digits: 16)),
            "contentDigestVersion": .string("\(tablet.contentDigestVersion)"),
            "bytesOnDisk": .integer(tablet.bytesOnDisk), "sessions": .integer(tablet.sessions),
            "health": .string(tablet.health),
        ]
    }
}

extension StatusReport {
    /// For a person: one row a node, then one a replica.
    var table: String {
        let security = nodes.lazy.compactMap { $0.status?.security }.first ?? "unknown"
        let problems = nodes.filter { $0.status == nil }.map { "\($0.node.name): \($0.problem)" }
        let parts =
            ["security: \(security)"] + faultInjection + ["", nodeTable] + problems + linkProblems
            + clockProblems
            + ["", tabletTable]
        return parts.joined(separator: "\n")
    }

    /// Nodes that take orders to be faulty, in a line of their own: none does in earnest.
    private var faultInjection: [String] {
        let open = nodes.compactMap { node -> String? in
            guard let count = node.status?.counters.faultInjection, count > 0 else { return nil }
            return "\(node.node.name) (\(count - 1) in force)"
        }
        return open.isEmpty ? [] : ["fault injection: on at " + open.joined(separator: ", ")]
    }

    /// Links between nodes that both run: one refuses the other, or cannot reach it.
    private var linkProblems: [String] {
        nodes.flatMap { node -> [String] in
            (node.status?.peers ?? []).compactMap { peer in
                let other = nodes.first { $0.node.id == peer.node }
                guard !peer.isConnected, other?.status != nil else { return nil }
                return "\(node.node.name) has no link to \(other?.node.name ?? "\(peer.node)"): "
                    + peer.problem
            }
        }
    }

    /// Clocks that are wrong, and time that stands still (Rule S2).
    private var clockProblems: [String] {
        nodes.compactMap { node in
            guard let clock = node.status?.clock, clock.state != "agreed" else { return nil }
            return "\(node.node.name): clock \(clock.state)"
        }
    }

    private var nodeTable: String {
        var rows = [
            ["node", "address", "state", "boot", "disk free", "log", "tablets", "longest turn"]
        ]
        for node in nodes {
            guard let status = node.status else {
                rows.append(
                    [node.node.name, node.node.address, "unreachable"]
                        + [String](repeating: "-", count: rows[0].count - 3))
                continue
            }
            let counters = status.counters
            rows.append([
                node.node.name, node.node.address, status.state, "\(status.boot)",
                StatusReport.size(counters.diskFreeBytes),
                StatusReport.size(counters.logBytesReserved),
                StatusReport.size(counters.tabletBytesOnDisk),
                "\(counters.longestTurnMicroseconds / 1_000) ms",
            ])
        }
        return TextTable(header: rows[0], rows: Array(rows.dropFirst())).description
    }

    private var tabletTable: String {
        var rows = [
            [
                "tablet", "node", "role", "term", "log", "applied", "lag", "log digest",
                "content digest", "health",
            ]
        ]
        let replicas = nodes.flatMap { node in
            (node.status?.tablets ?? []).map { (node.node.name, $0) }
        }
        for (name, tablet) in replicas.sorted(by: { ($0.1.tablet, $0.0) < ($1.1.tablet, $1.0) }) {
            rows.append([
                "\(tablet.tablet)", name, tablet.role, "\(tablet.term)",
                "\(tablet.first)-\(tablet.last)", "\(tablet.applied)", "\(lag(tablet))",
                hexadecimal(tablet.logDigest, digits: 16),
                tablet.contentDigestVersion == .zero
                    ? "-" : hexadecimal(tablet.contentDigest, digits: 16),
                tablet.health,
            ])
        }
        return TextTable(header: rows[0], rows: Array(rows.dropFirst())).description
    }

    /// Bytes in the largest unit that leaves a whole number.
    static func size(_ bytes: UInt64) -> String {
        var count = bytes
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if count < 10_000 { return "\(count) \(unit)" }
            count /= 1_024
        }
        return "\(count) TiB"
    }
}
