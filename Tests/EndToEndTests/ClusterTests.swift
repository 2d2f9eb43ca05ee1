import Foundation
import Testing

@Suite(
    "A cluster of real processes", .serialized, .timeLimit(.minutes(5)),
    .enabled(if: Binary.isThere))
struct ClusterTests {
    @Test("What is put is read, conditions hold, what is deleted is gone", arguments: [1, 8])
    func basics(tablets: Int) async throws {
        try await TestCluster.with(tablets: tablets) { cluster in
            #expect(try await cluster.tenon("put", "alice", "100", "--if-absent").exitCode == 0)
            #expect(try await cluster.tenon("put", "alice", "1", "--if-absent").exitCode == 1)
            #expect(try await cluster.tenon("get", "alice").output == "100\n")
            #expect(try await cluster.tenon("get", "bob").exitCode == 1)
            for name in ["02", "k", "zz"] {
                #expect(try await cluster.tenon("put", name, "v\(name)").exitCode == 0)
            }
            let all = try await cluster.tenon("scan")
            #expect(all.output == "02\tv02\nalice\t100\nk\tvk\nzz\tvzz\n")
            let backwards = try await cluster.tenon("scan", "--reverse", "--limit", "2")
            #expect(backwards.output == "zz\tvzz\nk\tvk\n")
            #expect(try await cluster.tenon("delete", "alice").exitCode == 0)
            #expect(try await cluster.tenon("get", "alice").exitCode == 1)
        }
    }

    @Test("A killed leader is replaced, nothing acknowledged is lost, and it rejoins")
    func leaderKill() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "before", "1").exitCode == 0)
            let killed = try await cluster.killLeader()
            #expect(try await cluster.tenon("put", "after", "2").exitCode == 0)
            #expect(try await cluster.tenon("get", "before").output == "1\n")
            try await cluster.cluster("restart", killed)
            // With another node gone the restarted one is needed for the quorum.
            _ = try await cluster.killLeader()
            #expect(try await cluster.tenon("put", "again", "3").exitCode == 0)
            #expect(try await cluster.tenon("scan").output == "after\t2\nagain\t3\nbefore\t1\n")
        }
    }

    @Test("An import outlives the kill of its leader")
    func importAcrossKill() async throws {
        try await TestCluster.with { cluster in
            let process = try RunningProcess(
                ["import", "-", "--format", "tsv"],
                environment: ["TENON_ENDPOINTS": cluster.endpoints])
            let lines = (0..<20_000).map { "row-\($0)\t\($0)\n" }
            process.write(lines[..<10_000].joined())
            _ = try await cluster.killLeader()
            process.write(lines[10_000...].joined())
            process.endInput()
            let result = await process.finish()
            #expect(result.exitCode == 0, "\(result.errors)")
            let exported = try await cluster.tenon("export", "--format", "tsv")
            #expect(exported.output.split(separator: "\n").count == lines.count)
        }
    }

    @Test("A paused leader is replaced, and is a follower when it runs on")
    func pausedLeader() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            let said = try await cluster.cluster("pause", "leader")
            let paused = String(said.prefix { $0 != " " })
            #expect(try await cluster.tenon("put", "a", "2").exitCode == 0)
            try await cluster.cluster("resume", paused)
            #expect(try await cluster.tenon("get", "a").output == "2\n")
        }
    }

    @Test("A cluster on the IPv6 loopback address serves and survives its leader")
    func version6() async throws {
        try await TestCluster.with(host: "::1") { cluster in
            #expect(cluster.endpoints.hasPrefix("[::1]:"))
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            let killed = try await cluster.killLeader()
            #expect(try await cluster.tenon("put", "b", "2").exitCode == 0)
            try await cluster.cluster("restart", killed)
            #expect(try await cluster.tenon("scan").output == "a\t1\nb\t2\n")
        }
    }

    @Test("Status shows each replica, equal digests, and that there is no security yet")
    func status() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            let status = try await cluster.tenon("status", "--json")
            #expect(status.exitCode == 0)
            #expect(status.output.contains("\"security\""))
            #expect(status.output.contains("none"))
        }
    }
}
