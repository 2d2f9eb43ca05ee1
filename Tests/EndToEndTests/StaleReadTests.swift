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
}
