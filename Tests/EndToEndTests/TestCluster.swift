import Foundation
import Testing

/// A cluster of real processes in a folder of its own, stopped at the end of the test.
struct TestCluster: Sendable {
    let folder: String
    let endpoints: String

    /// Small files, so that segments fill and memtables flush within a test.
    private static let smallFiles = [
        "--serve-option", "segment-bytes=37748736", "--serve-option", "segments=3",
        "--serve-option", "memtable-bytes=1048576",
    ]

    /// Starts a cluster, runs `body` and leaves no process behind, whatever happens.
    static func with(
        nodes: Int = 3, tablets: Int = 1, _ body: (TestCluster) async throws -> Void
    ) async throws {
        let folder = NSTemporaryDirectory() + "tenon-e2e-\(UUID().uuidString)"
        var failure: (any Error)?
        do {
            try await body(try await start(in: folder, nodes: nodes, tablets: tablets))
        } catch {
            failure = error
        }
        _ = try? await Binary.run(["cluster", "stop", "--dir", folder])
        try? FileManager.default.removeItem(atPath: folder)
        if let failure { throw failure }
    }

    private static func start(
        in folder: String, nodes: Int, tablets: Int
    ) async throws -> TestCluster {
        let started = try await Binary.run(
            [
                "cluster", "start", "--dir", folder, "--nodes", "\(nodes)", "--base-port", "0",
                "--tablets", "\(tablets)", "--json", "--serve-option", "allow-volatile",
            ] + smallFiles)
        try #require(started.exitCode == 0, "\(started.errors)")
        let answer = try JSONDecoder().decode(Started.self, from: Data(started.output.utf8))
        return TestCluster(folder: folder, endpoints: answer.endpoints.joined(separator: ","))
    }

    private struct Started: Decodable {
        var endpoints: [String]
    }

    /// Runs a client command on this cluster.
    func tenon(_ arguments: String..., input: String = "") async throws -> Binary.Result {
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

    /// The node that led when this was called, killed with SIGKILL.
    func killLeader() async throws -> String {
        let said = try await cluster("kill", "leader")
        return String(said.prefix { $0 != " " })
    }

    /// The lines of a file of a node.
    func log(of node: String) -> String {
        (try? String(contentsOfFile: "\(folder)/\(node)/log", encoding: .utf8)) ?? ""
    }
}
