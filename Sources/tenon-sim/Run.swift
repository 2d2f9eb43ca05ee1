import ArgumentParser
import Foundation
import TenonChecker
import TenonCore
import TenonSimulator

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run one seed.",
        discussion: """
            EXAMPLES
              tenon-sim run --seed 42
              tenon-sim run --seed 42 --scenario damage --trace | less
              tenon-sim run --seed 42 --history /tmp/history.ndjson
            """)

    @Option(help: "Decides everything that happens.")
    var seed: UInt64

    @Option(help: "A name of `tenon-sim list`; without it the one that a sweep would run.")
    var scenario: String?

    @Flag(help: "Print every step.")
    var trace = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    @Option(help: "Write what clients saw to this file (ndjson).")
    var history: String?

    @Option(help: "Write the schedule of faults to this file, to be replayed and edited.")
    var schedule: String?

    @OptionGroup var planting: Planting

    func run() throws {
        let name = scenario ?? ScenarioCatalogue.scenario(for: seed).name
        let file = ReplayFile(scenario: name, seed: seed, schedule: FaultSchedule())
        let (record, report) = try RunRecord.of(
            file, schedule: nil, tell: trace ? { print($0) } : nil)
        if let history {
            try Data(HistoryFile.encode(report.history)).write(to: URL(filePath: history))
        }
        if let schedule { try Files.write(report.replay.text, to: schedule) }
        try finish(record, json: json)
    }
}

struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run again what a failure left in a file.",
        discussion: """
            The file names a scenario and a seed and lists the faults; lines may be left out or \
            changed. A trace shows every step, what nodes say, and the Raft messages they send.

            EXAMPLES
              tenon-sim replay tenon-sim-failures/everything-42.replay --trace
              tenon-sim replay Tests/Regressions/*.replay
            """)

    @Argument(help: "Replay files.")
    var files: [String]

    @Flag(help: "Print every step.")
    var trace = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    @Option(help: "Write what clients saw to this file (ndjson); of one replay only.")
    var history: String?

    @OptionGroup var planting: Planting

    func validate() throws {
        if files.isEmpty { throw ValidationError("name a replay file") }
        if history != nil, files.count > 1 {
            throw ValidationError("--history: of one replay file at a time")
        }
    }

    func run() throws {
        var failureCount = 0
        for file in files {
            let replay = try ReplayFile(try Files.read(file))
            let (record, report) = try RunRecord.of(
                replay, schedule: replay.schedule, tell: trace ? { print($0) } : nil)
            if let history {
                try Data(HistoryFile.encode(report.history)).write(to: URL(filePath: history))
            }
            print(json ? try record.line : record.text)
            if record.failure != nil { failureCount += 1 }
        }
        if failureCount > 0 { throw ExitCode(1) }
    }
}

/// Prints a run and ends with the exit code that it deserves.
private func finish(_ record: RunRecord, json: Bool) throws {
    print(json ? try record.line : record.text)
    if record.failure != nil { throw ExitCode(1) }
}

/// One of the simulator's own child processes.
struct Worker: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs seeds for a sweep; one line of JSON each.", shouldDisplay: false)

    @Option var first: UInt64
    @Option var last: UInt64
    @Option var step: UInt64
    @Option var scenario: String?
    @OptionGroup var planting: Planting

    func run() throws {
        var seed = first
        while seed <= last {
            let name = scenario ?? ScenarioCatalogue.scenario(for: seed).name
            let file = ReplayFile(scenario: name, seed: seed, schedule: FaultSchedule())
            let line = try RunRecord.of(file, schedule: nil).record.line
            try Console.say(line)
            seed += step
        }
    }
}

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List scenarios, workloads and the marks of rare branches.")

    func run() {
        print("Scenarios")
        for scenario in ScenarioCatalogue.all {
            print(
                "  \(scenario.name.padding(toLength: 18, withPad: " ", startingAt: 0))",
                terminator: "")
            print(scenario.summary)
        }
        print("Workloads\n  " + WorkloadCatalogue.names.joined(separator: ", "))
        print("Marks")
        for mark in Mark.allCases { print("  \(mark)") }
    }
}

enum Files {
    static func read(_ path: String) throws -> String {
        do {
            return String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        } catch {
            throw Problem("cannot read \(path): \(error.localizedDescription)")
        }
    }

    static func write(_ text: String, to path: String) throws {
        do {
            let url = URL(filePath: path)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        } catch {
            throw Problem("cannot write \(path): \(error.localizedDescription)")
        }
    }
}
