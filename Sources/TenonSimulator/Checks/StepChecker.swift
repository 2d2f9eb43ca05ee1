package import TenonCore
internal import TenonLog
package import TenonNode
internal import TenonRaft
internal import TenonWire

/// Checks what must hold after every step of a cluster, from outside the engine.
///
/// Three things are compared: what each replica holds in memory (probes), what each disk holds
/// durably (``DiskShadow``, followed record by record), and what was ever true anywhere in this
/// run (``TabletTruth``). A step costs as much as it changed.
package final class StepChecker: ClusterObserver {
    /// The first check that did not hold; the run ends there.
    package private(set) var failure: CheckFailure?
    unowned let cluster: SimulatedCluster
    var truths: [TabletTruth]
    /// Halves of split tablets that were seen.
    private var halves: Set<TabletID> = []
    /// Tablets of keyspaces that were dropped.
    var dropped: Set<TabletID> = []
    /// What is on each disk, by the disk: a folder that is copied takes it along.
    private var shadows: [ObjectIdentifier: DiskShadow] = [:]
    /// What each node's tablets looked like after its last turn, by place of node and tablet.
    var lastProbes: [[TabletProbe?]]
    /// Nodes whose disks were damaged: they may lose what they promised.
    package var damaged: Set<NodeID> = []
    /// Nodes whose disks failed calls: their processes may end.
    package var failing: Set<NodeID> = []
    private var clusterID: ClusterID?
    /// Everything that happened, in one number.
    package private(set) var trace = Digest()
    /// Hears a line for every step, for people.
    package var tell: ((String) -> Void)?
    /// How many steps were looked at.
    package private(set) var steps = 0
    var logReopenCount = 0
    private var clockAllowance = ClockAllowance()

    package init(_ cluster: SimulatedCluster) {
        self.cluster = cluster
        let tabletCount = cluster.groupCount
        truths = Array(repeating: TabletTruth(), count: tabletCount)
        lastProbes = Array(
            repeating: Array(repeating: nil, count: tabletCount), count: cluster.hosts.count)
    }

    func fail(_ check: Check, _ message: @autoclosure () -> String) {
        guard failure == nil else { return }
        failure = CheckFailure(check, "at \(cluster.now.nanoseconds / 1_000) µs: \(message())")
    }

    /// Takes `problem`, when there is one, for a failure.
    func check(_ check: Check, of host: SimulatedHost, _ tablet: Int, _ problem: String?) {
        guard let problem else { return }
        fail(check, "\(host.name), tablet \(tablet + 1): \(problem)")
    }

    // MARK: Shadows

    func shadow(of disk: SimulatedDisk) -> DiskShadow {
        if let shadow = shadows[ObjectIdentifier(disk)] {
            shadow.follow(count: truths.count)
            return shadow
        }
        let shadow = DiskShadow(tabletCount: truths.count)
        shadows[ObjectIdentifier(disk)] = shadow
        return shadow
    }

    /// A folder was copied: so is what is known of it. The copy is nobody's newest folder.
    package func copied(_ disk: SimulatedDisk, to copy: SimulatedDisk) {
        shadows[ObjectIdentifier(copy)] = DiskShadow(copyOf: shadow(of: disk))
    }

    /// A folder that is not to take part.
    package func noteStranger(_ disk: SimulatedDisk) { shadow(of: disk).isStranger = true }

    /// The disk is gone for good.
    package func forget(_ disk: SimulatedDisk) {
        shadows.removeValue(forKey: ObjectIdentifier(disk))
    }

    func isStranger(_ host: SimulatedHost) -> Bool { shadow(of: host.disk).isStranger }

    /// Whether the disk of a member's node holds an entry durably, in that member's log.
    func holdsDurably(
        _ replica: ReplicaID, of membership: Membership, _ index: LogIndex, _ term: Term,
        tablet: Int
    ) -> Bool {
        guard let node = membership.node(of: replica),
            let host = cluster.hosts.first(where: { $0.nodeID == node })
        else { return false }
        guard let shadow = shadows[ObjectIdentifier(newestDisk(of: host))] else {
            return index == .zero
        }
        shadow.follow(count: truths.count)
        return shadow.replicas[tablet].holds(index, term, as: replica)
    }

    /// Disks that were taken out while a stranger's is in, by host.
    package var disksTakenOut: [NodeID: SimulatedDisk] = [:]

    private func newestDisk(of host: SimulatedHost) -> SimulatedDisk {
        disksTakenOut[host.id] ?? host.disk
    }

    // MARK: Trace

    func note(_ host: SimulatedHost, _ what: UInt64, _ text: @autoclosure () -> String) {
        steps += 1
        trace.combine(cluster.now.nanoseconds)
        trace.combine(UInt64(host.id.rawValue) << 32 | what)
        if let tell { tell("\(cluster.now.nanoseconds / 1_000) \(host.name) \(text())") }
    }

    // MARK: Events

    package func logBegins(_ work: LogWork, on host: SimulatedHost) {
        guard case .append(let records) = work else { return }
        note(host, UInt64(records.count), "writes \(records.count) records")
        shadow(of: host.disk).underWay = records
        guard !isStranger(host) else { return }
        for record in records { checkWritten(record, host) }
    }

    package func logEnded(_ work: LogWork, on host: SimulatedHost, _ result: LogResult) {
        note(host, 1, result.failure.map { "log: \($0)" } ?? "log written")
        guard case .append(let records) = work else { return }
        switch result.failure {
        case nil:
            let isSynced = host.disk.isLogSynced
            let isStranger = isStranger(host)
            for record in records where !isStranger {
                checkDropped(by: record, host)
                checkVote(in: record, host)
            }
            let shadow = shadow(of: host.disk)
            shadow.underWay = []
            shadow.unsynced += records
            guard isSynced else { return }
            shadow.apply(shadow.unsynced)
            shadow.unsynced = []
        case .full, .tooLarge: shadow(of: host.disk).underWay = []
        case .failed, .unsupportedFormat, .foreign, .configuration: break
        }
    }

    package func ended(_ host: SimulatedHost, isPowerCut: Bool) {
        note(host, 2, isPowerCut ? "loses power" : "ends (\(host.endReason ?? "killed"))")
        let wasRemoved = host.endReason?.contains("was removed from the cluster") ?? false
        if let reason = host.endReason, !failing.contains(host.id), !isStranger(host), !wasRemoved {
            fail(.noFalseEnd, "\(host.name) ended: \(reason)")
        }
        let rank = rank(of: host)
        for place in lastProbes[rank].indices {
            if wasRemoved, let probe = lastProbes[rank][place] { checkRemoved(probe, host, place) }
            lastProbes[rank][place] = nil
        }
    }

    package func started(_ host: SimulatedHost) {
        note(host, 3, "is started")
        guard let node = host.node, !isStranger(host) else { return }
        // What it had before and lost shows when its log is compared; see ``opened``.
        let isFounder = !host.isJoining && node.cluster.directory.version == .zero
        if isFounder, node.probeCount < cluster.groupCount, !damaged.contains(host.id) {
            fail(
                .noFalseDamage,
                "\(host.name) starts without some tablets: \(host.notices.suffix(3))")
        }
        for place in 0..<node.probeCount {
            let probe = node.probe(place)
            follow(probe)
            guard let tablet = followed(probe.tablet) else { continue }
            if probe.applied > .zero, !damaged.contains(host.id), !probe.isWitness {
                check(
                    .equalDigests, of: host, tablet,
                    truths[tablet].note(digest: probe.logDigest, at: probe.applied))
            }
            adopt(probe, node, place, host, tablet)
            var first = probe
            first.commit = .zero
            first.role = .follower
            lastProbes[rank(of: host)][tablet] = first
        }
    }

    /// What a replica whose log lost entries goes on with is what counts of its disk (Rule L7).
    private func adopt(
        _ probe: TabletProbe, _ node: Node, _ place: Int, _ host: SimulatedHost, _ tablet: Int
    ) {
        let shadow = shadow(of: host.disk)
        guard !shadow.replicas[tablet].isKnown else { return }
        var index = probe.last
        var terms: [Term] = []
        while index > .zero, let term = node.probeTerm(place, at: index) {
            terms.append(term)
            index = index.previous
        }
        var base = LogPosition.zero
        // Unless the log goes back to its beginning the last term found is the base's.
        if index > .zero || terms.count > Int(probe.last.rawValue) {
            base = LogPosition(index: index.next, term: terms.popLast() ?? .zero)
        }
        var replica = shadow.replicas[tablet]
        replica.isKnown = true
        replica.base = base
        replica.terms = terms.reversed()
        replica.aside = replica.entriesFound.filter { $0.index > probe.last }
        shadow.replicas[tablet] = replica
    }

    package func turned(_ host: SimulatedHost, _ effects: Effects) {
        trace(effects, host)
        noteClocks()
        guard let node = host.node else { return }
        if isStranger(host) { return checkStranger(node, host, effects) }
        checkCluster(node, host)
        checkRemovals(node, host)
        for place in 0..<node.probeCount { checkTablet(node, place, host) }
        checkQuietSets(node, host)
        for output in effects.peerOutput where output.stream == .consensus {
            checkMessages(output.bytes, of: host, node)
        }
    }

    private func trace(_ effects: Effects, _ host: SimulatedHost) {
        note(
            host, 4,
            "turn: \(effects.clientOutput.count) answers, \(effects.peerOutput.count) frames, "
                + "\(effects.jobs.count) jobs")
        // A frame's first bytes hold the checksum of the rest.
        for output in effects.clientOutput { trace.combine(StepChecker.head(of: output.bytes)) }
        for output in effects.peerOutput { trace.combine(StepChecker.head(of: output.bytes)) }
        guard let tell else { return }
        for notice in effects.notices { tell("    \(host.name) says: \(notice.text)") }
        for output in effects.peerOutput where output.stream == .consensus {
            tellMessages(output.bytes, to: output.node)
        }
    }

    /// The first eight bytes: length and checksum of a frame.
    private static func head(of frame: [UInt8]) -> UInt64 {
        frame.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    // MARK: Time

    /// What the clocks show now. Told at every turn: one that jumps ahead and back makes versions
    /// that may be applied only when it is right again.
    private func noteClocks() {
        clockAllowance.note(cluster.hosts.map(\.clock.wallOffset), at: cluster.now)
    }

    /// An operator takes the time that most clocks show for right.
    package func noteClockAccepted() {
        noteClocks()
        clockAllowance.accept()
    }

    func checkVersion(_ probe: TabletProbe, _ host: SimulatedHost, _ tablet: Int) {
        let known = truths[tablet].newest
        guard probe.lastVersion > known.version else { return }
        truths[tablet].newest = (probe.applied, probe.lastVersion)
        let entries = UInt64(max(0, known.index.distance(to: probe.applied)))
        let isLogical =
            probe.lastVersion.rawValue - known.version.rawValue <= (1 << 16) + entries * 4_096
        // 500 ms, and the error of a slow link's round trip.
        let latest = Int64(cluster.wallTime.milliseconds) + clockAllowance.milliseconds + 800
        if !isLogical, Int64(probe.lastVersion.wallTime.milliseconds) > latest {
            fail(
                .timelyVersions,
                "\(host.name) applied version \(probe.lastVersion) in tablet \(tablet + 2), "
                    + "\(Int64(probe.lastVersion.wallTime.milliseconds) - latest) ms too early")
        }
    }

    /// Both ends of a numbered set hold the same groups, but for what the follower left by itself.
    private func checkQuietSets(_ node: Node, _ host: SimulatedHost) {
        for other in cluster.hosts where other.id != host.id && !isStranger(other) {
            guard let leader = other.node, let held = node.probeQuietFollowed(of: other.nodeID),
                let led = leader.probeQuietLed(to: host.nodeID), held.number == led.number,
                held.leads == led.leads, held.follows == led.follows
            else { continue }
            for tablet in held.tablets where !led.tablets.contains(tablet) {
                fail(
                    .quietSets,
                    "\(host.name) rests with tablet \(tablet) in set \(held.number) of "
                        + "\(other.name), which holds \(led.tablets)")
            }
        }
    }

    func checkCluster(_ node: Node, _ host: SimulatedHost) {
        guard let cluster = node.formation.cluster else { return }
        guard let clusterID else { return self.clusterID = cluster }
        if cluster != clusterID {
            fail(.oneCluster, "\(host.name) is in cluster \(cluster), another in \(clusterID)")
        }
    }

    /// The place of a tablet among those that are followed; nil for one that was made while the
    /// cluster ran.
    func followed(_ tablet: TabletID) -> Int? {
        let place = Int(tablet.rawValue) - 1
        return place < truths.count ? place : nil
    }

    /// Follows the half of a tablet that was split from the first time on that it is seen.
    func follow(_ probe: TabletProbe) {
        guard probe.birth > .zero, halves.insert(probe.tablet).inserted else { return }
        let place = Int(probe.tablet.rawValue) - 1
        // Of two halves the later one may be seen first.
        while truths.count <= place { truths.append(TabletTruth()) }
        truths[place] = TabletTruth(birth: probe.birth, version: probe.lastVersion)
        for rank in lastProbes.indices {
            let missing = truths.count - lastProbes[rank].count
            lastProbes[rank] += Array(repeating: nil, count: missing)
        }
    }

    func rank(of host: SimulatedHost) -> Int { Int(host.id.rawValue) - 1 }
}
