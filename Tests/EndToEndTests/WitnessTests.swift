import Foundation
import Testing

@Suite("A witness", .serialized, .timeLimit(.minutes(5)), .enabled(if: Binary.isThere))
struct WitnessTests {
    private static let topology = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "deploy/topologies/two-cities-witness.json").path

    private struct Explained: Decodable {
        struct Part: Decodable {
            struct Voter: Decodable {
                var name: String
                var witness: Bool
            }
            struct Loss: Decodable {
                var level: String
                var survives: String
                var broughtUpToDateBy: [String]
            }
            var voters: [Voter]
            var losses: [Loss]
        }
        var parts: [Part]
        var risks: [String]
    }

    @Test("Two cities and a witness: either city is lost, and writes go on")
    func twoCities() async throws {
        try await TestCluster.with(topology: WitnessTests.topology) { cluster in
            let list = try await cluster.tenon("node", "list").output
            #expect(list.contains("serving, witness"), "\(list)")
            let options = ["--survive", "city", "--home", "a/=shanghai", "--home", "b/=beijing"]
            // Founders' places are written down a moment after the cluster serves.
            let isMade = try await Eventually.holds {
                try await cluster.tenon(
                    arguments: ["keyspace", "create", "accounts"] + options
                ).exitCode == 0
            }
            #expect(isMade)
            let isExplained = try await Eventually.holds {
                let told = try await cluster.tenon("explain", "accounts", "--json")
                let proof = try JSONDecoder().decode(Explained.self, from: Data(told.output.utf8))
                return told.exitCode == 0 && proof.risks.isEmpty
                    && proof.parts.allSatisfy { part in
                        part.voters.filter(\.witness).map(\.name) == ["n5"]
                            && part.voters.count == 5
                            && part.losses.allSatisfy { $0.survives == "by itself" }
                            && part.losses.contains { $0.broughtUpToDateBy == ["n5"] }
                    }
            }
            let told = try await cluster.tenon("explain", "accounts").output
            #expect(isExplained, "\(told)")
            #expect(told.contains("n5 (city=witness,dc=w1; witness)"), "\(told)")
            func put(_ key: String, _ value: String) async throws -> Binary.Result {
                try await cluster.tenon("put", "--keyspace", "accounts", key, value)
            }
            for (city, others) in [(["n1", "n2"], "b/1"), (["n3", "n4"], "a/1")] {
                #expect(try await put("a/1", "before").exitCode == 0)
                #expect(try await put("b/1", "before").exitCode == 0)
                for node in city { try await cluster.cluster("kill", node) }
                for key in ["a/1", "b/1", others] {
                    let isWritten = try await Eventually.holds {
                        try await put(key, "without \(city)").exitCode == 0
                    }
                    #expect(isWritten, "\(key) without \(city)")
                }
                for node in city { try await cluster.restart(node) }
            }
            let isWhole = try await Eventually.holds {
                try await cluster.tenon("verify").exitCode == 0
            }
            let verified = try await cluster.tenon("verify")
            #expect(isWhole, "\(verified.output)\(verified.errors)")
            #expect(!verified.output.contains("n5"), "a witness has no digest")
        }
    }
}
