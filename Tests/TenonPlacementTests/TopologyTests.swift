import TenonCore
import TenonPlacement
import Testing

/// Nodes 1, 2, … at these places, `city/room`.
private func topology(_ places: [String]) throws -> Topology {
    Topology(
        try places.enumerated().map { place, text in
            let parts = text.split(separator: "/")
            return Topology.Node(
                id: NodeID(UInt32(place + 1)), name: "n\(place + 1)",
                locality: try Locality(parsing: "city=\(parts[0]),dc=\(parts[1])"))
        })
}

private func ids(_ numbers: some Sequence<Int>) -> [NodeID] { numbers.map { NodeID(UInt32($0)) } }

@Suite struct `Where nodes stand` {
    @Test func `a locality is read and written alike`() throws {
        let text = "city=shanghai,dc=sh1,rack=r7"
        let locality = try Locality(parsing: text)
        #expect(locality.description == text)
        #expect(locality.name(at: "dc") == "sh1" && locality.name(at: "row") == nil)
        #expect(try Locality(parsing: "") == .unknown)
    }

    @Test(arguments: ["city", "=a", "city=", "city=a,", "city=a,city=b", "city=a=b", "city=a b"])
    func `what is no locality is refused with what to write`(text: String) {
        #expect(throws: LocalityError.self) { try Locality(parsing: text) }
    }

    @Test func `rooms of the same name in two cities are two rooms`() throws {
        let places = try topology(["sh/a", "sh/b", "bj/a"])
        #expect(places.domains(at: .dc).map(\.name) == ["bj/a", "sh/a", "sh/b"])
        #expect(places.nodes(in: FailureDomain(.city, "sh")).map(\.name) == ["n1", "n2"])
    }
}

@Suite struct `What a tablet survives` {
    private func verdicts(_ places: [String], voters: [Int]) throws -> [LossVerdict?] {
        let survival = Survival(voters: ids(voters), in: try topology(places))
        return FailureLevel.allCases.map { survival.worstLoss(at: $0)?.verdict }
    }

    @Test func `the layouts that the documents name`() throws {
        let threeRooms = ["sh/1", "sh/2", "sh/3"]
        #expect(try verdicts(threeRooms, voters: [1, 2, 3]) == [.byItself, .byItself, .gone])
        let cities = ["sh/1", "sh/2", "bj/1", "bj/2", "sz/1"]
        #expect(
            try verdicts(cities, voters: [1, 2, 3, 4, 5]) == [.byItself, .byItself, .byItself])
        let two = ["sh/1", "sh/2", "bj/1"]
        #expect(try verdicts(two, voters: [1, 2, 3]) == [.byItself, .byItself, .byOperator])
        #expect(try verdicts(["sh/1"], voters: [1]) == [.gone, .gone, .gone])
    }

    @Test func `what is down already counts as lost`() throws {
        let places = try topology(["sh/1", "sh/2", "bj/1", "bj/2", "sz/1"])
        let survival = Survival(voters: ids(1...5), down: [NodeID(5)], in: places)
        #expect(survival.worstLoss(at: .node)?.verdict == .byItself)
        let worst = try #require(survival.worstLoss(at: .city))
        #expect(worst.verdict == .byOperator && worst.left.count == 2 && worst.majority == 3)
    }

    @Test func `a node whose city nobody knows leaves the question open`() throws {
        let places = Topology([
            Topology.Node(id: NodeID(1), name: "n1", locality: try Locality(parsing: "city=sh")),
            Topology.Node(id: NodeID(2), name: "n2", locality: .unknown),
        ])
        let survival = Survival(voters: ids(1...2), in: places)
        #expect(survival.worstLoss(at: .city) == nil)
        #expect(survival.worstLoss(at: .node)?.verdict == .byOperator)
        #expect(places.unlabelled(at: .city).map(\.name) == ["n2"])
    }

    /// Every layout of up to seven voters over three cities, against the definition: whichever
    /// majority held an entry, one of them is left, and those that are left can elect.
    @Test(arguments: 1...7)
    func `every verdict is what all placements of one committed entry say`(count: Int) throws {
        var layouts: [[Int]] = [[]]
        for _ in 0..<count { layouts = layouts.flatMap { layout in (0..<3).map { layout + [$0] } } }
        for layout in layouts {
            let survival = Survival(
                voters: ids(1...count), in: try topology(layout.map { "c\($0)/r" }))
            for city in 0..<3 {
                let loss = survival.loss(of: FailureDomain(.city, "c\(city)"))
                let left = layout.indices.filter { layout[$0] != city }
                let majorities = (0..<(1 << count)).filter { $0.nonzeroBitCount > count / 2 }
                let canElect = majorities.contains { majority in
                    (0..<count).allSatisfy { majority & (1 << $0) == 0 || left.contains($0) }
                }
                let isHeld = majorities.allSatisfy { majority in
                    left.contains { majority & (1 << $0) != 0 }
                }
                #expect((loss.verdict == .byItself) == (canElect && isHeld))
                #expect((loss.verdict == .gone) == left.isEmpty)
            }
        }
    }
}
