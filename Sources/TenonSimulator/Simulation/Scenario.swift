package import TenonCore
internal import TenonKV
import TenonLog
internal import TenonStore

/// What is simulated: a cluster, its load, and what may go wrong. A value with a name.
package struct Scenario: Sendable {
    package var name: String
    package var summary: String
    package var nodeCount = 3
    /// Machines besides, whose nodes join when an operator has them.
    package var spareCount = 0
    /// So many of these, the last ones, are witnesses, and join before anything goes wrong.
    package var witnessCount = 0
    package var tabletCount = 1
    /// Names of ``WorkloadCatalogue``.
    package var workloads = WorkloadCatalogue.general
    /// How many of them a run loads the cluster with, drawn from its seed.
    package var workloadsPerRun = 2
    /// Of all clients together.
    package var operationsPerSecond = 200
    package var mix: FaultMix
    /// How long load and faults last.
    package var span = TimeSpan.seconds(20)
    /// How long a write may be retried (Rule S3); nil for the product's own.
    package var sessionWindow: TimeSpan?
    /// Stores and logs so small that flushes, compactions, trims and snapshots happen.
    package var isSmall = true
    /// Some nodes keep much of their log, and others next to nothing: who comes back to a new
    /// leader may find in its log what the old one was sending as a snapshot.
    package var isUneven = false
    /// Whether leaders read by leases from the start.
    package var readsByLease = false
    /// Where writes must be durable before they are acknowledged, from the start (Rule C6).
    package var acknowledgement = AcknowledgementRule.majority
    /// Whether three voters and a learner in every other city are asked for from the start.
    package var hasLocalReads = false
    /// Where the nodes stand, those of spare machines last; none when nobody said.
    package var localities: [String] = []

    package init(_ name: String, _ summary: String, mix: FaultMix) {
        self.name = name
        self.summary = summary
        self.mix = mix
    }

    /// The workloads of a seed's run.
    func workloads(seed: UInt64) -> [String] {
        var draws = SeededGenerator(seed: seed ^ 0x3019_10AD)
        var left = workloads
        var drawn: [String] = []
        while drawn.count < workloadsPerRun, !left.isEmpty {
            drawn.append(left.remove(at: Int(draws.below(UInt64(left.count)))))
        }
        return drawn
    }

    /// Bytes of the log that each node keeps for followers that lag; nil when all keep the same.
    func retainedLogBytes(seed: UInt64) -> [Int]? {
        guard isUneven else { return nil }
        var draws = SeededGenerator(seed: seed ^ 0x0E7E_0106)
        return (0..<nodeCount + spareCount).map { _ in draws.below(2) == 0 ? 1 << 10 : 128 << 10 }
    }

    /// What the cluster is made of, details drawn from the seed.
    package func options(seed: UInt64) -> ClusterOptions {
        var draws = SeededGenerator(seed: seed ^ 0x0B71_0125)
        var options = ClusterOptions(seed: seed)
        options.nodeCount = nodeCount
        options.spareCount = spareCount
        options.tabletCount = tabletCount
        if let sessionWindow { options.sessions.sessionWindow = sessionWindow }
        if isSmall, draws.below(3) == 0 {
            // A log of 320 KiB: it is recycled all the time, and sometimes full.
            options.log.segmentBytes = 64 << 10
            options.log.segmentsReserved = 5 + Int(draws.below(3))
            options.log.batchBytesMax = 16 << 10
            options.log.zeroingStepBytes = 16 << 10
            options.log.forwardingStepBytes = 4 << 10
        }
        guard isSmall, draws.below(4) != 0 else { return options }
        options.store.memtableBytesMax = 4 << Int(10 + draws.below(4))
        options.store.tableBytesMax = options.store.memtableBytesMax
        options.store.levelBytesBase = options.store.memtableBytesMax * 4
        options.store.blockBytes = 256 << Int(draws.below(3))
        options.retainedLogBytes = 1 << Int(10 + draws.below(6))
        options.retention = .seconds(1 + Int(draws.below(10)))
        options.blockCacheBytes = 4 << Int(10 + draws.below(4))
        return options
    }
}

/// The scenarios there are. A sweep takes them in turn, by seed.
package enum ScenarioCatalogue {
    package static let all: [Scenario] = [
        calm, bench, processes, network, disks, damage, folders, clocks, handover, refusals,
        snapshots,
        headers, elections, sessions, everything, five, fiveEverything, tablets,
        members, membersEverything, moves, time, relay, quietGroups, splits,
        splitSessions, cities, leases, stale, elsewhere, learners, witness,
        keyspaces,
    ]

    /// The scenario of a name.
    package static func scenario(named name: String) -> Scenario? { all.first { $0.name == name } }

    /// The scenario that a sweep runs with a seed.
    package static func scenario(for seed: UInt64) -> Scenario {
        all[Int(seed % UInt64(all.count))]
    }

    private static let calm = Scenario("calm", "No faults at all.", mix: quiet)

    /// The figure of Docs/Simulation.md: 200 operations and one fault a second.
    private static let bench: Scenario = {
        var mix = FaultMix(FaultMix.processes + FaultMix.network)
        mix.gapMax = .seconds(2)
        var scenario = Scenario(
            "bench", "Three nodes, 200 operations and a fault a second.", mix: mix)
        // Clients wait while faults last; so many are asked for that 200 are answered.
        scenario.operationsPerSecond = 340
        return scenario
    }()

    private static let processes = Scenario(
        "processes", "Crashes, power cuts and pauses of one, some and all.",
        mix: FaultMix(FaultMix.processes))

    private static let network = Scenario(
        "network", "Lossy, slow, one-way, flapping and broken links.",
        mix: FaultMix(FaultMix.network + [(.crash, 2)]))

    private static let disks = Scenario(
        "disks", "Disks that fail calls, stall and fill up.",
        mix: FaultMix(FaultMix.disks + FaultMix.processes))

    private static let damage: Scenario = {
        var mix = FaultMix(FaultMix.damage + FaultMix.processes + [(.isolate, 2)])
        mix.damagedMax = 1
        return Scenario("damage", "A disk that loses what it promised.", mix: mix)
    }()

    private static let folders: Scenario = {
        var mix = FaultMix(FaultMix.folders + [(.crash, 2), (.pause, 1), (.isolate, 1)])
        mix.gapMax = .seconds(4)
        return Scenario("folders", "Wiped, copied and rolled-back folders.", mix: mix)
    }()

    private static let clocks = Scenario(
        "clocks", "Clocks that drift, jump and leap, and leaders that change.",
        mix: FaultMix(FaultMix.clocks + [(.crash, 2), (.isolate, 2), (.pause, 1)]))

    private static let handover: Scenario = {
        var mix = FaultMix([
            (.handOver, 16), (.diskStall, 4), (.slowNode, 4), (.pause, 1), (.reset, 1),
            (.crash, 1),
        ])
        mix.gapMax = .seconds(1)
        mix.lasts = .milliseconds(500)...(.seconds(2))
        return Scenario(
            "handover", "Leaders that hand over, and learn late that they were replaced.",
            mix: mix)
    }()

    private static let refusals: Scenario = {
        var mix = FaultMix([(.reject, 8), (.slowNode, 2), (.crash, 1)])
        mix.gapMax = .milliseconds(1_500)
        mix.lasts = .milliseconds(300)...(.seconds(2))
        var scenario = Scenario(
            "refusals", "Five nodes; the others replace a leader before it can know.", mix: mix)
        scenario.nodeCount = 5
        return scenario
    }()

    private static let snapshots: Scenario = {
        var mix = FaultMix([
            (.crash, 3), (.isolate, 6), (.cutPair, 4), (.narrow, 6), (.slow, 2), (.pause, 2),
            (.handOver, 4), (.diskStall, 2),
        ])
        mix.gapMax = .milliseconds(800)
        mix.lasts = .milliseconds(200)...(.seconds(5))
        var scenario = Scenario(
            "snapshots", "Followers that stay away and come back late.", mix: mix)
        scenario.isUneven = true
        return scenario
    }()

    private static let headers: Scenario = {
        var mix = FaultMix([(.rotHeader, 6), (.isolate, 1), (.crash, 1)])
        mix.damagedMax = 1
        var scenario = Scenario(
            "headers", "Batches whose headers are bad at the next start, of several tablets.",
            mix: mix)
        scenario.tabletCount = 3
        return scenario
    }()

    private static let elections: Scenario = {
        var mix = FaultMix([(.loss, 6), (.isolate, 6), (.quorumLoss, 2), (.crash, 2)])
        mix.gapMax = .seconds(1)
        mix.lasts = .milliseconds(200)...(.seconds(2))
        var scenario = Scenario(
            "elections", "Five nodes that elect all the time while frames are repeated.", mix: mix)
        scenario.nodeCount = 5
        return scenario
    }()

    private static let sessions: Scenario = {
        var scenario = Scenario(
            "sessions", "Retries and late duplicates, sessions that expire, snapshots.",
            mix: FaultMix(FaultMix.processes + [(.isolate, 4), (.loss, 4), (.resetClients, 4)]))
        scenario.workloads = ["sessions", "counters"]
        scenario.sessionWindow = .seconds(3)
        return scenario
    }()

    private static let everything: Scenario = {
        var mix = FaultMix(
            FaultMix.processes + FaultMix.network + FaultMix.disks + FaultMix.damage
                + FaultMix.clocks)
        mix.damagedMax = 1
        mix.gapMax = .seconds(1)
        return Scenario("everything", "All faults, two a second.", mix: mix)
    }()

    private static let five: Scenario = {
        var scenario = Scenario(
            "five", "Five nodes and partial partitions.",
            mix: FaultMix(FaultMix.shapes + FaultMix.network + [(.crash, 3), (.powerCut, 2)]))
        scenario.nodeCount = 5
        return scenario
    }()

    private static let fiveEverything: Scenario = {
        var mix = FaultMix(
            FaultMix.shapes + FaultMix.processes + FaultMix.network + FaultMix.disks
                + FaultMix.damage + FaultMix.clocks)
        mix.damagedMax = 2
        var scenario = Scenario("five-everything", "Five nodes, all faults.", mix: mix)
        scenario.nodeCount = 5
        return scenario
    }()

    private static let tablets: Scenario = {
        var scenario = Scenario(
            "tablets", "Three tablets that share logs.",
            mix: FaultMix(FaultMix.processes + FaultMix.network + FaultMix.disks))
        scenario.tabletCount = 3
        return scenario
    }()

    private static let members: Scenario = {
        var mix = FaultMix([
            (.change, 12), (.ambush, 6), (.crash, 2), (.powerCut, 2), (.isolate, 3), (.oneWay, 2),
            (.pause, 1),
            (.slowNode, 2), (.loss, 1), (.handOver, 2),
        ])
        mix.gapMax = .seconds(1)
        mix.lasts = .milliseconds(50)...(.seconds(2))
        var scenario = Scenario(
            "members", "Nodes that join and leave, replicas that move, while nodes and links fail.",
            mix: mix)
        scenario.spareCount = 2
        scenario.tabletCount = 2
        return scenario
    }()

    private static let moves: Scenario = {
        var mix = FaultMix([(.move, 16), (.crash, 1), (.slowNode, 1), (.pause, 1)])
        mix.gapMax = .milliseconds(500)
        mix.lasts = .milliseconds(50)...(.seconds(1))
        var scenario = Scenario(
            "moves", "Replicas that move on and come back to where they were.", mix: mix)
        scenario.spareCount = 1
        return scenario
    }()

    private static let membersEverything: Scenario = {
        var mix = FaultMix(
            FaultMix.processes + FaultMix.network + FaultMix.disks + FaultMix.clocks
                + [(.change, 30), (.split, 8)])
        mix.gapMax = .seconds(1)
        var scenario = Scenario(
            "members-everything", "Nodes that join and leave under all faults that lose nothing.",
            mix: mix)
        scenario.spareCount = 2
        return scenario
    }()

    private static let splits: Scenario = {
        var mix = FaultMix([
            (.split, 12), (.crash, 4), (.crashAll, 2), (.powerCut, 3), (.powerCutAll, 2),
            (.dieWriting, 4), (.isolate, 3), (.handOver, 2), (.diskStall, 1), (.failedSync, 1),
            (.failedWrite, 1), (.diskFull, 1), (.loss, 1), (.narrow, 2),
        ])
        mix.gapMax = .milliseconds(600)
        mix.lasts = .milliseconds(50)...(.seconds(2))
        var scenario = Scenario(
            "splits", "Tablets that become two while nodes, links and disks fail.", mix: mix)
        scenario.tabletCount = 2
        return scenario
    }()

    private static let splitSessions: Scenario = {
        var mix = FaultMix([
            (.split, 12), (.resetClients, 4), (.loss, 4), (.crash, 2), (.isolate, 2),
        ])
        mix.gapMax = .milliseconds(600)
        mix.lasts = .milliseconds(50)...(.seconds(2))
        var scenario = Scenario(
            "split-sessions", "Retries and late duplicates of writes to tablets that became two.",
            mix: mix)
        scenario.workloads = ["sessions", "counters"]
        return scenario
    }()

    private static let keyspaces: Scenario = {
        var mix = FaultMix([
            (.keyspace, 8), (.change, 4), (.crash, 6), (.powerCut, 4), (.powerCutAll, 1),
            (.isolate, 4), (.oneWay, 2), (.pause, 2), (.diskStall, 1), (.loss, 2), (.handOver, 1),
        ])
        mix.gapMax = .milliseconds(1_500)
        var scenario = Scenario(
            "keyspaces", "Keyspaces that are created while nodes are down, cut off and join.",
            mix: mix)
        scenario.spareCount = 2
        return scenario
    }()

    private static let cities: Scenario = {
        var mix = FaultMix([
            (.policy, 8), (.loseSite, 4), (.cutSite, 4), (.change, 3), (.crash, 2), (.powerCut, 2),
            (.isolate, 2), (.oneWay, 1), (.slowNode, 2), (.handOver, 2),
        ])
        mix.gapMax = .seconds(2)
        mix.sites = [[1, 2], [3, 4], [5]]
        var scenario = Scenario(
            "cities", "Cities that are lost and cut off, while policies move voters and leaders.",
            mix: mix)
        scenario.nodeCount = 5
        scenario.spareCount = 2
        scenario.tabletCount = 2
        scenario.localities = [
            "city=a,dc=a1", "city=a,dc=a2", "city=b,dc=b1", "city=b,dc=b2", "city=c,dc=c1",
            "city=c,dc=c2", "city=a,dc=a1",
        ]
        return scenario
    }()

    /// A majority stands in one city: without the rule it would commit alone.
    private static let elsewhere: Scenario = {
        var mix = FaultMix([
            (.policy, 2), (.loseSite, 3), (.cutSite, 6), (.crash, 3), (.powerCut, 3), (.isolate, 3),
            (.oneWay, 1), (.slowNode, 2), (.handOver, 3),
        ])
        mix.gapMax = .seconds(2)
        mix.sites = [[1, 2, 3], [4, 5], [4], [5]]
        var scenario = Scenario(
            "elsewhere", "Writes that another city has to acknowledge, and cities that do not.",
            mix: mix)
        scenario.nodeCount = 5
        scenario.tabletCount = 2
        scenario.acknowledgement = .city
        scenario.localities = [
            "city=a,dc=a1", "city=a,dc=a2", "city=a,dc=a3", "city=b,dc=b1", "city=c,dc=c1",
        ]
        return scenario
    }()

    /// Two cities with data, and a vote in a third place: who loses a city has a majority with it.
    private static let witness: Scenario = {
        var mix = FaultMix([
            (.loseSite, 6), (.cutSite, 6), (.crash, 3), (.powerCut, 3), (.isolate, 3), (.oneWay, 1),
            (.slowNode, 2), (.handOver, 3), (.diskStall, 1), (.pause, 1),
        ])
        mix.gapMax = .milliseconds(1_500)
        mix.sites = [[1, 2], [3, 4], [5], [1], [3]]
        var scenario = Scenario(
            "witness", "Two cities and a witness, which are lost and cut off.", mix: mix)
        scenario.nodeCount = 4
        scenario.spareCount = 1
        scenario.witnessCount = 1
        scenario.tabletCount = 2
        scenario.workloads = [StaleWorkload.name, "counters"]
        scenario.localities = [
            "city=a,dc=a1", "city=a,dc=a2", "city=b,dc=b1", "city=b,dc=b2", "city=c,dc=c1",
        ]
        return scenario
    }()

    private static let leases: Scenario = {
        var mix = FaultMix([
            (.isolate, 6), (.cutPair, 6), (.oneWay, 4), (.reset, 6), (.reject, 4), (.pause, 4),
            (.crash, 6), (.powerCut, 2), (.handOver, 4), (.diskStall, 2), (.clockDrift, 4),
            (.slow, 2),
        ])
        mix.gapMax = .milliseconds(800)
        mix.lasts = .milliseconds(100)...(.seconds(2))
        var scenario = Scenario(
            "leases", "Leaders that read alone, and are cut off, paused and replaced.", mix: mix)
        scenario.readsByLease = true
        return scenario
    }()

    private static let stale: Scenario = {
        var mix = FaultMix([
            (.isolate, 4), (.cutPair, 4), (.oneWay, 4), (.reset, 4), (.reject, 6), (.pause, 4),
            (.crash, 4), (.powerCut, 2), (.handOver, 4), (.diskStall, 2), (.clockDrift, 3),
            (.slow, 2), (.slowNode, 4), (.loss, 2), (.cutSite, 4),
        ])
        mix.gapMax = .milliseconds(800)
        mix.lasts = .milliseconds(200)...(.seconds(3))
        mix.sites = [[1, 2], [3, 4], [5]]
        var scenario = Scenario(
            "stale", "Reads of whatever replica comes, which say how old they may be.", mix: mix)
        scenario.nodeCount = 5
        scenario.tabletCount = 2
        scenario.workloads = [StaleWorkload.name]
        scenario.workloadsPerRun = 1
        return scenario
    }()

    /// Three voters in three of five cities, learners in the others; sites 4 to 7 have mostly these.
    private static let learners: Scenario = {
        var mix = FaultMix([
            (.loseSite, 6), (.cutSite, 6), (.isolate, 4), (.crash, 4), (.powerCut, 2),
            (.handOver, 3), (.move, 4), (.slowNode, 2), (.oneWay, 2), (.pause, 2), (.policy, 1),
        ])
        mix.gapMax = .seconds(1)
        mix.lasts = .milliseconds(200)...(.seconds(3))
        mix.sites = [[1], [2], [3], [4, 5], [6, 7]]
        var scenario = Scenario(
            "learners", "Copies near clients by policy, in cities that are lost and come back.",
            mix: mix)
        scenario.nodeCount = 7
        scenario.tabletCount = 2
        scenario.workloads = [StaleWorkload.name]
        scenario.workloadsPerRun = 1
        scenario.hasLocalReads = true
        scenario.localities = [
            "city=a,dc=a1", "city=b,dc=b1", "city=c,dc=c1", "city=d,dc=d1", "city=d,dc=d2",
            "city=e,dc=e1", "city=e,dc=e2",
        ]
        return scenario
    }()

    private static let time: Scenario = {
        var mix = FaultMix(
            FaultMix.farClocks + [(.clockDrift, 2), (.crash, 3), (.isolate, 2), (.pause, 1)])
        mix.gapMax = .seconds(3)
        mix.lasts = .milliseconds(300)...(.seconds(6))
        var scenario = Scenario(
            "time", "Clocks that are hours and years wrong, and an operator who accepts it.",
            mix: mix)
        // The clients of this one take the time from the simulation, not from the cluster.
        scenario.workloads.removeAll { $0 == "sessions" }
        return scenario
    }()

    private static let relay: Scenario = {
        var mix = FaultMix(
            FaultMix.shapes + [(.oneWay, 4), (.cutPair, 4), (.crash, 2), (.loss, 2), (.reset, 1)])
        mix.gapMax = .seconds(4)
        mix.lasts = .seconds(1)...(.seconds(10))
        var scenario = Scenario(
            "relay", "Five nodes, cuts that last, and messages that go around them.", mix: mix)
        scenario.nodeCount = 5
        scenario.tabletCount = 2
        return scenario
    }()

    private static let quietGroups: Scenario = {
        var mix = FaultMix(
            FaultMix.network + [(.crash, 3), (.powerCut, 2), (.pause, 2), (.handOver, 3)])
        mix.gapMax = .seconds(2)
        var scenario = Scenario(
            "quiet", "Six tablets with little to do: groups that rest, and are woken.", mix: mix)
        scenario.tabletCount = 6
        scenario.operationsPerSecond = 6
        return scenario
    }()

    private static let quiet: FaultMix = {
        var mix = FaultMix([(.resetClients, 1)])
        mix.gapMax = .seconds(100_000)
        return mix
    }()
}
