import TenonCore
import TenonPlacement
import Testing

/// Nodes 1, 2, … at these places, `city/room`; a witness has a star behind it.
private func nodes(_ places: [String]) throws -> [Placement.Node] {
    try places.enumerated().map { place, text in
        let isWitness = text.hasSuffix("*")
        let parts = (isWitness ? text.dropLast() : text[...]).split(separator: "/")
        return Placement.Node(
            id: NodeID(UInt32(place + 1)), mayLead: !isWitness,
            locality: try Locality(parsing: "city=\(parts[0]),dc=\(parts[1])"),
            isWitness: isWitness)
    }
}

private let layouts = [
    ["sh/1", "sh/2", "bj/1", "bj/2", "w/1*"],
    ["sh/1", "bj/1", "w/1*"],
    ["sh/1", "sh/2", "sh/3*", "bj/1", "bj/2", "w/1*"],
    ["sh/1", "bj/1", "sz/1", "w/1*"],
]

private let policies = FailureLevel.allCases.flatMap { level in
    [
        Placement.Policy(survive: level), Placement.Policy(survive: level, home: "sh"),
        Placement.Policy(survive: level, home: "bj", failover: ["sh"]),
        Placement.Policy(survive: level, home: "sh", acknowledgement: .city),
    ]
}

@Suite("Where witnesses belong") struct WitnessPlacementTests {
    @Test(arguments: layouts, policies)
    func `the set that is chosen is one of the best`(places: [String], policy: Placement.Policy)
        throws
    {
        let all = try nodes(places)
        let view = VoterLayout(all).under(policy)
        for count in [1, 3, 5] where count <= all.count {
            let least = choices(count, of: all.count).map { view.cost(of: $0) }.min()
            let chosen = try #require(view.best(count, isAble: { _ in true }, load: { $0 }))
            #expect(view.cost(of: chosen) == least, "\(count): \(chosen)")
        }
    }

    /// The proof says of the sets that are well placed that they survive what they are to.
    @Test(arguments: layouts)
    func `a set without a fault survives its goal by itself`(places: [String]) throws {
        let all = try nodes(places)
        let topology = Topology(
            all.map { .init(id: $0.id, name: "n\($0.id)", locality: $0.locality) })
        for level in [FailureLevel.dc, .city] {
            let layout = VoterLayout(all)
            let view = layout.under(Placement.Policy(survive: level))
            for count in [3, 5] {
                for voters in choices(count, of: all.count) {
                    let cost = view.cost(of: voters)
                    guard cost.misplaced == 0 else { continue }
                    let survival = Survival(
                        voters: voters.map { all[$0].id },
                        witnesses: layout.witnesses(among: voters), keptUntil: level, in: topology)
                    let isSafe = survival.worstLoss(at: level)?.verdict == .byItself
                    #expect((cost.exposed == 0) == isSafe, "\(voters), \(level)")
                }
            }
        }
    }

    @Test func `a witness is the odd voter of two cities, and none where a copy can be`() throws {
        let policy = Placement.Policy(survive: .city, home: "sh")
        let two = VoterLayout(try nodes(layouts[0])).under(policy)
        #expect(two.best(5, isAble: { _ in true }, load: { _ in 0 }) == [0, 1, 2, 3, 4])
        // Three cities with data need none.
        let three = VoterLayout(try nodes(layouts[3])).under(policy)
        #expect(three.best(3, isAble: { _ in true }, load: { _ in 0 }) == [0, 1, 2])
        #expect(Placement.usable(try nodes(layouts[2]).map(\.isWitness)) == 5)
    }

    private func run(_ tablet: inout Placement.Tablet, on all: [Placement.Node]) throws {
        var history = MoveHistory()
        for _ in 0..<20 {
            let steps = Placement(nodes: all, tablets: [tablet]).steps(&history, now: .zero)
            guard case .retarget(_, let target, let acknowledgement, let next)? = steps.first else {
                return
            }
            tablet.voters = target
            tablet.acknowledgement = acknowledgement
            tablet.nextReplica = next
        }
        Issue.record("the planner never rests: \(tablet)")
    }

    private func tablet(_ nodes: [UInt32], _ policy: Placement.Policy) -> Placement.Tablet {
        Placement.Tablet(
            id: TabletID(2), replicas: 5,
            voters: nodes.map { Member(replica: ReplicaID(UInt64($0)), node: NodeID($0)) },
            nextReplica: ReplicaID(100), leader: NodeID(nodes[0]), policy: policy)
    }

    @Test func `the planner adds the witness as one, and acknowledges by copies`() throws {
        let all = try nodes(layouts[0])
        var grown = tablet(
            [1, 2, 3], Placement.Policy(survive: .city, home: "sh", acknowledgement: .city))
        try run(&grown, on: all)
        #expect(grown.voters.map(\.node.rawValue).sorted() == [1, 2, 3, 4, 5])
        #expect(grown.voters.filter(\.isWitness).map(\.node) == [NodeID(5)])
        #expect(grown.acknowledgement.rule == .city)
        let places = grown.voters.indices.filter { grown.voters[$0].isWitness }
        #expect(places.map { grown.acknowledgement.sites[$0] } == [.unknown])
    }

    @Test func `no witness comes to a home, whatever is missing`() throws {
        let all = try nodes(["sh/1", "bj/1", "sh/2*"])
        var alone = tablet([1, 2], Placement.Policy(survive: .dc, home: "sh"))
        try run(&alone, on: all)
        #expect(alone.voters.filter(\.isWitness).isEmpty)
    }

    // MARK: Policies

    private func complaint(
        _ policy: PlacementPolicy, replicas: Int, on places: [String]
    ) throws -> String {
        let all = try nodes(places)
        do throws(PolicyProblem) {
            try policy.check(replicas: replicas, on: all, names: { "n\($0)" })
            return ""
        } catch {
            return error.message
        }
    }

    @Test func `a policy that would put a witness into a home is refused`() throws {
        let homes = [PlacementPolicy.Home(prefix: "a/", city: "sh")]
        let good = PlacementPolicy(survive: .city, homes: homes)
        #expect(try complaint(good, replicas: 5, on: layouts[0]) == "")
        let message = try complaint(
            PlacementPolicy(survive: .dc, homes: homes), replicas: 3,
            on: ["sh/1", "bj/1", "sh/2*"])
        #expect(message.contains("need witness n3, which stands in sh, a home"), "\(message)")
        let led = PlacementPolicy(homes: [PlacementPolicy.Home(prefix: "a/", city: "w")])
        #expect(try complaint(led, replicas: 5, on: layouts[0]).contains("no node is in w"))
    }

    @Test func `an acknowledgement from elsewhere needs copies in two places`() throws {
        let city = PlacementPolicy(acknowledgement: .city)
        #expect(try complaint(city, replicas: 5, on: layouts[0]) == "")
        let message = try complaint(city, replicas: 3, on: ["sh/1", "sh/2", "bj/1*"])
        #expect(message.contains("none stands outside city sh"), "\(message)")
    }
}
