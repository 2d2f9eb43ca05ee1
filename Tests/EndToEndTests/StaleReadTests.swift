import Foundation
import Testing

@Suite(
    "Stale reads of real processes", .serialized, .timeLimit(.minutes(5)),
    .enabled(if: Binary.isThere))
struct StaleReadTests {
    @Test(
        "Without a majority nothing is written or read as new, and stale reads are served, labelled"
    )
    func withoutMajority() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            let fresh = try await cluster.tenon("get", "a", "--json", "--stale-within", "10s")
            #expect(fresh.output.contains("\"stale\":{\"withinMs\":"), "\(fresh.output)")
            #expect(try await cluster.tenon("get", "a", "--json").output.contains("stale") == false)
            _ = try await cluster.killLeader()
            // A linearizable read finds the new leader: now it is known to whoever survives.
            #expect(try await cluster.tenon("get", "a").output == "1\n")
            _ = try await cluster.killLeader()
            #expect(try await cluster.tenon("put", "a", "2", "--timeout", "2s").exitCode != 0)
            #expect(try await cluster.tenon("get", "a", "--timeout", "2s").exitCode == 2)
            let bounded = try await cluster.tenon(
                "get", "a", "--stale-within", "500ms", "--timeout", "2s")
            #expect(bounded.exitCode == 2)
            #expect(bounded.errors.contains("any age"), "\(bounded.errors)")
            let stale = try await cluster.tenon("get", "a", "--stale")
            #expect(stale.output == "1\n")
            #expect(stale.errors.contains("stale: at most"), "\(stale.errors)")
            let scan = try await cluster.tenon("scan", "--stale")
            #expect(scan.output == "a\t1\n")
            let piped = try await cluster.tenon(
                "pipe", input: "{\"id\":1,\"op\":\"get\",\"key\":\"a\",\"stale\":true}\n")
            #expect(piped.output.contains("\"stale\":{\"withinMs\":"), "\(piped.output)")
            #expect(piped.output.contains("\"value\":\"1\""))
        }
    }

    private struct Explained: Decodable {
        struct Part: Decodable {
            struct Read: Decodable {
                var city: String
                var node: String?
                var copy: String?
            }
            var leader: String?
            var localReads: [Read]
        }
        var localReadsWithinMs: Int?
        var parts: [Part]
        var risks: [String]
    }

    private struct Got: Decodable {
        struct Stale: Decodable { var withinMs: Int }
        var value: String?
        var stale: Stale
    }

    @Test("Where a policy asks for local reads each city has a copy, and reads from it")
    func localReads() async throws {
        let topology = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "deploy/topologies/1x3.json").path
        try await TestCluster.with(topology: topology) { cluster in
            // Founders' places are written down a moment after the cluster serves.
            let isMade = try await Eventually.holds {
                try await cluster.tenon(
                    "keyspace", "create", "prices", "--replicas", "1", "--home", "=shanghai",
                    "--local-reads-within", "2s"
                ).exitCode == 0
            }
            #expect(isMade)
            func explained() async throws -> Explained {
                let told = try await cluster.tenon("explain", "prices", "--json").output
                return try JSONDecoder().decode(Explained.self, from: Data(told.utf8))
            }
            let hasCopies = try await Eventually.holds {
                let proof = try await explained()
                let reads = proof.parts.first?.localReads ?? []
                return proof.localReadsWithinMs == 2_000 && proof.risks.isEmpty
                    && proof.parts.first?.leader != nil
                    && Set(reads.compactMap(\.copy)) == ["leader", "learner"] && reads.count == 3
            }
            let text = try await cluster.tenon("explain", "prices").output
            #expect(hasCopies, "\(text)")
            #expect(text.contains("--local-reads-within 2s"), "\(text)")
            #expect(text.contains("beijing from"), "\(text)")
            let put = try await cluster.tenon("put", "--keyspace", "prices", "a", "1")
            #expect(put.exitCode == 0, "\(put.errors)")
            // It may lack what was acknowledged less than two seconds ago, and says how long.
            let isRead = try await Eventually.holds {
                let read = try await cluster.tenon(
                    "get", "--keyspace", "prices", "a", "--json", "--stale-within", "2s",
                    "--locality", "city=beijing")
                let got = try JSONDecoder().decode(Got.self, from: Data(read.output.utf8))
                #expect(got.stale.withinMs <= 2_000, "\(read.output)")
                return got.value == "1"
            }
            #expect(isRead)
            // Without the only voter a learner is all there is.
            let leader = try #require(try await explained().parts.first?.leader)
            try await cluster.cluster("kill", leader)
            let left = try await cluster.tenon(
                "get", "--keyspace", "prices", "a", "--stale", "--locality", "city=beijing")
            #expect(left.output == "1\n", "\(left.errors)")
        }
    }
}
