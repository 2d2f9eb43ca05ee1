import Foundation
import TenonCore
import TenonSimulator

/// One run, as a line of JSON: what `--json` prints and what a sweep's workers tell.
struct RunRecord: Codable {
    struct Failure: Codable {
        var check: String
        var message: String
    }

    var seed: UInt64
    var scenario: String
    var trace: String
    var operations: Int
    var answered: Int
    var unknown: Int
    var virtualSeconds: Double
    /// Of processor time: what it takes on a core of its own.
    var realSeconds: Double
    var events: Int
    var steps: Int
    var faults: [String: Int]
    var marks: [String: Int]
    var failure: Failure?
    /// The text of a replay file, when it failed.
    var replay: String?

    init(_ report: SimulationReport, realSeconds: Double) {
        seed = report.seed
        scenario = report.scenario
        trace = String(report.trace, radix: 16)
        operations = report.operations
        answered = report.answered
        unknown = report.unknown
        virtualSeconds = Double(report.virtualTime.nanoseconds) / 1e9
        self.realSeconds = realSeconds
        events = report.events
        steps = report.steps
        faults = Dictionary(uniqueKeysWithValues: report.faults.map { ($0.name, $0.count) })
        marks = Dictionary(uniqueKeysWithValues: report.marks.map { ("\($0.mark)", $0.count) })
        failure = report.failure.map { Failure(check: $0.check.name, message: $0.message) }
        replay = report.failure == nil ? nil : report.replay.text
    }

    /// Runs a replay and notes how long it took.
    static func of(
        _ file: ReplayFile, schedule: FaultSchedule?, tell: ((String) -> Void)? = nil
    ) throws -> (record: RunRecord, report: SimulationReport) {
        let scenario = try scenario(named: file.scenario)
        let begin = clock()
        let report = Simulation.run(
            seed: file.seed, scenario, schedule: schedule, tell: tell)
        let seconds = Double(clock() - begin) / Double(CLOCKS_PER_SEC)
        return (RunRecord(report, realSeconds: seconds), report)
    }

    static func scenario(named name: String) throws -> Scenario {
        guard let scenario = ScenarioCatalogue.scenario(named: name) else {
            throw Problem("there is no scenario \(name): see tenon-sim list")
        }
        return scenario
    }

    var line: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }

    /// For people.
    var text: String {
        let pace = realSeconds > 0 ? virtualSeconds / realSeconds : 0
        var lines = [
            "seed \(seed), scenario \(scenario): trace \(trace)",
            "  \(operations) operations, \(answered) answered, \(unknown) of unknown outcome",
            String(
                format: "  %.1f s of virtual time in %.2f s (%.0f times real time), ",
                virtualSeconds, realSeconds, pace) + "\(events) events, \(steps) steps checked",
            "  faults: " + RunRecord.list(faults),
            "  marks: " + RunRecord.list(marks),
        ]
        if let failure { lines.append("FAILED: \(failure.check): \(failure.message)") }
        return lines.joined(separator: "\n")
    }

    static func list(_ counts: [String: Int]) -> String {
        counts.isEmpty
            ? "none"
            : counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
                .joined(separator: ", ")
    }
}

/// What a user can mend.
struct Problem: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
