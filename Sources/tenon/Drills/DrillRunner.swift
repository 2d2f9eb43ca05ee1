import Foundation
import TenonChecker
import TenonClient
import TenonCore

/// Runs the rounds of a scenario on a cluster and collects what they show.
struct DrillRunner {
    let scenario: Scenario
    let rounds: [PlannedRound]
    let session: DrillSession
    let rate: DrillRate
    let seed: UInt64
    /// Told before each round.
    let progress: @Sendable (String) -> Void

    private var random: SeededGenerator
    private var history: HistoryLog
    private var results: [DrillReport.Round] = []
    /// What the counters' client did in all rounds: their histories go through the whole run.
    private var counterOperations: [HistoryOperation] = []
    /// The newest acknowledged version of each key, and the round of the key.
    private var acknowledged: [Bytes: (version: Timestamp, round: Int)] = [:]
    private var failures: [String] = []
    /// Of the last round.
    private var timeLine: TimeLine?

    private static let readBackKeysMax = 500
    private static let readBackTimeout = Duration.seconds(30)
    /// Load before a fault, and at most as much again at random: timers are met in any phase.
    private static let leadTime = Duration.seconds(1)
    /// As much before a fault whose puts are compared with those before: about as long as such
    /// faults last, for in a second there is often none of the disk's slow moments.
    private static let comparedTime = Duration.seconds(10)
    /// Load after a fault: room for a window in which writes flow (``RecoveryTime``), also when the
    /// first does not.
    private static let tailTime = Duration.seconds(3)
    /// Load after all nodes, or a majority, were away: what waited meanwhile comes on top.
    private static let restartTime = Duration.seconds(15)
    /// How long the load is at the pace of the fault before it comes, and at the most after.
    private static let pressTime = Duration.milliseconds(300)
    /// How long a fault may wait until enough writes are in flight.
    private static let inFlightWait = Duration.seconds(2)

    init(
        scenario: Scenario, rounds: [PlannedRound], session: DrillSession, rate: DrillRate,
        seed: UInt64, historyPath: String?, progress: @escaping @Sendable (String) -> Void
    ) throws(ClusterError) {
        self.scenario = scenario
        self.rounds = rounds
        self.session = session
        self.rate = rate
        self.seed = seed
        self.progress = progress
        random = SeededGenerator(seed: seed)
        history = try HistoryLog(path: historyPath)
    }

    /// All rounds, then everything is read back once more.
    mutating func run() async throws -> DrillFindings {
        // What was measured before is no part of any round, but the counters' histories begin there.
        let measured = session.load.recorder.take().operations
        counterOperations = measured.filter { $0.worker == session.load.configuration.workers }
        try history.append(counterOperations)
        for (place, plan) in rounds.enumerated() {
            progress(
                "round \(place + 1) of \(rounds.count): "
                    + "\(plan.injection.rawValue) \(plan.target.rawValue)")
            let result: DrillReport.Round
            do {
                result = try await run(plan, number: place + 1)
            } catch {
                throw BrokenRound(round: place + 1, cause: error)
            }
            progress(
                "  gap \(result.gapSeconds) s, \(result.acknowledged) writes, lost \(result.lost), "
                    + "stale \(result.stale)"
                    + (result.problems.isEmpty
                        ? "" : "; " + result.problems.joined(separator: "; ")))
            results.append(result)
        }
        progress("reading everything back")
        try await readAllBack()
        progress("checking the counters")
        let counters = try await checkCounters()
        let scenarios = try await session.business?.verdicts()
        return DrillFindings(
            rounds: results, counters: counters, historySha256: history.digest(),
            linearizability: overallLinearizability(), failures: failures,
            scenarios: scenarios, picture: timeLine?.svg)
    }

    // MARK: One round

    private mutating func run(_ plan: PlannedRound, number: Int) async throws -> DrillReport.Round {
        let fault = DrillFault(
            session: session, plan: plan, round: number, seed: seed &+ UInt64(number))
        let phase = Duration.milliseconds(Int(random.below(1_000)))
        let pace = rate.pace(in: plan)
        let session = session
        let watch = LeaderWatch()
        async let loading: Void = session.run(round: number, pace: pace)
        async let watching: Void = watch.run(session)
        let start = DrillClock.now
        let nodes: [LocalCluster.Node]
        let observed: FaultObservation
        let injected: Range<Instant>
        let wallTime: Date
        do {
            let isCompared = RoundJudgement.comparesPuts(plan)
            try await Task.sleep(
                for: phase + (isCompared ? DrillRunner.comparedTime : DrillRunner.leadTime))
            try await DrillRunner.awaitWritesInFlight(session.load)
            // Not earlier: under load leadership may have moved since the last round.
            nodes = try await fault.targets()
            wallTime = Date()
            let before = DrillClock.now
            session.load.press(until: before + TimeSpan(DrillRunner.pressTime))
            observed = try await fault.inject(into: nodes)
            if isCompared {
                // As long a time as before: a moment's stall is more of two seconds than of ten.
                let left = (before + TimeSpan(DrillRunner.comparedTime)).since(DrillClock.now)
                try await Task.sleep(for: .nanoseconds(Int64(left.nanoseconds)))
            }
            let wasAway = plan.target == .all || plan.injection == .loseMajority
            try await Task.sleep(
                for: wasAway ? DrillRunner.restartTime : DrillRunner.tailTime)
            injected = before..<DrillClock.now
        } catch {
            session.stopLoad()
            watch.stop()
            await loading
            await watching
            throw error
        }
        session.stopLoad()
        watch.stop()
        await loading
        await watching
        return try await evaluate(
            Evidence(
                plan: plan, number: number, nodes: nodes.map(\.name), wallTime: wallTime,
                start: start, claims: watch.all, fault: injected, observed: observed,
                leaders: watch.findings(since: injected.lowerBound),
                recording: session.load.recorder.take()))
    }

    /// Brings the load to the pace of the fault, for as long as the injection may take.
    private static func awaitWritesInFlight(_ load: DrillLoad) async throws {
        let deadline = DrillClock.now + TimeSpan(pressTime + inFlightWait)
        load.press(until: deadline)
        try await Task.sleep(for: pressTime)
        let least = DrillRate.writesInFlightMin
        while load.recorder.writesInFlight < least, DrillClock.now < deadline {
            await Task.yield()
        }
    }

    /// What one round left.
    private struct Evidence {
        var plan: PlannedRound
        var number: Int
        var nodes: [String]
        var wallTime: Date
        var start: Instant
        /// Every leader that was seen.
        var claims: [TabletID: [LeaderWatch.Claim]]
        /// From the injecting call to the end of the load.
        var fault: Range<Instant>
        var observed: FaultObservation
        var leaders: LeaderWatch.Findings
        var recording: Recording

        var faultEnd: Instant { observed.endedAt ?? fault.upperBound }

        /// Until when the gap counts as the fault's own; with homes the way back is another one.
        func gapEnd(_ homes: DrillHomes) -> Instant {
            homes.cities.isEmpty ? fault.upperBound : observed.backAt ?? fault.upperBound
        }

        /// What the history tells while the fault lasted, or for as long as what it is compared
        /// with.
        var measures: FaultMeasures {
            let isCompared = RoundJudgement.comparesPuts(plan)
            let least = fault.lowerBound + TimeSpan(DrillRunner.comparedTime)
            return FaultMeasures(
                recording.operations, from: start, fault: fault.lowerBound,
                end: isCompared ? max(faultEnd, least) : faultEnd, wallTime: wallTime)
        }
    }

    private mutating func evaluate(_ evidence: Evidence) async throws -> DrillReport.Round {
        let recording = evidence.recording
        let operations = recording.operations
        try history.append(operations)
        let counterWorker = session.load.configuration.workers
        counterOperations += operations.filter { $0.worker == counterWorker }
        let ofKeys = operations.filter { $0.worker != counterWorker }
        let contents = try await readBack(Set(ofKeys.compactMap(\.key)).sorted())
        let loss = evidence.observed.majorityLoss
        let uncertain = scenario.mayLose ? loss?.uncertainKeys(in: ofKeys) ?? [] : []
        let certain =
            uncertain.isEmpty
            ? ofKeys : ofKeys.filter { $0.key.map { !uncertain.contains($0) } ?? false }
        remember(certain, round: evidence.number)
        let lost = DrillMeasures.lostWrites(in: ofKeys) { contents[$0] ?? nil }
        let verdict = RegisterCheck().verdict(of: certain)
        let measures = evidence.measures
        var round = DrillReport.Round(
            faultAt: evidence.wallTime.formatted(
                Date.ISO8601FormatStyle(includingFractionalSeconds: true)),
            injection: evidence.plan.injection, target: evidence.plan.target,
            node: evidence.plan.target == .all ? "all" : evidence.nodes.joined(separator: ","),
            faultSeconds: evidence.faultEnd.since(evidence.fault.lowerBound).seconds,
            gapSeconds: gap(evidence).seconds,
            writeRtoSeconds: RecoveryTime.afterFault(
                at: evidence.fault.lowerBound, in: operations, tablets: Set(session.tablets)
            )?.seconds,
            acknowledged: recording.writes(.ok),
            refused: recording.writes(.fail) + recording.unsent,
            unknown: recording.writes(.unknown), lost: lost.count,
            lostOutsideWindow: loss.map { outside($0, lost) },
            stale: DrillMeasures.staleReads(in: certain).count,
            inFlightAtFault: DrillMeasures.writesInFlight(
                in: operations, at: evidence.fault.lowerBound),
            latencyMillis: DrillReport.Latency(
                p50: recording.latency(percent: 50).milliseconds,
                p99: recording.latency(percent: 99).milliseconds,
                max: recording.latency(percent: 100).milliseconds),
            linearizability: verdict.text, leaderChanges: evidence.leaders.changes,
            otherLeaderSeconds: evidence.leaders.allElsewhereAfter?.seconds,
            writeAvailability: measures.writeAvailability,
            putP99MillisBefore: measures.putP99Before.milliseconds,
            putP99MillisDuring: measures.putP99During.milliseconds,
            putP50MillisDuring: measures.putP50During.milliseconds,
            versionErrorSeconds: measures.versionErrorSeconds,
            cities: availability(evidence), homeGapSeconds: homeGap(evidence)?.seconds,
            homeSeconds: wayHome(evidence).seconds,
            found: evidence.observed.found,
            problems: evidence.observed.problems)
        round.problems += RoundJudgement.complaints(about: round)
        round.problems += acceptedWithoutMajority(evidence)
        if !session.homes.cities.isEmpty {
            let way = wayHome(evidence)
            round.problems += way.complaints
            if scenario.followsWayHome { round.problems += way.complaintsAboutFailover }
        }
        timeLine = picture(evidence) ?? timeLine
        return round
    }

    /// How many of the lost writes are outside the window that the operator was told.
    private func outside(_ loss: MajorityLoss, _ lost: [HistoryOperation]) -> Int {
        lost.count { write in
            guard let tablet = write.at?.tablet, let version = write.version ?? write.at?.version
            else { return true }
            return !loss.mayLose(tablet, version)
        }
    }

    private func acceptedWithoutMajority(_ evidence: Evidence) -> [String] {
        guard let loss = evidence.observed.majorityLoss, let end = evidence.observed.commandAt
        else { return [] }
        let count = loss.impossibleWrites(in: evidence.recording.operations, stoppedAt: end)
        return count == 0 ? [] : ["\(count) writes were accepted without a majority"]
    }

    /// The longest gap of the worst tablet; a tablet without any success was gone all the time.
    private func gap(_ evidence: Evidence) -> TimeSpan {
        let operations = evidence.recording.operations
        let served = Set(operations.compactMap { $0.result == .ok ? $0.at?.tablet : nil })
        guard session.tablets.allSatisfy(served.contains) else {
            return evidence.fault.upperBound.since(evidence.start)
        }
        return DrillMeasures.worstGap(
            in: operations,
            overlapping: evidence.fault.lowerBound..<evidence.gapEnd(session.homes),
            from: evidence.start, to: evidence.fault.upperBound)
    }

    /// The longest gap since the lost nodes were started again; nil without homes.
    private func homeGap(_ evidence: Evidence) -> TimeSpan? {
        guard !session.homes.cities.isEmpty, let back = evidence.observed.backAt else { return nil }
        // Reads go on while leadership is handed over.
        return DrillMeasures.worstGap(
            in: evidence.recording.operations.filter(\.isWrite),
            overlapping: back..<evidence.fault.upperBound,
            from: evidence.start, to: evidence.fault.upperBound)
    }

    private func wayHome(_ evidence: Evidence) -> WayHome {
        WayHome(
            homes: session.homes.cities, places: session.cities, claims: evidence.claims,
            struck: Set(
                session.cluster.layout.nodes.filter { evidence.nodes.contains($0.name) }
                    .map(session.number)),
            lostAt: evidence.fault.lowerBound, backAt: evidence.observed.backAt,
            homeAt: evidence.observed.homeAt)
    }

    private func availability(_ evidence: Evidence) -> [DrillReport.CityAvailability]? {
        let cities = session.load.keys.cities
        guard !cities.isEmpty else { return nil }
        let sent = evidence.recording.operations.filter {
            $0.sentAt >= evidence.fault.lowerBound
                && $0.sentAt + FaultMeasures.patience < evidence.fault.upperBound
        }
        return cities.map { city in
            let own = sent.filter { $0.key?.starts(with: Bytes(DrillKeys.home(of: city))) ?? false }
            let served = own.count { operation in
                guard operation.result == .ok, let answered = operation.answeredAt else {
                    return false
                }
                return answered.since(operation.sentAt) <= FaultMeasures.patience
            }
            return DrillReport.CityAvailability(
                city: city,
                served: DrillReport.rounded(Double(served) / Double(max(1, own.count))),
                operations: own.count)
        }
    }

    /// The last round as a picture; nil without homes.
    private func picture(_ evidence: Evidence) -> TimeLine? {
        guard !session.homes.cities.isEmpty else { return nil }
        let back = evidence.observed.backAt ?? evidence.fault.upperBound
        let names = Dictionary(
            session.cluster.layout.nodes.map { (session.number(of: $0), $0.name) },
            uniquingKeysWith: { one, _ in one })
        return TimeLine(
            title: "\(scenario.name), \(evidence.plan.injection.rawValue) of "
                + evidence.nodes.joined(separator: ", "),
            operations: evidence.recording.operations, homes: session.homes.cities,
            claims: evidence.claims, names: names, span: evidence.start..<evidence.fault.upperBound,
            fault: evidence.fault.lowerBound..<back)
    }

    // MARK: What is there afterwards

    private mutating func remember(_ operations: [HistoryOperation], round: Int) {
        for operation in operations where operation.isWrite && operation.result == .ok {
            guard let key = operation.key, let version = operation.version else { continue }
            if version > acknowledged[key]?.version ?? .zero {
                acknowledged[key] = (version, round)
            }
        }
    }

    private func readBack(_ keys: [Bytes]) async throws -> [Bytes: StoredValue?] {
        var contents: [Bytes: StoredValue?] = [:]
        let keyspace = session.keyspace
        for start in stride(from: 0, to: keys.count, by: DrillRunner.readBackKeysMax) {
            let batch = Array(keys[start..<min(start + DrillRunner.readBackKeysMax, keys.count)])
            let values = try await keyspace.getMany(batch, timeout: DrillRunner.readBackTimeout)
            for (key, value) in zip(batch, values) { contents[key] = .some(value) }
        }
        return contents
    }

    /// What an earlier round wrote must have outlived the faults of the later ones too.
    private mutating func readAllBack() async throws {
        let contents = try await readBack(acknowledged.keys.sorted())
        for (key, write) in acknowledged.sorted(by: { $0.key < $1.key }) {
            guard let now = contents[key] ?? nil, now.version >= write.version else {
                results[write.round - 1].lost += 1
                continue
            }
        }
    }

    private mutating func checkCounters() async throws -> DrillReport.Counters {
        let keyspace = session.keyspace
        try await session.load.counters.settle(with: keyspace)
        let accounts = session.load.counters.accounts
        // Counters whose increments may be lost tell nothing.
        if !scenario.mayLose { failures += accounts.flatMap(\.contradictions) }
        for account in accounts where !scenario.mayLose {
            let expected = account.acknowledged + account.foundApplied
            let actual = account.known?.count ?? 0
            if actual != expected {
                failures.append("\(account.key) holds \(actual), not \(expected)")
            }
        }
        let stale = DrillMeasures.staleReads(in: counterOperations).count
        if stale > 0, !scenario.mayLose { failures.append("\(stale) stale reads of counters") }
        return DrillReport.Counters(
            acknowledged: accounts.reduce(0) { $0 + $1.acknowledged },
            foundApplied: accounts.reduce(0) { $0 + $1.foundApplied },
            sum: accounts.reduce(0) { $0 + ($1.known?.count ?? 0) },
            answersDropped: session.proxies.reduce(0) { $0 + $1.dropped })
    }

    private func overallLinearizability() -> String {
        let ofCounters =
            scenario.mayLose ? [] : [RegisterCheck().verdict(of: counterOperations).text]
        let all = results.map(\.linearizability) + ofCounters
        return all.first { $0.hasPrefix("violated") } ?? all.first { $0 != "holds" } ?? "holds"
    }
}

/// A round that could not be brought to its end: the cluster did not come back.
struct BrokenRound: Error, CustomStringConvertible {
    let round: Int
    let cause: any Error

    var description: String { "round \(round): \(cause)" }
}

/// What the rounds of a run showed.
struct DrillFindings: Sendable {
    var rounds: [DrillReport.Round]
    var counters: DrillReport.Counters
    var historySha256: String
    var linearizability: String
    var failures: [String]
    /// Of the scenarios that went on beside the load; nil when none did.
    var scenarios: [BusinessVerdict]?
    /// SVG; nil when there is nothing to show.
    var picture: String?
}

extension Verdict {
    /// For a report.
    var text: String {
        switch self {
        case .holds: "holds"
        case .violated(let violation): "violated: \(violation.explanation)"
        case .undecided(let reason): "undecided: \(reason)"
        }
    }
}
