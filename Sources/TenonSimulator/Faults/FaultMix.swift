package import TenonCore

/// Which faults a scenario draws, how often, and how long they last.
package struct FaultMix: Hashable, Sendable {
    /// How likely each kind is, against the others. A list, so that a draw has an order.
    package var weights: [Weight]
    /// Time from one fault's beginning to the next one's, at the most; half of it on average.
    package var gapMax = TimeSpan.seconds(2)
    package var lasts = TimeSpan.milliseconds(50)...TimeSpan.seconds(3)
    /// Nodes that are lost together: those of a room or a city.
    package var sites: [[Int]] = []
    /// How many nodes may be damaged for good in a run; never more than the cluster survives.
    package var damagedMax = 0

    package struct Weight: Hashable, Sendable {
        package var kind: FaultKind
        package var weight: Int
    }

    package init(_ weights: [(FaultKind, Int)]) {
        self.weights = weights.map { Weight(kind: $0.0, weight: $0.1) }
    }

    /// Processes and machines that go and come.
    package static let processes: [(FaultKind, Int)] = [
        (.crash, 4), (.crashAll, 1), (.stop, 2), (.powerCut, 4), (.powerCutAll, 1),
        (.dieWriting, 8), (.pause, 4),
    ]
    /// Links that fail in every way that links do.
    package static let network: [(FaultKind, Int)] = [
        (.oneWay, 3), (.cutPair, 3), (.isolate, 4), (.flap, 2), (.slow, 3), (.loss, 4),
        (.narrow, 1), (.reset, 4), (.resetClients, 2),
    ]
    /// Shapes of partitions that need five nodes.
    package static let shapes: [(FaultKind, Int)] = [
        (.quorumLoss, 4), (.constrainedElection, 4), (.chain, 3),
    ]
    /// Disks that fail calls, stall and fill up, and lose nothing.
    package static let disks: [(FaultKind, Int)] = [
        (.failedSync, 3), (.failedWrite, 2), (.shortWrite, 2), (.diskFull, 3), (.diskStall, 4),
    ]
    /// Disks that lose what they promised.
    package static let damage: [(FaultKind, Int)] = [
        (.rot, 5), (.rotHeader, 2), (.misdirectedWrite, 2), (.flippedRead, 2), (.failedRead, 2),
    ]
    /// Folders that are not what they were.
    package static let folders: [(FaultKind, Int)] = [
        (.wipe, 2), (.wipeSeveral, 1), (.rollBack, 2),
    ]
    /// Clocks that are hours and years wrong: a minority of a run's, or all at once.
    package static let farClocks: [(FaultKind, Int)] = [(.clockFar, 6), (.clockFarAll, 2)]
    /// Clocks that are wrong.
    package static let clocks: [(FaultKind, Int)] = [
        (.clockJump, 2), (.clockLeap, 2), (.clockDrift, 3),
    ]
}

/// Draws a schedule.
struct FaultDrawing {
    private var generator: SeededGenerator
    private let mix: FaultMix
    private let nodeCount: Int
    /// Nodes that may be damaged in this run: never so many that a quorum is.
    private var victims: [Int] = []
    /// Nodes whose clocks may be far off in this run: a minority.
    private var clockVictims: [Int] = []

    init(_ mix: FaultMix, nodeCount: Int, seed: UInt64) {
        self.mix = mix
        self.nodeCount = nodeCount
        generator = SeededGenerator(seed: seed ^ 0x5EED_FA17)
        let bound = min(mix.damagedMax, (nodeCount - 1) / 2)
        let count = bound == 0 ? 0 : Int(generator.below(UInt64(bound + 1)))
        while victims.count < count {
            let node = drawNode()
            if !victims.contains(node) { victims.append(node) }
        }
        guard mix.weights.contains(where: { $0.kind == .clockFar }) else { return }
        while clockVictims.count < (nodeCount - 1) / 2 {
            let node = drawNode()
            if !clockVictims.contains(node) { clockVictims.append(node) }
        }
    }

    /// Faults that begin within `span`, in order, together with what keeps them survivable.
    mutating func schedule(over span: TimeSpan) -> FaultSchedule {
        var events: [FaultSchedule.Event] = []
        var time = 0
        let end = span.wholeMilliseconds
        while true {
            time += Int(generator.below(UInt64(mix.gapMax.wholeMilliseconds))) + 1
            guard time < end else { break }
            let lasts = min(drawLength(), end - time)
            guard let fault = drawFault(lasts: lasts) else { continue }
            events.append(FaultSchedule.Event(beginsAt: time, lasts: lasts, fault))
        }
        var schedule = FaultSchedule(events).survivable()
        for event in schedule.events where schedule.isAlone(event) {
            schedule.events += drawAbsence(for: event)
        }
        schedule.events.sort { $0.beginsAt < $1.beginsAt }
        return schedule
    }

    // MARK: One fault

    private mutating func drawFault(lasts: Int) -> Fault? {
        let total = mix.weights.reduce(0) { $0 + $1.weight }
        var place = Int(generator.below(UInt64(total)))
        for candidate in mix.weights {
            if place < candidate.weight { return draw(candidate.kind) }
            place -= candidate.weight
        }
        return nil
    }

    private mutating func draw(_ kind: FaultKind) -> Fault? {
        switch kind {
        case .crash: .crash(drawTarget())
        case .crashAll: .crash(.nodes(drawSeveral()))
        case .stop: .stop(drawTarget())
        case .powerCut: .powerCut(drawTarget(), drawSurvival())
        case .powerCutAll: .powerCut(.nodes(drawSeveral()), drawSurvival())
        case .dieWriting: drawDeath()
        case .pause: .pause(drawTarget())
        case .handOver:
            .handOver(.leader, to: drawNode(), lateMilliseconds: 20 + draw(below: 300))
        case .wipe: .wipe(.nodes([drawNode()]))
        case .wipeSeveral:
            // As many as are a majority without the others: they must not found a second cluster.
            .wipe(.nodes(drawMajority()))
        case .rollBack: .rollBack(.nodes([drawNode()]))
        case .oneWay, .cutPair, .isolate, .reject, .quorumLoss, .constrainedElection, .chain:
            drawPartition(kind)
        case .flap, .slow, .slowNode, .loss, .narrow, .reset, .resetClients: drawLink(kind)
        case .failedSync, .failedWrite, .shortWrite, .failedRead, .flippedRead,
            .misdirectedWrite, .diskFull, .diskStall, .rot, .rotHeader:
            drawDisk(kind)
        case .change: .change(seed: generator.next())
        case .move: .move(seed: generator.next())
        case .ambush: .ambush
        case .split: .split(seed: generator.next())
        case .policy: .policy(seed: generator.next())
        case .keyspace: .keyspace(seed: generator.next())
        case .loseSite: .crash(.nodes(drawSite()))
        case .cutSite: drawSiteCut()
        case .clockJump, .clockLeap, .clockDrift, .clockFar, .clockFarAll: drawClock(kind)
        }
    }

    /// Soon, in most cases: then it strikes the write under way when the fault begins.
    private mutating func drawDeath() -> Fault {
        let operations = draw(below: coin() ? 4 : 60)
        return .dieAt(
            drawTarget(), operations: operations, draw(below: 4) == 0 ? nil : drawSurvival())
    }

    private mutating func drawPartition(_ kind: FaultKind) -> Fault {
        let isBreaking = coin()
        let (one, other) = drawPair()
        switch kind {
        case .oneWay: return .cut([FaultWay(one, other)], isBreaking: isBreaking)
        case .isolate: return .isolate(drawTarget())
        case .reject:
            // So many that they are a majority without it.
            let majority = nodeCount / 2 + 1
            return .reject(drawTarget(), others: majority + draw(below: nodeCount - majority))
        case .quorumLoss: return .cut(waysExceptWith([one]), isBreaking: isBreaking)
        case .constrainedElection:
            // `other` is alone; the rest meet only through `one`.
            let ways = waysExceptWith([one]) + [FaultWay(one, other), FaultWay(other, one)]
            return .cut(ways, isBreaking: isBreaking)
        case .chain: return .cut(waysOffChain(), isBreaking: isBreaking)
        default:
            return .cut([FaultWay(one, other), FaultWay(other, one)], isBreaking: isBreaking)
        }
    }

    private mutating func drawLink(_ kind: FaultKind) -> Fault {
        let (one, other) = drawPair()
        var disturbance = Disturbance()
        if coin() { disturbance.node = NodeID(UInt32(one)) }
        switch kind {
        case .flap: return .flap(one, other, everyMilliseconds: 20 + draw(below: 400))
        case .reset: return .reset(from: one, to: other)
        case .resetClients: return .resetClients(one)
        case .slow: disturbance.delayMax = .milliseconds(5 + draw(below: 300))
        case .slowNode:
            disturbance.node = NodeID(UInt32(one))
            disturbance.delayMax = .milliseconds(100 + draw(below: 300))
        case .narrow: disturbance.bytesPerSecond = 20_000 + draw(below: 500_000)
        default:
            disturbance.lostPerMille = draw(below: 300)
            disturbance.repeatedPerMille = draw(below: 200)
            disturbance.overtakenPerMille = draw(below: 300)
            disturbance.delayMax = .milliseconds(draw(below: 50))
        }
        return .disturb(disturbance)
    }

    private mutating func drawDisk(_ kind: FaultKind) -> Fault? {
        let path = coin() ? "/log/" : "/tablets/"
        let skip = draw(below: 20)
        switch kind {
        case .failedSync:
            return .disk(drawTarget(), DiskFault(.failSync, on: path, skip: skip))
        case .failedWrite:
            return .disk(drawTarget(), DiskFault(.failWrite, on: path, skip: skip))
        case .shortWrite:
            return .disk(drawTarget(), DiskFault(.shortWrite, on: path, skip: skip))
        case .diskFull: return .diskFull(drawTarget(), slackBytes: draw(below: 256 << 10))
        case .diskStall: return .diskStall(drawTarget())
        default: break
        }
        guard let victim = victims.isEmpty ? nil : victims[draw(below: victims.count)] else {
            return nil
        }
        let target = FaultTarget.nodes([victim])
        switch kind {
        case .failedRead:
            return .disk(target, DiskFault(.failRead, on: "/tablets/", skip: skip))
        case .flippedRead:
            return .disk(target, DiskFault(.flipRead, on: "/tablets/", skip: skip))
        case .misdirectedWrite:
            let distance = 4_096 * (1 + draw(below: 4))
            return .disk(
                target, DiskFault(.misdirect(byBytes: distance), on: path, skip: skip))
        default:
            let places: [RotPlace] = kind == .rotHeader ? [.batch] : [.log, .table, .manifest]
            let place = places[draw(below: places.count)]
            return .rot(victim, place, seed: generator.next())
        }
    }

    private mutating func drawClock(_ kind: FaultKind) -> Fault {
        let node = drawNode()
        switch kind {
        case .clockLeap: return .clockJump(node, milliseconds: coin() ? 1_000 : -1_000)
        case .clockDrift: return .clockDrift(node, perMillion: draw(below: 4_001) - 2_000)
        case .clockFar:
            let victim = clockVictims[draw(below: clockVictims.count)]
            return .clockShift(
                .nodes([victim]), milliseconds: drawFarStep(), isAccepted: false)
        case .clockFarAll:
            return .clockShift(
                .nodes(Array(1...nodeCount)), milliseconds: drawFarStep(), isAccepted: coin())
        default:
            let step = 1 << draw(below: 14)
            return .clockJump(node, milliseconds: coin() ? step : -step)
        }
    }

    /// An hour ahead, an hour behind, ten years ahead.
    private mutating func drawFarStep() -> Int {
        [3_600_000, -3_600_000, 315_360_000_000][draw(below: 3)]
    }

    // MARK: Parts

    private mutating func draw(below bound: Int) -> Int { Int(generator.below(UInt64(bound))) }
    private mutating func coin() -> Bool { generator.below(2) == 0 }
    private mutating func drawNode() -> Int { 1 + draw(below: nodeCount) }

    private mutating func drawPair() -> (Int, Int) {
        let one = drawNode()
        let step = 1 + draw(below: nodeCount - 1)
        return (one, (one - 1 + step) % nodeCount + 1)
    }

    private mutating func drawTarget() -> FaultTarget {
        draw(below: 3) == 0 ? .leader : .nodes([drawNode()])
    }

    /// At least two; all of them half of the time.
    private mutating func drawSeveral() -> [Int] {
        if coin() { return Array(1...nodeCount) }
        let (one, other) = drawPair()
        return [one, other].sorted()
    }

    private mutating func drawSite() -> [Int] { mix.sites[draw(below: mix.sites.count)] }

    private mutating func drawSiteCut() -> Fault {
        let site = drawSite()
        return .cut(waysAround(site), isBreaking: coin())
    }

    /// All ways between `site` and the others, both ways.
    private func waysAround(_ site: [Int]) -> [FaultWay] {
        let others = (1...nodeCount).filter { !site.contains($0) }
        return site.flatMap { one in
            others.flatMap { [FaultWay(one, $0), FaultWay($0, one)] }
        }
    }

    /// Of every second roll-back so many nodes have seen nothing that they could elect the node with
    /// its old folder: they are away in its later life, and come back when it comes without it
    /// (Rule I2).
    private mutating func drawAbsence(for event: FaultSchedule.Event) -> [FaultSchedule.Event] {
        guard case .rollBack(.nodes(let struck)) = event.fault, draw(below: 2) == 0 else {
            return []
        }
        let others = (1...nodeCount).filter { !struck.contains($0) }
        let away = drawn(nodeCount / 2, of: others)
        guard !away.isEmpty, event.beginsAt > 50 else { return [] }
        let lasts = 50 + event.lasts / 2 + draw(below: max(event.lasts / 4, 1))
        return [.init(beginsAt: event.beginsAt - 50, lasts: lasts, .crash(.nodes(away)))]
    }

    private mutating func drawn(_ count: Int, of nodes: [Int]) -> [Int] {
        var left = nodes
        while left.count > count { left.remove(at: draw(below: left.count)) }
        return left
    }

    private mutating func drawMajority() -> [Int] {
        var nodes: [Int] = []
        while nodes.count <= nodeCount / 2 {
            let node = drawNode()
            if !nodes.contains(node) { nodes.append(node) }
        }
        return nodes.sorted()
    }

    private mutating func drawSurvival() -> Survival {
        [.nothing, .everything, .random, .random][draw(below: 4)]
    }

    /// Short ones more often than long ones.
    private mutating func drawLength() -> Int {
        let least = mix.lasts.lowerBound.wholeMilliseconds
        let width = mix.lasts.upperBound.wholeMilliseconds - least
        return least + min(draw(below: width + 1), draw(below: width + 1))
    }

    /// All ways between nodes but those from and to `hubs`.
    private func waysExceptWith(_ hubs: [Int]) -> [FaultWay] {
        let others = (1...nodeCount).filter { !hubs.contains($0) }
        return others.flatMap { from in
            others.filter { $0 != from }.map { FaultWay(from, $0) }
        }
    }

    /// All ways but those between neighbours of a chain in a drawn order.
    private mutating func waysOffChain() -> [FaultWay] {
        var chain = Array(1...nodeCount)
        for place in chain.indices.reversed() { chain.swapAt(place, draw(below: place + 1)) }
        return chain.indices.flatMap { from in
            chain.indices.filter { abs($0 - from) > 1 }.map { FaultWay(chain[from], chain[$0]) }
        }
    }
}
