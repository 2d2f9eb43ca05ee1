import TenonCore
import TenonPlacement
import Testing

/// Nodes 1, 2, … at these places, `city/room`; empty for a node of which nothing is known.
private func nodes(_ places: [String]) throws -> [Placement.Node] {
    try places.enumerated().map { place, text in
        let parts = text.split(separator: "/")
        let locality = parts.isEmpty ? "" : "city=\(parts[0]),dc=\(parts[1])"
        return Placement.Node(
            id: NodeID(UInt32(place + 1)), locality: try Locality(parsing: locality))
    }
}

private let layouts = [
    ["sh/1", "sh/2", "bj/1", "bj/2", "sz/1"],
    ["sh/1", "sh/2", "sh/3", "bj/1", "bj/2", "bj/3", "sz/1", "sz/2", "sz/3"],
    ["sh/1", "sh/1", "sh/1", "bj/1", "bj/1", "bj/1", "sz/1", "sz/1"],
    ["sh/1", "sh/2", "sh/3"],
    ["sh/1", "bj/1", "sz/1"],
    ["sh/1", "sh/1", "sh/2", "bj/1", "", "sz/1", ""],
    ["", "", "", "", ""],
]

private let policies: [Placement.Policy] = FailureLevel.allCases.flatMap { level in
    [
        Placement.Policy(survive: level), Placement.Policy(survive: level, home: "sh"),
        Placement.Policy(survive: level, home: "sz", failover: ["sh"]),
        Placement.Policy(survive: level, failover: ["bj", "sz"]),
        Placement.Policy(survive: level, acknowledgement: .dc),
        Placement.Policy(survive: level, home: "sh", acknowledgement: .city),
    ]
}

/// All ways to take `count` of the first `total` numbers.
func choices(_ count: Int, of total: Int) -> [[Int]] {
    guard count > 0 else { return [[]] }
    guard total >= count else { return [] }
    return choices(count, of: total - 1)
        + choices(count - 1, of: total - 1).map { $0 + [total - 1] }
}

@Suite("Where voters belong") struct VoterLayoutTests {
    /// Every layout, policy and number of voters, against all sets that there are.
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
            #expect(Set(chosen).count == count)
        }
    }

    /// What the cost calls exposed is what the proof calls not surviving by itself.
    @Test(arguments: layouts)
    func `exposed are those sets that some loss leaves without a majority`(places: [String])
        throws
    {
        let all = try nodes(places).filter { $0.locality != .unknown }
        let topology = Topology(
            all.map { .init(id: $0.id, name: "n\($0.id)", locality: $0.locality) })
        for level in [FailureLevel.dc, .city] {
            let view = VoterLayout(all).under(Placement.Policy(survive: level))
            for count in [1, 3, 5] {
                for voters in choices(count, of: all.count) {
                    let survival = Survival(voters: voters.map { all[$0].id }, in: topology)
                    let isSafe = survival.worstLoss(at: level)?.verdict == .byItself
                    #expect((view.cost(of: voters).exposed == 0) == isSafe)
                }
            }
        }
    }

    /// What the cost calls missing elsewhere is what the proof calls writes that stop.
    @Test(arguments: layouts, [AcknowledgementRule.dc, .city])
    func `where nobody is missing elsewhere, writes go on after every loss up to the goal`(
        places: [String], rule: AcknowledgementRule
    ) throws {
        let all = try nodes(places).filter { $0.locality != .unknown }
        let topology = Topology(
            all.map { .init(id: $0.id, name: "n\($0.id)", locality: $0.locality) })
        for level in FailureLevel.allCases {
            let view = VoterLayout(all).under(
                Placement.Policy(survive: level, acknowledgement: rule))
            for count in [1, 3, 5] {
                for voters in choices(count, of: all.count) {
                    let survival = Survival(
                        voters: voters.map { all[$0].id }, acknowledgement: rule, in: topology)
                    let isSafe = [FailureLevel.node, level].allSatisfy {
                        survival.worstLoss(at: $0).map { $0.verdict == .byItself } ?? false
                    }
                    let cost = view.cost(of: voters)
                    // Three voters and more outlive one; the goal is the other field's.
                    let isKept = cost.exposed == 0 && cost.missingElsewhere == 0
                    #expect((isKept && count > 1) == isSafe, "\(voters), \(level)")
                }
            }
        }
    }

    /// From every set of voters there is, one exchange at a time.
    @Test(arguments: layouts, policies)
    func `whatever the voters were, the planner brings them to the best, and rests`(
        places: [String], policy: Placement.Policy
    ) throws {
        let all = try nodes(places)
        let view = VoterLayout(all).under(policy)
        let count = min(3, all.count)
        let least = choices(count, of: all.count).map { view.cost(of: $0) }.min()
        for voters in choices(count, of: all.count) {
            var tablet = Placement.Tablet(
                id: TabletID(2), replicas: count,
                voters: voters.map {
                    Member(replica: ReplicaID(UInt64($0 + 1)), node: all[$0].id)
                }, nextReplica: ReplicaID(100), leader: all[voters[0]].id, policy: policy)
            var history = MoveHistory()
            var moves = 0
            while case .retarget(_, let target, let acknowledgement, let next)? = Placement(
                nodes: all, tablets: [tablet]
            ).steps(&history, now: .zero).first {
                #expect(target.count == count)
                tablet.voters = target
                tablet.acknowledgement = acknowledgement
                tablet.nextReplica = next
                if !target.contains(where: { $0.node == tablet.leader }) {
                    tablet.leader = target[0].node
                }
                moves += 1
                try #require(moves <= 2 * count + 1, "it never rests")
            }
            let last = tablet.voters.compactMap { member in
                all.firstIndex { $0.id == member.node }
            }
            #expect(view.cost(of: last) == least, "\(voters) became \(last)")
            let isKept = view.cost(of: last).missingElsewhere == 0
            #expect(
                tablet.acknowledgement.rule == policy.acknowledgement || !isKept,
                "\(voters) became \(last) under \(tablet.acknowledgement)")
            #expect(tablet.acknowledgement.standsLossOfOne)
        }
    }

    @Test func `the highest level that nodes allow`() throws {
        func highest(_ places: [String], _ count: Int) throws -> FailureLevel {
            VoterLayout(try nodes(places)).highestLevel(count) { _ in true }
        }
        #expect(try highest(["sh/1", "sh/2", "bj/1", "bj/2", "sz/1"], 5) == .city)
        #expect(try highest(["sh/1", "sh/2", "bj/1"], 3) == .dc)
        #expect(try highest(["sh/1", "sh/1", "bj/1"], 3) == .node)
        #expect(try highest(["", "", ""], 3) == .node)
        #expect(try highest(["sh/1"], 1) == .node)
    }
}

@Suite struct `Who leads, by home` {
    private let policy = Placement.Policy(survive: .city, home: "sh", failover: ["sz"])

    private func leaderWanted(
        _ all: [Placement.Node], led leader: UInt32, _ history: inout MoveHistory,
        now: Instant = .zero
    ) -> NodeID? {
        let tablet = Placement.Tablet(
            id: TabletID(2), replicas: 5,
            voters: (1...5).map { Member(replica: ReplicaID($0), node: NodeID(UInt32($0))) },
            nextReplica: ReplicaID(9), leader: NodeID(leader), policy: policy)
        let steps = Placement(nodes: all, tablets: [tablet]).steps(&history, now: now)
        guard case .transfer(_, let node)? = steps.first else { return nil }
        return node
    }

    private func cluster(down: [Int] = []) throws -> [Placement.Node] {
        var all = try nodes(["bj/1", "sh/1", "sh/2", "bj/2", "sz/1"])
        for number in down { all[number - 1].isAlive = false }
        return all
    }

    @Test func `a leader goes home, and stays there`() throws {
        var history = MoveHistory()
        #expect(leaderWanted(try cluster(), led: 1, &history) == NodeID(2))
        #expect(leaderWanted(try cluster(), led: 2, &history) == nil)
        #expect(leaderWanted(try cluster(), led: 3, &history) == nil)
    }

    @Test func `without its home the failover order says who leads, then anybody`() throws {
        var history = MoveHistory()
        #expect(leaderWanted(try cluster(down: [2, 3]), led: 1, &history) == NodeID(5))
        #expect(leaderWanted(try cluster(down: [2, 3, 5]), led: 1, &history) == nil)
        #expect(leaderWanted(try cluster(down: [2, 3]), led: 5, &history) == nil)
        var drained = try cluster()
        drained[1].mayLead = false
        #expect(leaderWanted(drained, led: 2, &history) == NodeID(3))
    }

    /// What was asked and did not happen may be asked again; what happened counts.
    @Test func `a home that comes and goes moves leaders five times in five minutes at the most`()
        throws
    {
        var history = MoveHistory()
        var moves = 0
        for second in 0..<100 {
            let now = Instant.zero + .seconds(second)
            // Asked for three times before it is done.
            for _ in 0..<3 where leaderWanted(try cluster(), led: 1, &history, now: now) != nil {
                moves += 1
            }
            #expect(leaderWanted(try cluster(), led: 2, &history, now: now) == nil)
        }
        #expect(moves == 15)
    }

    /// Writes wait while a handover is tried.
    @Test func `a handover that never comes about is not asked for all the time`() throws {
        var history = MoveHistory()
        let asked = try (0..<600).count { tenth in
            let now = Instant.zero + .milliseconds(tenth * 100)
            return leaderWanted(try cluster(), led: 1, &history, now: now) != nil
        }
        #expect(asked == 50, "for a second each, after 0, 2, 6, 14 and 30 seconds")
    }

    @Test func `a node that takes long to catch up gets its leadership when it has`() throws {
        var history = MoveHistory()
        let asked = try (0..<300).filter { second in
            let now = Instant.zero + .seconds(second)
            return leaderWanted(try cluster(), led: 1, &history, now: now) != nil
        }
        #expect(asked == [0, 2, 6, 14, 30, 62, 126, 190, 254])
    }

    @Test func `what was moved for balance goes home all the same`() throws {
        var history = MoveHistory()
        let id = TabletID(2)
        let forBalance = (0..<4).map { _ in history.take(id, now: .zero) }
        #expect(forBalance == [true, true, false, false])
        #expect(leaderWanted(try cluster(), led: 1, &history) == NodeID(2))
    }

    @Test func `leaders are evened out within their home only`() throws {
        let all = try nodes(["sh/1", "sh/2", "bj/1", "sz/1", "sz/2"])
        var tablets = (2..<10).map { id in
            Placement.Tablet(
                id: TabletID(id), replicas: 5,
                voters: (1...5).map { Member(replica: ReplicaID($0), node: NodeID(UInt32($0))) },
                nextReplica: ReplicaID(9), leader: NodeID(1), policy: policy)
        }
        var history = MoveHistory()
        for _ in 0..<10 {
            for step in Placement(nodes: all, tablets: tablets).steps(&history, now: .zero) {
                guard case .transfer(let id, let node) = step else { continue }
                if let place = tablets.firstIndex(where: { $0.id == id }) {
                    tablets[place].leader = node
                }
            }
        }
        let leaders = tablets.map(\.leader)
        #expect(leaders.count { $0 == NodeID(1) } >= 3)
        #expect(leaders.count { $0 == NodeID(2) } >= 3)
        #expect(leaders.allSatisfy { $0 <= NodeID(2) })
    }
}

@Suite struct `Policies that cannot be kept` {
    private func complaint(
        _ policy: PlacementPolicy, replicas: Int = 5, on places: [String]
    ) throws -> String {
        let all = try nodes(places)
        do throws(PolicyProblem) {
            try policy.check(replicas: replicas, on: all, names: { "n\($0)" })
            return ""
        } catch {
            return error.message
        }
    }

    private func home(_ prefix: Bytes, _ city: String) -> PlacementPolicy.Home {
        PlacementPolicy.Home(prefix: prefix, city: city)
    }

    @Test func `three cities wanted of two: a loss that nothing survives is named`() throws {
        let two = ["sh/1", "sh/2", "bj/1", "bj/2"]
        let message = try complaint(PlacementPolicy(survive: .city), on: two)
        #expect(message.contains("the loss of city "))
        #expect(message.contains("leaves 1 and a majority is 2"), "\(message)")
        #expect(try complaint(PlacementPolicy(survive: .dc), on: two) == "")
        #expect(try complaint(PlacementPolicy(survive: .city), on: two + ["sz/1"]) == "")
    }

    @Test func `labels that are missing are named`() throws {
        let message = try complaint(
            PlacementPolicy(survive: .city), on: ["sh/1", "bj/1", ""])
        #expect(message.contains("start n3 with --locality"), "\(message)")
    }

    @Test func `an acknowledgement from elsewhere needs two voters elsewhere`() throws {
        let city = PlacementPolicy(acknowledgement: .city)
        let two = ["sh/1", "sh/2", "bj/1"]
        let message = try complaint(city, replicas: 3, on: two)
        #expect(
            message.contains("voters n1, n2, n3, only one stands outside city sh"), "\(message)")
        #expect(message.contains("ask for --ack dc or --ack majority"), "\(message)")
        #expect(try complaint(city, replicas: 3, on: two + ["sz/1"]) == "")
        #expect(try complaint(city, on: two + ["sh/1", "bj/1"]) == "")
        #expect(try complaint(PlacementPolicy(acknowledgement: .dc), replicas: 3, on: two) == "")
        let room = try complaint(
            PlacementPolicy(acknowledgement: .dc), replicas: 3, on: ["sh/1", "sh/1", "sh/1"])
        #expect(room.contains("none stands outside dc sh/1"), "\(room)")
        let unknown = try complaint(city, replicas: 3, on: ["", "", ""])
        #expect(unknown.contains("--locality"), "\(unknown)")
    }

    /// Any node may be lost, but with the room of the one other city its only voters.
    @Test func `a goal whose loss leaves one city is refused with --ack city`() throws {
        let places = ["sh/1", "sh/2", "sh/3", "bj/1", "bj/1"]
        #expect(try complaint(PlacementPolicy(survive: .dc), on: places) == "")
        let message = try complaint(
            PlacementPolicy(survive: .dc, acknowledgement: .city), on: places)
        #expect(message.contains("the loss of dc bj/1 leaves voters of one city"), "\(message)")
    }

    @Test func `unknown cities, overlapping homes, a city twice`() throws {
        let places = ["sh/1", "bj/1", "sz/1"]
        let homes = [home("a", "sh"), home("ab", "bj")]
        #expect(try complaint(PlacementPolicy(homes: homes), on: places).contains("overlap"))
        let unknown = PlacementPolicy(homes: [home("a", "gz")])
        #expect(
            try complaint(unknown, on: places) == "no node is in gz: there are nodes in bj, sh, sz")
        #expect(
            try complaint(PlacementPolicy(failover: ["sh", "sh"]), on: places).contains("twice"))
        let good = PlacementPolicy(
            survive: .city, homes: [home("sh/", "sh"), home("bj/", "bj")], failover: ["sz"])
        #expect(try complaint(good, on: places) == "")
    }
}
