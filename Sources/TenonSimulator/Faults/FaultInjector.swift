internal import TenonCore
internal import TenonNode
internal import TenonWire

/// Lets the faults of a schedule happen, heals them, and starts what ended as an operator's
/// supervisor would.
final class FaultInjector {
    private unowned let cluster: SimulatedCluster
    private unowned let checker: StepChecker
    private let schedule: FaultSchedule
    private let administrator: ClusterOperator
    /// How many faults under way keep each node down, by rank.
    private var holds: [Int]
    /// How many faults under way cut each way.
    private var cutCounts: [FaultWay: Int] = [:]
    /// How many faults under way keep each node paused, by rank.
    private var pauses: [Int]
    private var isOver = false
    /// How often each fault happened, by its name, in the order of their first time.
    private(set) var counts: [(name: String, count: Int)] = []

    private static let supervision = TimeSpan.milliseconds(500)

    init(_ cluster: SimulatedCluster, _ checker: StepChecker, _ schedule: FaultSchedule) {
        self.cluster = cluster
        self.checker = checker
        self.schedule = schedule
        administrator = ClusterOperator(cluster)
        holds = Array(repeating: 0, count: cluster.hosts.count)
        pauses = Array(repeating: 0, count: cluster.hosts.count)
    }

    /// Enters all faults; they count from now.
    func begin() {
        for event in schedule.events {
            cluster.schedule(after: .milliseconds(event.beginsAt)) { [self] in begin(event) }
        }
        supervise()
    }

    /// Has leaders read by leases, as soon as the directory takes the order.
    func useLeases() { administrator.useLeases() }

    /// Has the keyspace ask for an acknowledgement from elsewhere.
    func ask(_ rule: AcknowledgementRule) { administrator.ask(rule) }

    /// Has the keyspace ask for a copy in every city.
    func askForLocalReads() { administrator.askForLocalReads() }

    /// Has the keyspace survive the loss of a city.
    func surviveCities() { administrator.surviveCities() }

    /// What no fault heals any more: everybody runs, every way is open.
    func end() {
        cluster.heal()
        for host in cluster.hosts {
            host.disk.capacityBytes = nil
            host.disk.removeFaults()
            host.disk.crashAfter(operations: nil)
            cluster.resume(Int(host.id.rawValue))
        }
    }

    private func supervise() {
        cluster.schedule(after: FaultInjector.supervision) { [self] in
            for rank in holds.indices { startIfFree(rank) }
            administrator.reuseMachines()
            supervise()
        }
    }

    private func startIfFree(_ rank: Int) {
        guard holds[rank] == 0, !cluster.hosts[rank].isRunning,
            cluster.hosts[rank].nodeID != NodeID(0)
        else { return }
        cluster.start(rank + 1)
    }

    // MARK: One fault

    private func begin(_ event: FaultSchedule.Event) {
        count(event.fault.name)
        checker.tell?("\(cluster.now.nanoseconds / 1_000) -- \(event)")
        let heal = begin(event.fault, lasts: event.lasts)
        cluster.schedule(after: .milliseconds(event.lasts)) { [self] in
            checker.tell?("\(cluster.now.nanoseconds / 1_000) -- over: \(event)")
            heal()
        }
    }

    private func count(_ name: String) {
        if let place = counts.firstIndex(where: { $0.name == name }) {
            counts[place].count += 1
        } else {
            counts.append((name, 1))
        }
    }

    /// Lets a fault begin; what is returned heals it.
    private func begin(_ fault: Fault, lasts: Int) -> () -> Void {
        switch fault {
        case .crash(let target): down(target) { self.cluster.crash($0) }
        case .stop(let target): down(target) { self.cluster.stop($0) }
        case .powerCut(let target, let survival):
            down(target) { self.cluster.cutPower($0, keeping: survival) }
        case .dieAt(let target, let operations, let survival):
            die(target, operations, survival)
        case .pause(let target): pause(target)
        case .handOver(let target, let node, let late):
            handOver(nodes(of: target)[0], to: node, late, lasts)
        case .wipe(let target): replaceFolders(of: target, isCopy: false, lasts: lasts)
        case .rollBack(let target): replaceFolders(of: target, isCopy: true, lasts: lasts)
        case .cut(let ways, let isBreaking): cut(ways, isBreaking: isBreaking)
        case .isolate(let target): cut(waysAround(nodes(of: target)[0]), isBreaking: true)
        case .reject(let target, let others): reject(nodes(of: target)[0], others, lasts)
        case .flap(let one, let other, let every): flap(one, other, every, lasts)
        case .disturb(let disturbance): disturb(disturbance)
        case .reset(let from, let to): resetStreams(from, to)
        case .resetClients(let node): resetClients(node)
        case .disk(let target, let fault): fail(target, fault)
        case .diskFull(let target, let slack): fill(target, slack)
        case .diskStall(let target): stall(target, lasts)
        case .rot(let node, let place, let seed): rot(node, place, seed)
        case .change(let seed): change(seed)
        case .move(let seed): move(seed)
        case .ambush: lieInAmbush(until: cluster.now + Ambush.patience)
        case .split(let seed): split(seed)
        case .policy(let seed): alterPolicy(seed)
        case .keyspace(let seed): createKeyspace(seed)
        case .clockJump(let node, let step): jump(node, step)
        case .clockDrift(let node, let pace): drift(node, pace)
        case .clockShift(let target, let step, let isAccepted):
            shift(target, step, isAccepted: isAccepted, lasts)
        }
    }

    private func nodes(of target: FaultTarget) -> [Int] {
        switch target {
        case .nodes(let nodes): nodes
        case .leader: [cluster.leader() ?? 1]
        }
    }

    // MARK: Processes

    private func down(_ target: FaultTarget, _ strike: (Int) -> Void) -> () -> Void {
        let nodes = nodes(of: target)
        for node in nodes {
            strike(node)
            holds[node - 1] += 1
        }
        return { [self] in for node in nodes { release(node) } }
    }

    private func release(_ node: Int) {
        holds[node - 1] -= 1
        startIfFree(node - 1)
    }

    private func die(
        _ target: FaultTarget, _ operations: Int, _ survival: Survival?
    ) -> () -> Void {
        let nodes = nodes(of: target)
        for node in nodes {
            let host = cluster.host(node)
            host.survivalInWrite = survival
            host.disk.crashAfter(operations: operations)
            holds[node - 1] += 1
        }
        return { [self] in
            for node in nodes {
                cluster.host(node).disk.crashAfter(operations: nil)
                release(node)
            }
        }
    }

    private func pause(_ target: FaultTarget) -> () -> Void {
        let nodes = nodes(of: target)
        for node in nodes {
            cluster.pause(node)
            pauses[node - 1] += 1
        }
        return { [self] in
            for node in nodes {
                pauses[node - 1] -= 1
                if pauses[node - 1] == 0 { cluster.resume(node) }
            }
        }
    }

    private func handOver(_ leader: Int, to node: Int, _ late: Int, _ lasts: Int) -> () -> Void {
        var slow = Disturbance()
        slow.receiver = NodeID(UInt32(leader))
        slow.delayMax = .milliseconds(late)
        cluster.schedule(after: .milliseconds(lasts / 2)) { [self] in
            cluster.send(.transferLeadership(to: NodeID(UInt32(node))), to: leader)
        }
        return disturb(slow)
    }

    private func replaceFolders(
        of target: FaultTarget, isCopy: Bool, lasts: Int
    ) -> () -> Void {
        let struck = nodes(of: target)
        var heals = struck.map { replaceFolder(of: $0, isCopy: isCopy, lasts: lasts) }
        if struck.count > 1 {
            // Nobody tells several empty nodes that there is a cluster.
            heals.append(cut(waysBetween(struck), isBreaking: false))
        }
        return { for heal in heals { heal() } }
    }

    /// Crash, a strange folder for the middle of the time, crash, and the node's own again.
    private func replaceFolder(of node: Int, isCopy: Bool, lasts: Int) -> () -> Void {
        let host = cluster.host(node)
        // One strange folder at a time.
        guard checker.disksTakenOut[host.id] == nil, holds[node - 1] == 0 else { return {} }
        let stranger =
            isCopy ? host.disk.copy(seed: cluster.generator.next()) : SimulatedDisk(seed: 1)
        if isCopy {
            checker.copied(host.disk, to: stranger)
            stranger.cutPower(keeping: .everything)
            // The node starts once more from its own folder, and is heard.
            cluster.crash(node)
            startIfFree(node - 1)
        } else {
            checker.noteStranger(stranger)
        }
        let heard = host.node
        cluster.schedule(after: .milliseconds(lasts / 2)) { [self] in
            guard holds[node - 1] == 0, checker.disksTakenOut[host.id] == nil else { return }
            // Of a life that another fault cut short nobody may have heard: then nobody can know.
            guard !isCopy || (heard != nil && host.node === heard) else { return }
            cluster.crash(node)
            checker.disksTakenOut[host.id] = host.disk
            host.disk = stranger
            startIfFree(node - 1)
        }
        return { [self] in
            guard host.disk === stranger else { return }
            cluster.crash(node)
            if let own = checker.disksTakenOut.removeValue(forKey: host.id) { host.disk = own }
            checker.forget(stranger)
            startIfFree(node - 1)
        }
    }

    // MARK: The network

    private func cut(_ ways: [FaultWay], isBreaking: Bool) -> () -> Void {
        for way in ways {
            cutCounts[way, default: 0] += 1
            cluster.cut(from: way.from, to: way.to, isBreaking: isBreaking && way.from != 0)
        }
        return { [self] in mend(ways) }
    }

    /// What the others answered before they replace this node reaches it late, or never.
    private func reject(_ node: Int, _ count: Int, _ lasts: Int) -> () -> Void {
        let total = cluster.hosts.count
        let others = (0..<min(count, total - 1)).map { (node + $0) % total + 1 }
        var slow = Disturbance()
        slow.node = NodeID(UInt32(node))
        slow.delayMax = .milliseconds(300)
        var heals = [disturb(slow)]
        cluster.schedule(after: .milliseconds(lasts / 2)) { [self] in
            let ways = others.flatMap { [FaultWay(node, $0), FaultWay($0, node)] }
            heals.append(cut(ways, isBreaking: false))
            for other in others {
                _ = resetStreams(node, other)
                _ = resetStreams(other, node)
            }
            // Clients that wait go elsewhere; those that come later still find it.
            cluster.resetClients(of: node)
        }
        return { for heal in heals { heal() } }
    }

    private func mend(_ ways: [FaultWay]) {
        for way in ways { cutCounts[way, default: 1] -= 1 }
        cluster.heal(ways.filter { cutCounts[$0] == 0 }.map { ($0.from, $0.to) })
    }

    /// The ways between these nodes and all others.
    private func waysBetween(_ nodes: [Int]) -> [FaultWay] {
        cluster.hosts.map { Int($0.id.rawValue) }.filter { !nodes.contains($0) }
            .flatMap { other in nodes.flatMap { [FaultWay($0, other), FaultWay(other, $0)] } }
    }

    private func waysAround(_ node: Int) -> [FaultWay] {
        ([0] + cluster.hosts.map { Int($0.id.rawValue) }).filter { $0 != node }
            .flatMap { [FaultWay($0, node), FaultWay(node, $0)] }
    }

    private func flap(_ one: Int, _ other: Int, _ every: Int, _ lasts: Int) -> () -> Void {
        let ways = [FaultWay(one, other), FaultWay(other, one)]
        let end = cluster.now + .milliseconds(lasts)
        flap(ways, every, until: end)
        return {}
    }

    private func flap(_ ways: [FaultWay], _ every: Int, until end: Instant) {
        guard cluster.now < end else { return }
        let heal = cut(ways, isBreaking: false)
        cluster.schedule(after: .milliseconds(every)) { [self] in
            heal()
            cluster.schedule(after: .milliseconds(every)) { [self] in
                flap(ways, every, until: end)
            }
        }
    }

    private func disturb(_ disturbance: Disturbance) -> () -> Void {
        let number = cluster.begin(disturbance)
        return { [self] in cluster.endDisturbance(number) }
    }

    private func resetStreams(_ from: Int, _ to: Int) -> () -> Void {
        cluster.reset(from: from, to: to, .consensus)
        cluster.reset(from: from, to: to, .bulk)
        return {}
    }

    private func resetClients(_ node: Int) -> () -> Void {
        cluster.resetClients(of: node)
        return {}
    }

    // MARK: Disks

    private func fail(_ target: FaultTarget, _ fault: DiskFault) -> () -> Void {
        let nodes = nodes(of: target)
        for node in nodes {
            let host = cluster.host(node)
            checker.failing.insert(host.id)
            if fault.kind.isDamage { checker.damaged.insert(host.id) }
            host.disk.inject(fault)
        }
        return { [self] in
            for node in nodes { cluster.host(node).disk.removeFaults() }
        }
    }

    private func fill(_ target: FaultTarget, _ slack: Int) -> () -> Void {
        let nodes = nodes(of: target)
        for node in nodes {
            let host = cluster.host(node)
            checker.failing.insert(host.id)
            host.disk.capacityBytes = host.disk.usedBytes + slack
        }
        return { [self] in
            for node in nodes { cluster.host(node).disk.capacityBytes = nil }
        }
    }

    private func stall(_ target: FaultTarget, _ lasts: Int) -> () -> Void {
        for node in nodes(of: target) {
            let host = cluster.host(node)
            host.diskStallsUntil = max(host.diskStallsUntil, cluster.now + .milliseconds(lasts))
        }
        return {}
    }

    private func rot(_ node: Int, _ place: RotPlace, _ seed: UInt64) -> () -> Void {
        let host = cluster.host(node)
        checker.failing.insert(host.id)
        checker.damaged.insert(host.id)
        // A log is read at the start only: what rots in it shows when the process comes back.
        let isLog = place == .log || place == .batch
        let heal = isLog ? down(.nodes([node])) { self.cluster.crash($0) } : {}
        let struck =
            place == .batch
            ? host.disk.rotBatchHeader(seed: seed) : host.disk.rot(place.pathPart, seed: seed)
        if let struck { checker.tell?("   rot in \(struck.path) at \(struck.offset)") }
        return heal
    }

    private func change(_ seed: UInt64) -> () -> Void {
        administrator.change(seed: seed) { [self] rank in
            // A machine that a fault keeps down is started when the fault is over.
            startIfFree(rank)
        }
        return {}
    }

    private func move(_ seed: UInt64) -> () -> Void {
        administrator.move(seed: seed) { [self] rank in startIfFree(rank) }
        return {}
    }

    private func lieInAmbush(until end: Instant) -> () -> Void {
        wait(Ambush(), until: end)
        return {}
    }

    private func wait(_ ambush: Ambush, until end: Instant) {
        guard cluster.now < end else { return }
        var ambush = ambush
        guard let strike = ambush.look(at: cluster) else {
            return cluster.schedule(after: Ambush.pace) { [self] in wait(ambush, until: end) }
        }
        count("ambush that struck")
        checker.tell?("   ambush: n\(strike.losers) lose power, apart from n\(strike.others)")
        let mend = cut(strike.ways, isBreaking: false)
        let release = down(.nodes(strike.losers)) { cluster.cutPower($0, keeping: .nothing) }
        cluster.schedule(after: Ambush.downFor, release)
        cluster.schedule(after: Ambush.partedFor, mend)
    }

    private func split(_ seed: UInt64) -> () -> Void {
        administrator.split(seed: seed)
        return {}
    }

    private func createKeyspace(_ seed: UInt64) -> () -> Void {
        administrator.createKeyspace(seed: seed)
        return {}
    }

    private func alterPolicy(_ seed: UInt64) -> () -> Void {
        administrator.alterPolicy(seed: seed)
        return {}
    }

    // MARK: Clocks

    private func jump(_ node: Int, _ step: Int) -> () -> Void {
        cluster.host(node).clock.jump(byMilliseconds: Int64(step))
        return { [self] in cluster.host(node).clock.jump(byMilliseconds: -Int64(step)) }
    }

    private func shift(
        _ target: FaultTarget, _ step: Int, isAccepted: Bool, _ lasts: Int
    ) -> () -> Void {
        let nodes = nodes(of: target)
        for node in nodes { cluster.host(node).clock.jump(byMilliseconds: Int64(step)) }
        if isAccepted { acceptClock(after: .milliseconds(lasts / 2)) }
        return { [self] in
            for node in nodes { cluster.host(node).clock.jump(byMilliseconds: -Int64(step)) }
            if isAccepted { acceptClock(after: .seconds(2)) }
        }
    }

    /// An operator accepts the clocks' time at whichever node is up.
    private func acceptClock(after span: TimeSpan) {
        cluster.schedule(after: span) { [self] in
            guard let host = cluster.hosts.first(where: \.isRunning) else { return }
            checker.noteClockAccepted()
            cluster.send(.acceptClock, to: Int(host.id.rawValue))
        }
    }

    private func drift(_ node: Int, _ pace: Int) -> () -> Void {
        cluster.host(node).clock.drift(perMillion: Int64(pace), from: cluster.now)
        return { [self] in
            cluster.host(node).clock.drift(perMillion: 0, from: cluster.now)
        }
    }
}

extension RotPlace {
    /// What the path of such a file contains.
    var pathPart: String {
        switch self {
        case .log, .batch: "/log/"
        case .table: ".table"
        case .manifest: "MANIFEST"
        }
    }
}

extension DiskFault.Kind {
    /// Whether what it strikes may stay wrong.
    var isDamage: Bool {
        switch self {
        case .misdirect, .flipRead, .failRead: true
        case .failSync, .failWrite, .shortWrite: false
        }
    }
}
