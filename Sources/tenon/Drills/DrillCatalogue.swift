import TenonCore

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
    /// Where the nodes of a cluster that is started for it stand. The load then is on a keyspace
    /// with a home in each city.
    var topology: TopologyFile?
    /// Whether acknowledged writes may be lost, within what the operator is told beforehand.
    var mayLose = false
    /// Whether each round is to show that leaders left the struck home and came back by themselves.
    var followsWayHome = false
    /// What that keyspace is to survive.
    var survive = FailureLevel.node
    /// Where its writes are to be before they are acknowledged; nil for the default. Then every
    /// node has a replica of it.
    var acknowledgement: AcknowledgementRule?
    /// Whom the counted rounds meet.
    var target = FaultTarget.leader
    /// How long a fault lasts, when not as its injection says.
    var seconds: Int?
    /// The rule whose breach this drill must notice: a case of `PlantedFault`. A drill that
    /// passes under it is void.
    var control: String

    static let all = [
        leaderKill, leaderPause, leaderDrain, diskFull, diskStall, bitFlip, partition, oneWay,
        partialPartition, slowLink, clockJump, nodeReplace, drain, splitBrain, dcLoss, cityLoss,
        homeReturn, twoCityLoss, majorityLoss, cityDestroyed,
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

    static let dcLoss = Scenario(
        name: "dc-loss",
        summary: "a whole machine room is gone (kill -9 and silence), and comes back",
        injections: [.kill, .silence], topology: .threeRooms, survive: .dc, target: .dc,
        seconds: 10, control: "exposedLayoutAllowed")

    static let cityLoss = Scenario(
        name: "city-loss",
        summary: "a whole city is gone (kill -9 and silence), and comes back",
        injections: [.kill, .silence], topology: .threeCities, survive: .city, target: .city,
        seconds: 10, control: "exposedLayoutAllowed")

    /// As ``cityLoss``; what counts is the way there and back.
    static let homeReturn = Scenario(
        name: "home-return",
        summary: "a home is lost, its tablets are led from elsewhere; it returns, and so do they",
        injections: [.kill, .silence], topology: .threeCities, followsWayHome: true,
        survive: .city, target: .city, seconds: 10, control: "leadersStayAway")

    /// Its control takes away what the witness is for: that a majority without the lost city commits.
    static let twoCityLoss = Scenario(
        name: "two-city-loss",
        summary: "one city of two is gone (kill -9 and silence); a witness completes the majority",
        injections: [.kill, .silence], topology: .twoCities, survive: .city, target: .city,
        seconds: 10, control: "slowestVoterCounts")

    /// Room for an operator to read and type: five minutes are the bound, a program is faster.
    static let majorityLoss = Scenario(
        name: "majority-loss",
        summary: "three of five nodes are destroyed; an operator recovers the rest; the old return",
        injections: [.loseMajority], gapBoundSeconds: 300, nodes: 5, mayLose: true,
        control: "epochFenceOff")

    /// As ``majorityLoss``, where nothing may be lost: what the larger city acknowledged, the other
    /// one has.
    static let cityDestroyed = Scenario(
        name: "city-destroyed",
        summary:
            "the larger of two cities is destroyed, an operator recovers the other (ack: city)",
        injections: [.loseMajority], gapBoundSeconds: 300, topology: .twoCitiesAlone,
        survive: .dc, acknowledgement: .city, target: .city, control: "acknowledgedWithinSite")

    static func named(_ name: String) -> Scenario? { all.first { $0.name == name } }

    /// Whether its nodes must take orders to be faulty.
    var needsOrders: Bool {
        injections.contains { $0.isByOrder || $0 == .loseMajority }
    }

    /// The rounds of a run: for each injection `count` against the leader, then the others.
    func rounds(_ count: Int, injections: [Injection]) -> [PlannedRound] {
        injections.flatMap { injection in
            Array(
                repeating: PlannedRound(injection: injection, target: target, seconds: seconds),
                count: count)
                + (injection.meetsAll
                    ? [] : others.map { PlannedRound(injection: injection, target: $0) })
        }
    }
}

extension TopologyFile {
    /// Three rooms of one city with two nodes each.
    static let threeRooms = TopologyFile(
        nodes: sites(["shanghai/sh1", "shanghai/sh2", "shanghai/sh3"].flatMap { [$0, $0] }),
        roundTrips: [], roundTripBetweenRooms: 1)

    /// Three cities, 15 ms apart, with three nodes each: more than may have a voter, so that where
    /// voters are is a choice.
    static let threeCities = TopologyFile(
        nodes: sites(
            [("shanghai", "sh"), ("beijing", "bj"), ("shenzhen", "sz")].flatMap { city, room in
                (1...3).map { "\(city)/\(room)\($0)" }
            }),
        roundTrips: [["shanghai", "beijing"], ["shanghai", "shenzhen"], ["beijing", "shenzhen"]]
            .map { RoundTrip(between: $0, milliseconds: 15) }, roundTripBetweenRooms: 1)

    /// Two cities with two nodes each, and a witness in a third place: `two-cities-witness` of
    /// deploy/topologies.
    static let twoCities: TopologyFile = {
        var nodes = sites([
            "shanghai/sh1", "shanghai/sh2", "beijing/bj1", "beijing/bj2", "witness/w1",
        ])
        nodes[4].witness = true
        return TopologyFile(
            nodes: nodes,
            roundTrips: [
                ["shanghai", "beijing"], ["shanghai", "witness"], ["beijing", "witness"],
            ]
            .map { RoundTrip(between: $0, milliseconds: 15) }, roundTripBetweenRooms: 1)
    }()

    /// Two cities and no third place, 15 ms apart: three nodes in two rooms, and two. `two-cities` of
    /// deploy/topologies.
    static let twoCitiesAlone = TopologyFile(
        nodes: sites([
            "shanghai/sh1", "shanghai/sh1", "shanghai/sh2", "beijing/bj1", "beijing/bj2",
        ]),
        roundTrips: [RoundTrip(between: ["shanghai", "beijing"], milliseconds: 15)],
        roundTripBetweenRooms: 1)

    /// Nodes `n1`, `n2`, … at these places, `city/room`.
    private static func sites(_ places: [String]) -> [Node] {
        places.enumerated().map { place, text in
            let parts = text.split(separator: "/").map(String.init)
            return Node(name: "n\(place + 1)", city: parts[0], dc: parts[1])
        }
    }
}
