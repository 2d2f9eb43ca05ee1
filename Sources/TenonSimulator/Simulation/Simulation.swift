package import TenonCore
internal import TenonNode
internal import TenonRaft
internal import TenonWire

/// One run of a scenario from a seed: form a cluster, load it while faults happen, heal it, and
/// ask whether it is alive, equal and right.
package final class Simulation {
    private let scenario: Scenario
    let cluster: SimulatedCluster
    private let checker: StepChecker
    private let injector: FaultInjector
    private var runs: [WorkloadRun] = []
    private var report: SimulationReport

    /// When all faults are healed, a write to each tablet succeeds within this time.
    package static let livenessBound = TimeSpan.seconds(10)
    private static let formationBound = TimeSpan.seconds(20)
    private static let closingBound = TimeSpan.seconds(30)
    private static let convergenceBound = TimeSpan.seconds(30)

    /// Runs `scenario`; the schedule is drawn from the seed unless one is given.
    ///
    /// The calling thread's coverage (``Coverage``) is cleared first.
    package static func run(
        seed: UInt64, _ scenario: Scenario, schedule: FaultSchedule? = nil,
        tell: ((String) -> Void)? = nil
    ) -> SimulationReport {
        Coverage.clear()
        let simulation = Simulation(seed: seed, scenario, schedule, tell)
        simulation.run()
        return simulation.finalReport()
    }

    /// The faults that `scenario` draws from a seed.
    package static func schedule(seed: UInt64, _ scenario: Scenario) -> FaultSchedule {
        var drawing = FaultDrawing(
            scenario.mix, nodeCount: scenario.nodeCount + scenario.spareCount, seed: seed)
        return drawing.schedule(over: scenario.span)
    }

    private init(
        seed: UInt64, _ scenario: Scenario, _ given: FaultSchedule?,
        _ tell: ((String) -> Void)?
    ) {
        self.scenario = scenario
        cluster = SimulatedCluster(scenario.options(seed: seed))
        for (host, bytes) in zip(cluster.hosts, scenario.retainedLogBytes(seed: seed) ?? []) {
            host.adjust = { $0.retainedLogBytes = bytes }
        }
        for (host, locality) in zip(cluster.hosts, scenario.localities) {
            host.adjust = { $0.locality = locality }
        }
        for host in cluster.hosts.suffix(scenario.witnessCount) { host.isWitness = true }
        checker = StepChecker(cluster)
        checker.tell = tell
        cluster.observer = checker
        let schedule = given ?? Simulation.schedule(seed: seed, scenario)
        injector = FaultInjector(cluster, checker, schedule)
        report = SimulationReport(seed: seed, scenario: scenario.name)
        report.schedule = schedule
        let tablets = StaticDirectory.tablets(count: scenario.tabletCount)
            .map { (id: $0.id, lower: $0.lower) }
        let names = scenario.workloads(seed: seed)
        let rate = scenario.operationsPerSecond / max(1, names.count)
        for (place, name) in names.enumerated() {
            let parameters = WorkloadParameters(
                seed: seed &* 0x9E37 &+ UInt64(place), tablets: tablets)
            guard let workload = WorkloadCatalogue.make(name, parameters) else {
                preconditionFailure("scenario \(scenario.name) names the workload \(name)")
            }
            runs.append(
                WorkloadRun(workload, cluster, rate: rate, seed: parameters.seed))
        }
    }

    // MARK: The run

    private func run() {
        cluster.startAll()
        guard pass(atMost: Simulation.formationBound, until: { self.isServed }) else {
            return fail(.liveness, "no cluster formed within \(Simulation.formationBound)")
        }
        guard joinWitnesses() else { return }
        for run in runs { run.begin() }
        if scenario.readsByLease { injector.useLeases() }
        if scenario.acknowledgement != .majority { injector.ask(scenario.acknowledgement) }
        if scenario.hasLocalReads { injector.askForLocalReads() }
        injector.begin()
        // The last faults heal with the end of the load.
        pass(scenario.span + .milliseconds(1))
        injector.end()
        checkLiveness()
        for run in runs { run.close() }
        let isClosed = pass(atMost: Simulation.closingBound) {
            self.runs.allSatisfy(\.isOver)
        }
        if !isClosed { fail(.liveness, "clients did not end within \(Simulation.closingBound)") }
        checkConvergence()
        guard report.failure == nil else { return }
        for run in runs {
            if let failure = run.workload.failures().first {
                report.failure = failure
                return
            }
        }
    }

    /// Has witnesses join, and waits until each tablet has one among its voters.
    ///
    /// - Returns: whether it has; the run has failed otherwise.
    private func joinWitnesses() -> Bool {
        let witnesses = cluster.hosts.filter(\.isWitness)
        guard !witnesses.isEmpty else { return true }
        for host in witnesses {
            if let problem = cluster.join(Int(host.id.rawValue)) {
                fail(.liveness, "\(host.name) cannot join as a witness: \(problem)")
            }
        }
        injector.surviveCities()
        let isPlaced = pass(atMost: Simulation.formationBound) {
            self.tablets.allSatisfy { tablet in
                guard let leader = self.cluster.leader(of: tablet),
                    let membership = self.probe(of: tablet, leader)?.membership
                else { return false }
                return !membership.isJoint && membership.learners.isEmpty
                    && membership.incoming.count == self.cluster.hosts.count
                    && membership.incoming.contains(where: \.isWitness)
            }
        }
        if !isPlaced { fail(.liveness, "the witness does not become a voter: \(everyReplica)") }
        return report.failure == nil
    }

    private func fail(_ check: Check, _ message: @autoclosure () -> String) {
        guard report.failure == nil else { return }
        report.failure = CheckFailure(check, message())
    }

    /// Lets time pass, until a check fails at the most.
    private func pass(_ span: TimeSpan) {
        _ = pass(atMost: span) { false }
    }

    /// Lets time pass until `condition` holds, which is looked at every five milliseconds.
    private func pass(atMost span: TimeSpan, until condition: () -> Bool) -> Bool {
        guard report.failure == nil else { return false }
        let isMet = cluster.run(within: span, every: .milliseconds(5)) {
            checker.failure != nil || condition()
        }
        if let failure = checker.failure { report.failure = failure }
        return report.failure == nil && isMet
    }

    private var tablets: [TabletID] { [.directory] + dataTablets.map(\.id) }

    /// Those that the founders made, their halves and those of new keyspaces, as far as any node
    /// knows.
    private var dataTablets: [TabletDescriptor] {
        let founding = StaticDirectory.tablets(count: scenario.tabletCount)
        let making = [Fault.split(seed: 0).name, Fault.keyspace(seed: 0).name]
        guard injector.counts.contains(where: { making.contains($0.name) }) else {
            return founding
        }
        let newest = cluster.hosts.compactMap { $0.node?.describe() }
            .max { $0.version < $1.version }
        let known = newest?.tablets.filter { $0.id != .directory } ?? []
        return known.count > founding.count ? known : founding
    }

    /// Whether every tablet has a leader that serves.
    private var isServed: Bool { tablets.allSatisfy { cluster.leader(of: $0) != nil } }

    // MARK: The end

    /// Once faults stop, a write to every tablet succeeds within a bound of virtual time.
    private func checkLiveness() {
        let end = cluster.now + Simulation.livenessBound
        for tablet in dataTablets {
            cluster.keyspaces[tablet.id] = tablet.keyspace
            // Behind the lower bound, before every other border and every workload's keys.
            let isHalf = tablet.generation > .first && !tablet.lower.isEmpty
            let key = isHalf ? tablet.lower : Bytes(tablet.lower.array + Array("!".utf8))
            var isWritten = false
            var last: CallResult?
            while !isWritten, cluster.now < end, report.failure == nil {
                var result: CallResult?
                let body = cluster.client.write(.put(key: key, value: key, condition: .none))
                cluster.client.start(body, tablet: tablet.id, within: .seconds(5)) { result = $0 }
                _ = pass(atMost: .seconds(6)) { result != nil }
                last = result
                if case .answer(.outcome(.written, _)) = result { isWritten = true }
            }
            if !isWritten {
                fail(
                    .liveness,
                    "tablet \(tablet.id) took no write within "
                        + "\(Simulation.livenessBound.wholeMilliseconds) ms after "
                        + "all faults were healed: \(last.map { "\($0)" } ?? "no answer"); "
                        + "under way \(splitsUnderWay)")
            }
        }
    }

    /// All replicas that are whole come to the same entries and the same digest.
    private func checkConvergence() {
        let isEqual = pass(atMost: Simulation.convergenceBound) {
            self.tablets.allSatisfy { self.difference(in: $0) == nil }
                && self.splitsUnderWay.isEmpty && self.citiesWithoutCopy.isEmpty
        }
        guard !isEqual else { return }
        let differences =
            tablets.compactMap { difference(in: $0) }
            + splitsUnderWay.map { "the split of tablet \($0.tablet) does not end" }
            + citiesWithoutCopy
        fail(.convergence, differences.joined(separator: "; "))
    }

    private var splitsUnderWay: [TabletSplit] {
        cluster.hosts.flatMap { $0.node?.probeSplits ?? [] }
    }

    /// What keeps the whole replicas of a tablet from being equal; nil when they are.
    private func difference(in tablet: TabletID) -> String? {
        var states: [TabletProbe] = []
        guard let leader = cluster.leader(of: tablet), let own = probe(of: tablet, leader) else {
            return "nobody leads tablet \(tablet)"
        }
        if own.membership.isJoint { return "tablet \(tablet) is between two sets of voters" }
        for member in own.membership.members {
            guard let host = cluster.hosts.first(where: { $0.nodeID == member.node }) else {
                return "nobody is node \(member.node)"
            }
            guard host.isRunning else {
                if checker.damaged.contains(host.id) { continue }
                return "\(host.name) is down: \(host.endReason ?? "")"
            }
            guard let probe = probe(of: tablet, Int(host.id.rawValue)) else {
                if checker.damaged.contains(host.id) { continue }
                return "\(host.name) has no replica of tablet \(tablet)"
            }
            if probe.isRebuilding {
                return "\(host.name) has not rebuilt its store of tablet \(tablet): \(everyReplica)"
            }
            if !probe.isQuarantined { states.append(probe) }
        }
        // A witness has no digest.
        guard let first = states.first(where: { !$0.isWitness }) else {
            return "no replica of tablet \(tablet) is whole"
        }
        let isEqual = states.allSatisfy {
            $0.applied == first.applied
                && ($0.isWitness || $0.logDigest == first.logDigest)
                && $0.applied == $0.last
        }
        return isEqual ? nil : "tablet \(tablet) differs: \(everyReplica)"
    }

    /// For a message: where each replica of each node stands.
    private var everyReplica: String {
        let nodes = cluster.hosts.compactMap { host in
            host.node.map { node in
                ["\(host.name) \(node.logSummary)"]
                    + (0..<node.probeCount).map { "\(host.name) \(node.probe($0).summary)" }
            }
        }
        return nodes.joined().joined(separator: "; ")
    }

    private func probe(of tablet: TabletID, _ number: Int) -> TabletProbe? {
        guard let node = cluster.host(number).node else { return nil }
        return (0..<node.probeCount).lazy.map { node.probe($0) }.first { $0.tablet == tablet }
    }

    private func finalReport() -> SimulationReport {
        report.trace = checker.trace.value
        report.operations = runs.reduce(0) { $0 + $1.ended }
        report.answered = runs.reduce(0) { $0 + $1.answered }
        report.unknown = runs.reduce(0) { $0 + $1.unknown }
        report.virtualTime = cluster.now.since(Instant(nanoseconds: 1_000_000_000))
        report.events = cluster.eventCount
        report.steps = checker.steps
        report.faults = injector.counts
        report.marks = Coverage.reachedMarks
        report.history = runs.flatMap(\.workload.history)
        cluster.observer = nil
        return report
    }
}
