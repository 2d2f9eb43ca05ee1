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

    @Test("After all nodes were killed at once everything acknowledged is there")
    func allKilled() async throws {
        try await TestCluster.with(tablets: 8) { cluster in
            let lines = (0..<500).map { "key-\($0)\tvalue-\($0)\n" }.joined()
            let imported = try await cluster.tenon("import", "-", "--format", "tsv", input: lines)
            #expect(imported.exitCode == 0, "\(imported.errors)")
            for node in ["n1", "n2", "n3"] { try await cluster.cluster("kill", node) }
            try await cluster.cluster("start")
            let back = try await cluster.tenon("scan", "--limit", "1000")
            #expect(back.exitCode == 0, "\(back.errors)")
            let isWhole =
                back.output.split(separator: "\n").sorted()
                == lines.split(separator: "\n").sorted()
            #expect(isWhole)
        }
    }

    @Test("An export reads all tablets at one version, those without writes too")
    func exportOfManyTablets() async throws {
        try await TestCluster.with(tablets: 8) { cluster in
            #expect(try await cluster.tenon("put", "aa", "1").exitCode == 0)
            #expect(try await cluster.tenon("put", "zz", "2").exitCode == 0)
            let exported = try await cluster.tenon("export", "--format", "tsv")
            // A read at a version ahead of a tablet's clock moves that clock (Rule S8).
            #expect(exported.exitCode == 0, "\(exported.errors)")
            #expect(exported.output == "aa\t1\nzz\t2\n")
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

    @Test(
        "Without a quorum a write ends at its deadline and says that its outcome is unknown or not")
    func noQuorum() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            try await cluster.cluster("kill", "n1")
            try await cluster.cluster("kill", "n2")
            let put = try await cluster.tenon("put", "a", "2", "--timeout", "2s")
            #expect([2, 3].contains(put.exitCode), "\(put.errors)")
            let get = try await cluster.tenon("get", "a", "--timeout", "2s")
            #expect(get.exitCode == 2, "\(get.errors)")
            try await cluster.cluster("restart", "n1")
            let after = try await cluster.tenon("get", "a").output
            #expect(["1\n", "2\n"].contains(after))
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

    @Test("A cluster that stands still is stopped and started again with its data")
    func restart() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "kept", "yes").exitCode == 0)
            try await cluster.cluster("stop")
            try await cluster.cluster("start")
            #expect(try await cluster.tenon("get", "kept").output == "yes\n")
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
