import Foundation
import Testing

@Suite("Scenario suite", .serialized, .timeLimit(.minutes(5)), .enabled(if: Binary.isThere))
struct ScenarioSuiteTests {
    private struct Report: Decodable {
        struct Verdict: Decodable {
            var scenario: String
            var done: Int
            var passed: Bool
        }
        var scenarios: [Verdict]
        var lost: Int
    }

    @Test("What a bank does goes on under a drill, and each has a verdict")
    func all() async throws {
        let run = try await Binary.run([
            "drill", "run", "scenario", "all", "--under", "leader-kill", "--injection", "kill",
            "--target", "leader", "--rounds", "1", "--json",
            "--dir", "/nowhere/\(ProcessInfo.processInfo.processIdentifier)",
        ])
        let report = try JSONDecoder().decode(Report.self, from: Data(run.output.utf8))
        #expect(
            report.scenarios.map(\.scenario)
                == ["transfer", "journal", "queries", "burst", "end-of-day"])
        #expect(report.scenarios.allSatisfy { $0.passed && $0.done > 0 }, "\(run.output)")
        #expect(report.lost == 0)
    }

    @Test("A scenario that is not known, or not asked for rightly, is refused")
    func refused() async throws {
        for arguments in [["scenario"], ["scenario", "theft"], ["leader-kill", "transfer"]] {
            let run = try await Binary.run(["drill", "run"] + arguments)
            #expect(run.exitCode == 64, "\(arguments): \(run.errors)")
            #expect(run.errors.contains("transfer"))
        }
    }
}
