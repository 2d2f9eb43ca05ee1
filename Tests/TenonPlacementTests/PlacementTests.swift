import TenonCore
import TenonPlacement
import Testing

/// Nodes 1, 2, … as a planner sees them.
private func nodes(
    _ numbers: ClosedRange<UInt32>, _ change: (inout Placement.Node) -> Void = { _ in }
) -> [Placement.Node] {
    numbers.map { number in
        var node = Placement.Node(id: NodeID(number))
        change(&node)
        return node
    }
}

/// Replica n on node n.
private func members(_ numbers: [UInt32]) -> [Member] {
    numbers.map { Member(replica: ReplicaID(UInt64($0)), node: NodeID($0)) }
}

private func tablet(
    _ id: UInt64 = 2, on numbers: [UInt32], replicas: Int = 3, leader: UInt32 = 0
) -> Placement.Tablet {
    Placement.Tablet(
        id: TabletID(id), replicas: replicas, voters: members(numbers), nextReplica: ReplicaID(100),
        leader: NodeID(leader))
}

@Suite struct Placements {
    private func steps(
        _ nodes: [Placement.Node], _ tablets: [Placement.Tablet]
    ) -> [Placement.Step] {
        var history = MoveHistory()
        return Placement(nodes: nodes, tablets: tablets).steps(&history, now: .zero)
    }

    @Test func `a cluster that is as it should be is left alone`() {
        #expect(steps(nodes(1...3), [tablet(on: [1, 2, 3])]).isEmpty)
    }

    @Test func `one voter becomes three in one change, never two`() {
        #expect(steps(nodes(1...2), [tablet(on: [1])]).isEmpty)
        let step = steps(nodes(1...3), [tablet(on: [1])])
        let newcomers = [
            Member(replica: ReplicaID(100), node: NodeID(2)),
            Member(replica: ReplicaID(101), node: NodeID(3)),
        ]
        #expect(
            step == [
                .retarget(
                    TabletID(2), target: members([1]) + newcomers, .majority,
                    nextReplica: ReplicaID(102))
            ])
    }

    @Test func `a leaving node's replica moves to its replacement, and the others stay`() {
        var all = nodes(1...5)
        all[1].keepsReplicas = false
        all[1].replacement = NodeID(5)
        let target = members([1, 3]) + [Member(replica: ReplicaID(100), node: NodeID(5))]
        #expect(
            steps(all, [tablet(on: [1, 2, 3])]) == [
                .retarget(TabletID(2), target: target, .majority, nextReplica: ReplicaID(101))
            ])
    }

    @Test func `of two that must go one goes at a time`() {
        let all = nodes(1...5) { $0.keepsReplicas = $0.id.rawValue > 2 }
        guard case .retarget(_, let target, _, _)? = steps(all, [tablet(on: [1, 2, 3])]).first
        else {
            Issue.record("nothing is done")
            return
        }
        #expect(target.count == 3)
        #expect(target.map(\.node).contains(NodeID(3)))
        #expect(target.filter { $0.node.rawValue <= 2 }.count == 1)
    }

    @Test func `without a node in its place a leaving one keeps its replica`() {
        let all = nodes(1...3) { $0.keepsReplicas = $0.id != NodeID(3) }
        // Two nodes are left: three voters cannot be had, and one would be worse.
        guard case .retarget(_, let target, _, _)? = steps(all, [tablet(on: [1, 2, 3])]).first
        else {
            Issue.record("the removal of the last possible node is the directory's to refuse")
            return
        }
        #expect(target.count == 1)
    }

    @Test func `two voters that a recovery left stay two until there is a third node`() {
        #expect(steps(nodes(1...2), [tablet(on: [1, 2])]).isEmpty)
        guard
            case .retarget(_, let target, _, _)? = steps(nodes(1...3), [tablet(on: [1, 2])]).first
        else {
            Issue.record("nothing is done")
            return
        }
        #expect(target.count == 3)
    }

    @Test func `a node that is down gets nothing new, and loses nothing`() {
        let all = nodes(1...4) { $0.isAlive = $0.id != NodeID(4) && $0.id != NodeID(3) }
        #expect(steps(all, [tablet(on: [1, 2, 3])]).isEmpty)
    }

    /// The target was the voters that an older directory knew; replica 3 has a tombstone.
    @Test func `a target that names a replica of before is given up`() {
        var moved = tablet(on: [1, 2, 4])
        moved.target = members([1, 2, 3])
        #expect(
            steps(nodes(1...4), [moved]).first
                == .retarget(
                    TabletID(2), target: members([1, 2, 4]), .majority,
                    nextReplica: ReplicaID(100)))
    }

    @Test func `a target whose newcomer would put out a voter of its node is given up`() {
        var changed = tablet(on: [1, 3])
        let voter = Member(replica: ReplicaID(4), node: NodeID(5))
        changed.voters.append(voter)
        changed.target = members([1, 3]) + [Member(replica: ReplicaID(5), node: NodeID(5))]
        #expect(
            steps(nodes(1...5), [changed]) == [
                .retarget(
                    TabletID(2), target: members([1, 3]) + [voter], .majority,
                    nextReplica: ReplicaID(100))
            ])
    }

    @Test func `a change under way goes on, and one that cannot end is given up`() {
        var moving = tablet(on: [1, 2, 3])
        moving.target = members([1, 2, 4])
        #expect(steps(nodes(1...4), [moving]) == [.advance(TabletID(2))])
        let lost = nodes(1...4) { $0.isAlive = $0.id != NodeID(4) }
        #expect(
            steps(lost, [moving]) == [
                .retarget(
                    TabletID(2), target: members([1, 2, 3]), .majority,
                    nextReplica: ReplicaID(100))
            ])
        moving.voters = moving.target
        #expect(steps(nodes(1...4), [moving]) == [.settled(TabletID(2))])
    }

    @Test func `a node that may not lead hands over at once`() {
        let all = nodes(1...3) { $0.mayLead = $0.id != NodeID(1) }
        let step = steps(all, [tablet(on: [1, 2, 3], leader: 1)])
        #expect(step == [.transfer(TabletID(2), to: NodeID(2))])
    }

    @Test func `leaders spread until they differ by less than two`() {
        let led = (2...7).map { tablet($0, on: [1, 2, 3], leader: 1) }
        var count = [NodeID(1): 6]
        for case .transfer(_, let node) in steps(nodes(1...3), led) {
            count[node, default: 0] += 1
            count[NodeID(1), default: 0] -= 1
        }
        #expect(count.values.sorted() == [2, 2, 2])
    }

    /// Random clusters: whatever is ordered is carried out at once, and it comes to rest.
    @Test(arguments: 0..<40)
    func `every cluster comes to rest, even, with all voters where they may be`(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let count = UInt32(3 + random.below(5))
        var all = nodes(1...count)
        let leaving = Int(random.below(UInt64(count) - 2))
        for place in 0..<leaving { all[place].keepsReplicas = false }
        for place in 0..<leaving { all[place].mayLead = false }
        var tablets = (0..<UInt64(1 + random.below(12))).map { number in
            tablet(number + 2, on: [1, 2, 3], leader: UInt32(1 + random.below(3)))
        }
        var history = MoveHistory()
        var now = Instant.zero
        for _ in 0..<400 {
            let steps = Placement(nodes: all, tablets: tablets).steps(&history, now: now)
            now = now + .seconds(10)
            for step in steps { carryOut(step, &tablets) }
        }
        let last = Placement(nodes: all, tablets: tablets).steps(&history, now: now)
        #expect(last.isEmpty, "\(last)")
        let able = all.filter(\.keepsReplicas).map(\.id)
        for tablet in tablets {
            let odd = able.count % 2 == 0 ? able.count - 1 : able.count
            #expect(tablet.voters.count == min(3, odd))
            #expect(tablet.voters.allSatisfy { able.contains($0.node) })
            #expect(Set(tablet.voters.map(\.node)).count == tablet.voters.count)
        }
        let loads = able.map { id in
            tablets.count { $0.voters.contains { $0.node == id } }
        }
        #expect((loads.max() ?? 0) - (loads.min() ?? 0) <= 2, "\(loads)")
    }

    private func carryOut(_ step: Placement.Step, _ tablets: inout [Placement.Tablet]) {
        switch step {
        case .retarget(let id, let target, _, let next):
            guard let place = tablets.firstIndex(where: { $0.id == id }) else { return }
            #expect(target.allSatisfy { $0.replica < next })
            tablets[place].target = target
            tablets[place].nextReplica = next
        case .keepLearners: Issue.record("no policy asks for learners")
        case .settled(let id):
            guard let place = tablets.firstIndex(where: { $0.id == id }) else { return }
            tablets[place].target = []
        case .advance(let id):
            guard let place = tablets.firstIndex(where: { $0.id == id }) else { return }
            tablets[place].voters = tablets[place].target
            if !tablets[place].voters.contains(where: { $0.node == tablets[place].leader }) {
                tablets[place].leader = tablets[place].voters[0].node
            }
        case .transfer(let id, let node):
            guard let place = tablets.firstIndex(where: { $0.id == id }) else { return }
            #expect(tablets[place].voters.contains { $0.node == node })
            tablets[place].leader = node
        }
    }

    /// Node 4 stands at home, and dies whenever it is to become a voter.
    @Test func `a node that comes and goes is chosen twice in five minutes at the most`() {
        var all = nodes(1...4) { $0.locality = try! Locality(parsing: "city=b,dc=b") }
        all[3].locality = try! Locality(parsing: "city=a,dc=a")
        var tablet = tablet(on: [1, 2, 3], leader: 1)
        tablet.policy.home = "a"
        var history = MoveHistory()
        func attempts(_ span: Range<Int>) -> Int {
            var count = 0
            for second in span {
                let now = Instant.zero + .seconds(second)
                all[3].isAlive = second % 2 == 0
                for step in Placement(nodes: all, tablets: [tablet]).steps(&history, now: now) {
                    switch step {
                    case .retarget(_, let target, _, let next):
                        if target != tablet.voters { count += 1 }
                        tablet.target = target
                        tablet.nextReplica = next
                    case .settled: tablet.target = []
                    default: break
                    }
                }
            }
            return count
        }
        #expect(attempts(0..<299) == 2)
        #expect(attempts(310..<600) == 2)
        // It stays: the next attempt succeeds, and nothing is held against the one after.
        all[3].isAlive = true
        tablet.target = []
        let later = Instant.zero + .seconds(1_000)
        _ = Placement(nodes: all, tablets: [tablet]).steps(&history, now: later)
        tablet.voters = members([1, 2]) + [Member(replica: ReplicaID(200), node: NodeID(4))]
        let last = Placement(nodes: all, tablets: [tablet]).steps(&history, now: later)
        #expect(last == [.transfer(TabletID(2), to: NodeID(4))])
    }

    @Test func `what a loss would take is mended however often a node goes`() {
        var all = nodes(1...4) { $0.locality = try! Locality(parsing: "city=a,dc=a") }
        for place in 1...3 {
            all[place].locality = try! Locality(parsing: "city=\(place),dc=\(place)")
        }
        all[1].locality = all[0].locality
        // Voters 1 and 2 stand in one city, of three that must stand without it.
        var tablet = tablet(on: [1, 2, 3], leader: 1)
        tablet.policy.survive = .city
        var history = MoveHistory()
        var count = 0
        for second in 0..<60 {
            all[3].isAlive = second % 2 == 0
            let steps = Placement(nodes: all, tablets: [tablet]).steps(
                &history, now: .zero + .seconds(second))
            for case .retarget(_, let target, _, let next) in steps {
                if target != tablet.voters { count += 1 }
                tablet.target = target == tablet.voters ? [] : target
                tablet.nextReplica = next
            }
        }
        #expect(count == 30)
    }

    @Test func `a tablet is moved for balance twice in five minutes at the most`() {
        var history = MoveHistory()
        let id = TabletID(2)
        let first = history.take(id, now: .zero)
        let second = history.take(id, now: .zero + .seconds(1))
        let third = history.take(id, now: .zero + .seconds(299))
        let fourth = history.take(id, now: .zero + .seconds(301))
        #expect([first, second, third, fourth] == [true, true, false, true])
    }
}
