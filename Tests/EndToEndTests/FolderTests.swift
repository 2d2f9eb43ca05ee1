import Foundation
import Testing

@Suite(
    "Data folders that are not what they were (Rules I1, I2)", .serialized,
    .timeLimit(.minutes(5)), .enabled(if: Binary.isThere))
struct FolderTests {
    private let files = FileManager.default

    @Test("A node with the folder of another cluster hears nothing and serves nothing")
    func otherCluster() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "old", "1").exitCode == 0)
            try await cluster.cluster("stop")
            let old = cluster.folder + "/old"
            try files.moveItem(atPath: cluster.data(of: "n1"), toPath: old)
            for node in ["n2", "n3"] { try files.removeItem(atPath: cluster.data(of: node)) }
            // The same nodes under the same addresses form another cluster.
            try await cluster.cluster("start")
            #expect(try await cluster.tenon("put", "new", "2").exitCode == 0)
            try await cluster.cluster("kill", "n1")
            let stranger = try cluster.serve("n1", data: old)
            defer { stranger.kill() }
            let isRefused = try await Eventually.holds {
                let peers = try await cluster.report(at: ["n2", "n3"])["n2"]?.peers ?? []
                return peers.contains { $0.node == 1 && $0.problem.contains("cluster") }
            }
            #expect(isRefused)
            let others = cluster.endpoint(of: "n2") + "," + cluster.endpoint(of: "n3")
            #expect(try await cluster.tenon("get", "new", "--endpoints", others).output == "2\n")
            let read = try await cluster.tenon(
                "get", "old", "--timeout", "1s", "--endpoints", cluster.endpoint(of: "n1"))
            #expect(read.exitCode == 2, "\(read.output)\(read.errors)")
            stranger.kill()
            let said = await stranger.finish().errors
            #expect(said.contains("it belongs to cluster"), "\(said)")
        }
    }

    @Test("A cloned folder is refused while the node that it was copied from runs")
    func clone() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            try await cluster.cluster("kill", "n1")
            let copy = cluster.folder + "/copy"
            try files.copyItem(atPath: cluster.data(of: "n1"), toPath: copy)
            try await cluster.cluster("restart", "n1")
            try await expectConnected("n1", in: cluster)
            let clone = try cluster.serve(
                "n1", data: copy, listen: "127.0.0.1:\(try FreePort.any())")
            defer { clone.kill() }
            let isRefused = await Eventually.holds {
                ["n2", "n3"].allSatisfy { cluster.log(of: $0).contains("cloned") }
            }
            #expect(isRefused, "\(cluster.log(of: "n2"))")
            #expect(try await cluster.tenon("put", "a", "2").exitCode == 0)
            clone.kill()
            let said = await clone.finish().errors
            #expect(said.contains("cloned"), "\(said)")
            try expectToldOnce("cloned", by: "n2", in: cluster)
        }
    }

    @Test("A rolled-back folder is refused, and its node counts for no quorum")
    func rollback() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            try await cluster.cluster("kill", "n1")
            let copy = cluster.folder + "/copy"
            try files.copyItem(atPath: cluster.data(of: "n1"), toPath: copy)
            try await cluster.cluster("restart", "n1")
            #expect(try await cluster.tenon("put", "a", "2").exitCode == 0)
            try await expectConnected("n1", in: cluster)
            try await cluster.cluster("restart", "n1")
            try await expectConnected("n1", in: cluster)
            try await cluster.cluster("kill", "n1")
            try files.removeItem(atPath: cluster.data(of: "n1"))
            try files.moveItem(atPath: copy, toPath: cluster.data(of: "n1"))
            try await cluster.cluster("restart", "n1")
            let isRefused = await Eventually.holds {
                ["n2", "n3"].allSatisfy { cluster.log(of: $0).contains("rolled back") }
            }
            #expect(isRefused, "\(cluster.log(of: "n2"))")
            #expect(try await cluster.tenon("get", "a").output == "2\n")
            try await cluster.cluster("kill", "n2")
            let alone = try await cluster.tenon("put", "a", "3", "--timeout", "2s")
            #expect([2, 3].contains(alone.exitCode), "\(alone.output)\(alone.errors)")
        }
    }

    @Test("Two wiped nodes of three found no cluster beside the third, and say what they are")
    func twoWiped() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            try await cluster.cluster("pause", "n1")
            var wiped: [RunningProcess] = []
            defer { for process in wiped { process.kill() } }
            // Both first: one that lives still would tell the other that it was wiped.
            for node in ["n2", "n3"] { try await cluster.cluster("kill", node) }
            for node in ["n2", "n3"] {
                try files.removeItem(atPath: cluster.data(of: node))
                wiped.append(try cluster.serve(node, data: cluster.data(of: node)))
            }
            let areForming = try await Eventually.holds {
                let result = try await Binary.run([
                    "status", "--json", "--endpoints",
                    cluster.endpoint(of: "n2") + "," + cluster.endpoint(of: "n3"),
                ])
                return result.output.components(separatedBy: "\"forming\"").count == 3
            }
            #expect(areForming)
            try await cluster.cluster("resume", "n1")
            for process in wiped {
                let ended = await process.finish()
                #expect(ended.exitCode == 2)
                #expect(ended.errors.contains("wiped: join as a new node"), "\(ended.errors)")
            }
            // Never "no such key": what was acknowledged is not denied.
            let read = try await cluster.tenon("get", "a", "--timeout", "1s")
            #expect(read.exitCode == 2, "\(read.output)\(read.errors)")
        }
    }

    /// The peers have heard of this start of a node.
    private func expectConnected(_ node: String, in cluster: TestCluster) async throws {
        let isConnected = try await Eventually.holds {
            let report = try await cluster.report()
            let peers = report[node]?.peers ?? []
            return peers.count == 2 && peers.allSatisfy(\.connected)
        }
        #expect(isConnected, "\(node) has no links")
    }

    private func expectToldOnce(_ word: String, by node: String, in cluster: TestCluster) throws {
        let lines = cluster.log(of: node).split(separator: "\n").filter { $0.contains(word) }
        #expect(lines.count == 1, "\(lines.joined(separator: "\n"))")
    }
}
