import Foundation
import TenonCore
import TenonSimulator
import Testing

/// Whole runs: a seed decides everything, and the engine keeps its promises.
@Suite struct SimulationTests {
    private func short(_ scenario: Scenario) -> Scenario {
        var scenario = scenario
        scenario.span = .seconds(6)
        return scenario
    }

    @Test(arguments: ScenarioCatalogue.all.map(\.name))
    func `a short run of every scenario keeps all promises`(name: String) throws {
        let scenario = short(try #require(ScenarioCatalogue.scenario(named: name)))
        let report = Simulation.run(seed: 7, scenario)
        #expect(report.failure == nil, "\(report.replay.text)")
        #expect(report.answered > 50)
    }

    @Test func `one seed makes one run`() throws {
        let scenario = short(try #require(ScenarioCatalogue.scenario(named: "everything")))
        let reports = (0..<2).map { _ in Simulation.run(seed: 3, scenario) }
        #expect(reports[0].trace == reports[1].trace)
        #expect(reports[0].events == reports[1].events)
        #expect(reports[0].history == reports[1].history)
        let other = Simulation.run(seed: 4, scenario)
        #expect(other.trace != reports[0].trace)
    }

    @Test func `a given schedule makes the run that the seed drew`() throws {
        let scenario = short(try #require(ScenarioCatalogue.scenario(named: "network")))
        let drawn = Simulation.run(seed: 5, scenario)
        let file = try ReplayFile(drawn.replay.text)
        let replayed = Simulation.run(seed: file.seed, scenario, schedule: file.schedule)
        #expect(replayed.trace == drawn.trace)
        let without = Simulation.run(seed: 5, scenario, schedule: FaultSchedule())
        #expect(without.trace != drawn.trace)
        #expect(without.faults.isEmpty)
    }

    @Test func `one seed makes one run in another process too`() throws {
        let scenario = try #require(ScenarioCatalogue.scenario(named: "calm"))
        let own = Simulation.run(seed: 11, scenario)
        let process = Process()
        // The test runner stands beside the program.
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: "tenon-sim")
        process.arguments = ["run", "--seed", "11", "--scenario", "calm", "--json"]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        struct Record: Decodable {
            var trace: String
            var events: Int
        }
        let record = try JSONDecoder().decode(Record.self, from: data)
        #expect(record.trace == String(own.trace, radix: 16))
        #expect(record.events == own.events)
    }

    @Test func `a run says which rare branches it reached`() throws {
        let scenario = short(try #require(ScenarioCatalogue.scenario(named: "processes")))
        let report = Simulation.run(seed: 2, scenario)
        #expect(report.marks.contains { $0.mark == .logTailRewritten && $0.count > 0 })
        #expect(!report.marks.contains { $0.mark == .upkeepRefused && $0.count > 1_000 })
    }
}
