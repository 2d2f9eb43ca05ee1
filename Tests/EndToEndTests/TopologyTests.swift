import Foundation
import Testing

@Suite("Cities on one machine", .serialized, .timeLimit(.minutes(5)), .enabled(if: Binary.isThere))
struct TopologyTests {
    private static func file(_ name: String) -> String {
        URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "deploy/topologies/\(name).json").path
    }

    private struct Status: Decodable {
        struct Node: Decodable {
            struct Peer: Decodable { var roundTripMicros: Int }
            var peers: [Peer]?
        }
        var nodes: [Node]
    }

    @Test("Three cities, 15 ms apart: where nodes stand is known, and what the loss of one does")
    func threeCities() async throws {
        try await TestCluster.with(topology: TopologyTests.file("1x3")) { cluster in
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
            let line = whole.output.split(separator: "\n").first { $0.hasPrefix("default") } ?? ""
            let words = line.split(separator: " ").prefix(6).joined(separator: " ")
            #expect(words == "default node 1 3 by itself", "\(whole.output)")
            try await cluster.cluster("kill", "n3")
            let risky = try await cluster.tenon("topology", "check")
            #expect(risky.exitCode == 1)
            #expect(risky.output.contains("AT RISK: default would not survive the loss of node n"))
            #expect(risky.output.contains("counted as lost: n3"))
        }
    }

    private struct Explained: Decodable {
        struct Part: Decodable {
            struct Commit: Decodable { var roundTripMicros: Int }
            struct Voter: Decodable { var locality: String }
            struct Loss: Decodable { var survives: String }
            var home: String?
            var leader: String?
            var commit: Commit?
            var voters: [Voter]
            var losses: [Loss]
        }
        var survive: String
        var parts: [Part]
        var risks: [String]
    }

    @Test("A keyspace with a home in each city is led from all of them, and says what it survives")
    func homes() async throws {
        try await TestCluster.with(topology: TopologyTests.file("2-2-1")) { cluster in
            let homes = ["shanghai", "beijing", "shenzhen"]
            let options = homes.flatMap { ["--home", "\($0)/=\($0)"] }
            func create() async throws -> Binary.Result {
                try await cluster.tenon(
                    arguments: ["keyspace", "create", "accounts", "--survive", "city"] + options)
            }
            // Founders' places are written down a moment after the cluster serves.
            let isMade = try await Eventually.holds { try await create().exitCode == 0 }
            #expect(isMade)
            let isExplained = try await Eventually.holds {
                let told = try await cluster.tenon("explain", "accounts", "--json")
                let proof = try JSONDecoder().decode(Explained.self, from: Data(told.output.utf8))
                let led = proof.parts.filter { $0.home != nil && $0.leader != nil }
                return told.exitCode == 0 && proof.survive == "city" && proof.risks.isEmpty
                    && Set(led.compactMap(\.home)) == Set(homes)
                    && proof.parts.allSatisfy { part in
                        part.voters.count == 5
                            && part.losses.allSatisfy { $0.survives == "by itself" }
                            && part.commit?.roundTripMicros ?? 0 >= 15_000
                    }
            }
            let told = try await cluster.tenon("explain", "accounts").output
            #expect(isExplained, "\(told)")
            let described = try await cluster.tenon("keyspace", "describe", "accounts").output
            #expect(described.contains("--survive city --home 'shanghai/=shanghai'"))
            for home in homes {
                let put = try await cluster.tenon(
                    "put", "--keyspace", "accounts", "\(home)/1", home)
                #expect(put.exitCode == 0, "\(put.errors)")
            }
            let altered = try await cluster.tenon("keyspace", "alter", "accounts", "--ack", "city")
            #expect(altered.exitCode == 0, "\(altered.errors)")
            let isAsked = try await Eventually.holds {
                let told = try await cluster.tenon("explain", "accounts")
                return told.exitCode == 0
                    && told.output.contains("when no voter elsewhere answers, writes stop")
            }
            #expect(isAsked)
            let far = try await cluster.tenon(
                "put", "--keyspace", "accounts", "shanghai/2", "in two cities")
            #expect(far.exitCode == 0, "\(far.errors)")
            let refused = try await cluster.tenon(
                "keyspace", "create", "far", "--home", "gz/=guangzhou")
            #expect(refused.exitCode == 2)
            #expect(refused.errors.contains("no node is in guangzhou: there are nodes in beijing"))
        }
    }
}
