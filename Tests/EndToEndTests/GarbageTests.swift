import Foundation
import Testing

@Suite(
    "Garbage on a port", .serialized, .timeLimit(.minutes(5)), .enabled(if: Binary.isThere))
struct GarbageTests {
    /// A frame's header: the length after it, a checksum, what is said to follow.
    private static func frameHeader(length: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * UInt32($0))) } + [1, 2, 3, 4, 1]
    }

    private static let client = Array("TNNCLNT\n".utf8)
    private static let peer = Array("TNNPEER\n".utf8)

    /// What ends a connection at once, and what it is.
    private static let garbage: [[UInt8]] = [
        Array("GET / HTTP/1.1\r\nHost: tenon\r\n\r\n".utf8),
        [UInt8](repeating: 0xFF, count: 100_000),
        client + [0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0],
        client + frameHeader(length: 64) + [UInt8](repeating: 9, count: 64),
        peer + [UInt8](repeating: 1, count: 64),
        peer + [0xFF, 0xFF, 0xFF, 0xFF] + [UInt8](repeating: 0, count: 50_000),
        peer + frameHeader(length: 13) + [UInt8](repeating: 0, count: 8),
    ]

    @Test("It closes that connection, is logged once, and harms nobody")
    func garbage() async throws {
        try await TestCluster.with { cluster in
            let node = "n1"
            let port = try #require(UInt16(cluster.endpoint(of: node).split(separator: ":")[1]))
            for bytes in GarbageTests.garbage {
                let connection = try #require(RawConnection(to: port))
                connection.send(bytes)
                let isClosed = connection.isClosedByPeer()
                #expect(isClosed, "\(bytes.prefix(24))")
            }
            let lines = cluster.log(of: node).split(separator: "\n")
                .filter { $0.contains("closing the connection") }
            #expect(lines.count == GarbageTests.garbage.count, "\(lines.joined(separator: "\n"))")
            #expect(lines.allSatisfy { $0.contains("warning") })
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            let status = try await Binary.run(["cluster", "status", "--dir", cluster.folder])
            #expect(status.exitCode == 0, "\(status.output)")
        }
    }

    @Test("Half a frame holds a few bytes, however many connections send one")
    func halfFrames() async throws {
        try await TestCluster.with(nodes: 1) { cluster in
            let port = try #require(UInt16(cluster.endpoints.split(separator: ":")[1]))
            func residentBytes() async throws -> UInt64 {
                try await cluster.report(at: ["n1"])["n1"]?.counters?["memoryResidentBytes"] ?? 0
            }
            let before = try await residentBytes()
            var open: [RawConnection] = []
            for number in 0..<400 {
                let connection = try #require(RawConnection(to: port))
                let preface = number % 2 == 0 ? GarbageTests.client : GarbageTests.peer
                // Said to be as long as a hello may be, and then nothing more comes.
                connection.send(
                    preface + GarbageTests.frameHeader(length: 4_000)
                        + [UInt8](repeating: 7, count: 3_000))
                open.append(connection)
            }
            // The node looks at its own size ten times a second.
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            var after: UInt64 = 0
            let isBounded = try await Eventually.holds(within: .seconds(3)) {
                after = try await residentBytes()
                return after > 0 && after < before + 48 << 20
            }
            #expect(isBounded, "\(before) B before, \(after) B with \(open.count) half frames")
            #expect(try await cluster.tenon("get", "a").output == "1\n")
        }
    }
}
