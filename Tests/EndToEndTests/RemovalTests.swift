import Foundation
import Testing

@Suite(
    "A node that leaves (Decision 0024)", .serialized, .timeLimit(.minutes(5)),
    .enabled(if: Binary.isThere))
struct RemovalTests {
    @Test("It stays while a tablet has no leader to say that nothing is on it, and says so")
    func leaderless() async throws {
        try await TestCluster.with(nodes: 5) { cluster in
            let made = try await cluster.tenon("keyspace", "create", "single", "--replicas", "1")
            #expect(made.exitCode == 0, "\(made.errors)")
            // So that a node can be spared.
            let altered = try await cluster.tenon("keyspace", "alter", "default", "--replicas", "3")
            #expect(altered.exitCode == 0, "\(altered.errors)")
            let keeper = try await holder(of: "single", in: cluster)
            let leaving = keeper == "n3" ? "n4" : "n3"
            try await cluster.cluster("kill", keeper)
            let early = try await cluster.tenon("node", "remove", leaving, "--wait", "6s")
            #expect(early.exitCode == 1)
            #expect(early.errors.contains("leader has to confirm"), "\(early.errors)")
            #expect(try await cluster.tenon("node", "list").output.contains("leaving"))
            try await cluster.cluster("restart", keeper)
            let late = try await cluster.tenon("node", "remove", leaving, "--wait", "60s")
            #expect(late.exitCode == 0, "\(late.errors)")
            #expect(try await !cluster.tenon("node", "list").output.contains(" \(leaving) "))
        }
    }

    /// The node with the only replica of a keyspace's only tablet.
    private func holder(of keyspace: String, in cluster: TestCluster) async throws -> String {
        var found: String?
        _ = try await Eventually.holds {
            let rows = try await cluster.tenon("tablet", "list").output.split(separator: "\n")
            let row = rows.map { $0.split(separator: " ") }.first { $0[1] == keyspace }
            // tablet keyspace from to generation voters …
            found = row.map { String($0[5]) }
            return found != nil
        }
        return try #require(found)
    }
}
