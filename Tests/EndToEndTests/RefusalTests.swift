import Foundation
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
            #expect(portInUse.errors.contains("in use by another process"))
            let folderInUse = try await serve(
                "n1", data: cluster.data(of: "n1"), listen: "127.0.0.1:\(try FreePort.any())",
                cluster: list)
            #expect(folderInUse.exitCode == 2, "\(folderInUse.errors)")
            #expect(folderInUse.errors.contains("data is in use by another process"))
            try await cluster.cluster("kill", "n1")
            let wrongNode = try await serve(
                "n2", data: cluster.folder + "/n1/data", listen: first,
                cluster: "n1=127.0.0.1:1,n2=\(first),n3=127.0.0.1:2")
            #expect(wrongNode.exitCode == 2, "\(wrongNode.errors)")
            #expect(wrongNode.errors.contains("belongs to node n1"))
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

    @Test("Settings that are unknown or do not convert are errors")
    func settings() async throws {
        #expect(try await Binary.run(["serve", "--no-such-setting", "1"]).exitCode == 64)
        let folder = NSTemporaryDirectory() + "tenon-e2e-\(UUID().uuidString)"
        let wrong = try await Binary.run([
            "serve", "--name", "n1", "--data", folder, "--listen", "127.0.0.1:1", "--cluster",
            "n1=127.0.0.1:1", "--retention", "soon",
        ])
        #expect(wrong.exitCode != 0)
        #expect(wrong.errors.contains("retention"))
        let small = try await Binary.run([
            "serve", "--name", "n1", "--data", folder, "--listen", "127.0.0.1:1", "--cluster",
            "n1=127.0.0.1:1", "--segment-bytes", "1048576",
        ])
        #expect(small.exitCode == 64)
        #expect(small.errors.contains("\(TestCluster.segmentBytes)"), "\(small.errors)")
    }

    @Test("A cluster that could not begin leaves nothing that the next start stumbles over")
    func failedStart() async throws {
        let folder = NSTemporaryDirectory() + "tenon-e2e-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let start = ["cluster", "start", "--dir", folder, "--nodes", "1", "--base-port", "0"]
        let wrong = try await Binary.run(start + ["--serve-option", "colour=red"])
        #expect(wrong.exitCode == 2)
        #expect(wrong.errors.contains("colour"), "\(wrong.errors)")
        let right = try await Binary.run(start + ["--serve-option", "allow-volatile"])
        #expect(right.exitCode == 0, "\(right.errors)")
        #expect(try await Binary.run(["cluster", "stop", "--dir", folder]).exitCode == 0)
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
