import ArgumentParser
import CTenon
import Foundation
import TenonCore

struct DrillRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a drill; exit with 1 when anything is lost or a bound is missed.",
        discussion: """
            Runs on the cluster of --dir if one runs there; otherwise it starts one in a temporary
            folder and stops it. Nodes of one machine share its kernel, disk and power: a drill
            here says nothing about those.

            With `scenario NAME` or `scenario all` what a bank does goes on beside the load of the
            drill that --under names: transfer, journal, queries, burst, end-of-day. Each has a
            verdict of its own in the report, and fails the drill when it fails.

            EXAMPLE
              tenon drill run leader-kill --rounds 10 --report leader-kill.json
              tenon drill run scenario transfer --under city-loss
              tenon drill run disk-stall --injection hang --rounds 10
              tenon drill run partial-partition --minutes 5
            With --negative-control the nodes break one rule on purpose; the drill must fail then,
            and the exit code is 0 when it does. This needs a program built with
            `--traits PlantedFaults`; deploy/drills/NAME --negative-control builds it.
            """)

    @Argument(help: "The drill's name, as `tenon drill list` shows it.")
    var name: String

    @Argument(help: "With `scenario`: transfer, journal, queries, burst, end-of-day or all.")
    var scenario: String?

    @Option(help: "With `scenario`: the drill under which it goes on.")
    var under = "leader-kill"

    @Option(help: "Rounds against the leader, for each injection.")
    var rounds = 3

    @Option(help: "Only this injection, as kill or hang; a wrong one shows what there is.")
    var injection: String?

    @Option(help: "Only against this: leader, follower, all, dc, city.")
    var target: String?

    @Option(help: "How long a fault lasts (default: what each injection says).")
    var seconds: Int?

    @Option(help: "The same in minutes.")
    var minutes: Int?

    @Flag(help: "Break the rule that the drill watches; succeed when the drill fails.")
    var negativeControl = false

    @Option(help: "Write the JSON report to this file.")
    var report: String?

    @Option(help: "Write the history (ndjson) to this file.")
    var history: String?

    @Option(help: "Where chance begins: equal seeds choose alike.")
    var seed: UInt64?

    @Option(help: "Nodes of a cluster started for the drill (default: 3, or what it needs).")
    var nodes: Int?

    @Option(help: "Data tablets of a cluster started for the drill.")
    var tablets: Int?

    @OptionGroup var folder: ClusterFolder
    @OptionGroup var options: ClusterServeOptions

    @Flag(help: "Print the report as JSON instead of a table.")
    var json = false

    func validate() throws {
        guard let scenario = Scenario.named(drill) else {
            let known = Scenario.all.map(\.name).joined(separator: ", ")
            throw ValidationError("no drill \(drill); there are \(known)")
        }
        if name == DrillRun.suite, scenarios.isEmpty {
            let known = BusinessScenario.allCases.map { "\($0.rawValue) (\($0.summary))" }
            throw ValidationError("name a scenario, or all: \(known.joined(separator: "; "))")
        }
        if name != DrillRun.suite, let extra = self.scenario {
            throw ValidationError(
                "\(extra) is no part of `run \(name)`: scenarios run with "
                    + "`run scenario \(extra) --under \(name)`")
        }
        guard rounds > 0 else { throw ValidationError("--rounds \(rounds): at least 1") }
        if let injection, !scenario.injections.map(\.rawValue).contains(injection) {
            let known = scenario.injections.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("\(drill) has no injection \(injection); it has \(known)")
        }
        if let target, FaultTarget(rawValue: target) == nil {
            throw ValidationError("--target \(target): leader, follower, all, dc or city")
        }
        guard (seconds ?? 1) > 0, (minutes ?? 1) > 0, (minutes ?? 1) <= 600 else {
            throw ValidationError("a fault lasts 1 s at least, and 600 minutes at most")
        }
        if planned(scenario).isEmpty { throw ValidationError("\(drill) has no such rounds") }
        if negativeControl { try NegativeControl.check() }
    }

    /// What `run` is told for the suite of scenarios in place of a drill.
    private static let suite = "scenario"

    private var drill: String { name == DrillRun.suite ? under : name }

    /// The scenarios that go on beside the drill's load.
    private var scenarios: [BusinessScenario] {
        guard name == DrillRun.suite, let scenario else { return [] }
        if scenario == "all" { return BusinessScenario.allCases }
        return BusinessScenario(rawValue: scenario).map { [$0] } ?? []
    }

    /// The rounds that were asked for.
    private func planned(_ scenario: Scenario) -> [PlannedRound] {
        let injections = scenario.injections.filter {
            injection == nil || $0.rawValue == injection
        }
        let lasting = minutes.map { $0 * 60 } ?? seconds
        return scenario.rounds(rounds, injections: injections).compactMap { round in
            var round = round
            round.seconds = lasting ?? round.seconds
            return target == nil || round.target.rawValue == target ? round : nil
        }
    }

    func run() async throws {
        guard let scenario = Scenario.named(drill) else { return }
        if negativeControl { NegativeControl.plant(scenario.control) }
        try await reportingClusterErrors {
            do {
                let result = try await onCluster(of: scenario) { cluster in
                    try await run(scenario, on: cluster)
                }
                try present(result)
                if result.passed != negativeControl { return }
            } catch let error as BrokenRound where negativeControl {
                Console.note("round \(error.round) did not come to an end: \(error.cause)")
                return Console.note("NEGATIVE CONTROL FAILED AS IT MUST: \(scenario.control)")
            }
            if negativeControl {
                Console.note("VOID: \(drill) passes although \(scenario.control) is planted")
            }
            throw ExitCode(1)
        }
    }

    /// The cluster of --dir, or one of its own.
    private func onCluster(
        of scenario: Scenario, _ body: (LocalCluster) async throws -> DrillReport
    ) async throws -> DrillReport {
        if LocalCluster.runs(in: folder.directory) {
            let cluster = try LocalCluster.open(directory: folder.directory)
            guard scenario.topology == nil || cluster.layout.cities.count >= 1 else {
                throw ClusterError.badSetting(
                    "\(scenario.name) needs nodes that know where they stand: stop the cluster in "
                        + "\(folder.directory) and start one with --topology FILE")
            }
            guard cluster.layout.takesFaults || !scenario.needsOrders else {
                throw ClusterError.badSetting(
                    "\(scenario.name) needs nodes that take orders to be faulty: stop the cluster in "
                        + "\(folder.directory) and start it with --enable-fault-injection")
            }
            return try await withInterruptCleanUp {
                cluster.resumeAll()
            } body: {
                defer { cluster.resumeAll() }
                return try await body(cluster)
            }
        }
        let temporary = FileManager.default.temporaryDirectory
            .appending(path: "tenon-drill-\(ProcessInfo.processInfo.processIdentifier)").path
        let request = LocalCluster.Request(
            nodes: nodes ?? scenario.nodes, basePort: nil, tablets: tablets,
            serveOptions: try ClusterLayout.serveOptions(
                settings: scenario.settings + options.settings)
                + (scenario.needsOrders || options.enableFaultInjection
                    ? [ClusterLayout.faultInjection] : []),
            topology: scenario.topology)
        let report = try await LocalCluster.withOwned(
            directory: temporary, request: request, body)
        // What failed without being told to stays, with the nodes' logs, as it does after an error.
        if report.passed || negativeControl {
            try? LocalFile.remove(temporary)
        } else {
            Console.note("the nodes' data and logs stay in \(temporary)")
        }
        return report
    }

    private func run(_ scenario: Scenario, on cluster: LocalCluster) async throws -> DrillReport {
        let seed = seed ?? UInt64.random(in: 1...UInt64(UInt32.max))
        let planned = planned(scenario)
        let injections = scenario.injections.filter { injection in
            planned.contains { $0.injection == injection }
        }
        return try await DrillSession.with(
            cluster, seed: seed, valueBytes: scenario.valueBytes,
            survive: scenario.topology == nil ? nil : scenario.survive,
            acknowledgement: scenario.acknowledgement, scenarios: scenarios
        ) { session in
            tell("measuring how much the cluster takes")
            let rate = await DrillRate.measure(session)
            var runner = try DrillRunner(
                scenario: scenario, rounds: planned,
                session: session, rate: rate, seed: seed, historyPath: history, progress: tell)
            let findings = try await runner.run()
            var report = DrillReport(
                scenario, injections: injections, session: session, rate: rate, seed: seed,
                findings: findings)
            if negativeControl { report.negativeControl = scenario.control }
            return report
        }
    }

    private func tell(_ line: String) {
        if !json { Console.note(line) }
    }

    private func present(_ result: DrillReport) throws {
        if let report {
            try LocalFile.write(try JSONText.encode(result, pretty: true) + "\n", to: report)
            if let picture = result.picture {
                try LocalFile.write(picture, to: TimeLine.path(beside: report))
            }
        }
        print(json ? try JSONText.encode(result, pretty: false) : result.table)
        if negativeControl, !result.passed {
            Console.note("NEGATIVE CONTROL FAILED AS IT MUST: \(result.negativeControl ?? "")")
        }
    }
}

extension LocalCluster {
    /// For a drill that is cut short on somebody else's cluster: nothing stays paused.
    fileprivate func resumeAll() {
        for node in layout.nodes { process(of: node)?.signal(SIGCONT) }
    }
}

extension DrillReport {
    fileprivate init(
        _ scenario: Scenario, injections: [Injection], session: DrillSession, rate: DrillRate,
        seed: UInt64, findings: DrillFindings
    ) {
        let cluster = session.cluster
        let load = session.load.configuration
        drill = scenario.name
        layout =
            "\(cluster.layout.nodes.count) nodes, \(session.tablets.count) tablets, "
            + "all on one machine and one kernel"
        injection = injections.map(\.rawValue).joined(separator: "+")
        commit = BuildCommit.current
        self.seed = seed
        configuration = Configuration(
            nodes: cluster.layout.nodes.count, tablets: session.tablets.count,
            workers: load.workers, keysPerRound: load.keysPerRound, valueBytes: load.valueBytes,
            maximumOperationsPerSecond: rate.maximumPerSecond,
            operationsPerSecond: rate.perSecond,
            operationsPerSecondAtFault: rate.perSecondAtFault,
            writesInFlight: DrillReport.rounded(rate.writesInFlight),
            dropsOneAnswerIn: DrillSession.dropsOneAnswerIn,
            gapBoundSeconds: scenario.gapBoundSeconds, serveOptions: cluster.layout.serveOptions)
        rounds = findings.rounds
        gapSeconds = Spread(rounds.filter { $0.target == scenario.target }.map(\.gapSeconds))
        groups = DrillReport.groups(of: rounds)
        lost = rounds.reduce(0) { $0 + $1.lost }
        if scenario.mayLose {
            lostOutsideWindow = rounds.reduce(0) { $0 + ($1.lostOutsideWindow ?? $1.lost) }
        }
        stale = rounds.reduce(0) { $0 + $1.stale }
        counters = findings.counters
        linearizability = findings.linearizability
        scenarios = findings.scenarios
        picture = findings.picture
        historySha256 = findings.historySha256
        notes = DrillReport.notes(
            injections: injections, cluster: cluster,
            comparesPuts: rounds.contains {
                RoundJudgement.comparesPuts(
                    PlannedRound(injection: $0.injection, target: $0.target))
            }, mayLose: scenario.mayLose)
        failures = findings.failures
        passed = false
        failures += judgement(of: scenario)
        passed = failures.isEmpty
    }

    /// What the rounds and sums themselves say against the drill.
    private func judgement(of scenario: Scenario) -> [String] {
        var failures: [String] = []
        if let lostOutsideWindow {
            if lostOutsideWindow > 0 {
                failures.append(
                    "\(lostOutsideWindow) acknowledged writes lost outside the stated window")
            }
        } else if lost > 0 {
            failures.append("\(lost) acknowledged writes lost")
        }
        if stale > 0 { failures.append("\(stale) stale reads") }
        if linearizability.hasPrefix("violated") { failures.append(linearizability) }
        let longest = rounds.map(\.gapSeconds).max() ?? 0
        if longest >= scenario.gapBoundSeconds {
            failures.append("a gap of \(longest) s; the bound is \(scenario.gapBoundSeconds) s")
        }
        if rounds.contains(where: { $0.writeRtoSeconds == nil }) {
            failures.append("a round in which writes did not flow again")
        }
        for verdict in scenarios ?? [] where !verdict.passed {
            failures += verdict.problems.map { "\(verdict.scenario): \($0)" }
        }
        for (place, round) in rounds.enumerated() {
            failures += round.problems.map { "round \(place + 1): \($0)" }
        }
        return failures + RoundJudgement.complaints(aboutAll: rounds)
    }

    private static func notes(
        injections: [Injection], cluster: LocalCluster, comparesPuts: Bool, mayLose: Bool
    ) -> [String] {
        var notes = ["note: all nodes are processes of one machine"]
        if injections.contains(.silence) {
            notes.append(
                "note: silence is SIGSTOP, then SIGKILL when the round ends; "
                    + "the kernel still acknowledges what arrives")
        }
        if comparesPuts {
            notes.append(
                "note: rounds that compare latencies load a quarter of the maximum at the most")
        }
        if injections.contains(.loseMajority) {
            notes.append(
                "note: a destroyed node is a killed process whose files are moved away"
                    + (mayLose
                        ? "; keys whose writes may be lost, and the counters, are in no order "
                            + "and not compared" : ""))
        }
        if injections.contains(where: \.isByOrder) {
            notes.append(
                "note: the nodes bring links, disks and clocks into disorder by themselves, by "
                    + "order; the kernel's stay in order")
        }
        if unsafe ctenon_is_volatile(cluster.directory) == 1 {
            notes.append("note: the data is on a file system in memory")
        }
        return notes
    }
}

/// The commit of the source that this program was built in.
enum BuildCommit {
    /// `unknown` when the program has left its repository.
    static var current: String {
        guard let executable = try? ProcessLauncher.ownExecutable() else { return "unknown" }
        let git = Process()
        git.executableURL = URL(filePath: "/usr/bin/env")
        let folder = URL(filePath: executable).deletingLastPathComponent().path
        git.arguments = ["git", "-C", folder, "rev-parse", "HEAD"]
        let output = Foundation.Pipe()
        git.standardOutput = output
        git.standardError = FileHandle.nullDevice
        guard (try? git.run()) != nil else { return "unknown" }
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        git.waitUntilExit()
        let commit = text.trimmingCharacters(in: .whitespacesAndNewlines)
        return git.terminationStatus == 0 && !commit.isEmpty ? commit : "unknown"
    }
}
