import ArgumentParser
import Foundation
import TenonCore
import TenonSimulator

struct Sweep: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run many seeds, each with the scenario of its turn.",
        discussion: """
            Every failure is written to a replay file, with as few faults as still make it fail, \
            and the command that replays it is printed. The end says which faults happened and \
            which rare branches no seed has reached.

            EXAMPLES
              tenon-sim sweep --seeds 1..10000 --jobs 2
              tenon-sim sweep --seeds 1..999999 --minutes 60 --jobs 2 --report Docs/Sweep.json
              tenon-sim sweep --seeds 1..200 --scenario damage
            """)

    @Option(help: "First and last seed, as A..B.")
    var seeds: SeedRange

    @Option(help: "A scenario for all seeds; without it each seed has the one of its turn.")
    var scenario: String?

    @Option(help: "Stop after so many minutes of real time.")
    var minutes: Double?

    @Option(help: "Child processes that run seeds.")
    var jobs = 1

    @Option(help: "Write the result to this file as JSON.")
    var report: String?

    @Option(help: "Where replay files of failures go.")
    var failures = "tenon-sim-failures"

    @Option(help: "Stop after so many failures.")
    var maxFailures = 5

    @Flag(help: "Print the result as JSON.")
    var json = false

    @OptionGroup var planting: Planting

    func validate() throws {
        guard (1...64).contains(jobs) else { throw ValidationError("--jobs: 1 to 64") }
        if let scenario, ScenarioCatalogue.scenario(named: scenario) == nil {
            throw ValidationError("there is no scenario \(scenario): see tenon-sim list")
        }
    }

    func run() throws {
        var result = SweepReport(seeds: seeds, jobs: jobs)
        let begin = ContinuousClock.now
        var nextTold = 60.0
        let pool = try WorkerPool(seeds: seeds.range, jobs: jobs, scenario: scenario)
        defer { pool.stop() }
        while !pool.isOver, result.failures.count < maxFailures {
            let seconds = (ContinuousClock.now - begin) / .seconds(1)
            if let minutes, seconds >= minutes * 60 { break }
            for event in try pool.next(within: 1) { try take(event, &result) }
            if seconds >= nextTold {
                try tellProgress(result, after: seconds)
                nextTold += 60
            }
        }
        pool.stop()
        result.realSeconds = (ContinuousClock.now - begin) / .seconds(1)
        try finish(result)
    }

    private func take(_ event: WorkerPool.Event, _ result: inout SweepReport) throws {
        switch event {
        case .record(let record):
            result.add(record)
            guard let failure = record.failure, let text = record.replay else { return }
            try note(failure, try ReplayFile(text), &result)
        case .trapped(let seed, let message):
            let name = scenario ?? ScenarioCatalogue.scenario(for: seed).name
            guard let made = ScenarioCatalogue.scenario(named: name) else { return }
            let file = ReplayFile(
                scenario: name, seed: seed,
                schedule: Simulation.schedule(seed: seed, made))
            let lines = message.split(separator: "\n").suffix(3).joined(separator: " ")
            try note(
                RunRecord.Failure(check: Check.trap.name, message: lines), file, &result)
        }
    }

    private func note(
        _ failure: RunRecord.Failure, _ file: ReplayFile, _ result: inout SweepReport
    ) throws {
        var shrink = Shrink(file, failing: failure.check)
        let short = try shrink.run()
        let path = "\(failures)/\(file.scenario)-\(file.seed).replay"
        let text =
            "# \(failure.check): \(failure.message.replacing("\n", with: " "))\n"
            + "# \(file.schedule.events.count) faults were drawn, these still fail.\n" + short.text
        try Files.write(text, to: path)
        let command = (["tenon-sim replay \(path)"] + Planting.arguments).joined(separator: " ")
        result.failures.append(
            SweepReport.Failure(
                seed: file.seed, scenario: file.scenario, check: failure.check,
                message: failure.message, command: command,
                faults: short.schedule.events.map { "\($0)" }))
        guard !json else { return }
        let lines = [
            "seed \(file.seed), scenario \(file.scenario): \(failure.check)",
            "  \(failure.message)",
            "  replay: \(command)",
            "  \(short.schedule.events.count) of \(file.schedule.events.count) faults:",
        ]
        try Console.say((lines + short.schedule.events.map { "    \($0)" }).joined(separator: "\n"))
    }

    /// One line a minute on standard error.
    private func tellProgress(_ result: SweepReport, after seconds: Double) throws {
        try Console.note(
            String(
                format: "%.0f min: %d seeds, %.1f simulated hours, %d failures", seconds / 60,
                result.seedsRun, result.virtualSeconds / 3_600, result.failures.count))
    }

    private func finish(_ result: SweepReport) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        let text = String(decoding: try encoder.encode(result), as: UTF8.self)
        if let report { try Files.write(text + "\n", to: report) }
        print(json ? text : result.text)
        if !result.failures.isEmpty { throw ExitCode(1) }
    }
}

/// `A..B`, both included.
struct SeedRange: ExpressibleByArgument, Codable {
    var first: UInt64
    var last: UInt64

    var range: ClosedRange<UInt64> { first...last }

    init?(argument: String) {
        let ends = argument.split(separator: "..", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = UInt64(ends[0]), let last = UInt64(ends[1]),
            first <= last
        else { return nil }
        self.first = first
        self.last = last
    }
}

/// What a sweep found.
struct SweepReport: Codable {
    struct Failure: Codable {
        var seed: UInt64
        var scenario: String
        var check: String
        var message: String
        var command: String
        var faults: [String]
    }

    var seeds: SeedRange
    var jobs: Int
    var seedsRun = 0
    var lastSeedRun: UInt64 = 0
    var seedsByScenario: [String: Int] = [:]
    var virtualSeconds = 0.0
    var realSeconds = 0.0
    /// What the simulations took, of all jobs together.
    var simulationSeconds = 0.0
    var operations = 0
    var answered = 0
    var unknown = 0
    var events = 0
    var steps = 0
    var faults: [String: Int] = [:]
    var marks: [String: Int] = [:]
    var marksNotReached: [String] = Mark.allCases.map { "\($0)" }
    var failures: [Failure] = []

    init(seeds: SeedRange, jobs: Int) {
        self.seeds = seeds
        self.jobs = jobs
    }

    mutating func add(_ record: RunRecord) {
        seedsRun += 1
        lastSeedRun = max(lastSeedRun, record.seed)
        seedsByScenario[record.scenario, default: 0] += 1
        virtualSeconds += record.virtualSeconds
        simulationSeconds += record.realSeconds
        operations += record.operations
        answered += record.answered
        unknown += record.unknown
        events += record.events
        steps += record.steps
        faults.merge(record.faults, uniquingKeysWith: +)
        marks.merge(record.marks, uniquingKeysWith: +)
        marksNotReached.removeAll { record.marks[$0] != nil }
    }

    var text: String {
        let seconds = max(realSeconds, 0.001)
        return [
            "\(seedsRun) seeds (\(seeds.first)..\(lastSeedRun)), \(failures.count) failures",
            String(
                format: "%.1f simulated hours in %.1f minutes: %.0f times real time a job",
                virtualSeconds / 3_600, seconds / 60,
                virtualSeconds / max(simulationSeconds, 0.001)),
            String(
                format: "%d operations, %.0f a real second; %d steps checked", operations,
                Double(operations) / seconds, steps),
            "scenarios: " + RunRecord.list(seedsByScenario),
            "faults: " + RunRecord.list(faults),
            "marks: " + RunRecord.list(marks),
            "never reached: "
                + (marksNotReached.isEmpty ? "none" : marksNotReached.joined(separator: ", ")),
        ].joined(separator: "\n")
    }
}
