import Foundation
import Testing

@Suite("Cities on one machine", .serialized, .timeLimit(.minutes(5)), .enabled(if: Binary.isThere))
struct TopologyTests {
    private static let file = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "deploy/topologies/1x3.json").path

    private struct Status: Decodable {
        struct Node: Decodable {
            struct Peer: Decodable { var roundTripMicros: Int }
            var peers: [Peer]?
        }
        var nodes: [Node]
    }

    @Test("Three cities, 15 ms apart: where nodes stand is known, and what the loss of one does")
    func threeCities() async throws {
        try await TestCluster.with(topology: TopologyTests.file) { cluster in
            let isKnown = try await Eventually.holds {
                let list = try await cluster.tenon("node", "list", "--json").output
                return ["shanghai,dc=sh1", "beijing,dc=bj1", "shenzhen,dc=sz1"].allSatisfy {
                    list.contains("\"city=\($0)\"")
                }
            }
            #expect(isKnown)
            let isFar = try await Eventually.holds {
                let text = try await cluster.tenon("status", "--json").output
                let status = try JSONDecoder().decode(Status.self, from: Data(text.utf8))
                let trips = status.nodes.flatMap { $0.peers ?? [] }.map(\.roundTripMicros)
                return trips.count == 6 && trips.allSatisfy { $0 >= 15_000 }
            }
            #expect(isFar, "round trips of less than the distance")
            let whole = try await cluster.tenon("topology", "check")
            #expect(whole.exitCode == 0, "\(whole.output)\(whole.errors)")
            #expect(whole.output.contains("default            1       3  by itself"))
            try await cluster.cluster("kill", "n3")
            let risky = try await cluster.tenon("topology", "check")
            #expect(risky.exitCode == 1)
            #expect(risky.output.contains("AT RISK: default would not survive the loss of node n"))
            #expect(risky.output.contains("counted as lost: n3"))
        }
    }
}
