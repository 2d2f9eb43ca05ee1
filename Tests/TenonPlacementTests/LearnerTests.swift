import TenonCore
import TenonPlacement
import Testing

/// Copies without a vote in cities without a voter, where a policy has reads served near clients.
@Suite struct `Learners by policy` {
    /// A cluster whose planner is obeyed at once.
    private struct World {
        var nodes: [Placement.Node]
        var tablets: [Placement.Tablet]
        var history = MoveHistory()
        var now = Instant.zero + .seconds(1)
        /// All that the planner wanted, in order.
        var steps: [Placement.Step] = []

        /// Nodes 1, 2, … in these cities; tablets with voters on the first three of them.
        init(_ cities: [String], tablets count: Int = 1, hasLocalReads: Bool = true) {
            nodes = cities.enumerated().map { place, city in
                Placement.Node(
                    id: NodeID(UInt32(place + 1)),
                    locality: try! Locality(parsing: "city=\(city),dc=\(city)\(place)"))
            }
            let voters = (1...3).map { Member(replica: ReplicaID($0), node: NodeID(UInt32($0))) }
            tablets = (0..<count).map { number in
                Placement.Tablet(
                    id: TabletID(UInt64(number) + 2), replicas: 3, voters: voters,
                    nextReplica: ReplicaID(4), leader: NodeID(1),
                    policy: .init(hasLocalReads: hasLocalReads))
            }
        }

        /// Looks and obeys, `count` times with a second between.
        mutating func run(_ count: Int = 20) {
            for _ in 0..<count {
                let next = Placement(nodes: nodes, tablets: tablets).steps(&history, now: now)
                steps += next
                for step in next { carryOut(step) }
                now = now + .seconds(1)
            }
        }

        private mutating func carryOut(_ step: Placement.Step) {
            switch step {
            case .retarget(let id, let target, _, let next):
                change(id) {
                    $0.target = target
                    $0.targetLearners.removeAll { target.contains($0) }
                    $0.nextReplica = next
                }
            case .keepLearners(let id, let learners, let next):
                change(id) {
                    #expect(learners.allSatisfy { $0.replica < next })
                    $0.targetLearners = learners
                    $0.nextReplica = next
                }
            case .settled(let id): change(id) { $0.target = [] }
            case .advance(let id):
                change(id) {
                    $0.voters = $0.target
                    $0.learners = $0.targetLearners
                }
            case .transfer(let id, let node): change(id) { $0.leader = node }
            }
        }

        private mutating func change(_ id: TabletID, _ body: (inout Placement.Tablet) -> Void) {
            for place in tablets.indices where tablets[place].id == id { body(&tablets[place]) }
        }

        /// The nodes of a tablet's learners.
        func learners(of place: Int = 0) -> [UInt32] {
            tablets[place].learners.map(\.node.rawValue).sorted()
        }

        var isQuiet: Bool {
            var history = history
            return Placement(nodes: nodes, tablets: tablets).steps(&history, now: now).isEmpty
        }
    }

    @Test func `a city without a voter gets one learner, those with a voter none`() {
        var world = World(["a", "b", "c", "d", "d", "e", "a"])
        world.run()
        #expect(world.learners() == [4, 6])
        #expect(world.tablets[0].voters.map(\.node.rawValue) == [1, 2, 3])
        #expect(world.isQuiet)
    }

    @Test func `nobody gets one whose policy does not ask, and nodes without a city have none`() {
        var without = World(["a", "b", "c", "d"], hasLocalReads: false)
        #expect(without.isQuiet)
        without = World(["a", "b", "c", "d"])
        without.nodes[3].locality = .unknown
        #expect(without.isQuiet)
    }

    @Test func `they come one at a time, under numbers that nobody had`() {
        var world = World(["a", "b", "c", "d", "e", "f"])
        world.run()
        var known: [Member] = []
        for case .keepLearners(_, let learners, _) in world.steps {
            #expect(learners.count == known.count + 1)
            known = learners
        }
        #expect(known.map(\.replica.rawValue) == [4, 5, 6])
        #expect(known.count == 3 && world.tablets[0].nextReplica == ReplicaID(7))
    }

    @Test func `learners are spread over the nodes of their city`() {
        var world = World(["a", "b", "c", "d", "d"], tablets: 6)
        world.run(40)
        let nodes = (0..<6).flatMap { world.learners(of: $0) }
        #expect(nodes.count == 6 && nodes.count { $0 == 4 } == 3)
    }

    @Test func `a voter that would leave a learner behind is not moved for balance`() {
        var world = World(["a", "b", "c", "d", "d"], tablets: 6)
        let voters = world.tablets.map(\.voters)
        world.run(600)
        // Six copies on each of three nodes, three on the others: nothing makes them fewer.
        #expect(world.tablets.map(\.voters) == voters && world.isQuiet)
        for place in world.tablets.indices { world.tablets[place].policy.hasLocalReads = false }
        world.run(600)
        #expect(world.tablets.map(\.voters) != voters)
    }

    @Test func `without the policy they go, one at a time`() {
        var world = World(["a", "b", "c", "d", "e"])
        world.run()
        #expect(world.learners() == [4, 5])
        world.tablets[0].policy.hasLocalReads = false
        world.steps = []
        world.run()
        #expect(world.learners().isEmpty && world.isQuiet)
        let kept = world.steps.compactMap { step -> Int? in
            if case .keepLearners(_, let learners, _) = step { learners.count } else { nil }
        }
        #expect(kept == [1, 0])
    }

    @Test func `a node that restarts keeps its learner, one that stays away is stood in for`() {
        var world = World(["a", "b", "c", "d", "d"])
        world.run()
        #expect(world.learners() == [4])
        world.nodes[3].isAlive = false
        world.run(50)
        #expect(world.learners() == [4])
        world.run(30)
        #expect(world.learners() == [5])
        world.nodes[3].isAlive = true
        world.run()
        #expect(world.learners() == [5] && world.isQuiet)
    }

    @Test func `a city that is away as a whole keeps its learner, and nothing is done`() {
        var world = World(["a", "b", "c", "d", "d"])
        world.run()
        world.nodes[3].isAlive = false
        world.nodes[4].isAlive = false
        world.steps = []
        world.run(100)
        #expect(world.steps.isEmpty && world.learners() == [4])
    }

    @Test func `a learner that comes and goes is made again twice in five minutes at the most`() {
        var world = World(["a", "b", "c", "d", "d"])
        world.run()
        world.steps = []
        for turn in 0..<4 {
            // Whoever has it is away for so long that the other gets it.
            world.nodes[3].isAlive = turn % 2 == 1
            world.nodes[4].isAlive = turn % 2 == 0
            world.run(65)
        }
        #expect(world.steps.count { if case .keepLearners = $0 { true } else { false } } == 2)
    }

    @Test func `a node that leaves the cluster hands its learner to another of its city`() {
        var world = World(["a", "b", "c", "d", "d"])
        world.run()
        world.nodes[3].keepsReplicas = false
        world.nodes[3].mayLead = false
        world.run()
        #expect(world.learners() == [5] && world.isQuiet)
    }

    @Test func `a learner gets the vote where a voter is wanted, and is none any more`() {
        var world = World(["a", "b", "c", "d"])
        world.run()
        let learner = world.tablets[0].learners
        #expect(learner.map(\.node) == [NodeID(4)])
        world.nodes[2].keepsReplicas = false
        world.nodes[2].mayLead = false
        world.run()
        #expect(world.tablets[0].voters.contains(learner[0]))
        #expect(world.learners().isEmpty && world.isQuiet)
    }

    @Test func `one that is gone for good comes again under another number`() {
        var world = World(["a", "b", "c", "d"])
        world.run()
        world.tablets[0].gone = world.tablets[0].learners
        world.run()
        #expect(world.tablets[0].learners == [Member(replica: ReplicaID(5), node: NodeID(4))])
    }

    /// A directory that had not heard of a voter put a learner beside it.
    @Test func `a learner on the node of a voter is given up`() {
        var world = World(["a", "b", "c", "d"])
        world.tablets[0].targetLearners = [Member(replica: ReplicaID(4), node: NodeID(3))]
        world.tablets[0].target = world.tablets[0].voters
        world.tablets[0].nextReplica = ReplicaID(5)
        world.run()
        #expect(world.learners() == [4] && world.isQuiet)
        #expect(world.tablets[0].learners == [Member(replica: ReplicaID(5), node: NodeID(4))])
    }

    @Test func `whatever becomes of learners, the voters stay`() {
        for seed in UInt64(1)...30 {
            var random = SeededGenerator(seed: seed)
            var world = World(["a", "b", "c", "d", "d", "e", "e", "f"], tablets: 3)
            let voters = world.tablets.map(\.voters)
            for _ in 0..<30 {
                let place = 3 + Int(random.below(5))
                world.nodes[place].isAlive.toggle()
                world.run(1 + Int(random.below(80)))
                #expect(world.tablets.map(\.voters) == voters)
            }
            for place in world.nodes.indices { world.nodes[place].isAlive = true }
            world.run(400)
            #expect(world.isQuiet, "seed \(seed)")
            for place in world.tablets.indices {
                let cities = world.tablets[place].learners.compactMap { learner in
                    world.nodes.first { $0.id == learner.node }?.locality.name(at: "city")
                }
                #expect(cities.sorted() == ["d", "e", "f"], "seed \(seed)")
            }
        }
    }
}
