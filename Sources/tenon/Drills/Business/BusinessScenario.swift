import ArgumentParser
import Synchronization
import TenonClient
import TenonCore

/// What a bank does with a store, beside a drill's own load (ledger row A4). Each has a sum or a
/// promise that must hold whatever the fault did.
enum BusinessScenario: String, CaseIterable, ExpressibleByArgument, Sendable {
    case transfer
    case journal
    case queries
    case burst
    case endOfDay = "end-of-day"

    var summary: String {
        switch self {
        case .transfer: "money moves between accounts of one home; the sum never changes"
        case .journal: "entries are appended; none acknowledged is missing, none comes twice"
        case .queries: "many reads of records that never change; each is what was written"
        case .burst: "all want one key, ten times as many every other second; nothing oversold"
        case .endOfDay: "all accounts are read at one version while money moves; the sum is exact"
        }
    }

    /// Clients, each with one operation in flight.
    var clients: Int { self == .burst ? 20 : 4 }

    /// Between two operations of a client.
    func pause(at now: Instant) -> Duration {
        guard self == .burst else { return .milliseconds(20) }
        let isBurst = now.nanoseconds / 1_000_000_000 % 2 == 1
        return .milliseconds(isBurst ? 10 : 100)
    }
}

/// One scenario of the suite as it runs.
protocol BusinessLoad: Sendable {
    var scenario: BusinessScenario { get }
    var tally: BusinessTally { get }
    /// Fills in what it works on. Before any fault.
    func prepare() async throws(TenonError)
    /// One operation of one client. What it throws is counted, and no fault of the scenario.
    func step(_ random: inout SeededGenerator) async throws(TenonError)
    /// Looks at what is there when all faults are over, and tells the tally what is wrong.
    func settle() async throws(TenonError)
}

/// What a scenario's clients have done and seen.
final class BusinessTally: Sendable {
    struct Sums: Sendable {
        var done = 0
        var refused = 0
        var unknown = 0
        /// Sums and values that were looked at.
        var checked = 0
        var problems: [String] = []
    }

    /// More say nothing new.
    private static let problemsMax = 20

    private let sums = Mutex(Sums())

    var current: Sums { sums.withLock { $0 } }

    func noteDone() { sums.withLock { $0.done += 1 } }

    func note(_ error: TenonError) {
        sums.withLock { sums in
            if error.outcome == .unknown { sums.unknown += 1 } else { sums.refused += 1 }
        }
    }

    /// Something was looked at; `problem` says what is wrong with it.
    func check(_ isRight: Bool, _ problem: @autoclosure () -> String) {
        sums.withLock { sums in
            sums.checked += 1
            guard !isRight, sums.problems.count < BusinessTally.problemsMax else { return }
            sums.problems.append(problem())
        }
    }
}

/// The scenarios of a drill, their clients, and what they come to.
final class BusinessSuite: Sendable {
    private let loads: [any BusinessLoad]
    private let seed: UInt64
    private let isStopped = Atomic(true)

    /// Operations end well before the load of a round does.
    static let timeout = Duration.seconds(5)

    /// - Parameter prefixes: what the keys of each home begin with; one empty one without homes.
    init(
        _ scenarios: [BusinessScenario], on store: any BusinessStore, run: String,
        prefixes: [String],
        seed: UInt64
    ) {
        self.seed = seed
        loads = scenarios.map { scenario in
            // All of a home lies in one tablet: borders differ in the first two digits.
            let places = prefixes.map { "\($0)00-drill-\(run)-\(scenario.rawValue)-" }
            switch scenario {
            case .transfer: return AccountTransfers(store, places, scenario: .transfer)
            case .journal: return JournalAppends(store, places)
            case .queries: return RecordQueries(store, places)
            case .burst: return FlashSale(store, places)
            case .endOfDay: return AccountTransfers(store, places, scenario: .endOfDay)
            }
        }
    }

    func prepare() async throws(TenonError) {
        for load in loads { try await load.prepare() }
    }

    /// Works until ``stop()``; returns when the last answer is there.
    func run(round: Int) async {
        isStopped.store(false, ordering: .relaxed)
        await withDiscardingTaskGroup { group in
            for load in loads {
                for client in 0..<load.scenario.clients {
                    group.addTask {
                        await self.work(
                            load, seed: self.seed &+ UInt64(round * 1_000 + client))
                    }
                }
            }
        }
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    private func work(_ load: any BusinessLoad, seed: UInt64) async {
        var random = SeededGenerator(seed: seed)
        while !isStopped.load(ordering: .relaxed) {
            do throws(TenonError) {
                try await load.step(&random)
                load.tally.noteDone()
            } catch {
                load.tally.note(error)
            }
            // The pace of the client, not a wait for something.
            _ = try? await Task.sleep(for: load.scenario.pause(at: DrillClock.now))
        }
    }

    /// What the scenarios come to, when all faults are over.
    func verdicts() async throws(TenonError) -> [BusinessVerdict] {
        var verdicts: [BusinessVerdict] = []
        for load in loads {
            try await load.settle()
            verdicts.append(BusinessVerdict(load.scenario, load.tally.current))
        }
        return verdicts
    }
}

/// What a scenario comes to: machine-readable, in the report.
struct BusinessVerdict: Encodable, Hashable, Sendable {
    var scenario: String
    var done: Int
    var refused: Int
    var unknown: Int
    /// Sums and values that were looked at.
    var checked: Int
    var problems: [String]
    var passed: Bool

    init(_ scenario: BusinessScenario, _ sums: BusinessTally.Sums) {
        self.scenario = scenario.rawValue
        done = sums.done
        refused = sums.refused
        unknown = sums.unknown
        checked = sums.checked
        problems = sums.problems
        // What did nothing has shown nothing.
        if sums.done == 0 || sums.checked == 0 { problems.append("nothing was done") }
        passed = problems.isEmpty
    }
}

extension BusinessVerdict {
    /// For a person.
    var line: String {
        "scenario \(scenario): \(passed ? "passed" : "FAILED"), \(done) done, \(refused) refused, "
            + "\(unknown) unknown, \(checked) checks"
    }
}
