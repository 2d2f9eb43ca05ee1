import Foundation
import Testing

/// A cluster of real processes in a folder of its own, stopped at the end of the test.
struct TestCluster: Sendable {
    let folder: String
    let endpoints: String

    /// The smallest files that a node takes, so that segments fill and are recycled and
    /// memtables flush within a test.
    private static let smallFiles = [
        ("segment-bytes", "\(segmentBytes)"), ("segments", "5"),
        ("memtable-bytes", "1048576"), ("retained-log-bytes", "1048576"),
    ]
    static let segmentBytes = 9 << 20

    /// Starts a cluster, runs `body` and leaves no process behind, whatever happens.
    static func with(
        nodes: Int = 3, tablets: Int = 1, host: String = "127.0.0.1",
        options: [String] = [], topology: String? = nil,
        _ body: (TestCluster) async throws -> Void
    ) async throws {
        await ClusterSlots.shared.take()
        let folder = NSTemporaryDirectory() + "tenon-e2e-\(UUID().uuidString)"
        var failure: (any Error)?
        do {
            try await body(
                try await start(
                    in: folder,
                    places: topology.map { ["--topology", $0] } ?? ["--nodes", "\(nodes)"],
                    tablets: tablets, host: host, options: options))
        } catch {
            failure = error
            tellLogs(in: folder, nodes: nodes)
        }
        _ = try? await Binary.run(["cluster", "stop", "--dir", folder])
        try? FileManager.default.removeItem(atPath: folder)
        await ClusterSlots.shared.giveBack()
        if let failure { throw failure }
    }

    /// What the nodes said last, for whoever looks into a failed test: the folder goes.
    private static func tellLogs(in folder: String, nodes: Int) {
        for node in 1...nodes {
            let log = try? String(contentsOfFile: "\(folder)/n\(node)/log", encoding: .utf8)
            let lines = (log ?? "").split(separator: "\n").suffix(8).joined(separator: "\n")
            print("end of the log of n\(node) in \(folder):\n\(lines)")
        }
    }

    private static func start(
        in folder: String, places: [String], tablets: Int, host: String, options: [String]
    ) async throws -> TestCluster {
        let started = try await Binary.run(
            [
                "cluster", "start", "--dir", folder, "--base-port", "0", "--tablets", "\(tablets)",
                "--host", host, "--json", "--serve-option", "allow-volatile",
            ] + places
                + (smallFiles.map { "\($0)=\($1)" } + options).flatMap { ["--serve-option", $0] })
        try #require(started.exitCode == 0, "\(started.errors)")
        let answer = try JSONDecoder().decode(Started.self, from: Data(started.output.utf8))
        return TestCluster(folder: folder, endpoints: answer.endpoints.joined(separator: ","))
    }

    private struct Started: Decodable {
        var endpoints: [String]
    }

    /// Runs a client command on this cluster.
    func tenon(_ arguments: String..., input: String = "") async throws -> Binary.Result {
        try await tenon(arguments: arguments, input: input)
    }

    func tenon(arguments: [String], input: String = "") async throws -> Binary.Result {
        try await Binary.run(
            arguments, environment: ["TENON_ENDPOINTS": endpoints], input: input)
    }

    /// Runs a command of `tenon cluster` on this cluster; it must succeed.
    @discardableResult
    func cluster(_ arguments: String...) async throws -> String {
        let result = try await Binary.run(["cluster"] + arguments + ["--dir", folder])
        try #require(result.exitCode == 0, "cluster \(arguments): \(result.errors)")
        return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Starts a node again, and returns when it is up itself: the command waits for the cluster,
    /// which may serve without it.
    func restart(_ node: String) async throws {
        try await cluster("restart", node)
        let isUp = try await Eventually.holds {
            try await Binary.run(["status", "--endpoints", endpoint(of: node)]).exitCode == 0
        }
        try #require(isUp, "\(node) does not answer: \(log(of: node))")
    }

    /// The node that led when this was called, killed with SIGKILL.
    func killLeader() async throws -> String {
        let said = try await cluster("kill", "leader")
        return String(said.prefix { $0 != " " })
    }

    /// The first lines of standard error of a node, up to now.
    func log(of node: String) -> String {
        (try? String(contentsOfFile: "\(folder)/\(node)/log", encoding: .utf8)) ?? ""
    }

    func data(of node: String) -> String { "\(folder)/\(node)/data" }

    /// The `HOST:PORT` of `n1`, `n2`, ….
    func endpoint(of node: String) -> String {
        let place = Int(node.dropFirst()) ?? 1
        return endpoints.split(separator: ",").map(String.init)[place - 1]
    }

    /// What the nodes say of themselves, asked at `nodes` or at all.
    func report(
        at nodes: [String] = ["n1", "n2", "n3"]
    ) async throws -> ClusterReport {
        let result = try await Binary.run(
            ["status", "--json", "--endpoints", nodes.map(endpoint).joined(separator: ",")])
        try #require(result.exitCode == 0, "\(result.errors)")
        return try JSONDecoder().decode(ClusterReport.self, from: Data(result.output.utf8))
    }

    /// A node of this cluster that is started by hand: with another folder, at another address.
    func serve(_ node: String, data: String, listen: String? = nil) throws -> RunningProcess {
        let list = endpoints.split(separator: ",").enumerated().map { "n\($0 + 1)=\($1)" }
        let files = TestCluster.smallFiles.flatMap { ["--\($0)", $1] }
        return try RunningProcess(
            [
                "serve", "--name", node, "--data", data, "--listen", listen ?? endpoint(of: node),
                "--cluster", list.joined(separator: ","), "--allow-volatile",
            ] + files)
    }
}

/// What `tenon status --json` says, so far as tests look at it.
struct ClusterReport: Decodable, Sendable {
    struct Node: Decodable, Sendable {
        var name: String
        var reachable: Bool
        var state: String?
        var counters: [String: UInt64]?
        var peers: [Peer]?
        var tablets: [Tablet]?

        /// Its replica of the first data tablet.
        var firstData: Tablet? { tablets?.first { $0.tablet == 2 } }
    }

    struct Peer: Decodable, Sendable {
        var node: Int
        var connected: Bool
        var problem: String
    }

    struct Tablet: Decodable, Sendable {
        var tablet: Int
        var role: String
        var applied: UInt64
        var flushed: UInt64
        var bytesOnDisk: UInt64
        var logDigest: String
        var contentDigest: String
        var health: String
    }

    var nodes: [Node]

    subscript(name: String) -> Node? { nodes.first { $0.name == name } }

    /// The replicas of all nodes by data tablet; 1 is the directory's.
    var replicas: [Int: [Tablet]] {
        let all = nodes.flatMap { $0.tablets ?? [] }.filter { $0.tablet > 1 }
        return Dictionary(grouping: all, by: \.tablet)
    }
}
