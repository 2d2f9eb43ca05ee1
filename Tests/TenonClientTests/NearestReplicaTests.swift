import TenonCore
import TenonWire
import Testing

@testable import TenonClient

/// Where reads go that may be stale (Rule S8).
@Suite struct NearestReplicaTests {
    /// One tablet on three nodes, led by 1: node 1 in city a, nodes 2 and 3 in two rooms of city b.
    private static var directory: Directory {
        let places = ["city=a,dc=a1", "city=b,dc=b1", "city=b,dc=b2"]
        let members = (1...3).map { Member(replica: ReplicaID($0), node: NodeID(UInt32($0))) }
        return Directory(
            nodes: places.enumerated().map { place, locality in
                Directory.Node(
                    id: NodeID(UInt32(place + 1)), name: "n\(place + 1)",
                    address: "10.0.0.\(place + 1):1", locality: locality)
            },
            keyspaces: [Directory.Keyspace(id: .default, name: "default")],
            tablets: [
                TabletDescriptor(
                    id: TabletID(2), keyspace: .default, generation: .first, lower: "", upper: nil,
                    leader: NodeID(1), voters: Array(members.prefix(2)),
                    learners: [members[2]])
            ])
    }

    private func stage(at locality: String) throws -> Stage {
        var settings = Dispatch.Settings()
        settings.locality = try Locality(parsing: locality)
        var stage = try Stage(settings: settings)
        stage.dispatch.fetchDirectory(at: stage.now)
        stage.act()
        try stage.openAll()
        try stage.answer(try #require(stage.sent.first), .directory(Self.directory))
        return stage
    }

    private func ask(
        _ stage: inout Stage, _ staleness: Staleness = .within(milliseconds: 500)
    ) throws -> RequestID {
        let id = stage.submit(
            .ask(.get(key: "k", at: nil, staleness: staleness)), .key(keyspace: "default", "k"))
        try stage.openAll()
        return id
    }

    /// The node that has the request now.
    private func asked(_ stage: Stage) -> NodeID? {
        stage.sent.last { $0.request.body != .describe }.flatMap {
            stage.dispatch.links[$0.link].node
        }
    }

    private func refuse(_ stage: inout Stage, _ reason: Refusal.Reason = .unavailable) throws {
        let request = try #require(stage.sent.last { $0.request.body != .describe })
        try stage.answer(request, .refusal(Refusal(reason, "too old")))
        try stage.openAll()
    }

    @Test func `It goes to the same room first, then to the city, then to the leader`() throws {
        var stage = try stage(at: "city=b,dc=b2")
        let id = try ask(&stage)
        #expect(asked(stage) == NodeID(3))
        try refuse(&stage)
        #expect(asked(stage) == NodeID(2))
        try refuse(&stage, .notLeader)
        #expect(asked(stage) == NodeID(1))
        let request = try #require(stage.sent.last)
        let point = ReadPoint(
            tablet: TabletID(2), version: Timestamp(7), age: .within(milliseconds: 3))
        try stage.answer(request, .value(nil, at: point))
        #expect(throws: Never.self) { try #require(stage.ended[id]).get() }
    }

    @Test func `A read that must be new goes to the leader, however far`() throws {
        var stage = try stage(at: "city=b,dc=b2")
        _ = try ask(&stage, .none)
        #expect(asked(stage) == NodeID(1))
    }

    @Test func `When all have refused it waits and asks them anew`() throws {
        var stage = try stage(at: "city=b,dc=b2")
        let id = try ask(&stage)
        for _ in 1...3 { try refuse(&stage) }
        #expect(stage.sent.isEmpty && stage.ended[id] == nil)
        stage.pass(.milliseconds(20))
        #expect(asked(stage) == NodeID(3))
    }

    @Test func `A replica that is gone is passed by`() throws {
        var stage = try stage(at: "city=b,dc=b2")
        _ = try ask(&stage)
        let link = try #require(stage.sent.last).link
        stage.lose(link)
        stage.pass(.milliseconds(11))
        try stage.openAll()
        #expect(asked(stage) == NodeID(2))
    }

    @Test func `Whoever does not say where it stands asks some other than the leader`() throws {
        var stage = try stage(at: "")
        for _ in 0..<20 {
            _ = try ask(&stage, .any)
            #expect(asked(stage) != NodeID(1))
            let request = try #require(stage.sent.last)
            let point = ReadPoint(tablet: TabletID(2), version: Timestamp(7), age: .unknown)
            try stage.answer(request, .value(nil, at: point))
        }
    }

    @Test func `A locality that cannot be read is refused with what is wrong`() {
        var configuration = TenonClient.Configuration()
        configuration.locality = "shanghai"
        #expect(throws: TenonError.self) { try configuration.validate() }
    }
}
