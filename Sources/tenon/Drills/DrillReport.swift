import Foundation

/// What a drill found: the JSON of `--report`.
///
/// Fields are only ever added. Times are seconds, rounded to milliseconds; `faultAt` is Unix time.
struct DrillReport: Encodable, Sendable {
    /// All but the picture.
    private enum CodingKeys: String, CodingKey {
        case drill, layout, negativeControl, injection, commit, seed, configuration, rounds
        case gapSeconds, groups, lost, lostOutsideWindow, stale, counters, scenarios,
            linearizability
        case historySha256, notes, failures, passed
    }

    var drill: String
    /// Nodes and tablets, and that all of it is one machine.
    var layout: String
    /// The rule that the nodes broke on purpose, of a negative control: then the drill must fail.
    var negativeControl: String?
    /// The injections of the rounds, joined by `+`.
    var injection: String
    /// The commit that the program was built from, when it can be found out.
    var commit: String
    var seed: UInt64
    var configuration: Configuration
    var rounds: [Round]
    /// Over the rounds that meet the leader.
    var gapSeconds: Spread
    /// The same for each injection and target.
    var groups: [Group]
    var lost: Int
    /// Of them those outside the window that an operator was told; nil where nothing may be lost.
    var lostOutsideWindow: Int?
    var stale: Int
    var counters: Counters
    /// What went on beside the load, and what it came to; nil when nothing did.
    var scenarios: [BusinessVerdict]?
    var linearizability: String
    var historySha256: String
    var notes: [String]
    /// Why the drill did not pass.
    var failures: [String]
    var passed: Bool
    /// The time line as SVG, of a drill with cities; a file of its own.
    var picture: String?

    struct Configuration: Encodable, Sendable {
        var nodes: Int
        var tablets: Int
        var workers: Int
        var keysPerRound: Int
        var valueBytes: Int
        /// What 256 callers without pause got through, the same mix of operations.
        var maximumOperationsPerSecond: Int
        /// The fixed rate of the open loop.
        var operationsPerSecond: Int
        /// Its rate from 300 ms before a fault to 300 ms after it.
        var operationsPerSecondAtFault: Int
        /// Writes in flight at the rate of the fault before any fault, on average.
        var writesInFlight: Double
        /// One answer in so many to the counters' client is dropped with its connection.
        var dropsOneAnswerIn: Int
        var gapBoundSeconds: Double
        var serveOptions: [String]
    }

    struct Round: Encodable, Sendable {
        var faultAt: String
        var injection: Injection
        var target: FaultTarget
        /// The node that the fault met; `all` when it was every node.
        var node: String
        /// From the injecting call until the fault was over; until the end of the load where it
        /// cannot be told from the recovery.
        var faultSeconds: Double
        /// The longest time between two successes on the worst tablet, from fault to recovery.
        var gapSeconds: Double
        /// From the fault until a second in which every tablet takes writes without a pause; nil
        /// when there was none.
        var writeRtoSeconds: Double?
        var acknowledged: Int
        var refused: Int
        var unknown: Int
        var lost: Int
        /// See ``DrillReport/lostOutsideWindow``.
        var lostOutsideWindow: Int?
        var stale: Int
        var inFlightAtFault: Int
        /// Of all answered operations, from the moment each was due.
        var latencyMillis: Latency
        /// `holds`, `violated: …` or `undecided: …`.
        var linearizability: String
        /// New terms with a leader between the fault and the end of the round, on the tablet that
        /// had most.
        var leaderChanges: Int
        /// From the fault until every tablet that the node led had another leader; nil when some
        /// tablet had none.
        var otherLeaderSeconds: Double?
        /// Of the writes sent while the fault lasted, after its first 8 s, those that were
        /// acknowledged within a second; nil when the fault was shorter.
        var writeAvailability: Double?
        /// Of puts sent before the fault, and while it lasted.
        var putP99MillisBefore: Double
        var putP99MillisDuring: Double
        /// The median of puts sent while the fault lasted.
        var putP50MillisDuring: Double
        /// The largest distance of an acknowledged version from the true time of its answer.
        var versionErrorSeconds: Double
        /// By the city of each key's home: what was served of what was asked, from the fault on.
        var cities: [CityAvailability]?
        /// The longest gap since the lost nodes were started again, on the worst tablet.
        var homeGapSeconds: Double?
        /// From the start of the lost nodes until every tablet was led from its home; nil when some
        /// never was, or has none.
        var homeSeconds: Double?
        /// What the cluster itself said of the fault.
        var found: String?
        /// What this round has against the drill, besides losses and gaps.
        var problems: [String]
    }

    struct CityAvailability: Encodable, Hashable, Sendable {
        var city: String
        /// Operations answered well within a second, of all that were sent.
        var served: Double
        var operations: Int
    }

    struct Latency: Encodable, Sendable {
        var p50: Double
        var p99: Double
        var max: Double
    }

    struct Spread: Encodable, Hashable, Sendable {
        var median: Double
        var max: Double

        /// Of some values; zeros when there are none.
        init(_ values: [Double]) {
            let sorted = values.sorted()
            let middle = sorted.count / 2
            max = sorted.last ?? 0
            if sorted.isEmpty {
                median = 0
            } else if sorted.count.isMultiple(of: 2) {
                median = DrillReport.rounded((sorted[middle - 1] + sorted[middle]) / 2)
            } else {
                median = sorted[middle]
            }
        }
    }

    struct Group: Encodable, Sendable {
        var injection: Injection
        var target: FaultTarget
        var rounds: Int
        var gapSeconds: Spread
    }

    /// Compare-and-set increments through a client that loses answers.
    struct Counters: Encodable, Hashable, Sendable {
        var acknowledged: Int
        /// Unknown to their caller, found applied later.
        var foundApplied: Int
        /// What the counters hold at the end: the sum of the two, or the drill has failed.
        var sum: Int
        var answersDropped: Int
    }

    /// To milliseconds.
    static func rounded(_ seconds: Double) -> Double { (seconds * 1_000).rounded() / 1_000 }
}

extension DrillReport {
    /// The groups of `rounds`, in the order in which they first come.
    static func groups(of rounds: [Round]) -> [Group] {
        var groups: [Group] = []
        for round in rounds
        where !groups.contains(where: {
            $0.injection == round.injection && $0.target == round.target
        }) {
            let alike = rounds.filter {
                $0.injection == round.injection && $0.target == round.target
            }
            groups.append(
                Group(
                    injection: round.injection, target: round.target, rounds: alike.count,
                    gapSeconds: Spread(alike.map(\.gapSeconds))))
        }
        return groups
    }

    /// The rounds as a table for a person, and the verdict below it.
    var table: String {
        let header = [
            "round", "injection", "target", "node", "gap s", "write RTO s", "acknowledged",
            "refused", "unknown", "lost", "stale", "in flight", "p99 ms", "leaders", "led after s",
        ]
        let rows = rounds.enumerated().map { place, round in
            [
                String(place + 1), round.injection.rawValue, round.target.rawValue, round.node,
                text(round.gapSeconds), round.writeRtoSeconds.map(text) ?? "none",
                String(round.acknowledged), String(round.refused), String(round.unknown),
                String(round.lost), String(round.stale), String(round.inFlightAtFault),
                text(round.latencyMillis.p99), String(round.leaderChanges),
                round.otherLeaderSeconds.map(text) ?? "-",
            ]
        }
        return ([TextTable(header: header, rows: rows).description, ""] + summary)
            .joined(separator: "\n")
    }

    private var summary: [String] {
        let gaps = groups.map { group in
            "gap \(group.injection.rawValue) \(group.target.rawValue): median "
                + "\(text(group.gapSeconds.median)) s, longest \(text(group.gapSeconds.max)) s "
                + "(\(group.rounds) rounds)"
        }
        let verdict =
            passed
            ? "PASSED: lost \(lost)" + (lost > 0 ? ", all inside the stated window" : "")
                + ", stale \(stale)" : "FAILED: " + failures.joined(separator: "; ")
        return gaps + details + [
            "load: \(configuration.operationsPerSecond) operations/s of at most "
                + "\(configuration.maximumOperationsPerSecond), at a fault "
                + "\(configuration.operationsPerSecondAtFault) with "
                + "\(text(configuration.writesInFlight)) writes in flight",
            "counters: \(counters.sum) = \(counters.acknowledged) acknowledged + "
                + "\(counters.foundApplied) found applied "
                + "(\(counters.answersDropped) answers dropped)",
            "linearizability: \(linearizability)",
        ] + (scenarios ?? []).map(\.line) + notes + [verdict]
    }

    /// What rounds say besides figures.
    private var details: [String] {
        rounds.enumerated().flatMap { place, round in
            var lines: [String] = []
            if let found = round.found { lines.append("round \(place + 1): \(found)") }
            for city in round.cities ?? [] {
                lines.append(
                    "round \(place + 1): \(city.city): \(text(city.served * 100)) % of "
                        + "\(city.operations) operations within 1 s")
            }
            if let gap = round.homeGapSeconds {
                let after = round.homeSeconds.map { "home after \(text($0)) s" } ?? "not home"
                lines.append(
                    "round \(place + 1): \(after), on the way back a gap of \(text(gap)) s")
            }
            if let share = round.writeAvailability {
                lines.append(
                    "round \(place + 1): \(text(share * 100)) % of writes within 1 s, after 8 s")
            }
            return lines
        }
    }

    private func text(_ number: Double) -> String { String(format: "%.3f", number) }
}
