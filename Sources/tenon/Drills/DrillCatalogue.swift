/// A scripted fault under load with a measured report.
struct Scenario: Sendable {
    var name: String
    /// One line for `tenon drill list`.
    var summary: String
    /// The injections that a full run covers.
    var injections: [Injection]
    /// Whom the counted rounds meet; then come one round for each of the others.
    var others: [FaultTarget] = []
    /// `passed` asks for a longest gap below this.
    var gapBoundSeconds = 8.0
    /// Nodes of a cluster that is started for it.
    var nodes = 3
    /// Settings of their nodes, KEY=VALUE.
    var settings: [String] = []
    var valueBytes = 100
    /// The rule whose breach this drill must notice: a case of `PlantedFault`. A drill that
    /// passes under it is void.
    var control: String

    static let all = [
        leaderKill, leaderPause, leaderDrain, diskFull, diskStall, bitFlip, partition, oneWay,
        partialPartition, slowLink, clockJump, nodeReplace, drain, splitBrain,
    ]

    static let leaderKill = Scenario(
        name: "leader-kill",
        summary: "end the leader, then a follower, then all nodes at once (kill -9 and silence)",
        injections: [.kill, .silence], others: [.follower, .all],
        control: "acknowledgedInMemory")

    static let leaderPause = Scenario(
        name: "leader-pause",
        summary: "stop the leader with SIGSTOP for 10 s, then let it run on",
        injections: [.pause], control: "silentLeaderKept")

    static let leaderDrain = Scenario(
        name: "leader-drain",
        summary: "hand the leadership of every tablet over, as before planned work",
        injections: [.drain], gapBoundSeconds: 0.5, control: "transferTargetNotTold")

    /// Small files, so that a log without room is full within seconds.
    static let diskFull = Scenario(
        name: "disk-full",
        summary: "no more room on the disk of the leader, of a follower, of all; then room again",
        injections: [.fill], others: [.follower, .all],
        settings: [
            "segment-bytes=9437184", "segments=5", "memtable-bytes=1048576",
            "retained-log-bytes=1048576",
        ], valueBytes: 2_000, control: "fullLogPassesForWritten")

    static let diskStall = Scenario(
        name: "disk-stall",
        summary: "each sync takes 100 ms, then 2 s, then hangs, at the leader and at a follower",
        injections: [.stall100, .stall2s, .hang], others: [.follower],
        control: "stalledLeaderStays")

    static let bitFlip = Scenario(
        name: "bit-flip",
        summary: "one bit of a node's log, then of a table is wrong when it comes back",
        injections: [.flipLog, .flipTable], others: [.follower],
        settings: ["memtable-bytes=1048576"], valueBytes: 1_000,
        control: "damagedMiddleTruncated")

    static let partition = Scenario(
        name: "partition",
        summary: "cut the leader, then a follower off from all other nodes; then on and off",
        injections: [.cut, .flap], others: [.follower], control: "isolatedLeaderServes")

    static let oneWay = Scenario(
        name: "one-way",
        summary: "the leader is heard but hears nobody (deaf), then hears but is not heard (mute)",
        injections: [.deaf, .mute], control: "deafLeaderStays")

    static let partialPartition = Scenario(
        name: "partial-partition",
        summary: "one link cut, a chain, all see only one node, and that one with an old log",
        injections: [.single, .chain, .hub, .constrained], nodes: 5,
        control: "everyTimeoutRaisesTerm")

    static let slowLink = Scenario(
        name: "slow-link",
        summary: "leader and follower 200 ms apart, then with jitter and loss, then at 1 Mbit/s",
        injections: [.delay, .lossy, .capped], control: "slowestVoterCounts")

    static let clockJump = Scenario(
        name: "clock-jump",
        summary: "wall clock +1 h, -1 h, +10 years, 500 ppm fast: leader, follower, all",
        injections: [.clockAhead, .clockBehind, .clockDecade, .clockDrift],
        others: [.follower, .all], control: "ownClockTrusted")

    static let nodeReplace = Scenario(
        name: "node-replace",
        summary: "replace every node of three; then lose one with its files and replace it",
        injections: [.renew, .destroy], others: [.follower], control: "wipedNodeVotes")

    static let drain = Scenario(
        name: "drain",
        summary: "drain the leader, stop it, start it again; then call a drain back half way",
        injections: [.drainStop, .drainCancel], gapBoundSeconds: 0.5,
        control: "transferTargetNotTold")

    static let splitBrain = Scenario(
        name: "split-brain",
        summary: "a cloned folder, an older one, another cluster's node, a list of one node",
        injections: [.clone, .rolledBack, .stranger, .doctored], control: "wipedNodeVotes")

    static func named(_ name: String) -> Scenario? { all.first { $0.name == name } }

    /// Whether its nodes must take orders to be faulty.
    var needsOrders: Bool { injections.contains(where: \.isByOrder) }

    /// The rounds of a run: for each injection `count` against the leader, then the others.
    func rounds(_ count: Int, injections: [Injection]) -> [PlannedRound] {
        injections.flatMap { injection in
            Array(repeating: PlannedRound(injection: injection, target: .leader), count: count)
                + (injection.meetsAll
                    ? [] : others.map { PlannedRound(injection: injection, target: $0) })
        }
    }
}
