import Foundation
import Glibc
import Testing

@Suite("What a node refuses", .serialized, .timeLimit(.minutes(5)), .enabled(if: Binary.isThere))
struct RefusalTests {
    @Test("A port in use, a folder in use and a folder of another node are errors at once")
    func wrongFolders() async throws {
        try await TestCluster.with { cluster in
            let first = String(cluster.endpoints.prefix { $0 != "," })
            let folder = NSTemporaryDirectory() + "tenon-e2e-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let list = "n1=\(first),n2=127.0.0.1:1,n3=127.0.0.1:2"
            let portInUse = try await serve("n1", data: folder, listen: first, cluster: list)
            #expect(portInUse.exitCode == 2, "\(portInUse.errors)")
            let folderInUse = try await serve(
                "n1", data: cluster.folder + "/n1/data", listen: "127.0.0.1:0", cluster: list)
            #expect(folderInUse.exitCode != 0, "\(folderInUse.errors)")
            try await cluster.cluster("kill", "n1")
            let wrongNode = try await serve(
                "n2", data: cluster.folder + "/n1/data", listen: first,
                cluster: "n1=127.0.0.1:1,n2=\(first),n3=127.0.0.1:2")
            #expect(wrongNode.exitCode == 2, "\(wrongNode.errors)")
        }
    }

    @Test("A second start of a running cluster, an unknown node and a missing folder are errors")
    func clusterErrors() async throws {
        try await TestCluster.with { cluster in
            let again = try await Binary.run(["cluster", "start", "--dir", cluster.folder])
            #expect(again.exitCode == 2)
            #expect(again.errors.contains("runs already"))
            let unknown = try await Binary.run(["cluster", "kill", "n9", "--dir", cluster.folder])
            #expect(unknown.exitCode == 2)
            #expect(unknown.errors.contains("no node n9"))
        }
        let missing = try await Binary.run(["cluster", "stop", "--dir", "/nowhere/at/all"])
        #expect(missing.exitCode == 2)
        #expect(missing.errors.contains("no cluster"))
    }

    @Test("Garbage on a port closes that connection and harms nobody")
    func garbage() async throws {
        try await TestCluster.with { cluster in
            for endpoint in cluster.endpoints.split(separator: ",") {
                let port = try #require(UInt16(endpoint.split(separator: ":").last ?? ""))
                for bytes in [
                    Array("GET / HTTP/1.1\r\n\r\n".utf8), [UInt8](repeating: 0xFF, count: 100_000),
                    Array("TNNCLNT\n".utf8) + [0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0],
                    Array("TNNPEER\n".utf8) + [UInt8](repeating: 1, count: 64),
                ] { RawConnection.send(bytes, to: port) }
            }
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            let status = try await Binary.run(["cluster", "status", "--dir", cluster.folder])
            #expect(status.exitCode == 0, "\(status.output)")
        }
    }

    @Test("Settings that are unknown or do not convert are errors")
    func settings() async throws {
        #expect(try await Binary.run(["serve", "--no-such-setting", "1"]).exitCode == 64)
        let folder = NSTemporaryDirectory() + "tenon-e2e-\(UUID().uuidString)"
        let wrong = try await Binary.run([
            "serve", "--name", "n1", "--data", folder, "--listen", "127.0.0.1:0", "--cluster",
            "n1=127.0.0.1:1", "--retention", "soon",
        ])
        #expect(wrong.exitCode != 0)
        #expect(wrong.errors.contains("retention"))
    }

    private func serve(
        _ name: String, data: String, listen: String, cluster: String
    ) async throws -> Binary.Result {
        try await Binary.run([
            "serve", "--name", name, "--data", data, "--listen", listen, "--cluster", cluster,
            "--allow-volatile",
        ])
    }
}

/// A TCP connection that says what no client would.
enum RawConnection {
    static func send(_ bytes: [UInt8], to port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let isConnected = unsafe withUnsafeBytes(of: &address) { raw in
            let generic = unsafe raw.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return unsafe connect(
                descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
        guard isConnected else { return }
        _ = unsafe bytes.withUnsafeBytes { raw in
            unsafe Glibc.send(descriptor, raw.baseAddress, raw.count, Int32(MSG_NOSIGNAL))
        }
    }
}
