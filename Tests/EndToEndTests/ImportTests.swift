import Foundation
import Testing

@Suite("Imports", .serialized, .timeLimit(.minutes(5)), .enabled(if: Binary.isThere))
struct ImportTests {
    /// Runs an import of `lines` from a file.
    private func run(
        _ lines: [[UInt8]], into cluster: TestCluster, _ arguments: String...
    ) async throws -> Binary.Result {
        let path = cluster.folder + "/input-\(UUID().uuidString)"
        try Data(lines.joined(separator: [10])).write(to: URL(fileURLWithPath: path))
        return try await Binary.run(
            ["import", path, "--format", "tsv"] + arguments,
            environment: ["TENON_ENDPOINTS": cluster.endpoints])
    }

    @Test("A line that is no record ends it with the line's number, or is left out on request")
    func badLines() async throws {
        try await TestCluster.with { cluster in
            let malformed = ["a\t1", "no tab", "b\t2"].map { Array($0.utf8) }
            let first = try await run(malformed, into: cluster)
            #expect(first.exitCode == 2)
            #expect(first.errors.contains("line 2: no tab"), "\(first.errors)")
            #expect(first.errors.contains("--skip-bad"))
            let skipped = try await run(malformed, into: cluster, "--skip-bad")
            #expect(skipped.exitCode == 0, "\(skipped.errors)")
            #expect(skipped.errors.contains("read 3 written 2 skipped 1 refused 0"))
            let notText = [Array("c\t3".utf8), Array("d\t".utf8) + [0xFF, 0xFE]]
            let second = try await run(notText, into: cluster)
            #expect(second.exitCode == 2)
            #expect(second.errors.contains("line 2: not UTF-8"), "\(second.errors)")
            #expect(try await cluster.tenon("get", "d").exitCode == 1)
        }
    }

    @Test("A key or a value over its bound is refused and nothing of it is written")
    func tooLarge() async throws {
        try await TestCluster.with { cluster in
            let longKey = [UInt8](repeating: 0x6B, count: 64 << 10)
            let longValue = [UInt8](repeating: 0x76, count: 4 << 20)
            let lines = [
                longKey + [0x6B, 9, 0x31], Array("v\t".utf8) + longValue + [0x76],
                longKey + [9] + longValue, Array("after\t1".utf8),
            ]
            let ended = try await run([lines[0]], into: cluster)
            #expect(ended.exitCode == 2)
            #expect(ended.errors.contains("tooLarge: line 1"), "\(ended.errors)")
            let skipped = try await run(lines, into: cluster, "--skip-bad")
            #expect(skipped.exitCode == 0, "\(skipped.errors)")
            // The largest of both fits into one of the smallest segments.
            #expect(skipped.errors.contains("read 4 written 2 skipped 0 refused 2"))
            let scanned = try await cluster.tenon("export", "--format", "tsv")
            #expect(scanned.output.split(separator: "\n").count == 2)
            let put = try await cluster.tenon(
                "put", "x", "-", input: String(decoding: longValue + [0x76], as: UTF8.self))
            #expect(put.exitCode == 2, "\(put.errors)")
        }
    }
}
