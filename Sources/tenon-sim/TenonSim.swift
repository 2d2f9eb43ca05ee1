import ArgumentParser
import TenonCore
import TenonSimulator

@main
struct TenonSim: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "tenon-sim")
    @Option var seed: UInt64 = 1
    @Option var scenario = "bench"
    @Flag var trace = false
    func run() {
        guard let scenario = ScenarioCatalogue.scenario(named: scenario) else { return }
        let clock = ContinuousClock()
        let begin = clock.now
        let report = Simulation.run(seed: seed, scenario, tell: trace ? { print($0) } : nil)
        print(report.failure.map { "\($0)" } ?? "ok", report.trace, report.operations, report.answered, report.unknown,
            report.virtualTime.wholeMilliseconds, report.events, report.steps, clock.now - begin)
        for (mark, count) in report.marks { print(" ", mark, count) }
        for (name, count) in report.faults { print(" ", name, count) }
    }
}
