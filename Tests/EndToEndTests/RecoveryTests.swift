import Foundation
import Testing

@Suite(
    "What a cluster has after it stood still", .serialized, .timeLimit(.minutes(5)),
    .enabled(if: Binary.isThere))
struct RecoveryTests {
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

    @Test("Without a quorum a call is unavailable at its deadline, and does no harm")
    func noQuorum() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            try await cluster.cluster("kill", "n1")
            try await cluster.cluster("kill", "n2")
            let begin = ContinuousClock.now
            let put = try await cluster.tenon("put", "a", "2", "--timeout", "2s")
            let span = ContinuousClock.now - begin
            // 3 when the entry was in the leader's hands: it may be committed one day.
            #expect([2, 3].contains(put.exitCode), "\(put.errors)")
            #expect(put.errors.contains("unavailable"), "\(put.errors)")
            #expect(span >= .seconds(2) && span < .seconds(4))
            let get = try await cluster.tenon("get", "a", "--timeout", "1s")
            #expect(get.exitCode == 2, "\(get.errors)")
            #expect(get.errors.contains("unavailable"), "\(get.errors)")
            try await cluster.cluster("restart", "n1")
            let after = try await cluster.tenon("get", "a").output
            #expect(["1\n", "2\n"].contains(after))
        }
    }

    @Test("After a stop and a start all is there, and both digests are equal on all replicas")
    func restart() async throws {
        try await TestCluster.with(tablets: 8) { cluster in
            let lines = Letters.rows(2_000, valueBytes: 200)
            let imported = try await cluster.tenon(
                "import", "-", "--format", "tsv", input: lines.joined())
            #expect(imported.exitCode == 0, "\(imported.errors)")
            let before = try await cluster.tenon("export", "--format", "tsv")
            #expect(before.exitCode == 0, "\(before.errors)")
            #expect(before.output.split(separator: "\n").count == lines.count)
            try await cluster.cluster("stop")
            try await cluster.cluster("start")
            let after = try await cluster.tenon("export", "--format", "tsv")
            #expect(after.exitCode == 0, "\(after.errors)")
            let isSame = after.output == before.output
            #expect(isSame)
            let verified = try await cluster.tenon("verify", "--json")
            #expect(verified.exitCode == 0, "\(verified.output)\(verified.errors)")
            var report = try await cluster.report()
            let areLevel = try await Eventually.holds {
                report = try await cluster.report()
                return report.replicas.values.allSatisfy { Set($0.map(\.applied)).count == 1 }
            }
            #expect(areLevel)
            #expect(report.replicas.count == 8)
            for (tablet, replicas) in report.replicas {
                #expect(replicas.count == 3)
                #expect(Set(replicas.map(\.logDigest)).count == 1, "tablet \(tablet)")
                #expect(Set(replicas.map(\.contentDigest)).count == 1, "tablet \(tablet)")
                #expect(replicas.allSatisfy { $0.health == "whole" })
            }
        }
    }

    @Test("The log is recycled, and what tablets at rest have in it is copied forward")
    func recycling() async throws {
        // Old versions go at once, so that tables stay small and flushes keep up.
        let segments = 6
        let options = ["retention=200ms", "segments=\(segments)", "memtable-bytes=2097152"]
        try await TestCluster.with(tablets: 8, options: options) { cluster in
            // Of tablets that nothing else is written to: their entries stay in the log.
            for key in ["5", "G", "n", "zz"] {
                #expect(try await cluster.tenon("put", key, "kept \(key)").exitCode == 0)
            }
            // More than all segments hold, compressed and without what zeroing them wrote, over a few
            // keys.
            let value = Letters.random(60_000, seed: 5)
            let count = 2_400
            let lines = (0..<count).map { "aa\($0 % 40)\t\($0)\(value)\n" }
            // A log of this size may be full for a moment on a slow disk.
            var problem = ""
            let isImported = try await Eventually.holds(within: .seconds(60)) {
                let imported = try await cluster.tenon(
                    "import", "-", "--format", "tsv", "--in-flight", "8", input: lines.joined())
                problem = imported.errors
                return imported.exitCode == 0
            }
            try #require(isImported, "\(problem)")
            let reserve = UInt64(TestCluster.segmentBytes * segments)
            for node in try await cluster.report().nodes {
                let counters = try #require(node.counters)
                #expect(counters["logBytesWritten"] ?? 0 > reserve)
                #expect(counters["logBytesReserved"] ?? .max <= reserve)
            }
            for node in ["n1", "n2", "n3"] { try await cluster.cluster("kill", node) }
            try await cluster.cluster("start")
            for key in ["5", "G", "n", "zz"] {
                #expect(try await cluster.tenon("get", key).output == "kept \(key)\n")
            }
            let last = try await cluster.tenon("get", "aa39").output
            let isLast = last == "\(count - 1)\(value)\n"
            #expect(isLast)
        }
    }
}
