import ArgumentParser
import TenonCore
import TenonPlacement
import TenonWire
import Testing

@testable import tenon

@Suite("What a policy comes to")
struct ExplanationTests {
    private static let places = [
        "city=sh,dc=1", "city=sh,dc=2", "city=bj,dc=1", "city=bj,dc=2", "city=sz,dc=1",
    ]

    private func directory(
        _ policy: PlacementPolicy, voters: [UInt32] = [1, 2, 3, 4, 5], leader: UInt32 = 1
    ) -> Directory {
        Directory(
            nodes: ExplanationTests.places.enumerated().map { place, locality in
                Directory.Node(
                    id: NodeID(UInt32(place + 1)), name: "n\(place + 1)", address: "",
                    locality: locality)
            },
            keyspaces: [
                Directory.Keyspace(id: KeyspaceID(2), name: "k", replicas: 5, policy: policy)
            ],
            tablets: [2, 3].map { id in
                TabletDescriptor(
                    id: TabletID(id), keyspace: KeyspaceID(2), generation: .first,
                    lower: id == 2 ? "" : "sh/", upper: id == 2 ? "sh/" : nil,
                    leader: NodeID(leader),
                    voters: voters.map { Member(replica: ReplicaID(UInt64($0)), node: NodeID($0)) })
            })
    }

    private func explanation(
        _ directory: Directory, down: Set<NodeID> = [], trips: [NodeID: UInt64] = [:]
    ) -> Explanation {
        Explanation(directory.keyspaces[0], in: directory, down: down) { _ in trips }
    }

    private let city = PlacementPolicy(
        survive: .city, homes: [.init(prefix: "", city: "sh")], failover: ["bj"])

    @Test("Every loss up to the goal is listed with the majority that is left")
    func losses() throws {
        let told = explanation(directory(city))
        #expect(told.risks.isEmpty && told.notes.isEmpty)
        // Two tablets that are alike are told of once.
        #expect(told.parts.count == 1 && told.parts[0].name == "2-3")
        #expect(told.parts[0].losses.count == 5 + 5 + 3)
        #expect(told.text.contains("k: --survive city --home '=sh' --then bj --replicas 5"))
        #expect(told.text.contains("survives  city sh lost: n3, n4, n5 left, 3 needed: by itself"))
    }

    @Test("A voter whose node has no replica counts as lost, and is a risk by name")
    func missingReplica() throws {
        let two = directory(city)
        let statuses = (1...5).map { number in
            var status = NodeStatus(
                node: NodeID(UInt32(number)), name: "n\(number)", cluster: .none,
                boot: BootNumber(1), epoch: Epoch(0), state: "serving")
            status.tablets = [2, 3].map { .init(tablet: TabletID($0), role: "follower") }
            if number == 5 { status.tablets.removeLast() }
            if number == 4 { status.tablets[1].role = "quarantined" }
            return status
        }
        let missing = MissingReplicas(two, statuses)
        let told = Explanation(two.keyspaces[0], in: two, down: [], missing: missing) { _ in [:] }
        #expect(told.parts.map(\.name) == ["2", "3"])
        #expect(told.parts[0].missing.isEmpty)
        #expect(told.parts[1].missing == ["n4 is quarantined: whole", "n5 has no replica yet"])
        #expect(told.risks.contains("tablet 3: its voter on n5 has no replica yet"))
        #expect(told.risks.contains { $0.contains("would not survive the loss of node n1") })
        let check = TopologyCheck(two, down: [], missing: missing)
        #expect(check.risks.contains { $0.contains("tablet 3") })
    }

    @Test("Where reads near clients are served is told city by city; without a copy it is a risk")
    func localReads() throws {
        var policy = PlacementPolicy(survive: .node)
        policy.localReadsWithin = .seconds(2)
        var told = directory(policy, voters: [1, 2, 3])
        told.keyspaces[0].replicas = 3
        for place in told.tablets.indices {
            let learner = Member(replica: ReplicaID(9), node: NodeID(5))
            told.tablets[place].learners = [learner]
            told.tablets[place].targetLearners = [learner]
        }
        let whole = explanation(told)
        #expect(whole.risks.isEmpty, "\(whole.risks)")
        #expect(whole.text.contains("k: --survive node --local-reads-within 2s --replicas 3"))
        #expect(whole.text.contains("learners  n5 (city=sz,dc=1)"))
        #expect(
            whole.text.contains(
                "reads     within 2s: bj from n3 (voter), sh from n2 (voter), sz from n5 (learner)")
        )
        // The last node of a city is lost: nobody is there who could read.
        #expect(explanation(told, down: [NodeID(5)]).risks.isEmpty)
        for place in told.tablets.indices { told.tablets[place].learners = [] }
        let less = explanation(told)
        #expect(
            less.risks == ["tablet 2-3 has no copy in sz: reads there go to another city"],
            "\(less.risks)")
    }

    /// Seen on nine nodes: who answers has no replica, and so knows no leader.
    @Test("A leader that the answering node does not know is named by its own word")
    func leaderUnknown() {
        let told = directory(city, leader: 0)
        #expect(explanation(told).text.contains("led by nobody known"))
        func status(_ node: UInt32, _ role: String, term: UInt64) -> NodeStatus {
            var status = NodeStatus(
                node: NodeID(node), name: "n\(node)", cluster: .none, boot: BootNumber(1),
                epoch: .first, state: "serving")
            status.tablets = [UInt64(2), 3].map { id in
                var tablet = NodeStatus.Tablet(tablet: TabletID(id), role: role)
                tablet.term = term
                return tablet
            }
            return status
        }
        // One that was deposed and does not know it does not count.
        let statuses = [status(1, "leader", term: 3), status(3, "leader", term: 4), nil]
        let known = explanation(told.led(as: statuses))
        #expect(known.text.contains("led by n3"), "\(known.text)")
    }

    @Test("What an acknowledgement from elsewhere costs is told, and counted in the proof")
    func elsewhere() throws {
        var policy = city
        policy.acknowledgement = .city
        var told = directory(policy)
        for place in told.tablets.indices {
            told.tablets[place].acknowledgement = Acknowledgement(
                .city, places: ["sh", "sh", "bj", "bj", "sz"])
        }
        let trips: [NodeID: UInt64] = [
            NodeID(2): 200, NodeID(3): 15_500, NodeID(4): 15_100, NodeID(5): 30_000,
        ]
        let whole = explanation(told, trips: trips)
        #expect(whole.risks.isEmpty)
        #expect(whole.text.contains("--ack city"))
        #expect(whole.text.contains("when no voter elsewhere answers, writes stop"))
        #expect(whole.text.contains("after a change of leader linearizable reads stop"))
        #expect(whole.parts.first?.commit?.node.name == "n4")
        // Of three cities one is lost already: with another the last one waits.
        let less = explanation(told, down: [NodeID(3), NodeID(4)])
        #expect(
            less.risks.contains(
                "tablet 2-3 would not survive the loss of node n5: 2 of 3 voters that it needs"))
        let near = directory(
            PlacementPolicy(survive: .node, acknowledgement: .city), voters: [1, 2, 3])
        #expect(
            explanation(near).risks == [
                "tablet 2-3 has fewer voters than it should",
                "tablet 2-3 acknowledges by majority, not by city yet",
            ])
    }

    /// Two voters of three in one city: the third's loss leaves a majority that must wait.
    @Test("A loss after which writes wait for a voter elsewhere is named so")
    func waiting() throws {
        var told = directory(
            PlacementPolicy(survive: .node, acknowledgement: .city), voters: [1, 2, 3])
        for place in told.tablets.indices {
            told.tablets[place].acknowledgement = Acknowledgement(
                .city, places: ["sh", "sh", "bj"])
        }
        let explanation = explanation(told, trips: [NodeID(2): 200, NodeID(3): 15_500])
        #expect(explanation.parts.first?.commit?.node.name == "n3")
        // Whatever was committed is in Beijing, too.
        #expect(explanation.text.contains("2 needed: by operator command, no entry lost"))
        #expect(
            explanation.risks.contains(
                "tablet 2-3 would not survive the loss of node n3: voters of one place only, and "
                    + "writes need another"))
        #expect(explanation.text.contains("needed: when a voter elsewhere answers"))
    }

    @Test("A commit waits for the nearest voters that complete a majority")
    func commit() throws {
        let trips: [NodeID: UInt64] = [
            NodeID(2): 200, NodeID(3): 15_500, NodeID(4): 15_100, NodeID(5): 30_000,
        ]
        let path = try #require(explanation(directory(city), trips: trips).parts[0].commit)
        #expect(path.node.name == "n4" && path.roundTripMicroseconds == 15_100)
        let down = explanation(directory(city), down: [NodeID(2), NodeID(4)], trips: trips)
        #expect(down.parts[0].commit?.node.name == "n5")
        #expect(explanation(directory(city)).parts[0].commit == nil, "nothing was measured")
    }

    @Test("What would not be survived is AT RISK, and what no goal covers is said")
    func risks() throws {
        let down = explanation(directory(city), down: [NodeID(5)])
        #expect(down.risks.contains { $0.contains("loss of city sh: 2 of 3") })
        #expect(down.notes == ["do not answer, counted as lost: n5"])
        let few = explanation(directory(city, voters: [1, 3, 5]))
        #expect(few.risks == ["tablet 2-3 has fewer voters than it should"])
        let node = explanation(directory(PlacementPolicy(), voters: [1, 2, 3]))
        #expect(
            node.text.contains("not       city sh lost: n3 left, 2 needed: by operator command"))
    }

    @Test("A leader away from home is noted, and harms nothing")
    func away() {
        let told = explanation(directory(city, leader: 3))
        #expect(told.notes == ["tablet 2-3 is led from bj, its home is sh"])
        #expect(told.risks.isEmpty)
    }

    @Test("Policies are given back as they were typed")
    func options() throws {
        let arguments = [
            "--survive", "city", "--home", "a=b=shanghai", "--home", "=beijing", "--then",
            "shenzhen,beijing", "--retention", "5m", "--ack", "dc",
        ]
        let settings = try PolicyOptions.parse(arguments).settings
        let policy = settings.applied(to: PlacementPolicy())
        #expect(
            policy.text
                == "--survive city --home 'a=b=shanghai' --home '=beijing' "
                + "--then shenzhen,beijing --ack dc")
        #expect(settings.retention == .seconds(300) && settings.replicas == nil)
        #expect(try PolicyOptions.parse([]).settings == KeyspaceSettings())
    }

    @Test(
        "What is no policy is refused",
        arguments: [
            ["--survive", "planet"], ["--home", "shanghai"], ["--home", "sh="], ["--then", "a,,b"],
            ["--replicas", "0"], ["--ack", "planet"],
        ])
    func refusals(arguments: [String]) {
        #expect(throws: (any Error).self) { try PolicyOptions.parse(arguments) }
    }
}
