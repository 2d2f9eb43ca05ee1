import Foundation
import Testing

@Suite(
    "Tablets that are split", .serialized, .timeLimit(.minutes(5)), .enabled(if: Binary.isThere)
)
struct SplitTests {
    /// `count` puts, each sent when the one before is answered.
    private func puts(_ count: Int, value: String) -> String {
        (0..<count).map { number in
            let key = "w\(String(format: "%04d", number % 400))"
            return "{\"id\":\(number),\"op\":\"put\",\"key\":\"\(key)\",\"value\":\"\(value)\","
                + "\"wait\":true}\n"
        }.joined()
    }

    @Test("A tablet is split twice while it is written to: every write is there")
    func underLoad() async throws {
        try await TestCluster.with { cluster in
            async let writes = cluster.tenon("pipe", input: puts(2_000, value: "v"))
            let first = try await cluster.tenon("tablet", "split", "default", "--at", "w0100")
            #expect(first.exitCode == 0, "\(first.errors)")
            let second = try await cluster.tenon(
                "tablet", "split", "3", "--at", "w0200", "--json")
            #expect(second.exitCode == 0, "\(second.errors)")
            #expect(second.output.contains("\"id\":4"), "\(second.output)")
            let answers = try await writes
            let lines = answers.output.split(separator: "\n")
            #expect(lines.count == 2_000)
            #expect(lines.allSatisfy { $0.contains("\"ok\":true") })
            let list = try await cluster.tenon("tablet", "list", "--json").output
            #expect(list.contains("\"from\":\"w0100\",\"to\":\"w0200\""), "\(list)")
            let all = try await cluster.tenon("scan", "--prefix", "w").output
            #expect(all.split(separator: "\n").count == 400)
            #expect(try await cluster.tenon("verify").exitCode == 0)
        }
    }

    private struct Described: Decodable {
        struct Tablet: Decodable { var leader: String? }
        var splitAboveBytes: Int
        var tablets: [Tablet]
    }

    @Test("A tablet that grows above its keyspace's bound becomes two, and all keys are there")
    func bySize() async throws {
        try await TestCluster.with { cluster in
            let made = try await cluster.tenon(
                "keyspace", "create", "big", "--split-above", "2MiB")
            #expect(made.exitCode == 0, "\(made.errors)")
            func described() async throws -> Described {
                let told = try await cluster.tenon("keyspace", "describe", "big", "--json").output
                return try JSONDecoder().decode(Described.self, from: Data(told.utf8))
            }
            #expect(try await described().splitAboveBytes == 2 << 20)
            let puts = (0..<150).map { number in
                // Text of random bytes: no compression makes it much smaller.
                let value = Data((0..<24_000).map { _ in UInt8.random(in: 0...255) })
                    .base64EncodedString()
                return "{\"id\":\(number),\"op\":\"put\",\"keyspace\":\"big\","
                    + "\"key\":\"k\(1_000 + number)\",\"value\":\"\(value)\"}\n"
            }.joined()
            let answers = try await cluster.tenon("pipe", input: puts)
            let lines = answers.output.split(separator: "\n")
            #expect(lines.count == 150 && lines.allSatisfy { $0.contains("\"ok\":true") })
            let isSplit = try await Eventually.holds {
                let tablets = try await described().tablets
                return tablets.count > 1 && tablets.allSatisfy { $0.leader != nil }
            }
            #expect(isSplit)
            let scan = try await cluster.tenon("scan", "--keyspace", "big")
            #expect(scan.output.split(separator: "\n").count == 150, "\(scan.errors)")
            #expect(try await cluster.tenon("verify").exitCode == 0)
            let tiny = try await cluster.tenon("keyspace", "alter", "big", "--split-above", "1KiB")
            #expect(tiny.exitCode == 64)
        }
    }

    @Test("A split that cannot be is refused with what to do instead")
    func refused() async throws {
        try await TestCluster.with { cluster in
            #expect(
                try await cluster.tenon("tablet", "split", "default", "--at", "m").exitCode == 0)
            let refusals = [
                ("2", "m", "begins or ends at this key already"),
                ("2", "x", "not one of tablet 2"), ("1", "m", "cannot be split"),
                ("9", "m", "there is no tablet 9"), ("nothing", "m", "there is default"),
            ]
            for (tablet, key, part) in refusals {
                let result = try await cluster.tenon("tablet", "split", tablet, "--at", key)
                #expect(result.exitCode == 2)
                #expect(result.errors.contains(part), "\(result.errors)")
            }
            #expect(try await cluster.tenon("tablet", "split", "2").exitCode == 64)
        }
    }
}
