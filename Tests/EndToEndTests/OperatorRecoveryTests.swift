import Foundation
import Testing

@Suite(
    "Recovery by an operator (Rule C10)", .serialized, .timeLimit(.minutes(5)),
    .enabled(if: Binary.isThere))
struct OperatorRecoveryTests {
    private let files = FileManager.default

    @Test("One of three goes on by the command, and who comes back is refused")
    func oneOfThree() async throws {
        try await TestCluster.with { cluster in
            for key in ["a", "m", "z"] {
                #expect(try await cluster.tenon("put", key, "1").exitCode == 0)
            }
            let lost = ["n1", "n3"]
            // One that runs is not lost, and a survivor that runs is in the way.
            #expect(try await recover(cluster, "--lost", "n1,n3").errors.contains("stop the node"))
            try await cluster.cluster("kill", "n2")
            let alive = try await recover(cluster, "--lost", "n1,n3")
            #expect(alive.exitCode == 2)
            #expect(alive.errors.contains("something answers at its address"), "\(alive.errors)")
            for node in lost { try await cluster.cluster("kill", node) }
            let confirmation = try await dryRun(cluster)
            #expect(try await recover(cluster, "--lost", "n1,n9").errors.contains("no node n9"))
            let wrong = try await recover(cluster, "--lost", "n1,n3", "--confirm", "yes")
            #expect(wrong.exitCode == 2 && wrong.errors.contains("nothing was done"))
            let done = try await recover(cluster, "--lost", "n1,n3", "--confirm", confirmation)
            #expect(done.exitCode == 0, "\(done.errors)")
            #expect(done.output.contains("n2 serve"), "\(done.output)")
            let survivor = cluster.endpoint(of: "n2")
            for key in ["a", "m", "z"] {
                let read = try await cluster.tenon("get", key, "--endpoints", survivor)
                #expect(read.output == "1\n", "\(read.errors)")
            }
            #expect(try await cluster.tenon("put", "a", "2", "--endpoints", survivor).exitCode == 0)
            for node in lost { try await expectRefused(node, in: cluster) }
        }
    }

    /// What a dry run asks to be typed. It changes nothing.
    private func dryRun(_ cluster: TestCluster) async throws -> String {
        let dry = try await recover(cluster, "--lost", "n1,n3", "--json")
        #expect(dry.exitCode == 0, "\(dry.errors)")
        let plan = try JSONDecoder().decode(Plan.self, from: Data(dry.output.utf8))
        #expect(plan.tablets.count == 2)
        #expect(plan.tablets.allSatisfy { $0.voters == ["n2"] })
        // The three writes are of one tablet, whose window begins with one of them.
        #expect(plan.tablets.contains { $0.lossStart < plan.lossEnd })
        return plan.confirmation
    }

    private func recover(
        _ cluster: TestCluster, _ arguments: String...
    ) async throws -> Binary.Result {
        try await Binary.run(["recover", "--dir", cluster.folder] + arguments)
    }

    /// The node comes back with its files, as it was started before.
    private func expectRefused(_ node: String, in cluster: TestCluster) async throws {
        let returned = try cluster.serve(node, data: cluster.data(of: node))
        defer { returned.kill() }
        let said = await returned.finish()
        #expect(said.exitCode == 2)
        #expect(said.errors.contains("a recovery ended this node's epoch"), "\(said.errors)")
        let again = try cluster.serve(node, data: cluster.data(of: node))
        defer { again.kill() }
        let saidAgain = await again.finish()
        #expect(saidAgain.exitCode == 2)
        #expect(saidAgain.errors.contains("which a recovery ended"), "\(saidAgain.errors)")
    }

    private struct Plan: Decodable {
        struct Tablet: Decodable {
            var voters: [String]
            var lossStart: String
        }

        var tablets: [Tablet]
        var lossEnd: String
        var confirmation: String
    }

    @Test("Step by step: inspect, plan, apply, and each mistake is said")
    func stepByStep() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            let (report, plan) = (cluster.folder + "/n2.json", cluster.folder + "/plan.json")
            let data = cluster.data(of: "n2")
            // The names of the others: a node has them from the leader of the directory, a moment
            // after the cluster serves.
            let isNamed = await Eventually.holds { files.fileExists(atPath: data + "/directory") }
            try #require(isNamed)
            try await cluster.cluster("stop")
            func run(_ arguments: String...) async throws -> Binary.Result {
                try await Binary.run(["recover"] + arguments)
            }
            #expect(try await run("inspect", "--data", cluster.folder).exitCode == 2)
            #expect(try await run("inspect", "--data", data, "--out", report).exitCode == 0)
            #expect(try await run("plan", data + "/node", "--lost", "n1,n3").exitCode == 2)
            let planned = try await run(
                "plan", report, "--lost", "n1,n3", "--out", plan)
            #expect(planned.exitCode == 0, "\(planned.errors)")
            #expect(planned.output.contains("--confirm 'recover "))
            let needless = try await run("plan", report, "--lost", "n1")
            #expect(needless.exitCode == 1, "\(needless.output)\(needless.errors)")
            let unasked = try await run("apply", plan, "--data", data)
            #expect(unasked.exitCode == 2 && unasked.errors.contains("nothing was done"))
            let text = try #require(unasked.errors.split(separator: "'").dropFirst().first)
            let lost = try await run(
                "apply", plan, "--data", cluster.data(of: "n1"), "--confirm", String(text))
            #expect(lost.errors.contains("which the plan declares lost"), "\(lost.errors)")
            let applied = try await run("apply", plan, "--data", data, "--confirm", String(text))
            #expect(applied.exitCode == 0, "\(applied.errors)")
            let again = try await run("apply", plan, "--data", data, "--confirm", String(text))
            #expect(again.exitCode == 0 && again.output.contains("already applied"))
            let node = try cluster.serve("n2", data: data)
            defer { node.kill() }
            let read = try await cluster.tenon(
                "get", "a", "--timeout", "20s", "--endpoints", cluster.endpoint(of: "n2"))
            #expect(read.output == "1\n", "\(read.errors)")
        }
    }
}
