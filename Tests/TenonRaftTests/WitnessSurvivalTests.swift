import TenonCore
import TenonPlacement
import Testing

@testable import TenonRaft

/// The proof of what a tablet with a witness survives (Rule C7), against what real replicas do:
/// every placement of one entry that a leader takes for committed, whether the witness has dropped
/// it when it may, and every loss.
struct WitnessSurvivalTests {
    /// What one voter has of the entry.
    private enum Holding: UInt8, Hashable {
        case lost, lacks, holds, dropped
    }

    /// Voters with data in places of these sizes, and a witness in a place of its own, which keeps
    /// entries until two places have them.
    private struct Layout {
        let rule: AcknowledgementRule
        /// The place of each voter, by its number less one; the witness comes last.
        let places: [Int]
        let membership: Membership
        let survival: Survival

        var witness: Int { places.count }
        var numbers: ClosedRange<Int> { 1...places.count }

        init(_ sizes: [Int], _ rule: AcknowledgementRule) throws {
            self.rule = rule
            let data = sizes.enumerated().flatMap { Array(repeating: $0.0, count: $0.1) }
            places = data + [sizes.count]
            membership = votersAndWitness(places.count, rule, in: data.map { "\($0)" } + [nil])
            let topology = Topology(
                try places.enumerated().map { number, place in
                    Topology.Node(
                        id: NodeID(UInt32(number + 1)), name: "n\(number + 1)",
                        locality: try Locality(parsing: "city=c\(place)"))
                })
            survival = Survival(
                voters: membership.incoming.map(\.node),
                witnesses: [NodeID(UInt32(places.count))], keptUntil: .city,
                acknowledgement: rule, in: topology)
        }

        func placesWithData(_ voters: [Int]) -> Int {
            Set(voters.filter { $0 != witness }.map { places[$0 - 1] }).count
        }

        private var sites: [NodeID: SiteID] {
            var sites: [NodeID: SiteID] = [:]
            for number in numbers {
                sites[NodeID(UInt32(number))] = SiteID(UInt8(places[number - 1] + 1))
            }
            return sites
        }

        /// Every set of voters of which a leader takes an entry for committed when they have it,
        /// and whether it tells the witness that it may drop it.
        func placements() throws -> [(holders: [Int], mayDrop: Bool)] {
            var starts: [Int: TestGroup] = [:]
            for number in numbers where number != witness {
                var start = TestGroup(places.count, membership: membership)
                for place in start.replicas.indices {
                    start.replicas[place].raft.dataSites = sites
                }
                start.elect(ReplicaID(UInt64(number)))
                start.advance(by: .milliseconds(100))
                starts[number] = start
            }
            return try numbers.subsets.compactMap { holders in
                guard let leader = holders.first, let start = starts[leader],
                    start[ReplicaID(UInt64(leader))].isReadyToServe
                else { return nil }
                var group = start
                let id = ReplicaID(UInt64(leader))
                group.drop = { message in
                    guard case .append = message.body else { return false }
                    return !holders.contains(Int(message.to.rawValue))
                }
                let index = try group.propose("e", at: id)
                group.advance(by: .milliseconds(100))
                guard group[id].commit >= index else { return nil }
                return (holders, group[id].heldElsewhere >= index)
            }
        }

        /// Runs those that are left; nil when nobody with data comes to lead.
        func aftermath(_ holdings: [Holding]) -> (isHeld: Bool, serves: Bool)? {
            let log = log(terms: [1, 1])
            let disks = holdings.map { holding in
                var disk = TestDisk(membership: membership)
                disk.hardState.term = 1
                switch holding {
                case .holds: disk.entries = log
                case .dropped:
                    disk.flush(log, at: log[1].position, membership)
                    disk.base = log[1].position
                case .lost, .lacks: disk.entries = [log[0]]
                }
                return disk
            }
            var group = TestGroup(places.count, membership: membership, disks: disks)
            func isLeft(_ id: ReplicaID) -> Bool { holdings[Int(id.rawValue) - 1] != .lost }
            group.isolated = Set(membership.incoming.map(\.replica).filter { !isLeft($0) })
            func leader() -> ReplicaID? {
                group.leader.flatMap { isLeft($0) && !membership.isWitness($0) ? $0 : nil }
            }
            // The witness stands last; where one is elected nobody has to wait for it.
            for _ in 0..<24 where leader() == nil { group.advance(by: .milliseconds(250)) }
            guard let leader = leader() else { return nil }
            let isHeld = group[leader].term(at: 2) == 1
            let index = try? group.propose("new", at: leader)
            group.advance(by: .milliseconds(200))
            return (isHeld, index.map { group[leader].commit >= $0 } ?? false)
        }
    }

    @Test(arguments: [[1, 1], [2, 1, 1], [2, 2], [3, 1], [4], [1, 1, 1, 1]])
    func `what is claimed of voters and a witness is what becomes of them`(sizes: [Int]) throws {
        try check(Layout(sizes, .majority))
    }

    @Test(arguments: [[2, 2], [2, 1, 1]])
    func `an acknowledgement from elsewhere is one of a copy`(sizes: [Int]) throws {
        try check(Layout(sizes, .city))
    }

    private func check(_ layout: Layout) throws {
        let placements = try layout.placements()
        #expect(!placements.isEmpty)
        for (holders, mayDrop) in placements {
            #expect(mayDrop == (layout.placesWithData(holders) >= 2), "\(layout.places) \(holders)")
        }
        var known: [[Holding]: (isHeld: Bool, serves: Bool)?] = [:]
        for left in layout.numbers.subsets where !left.isEmpty {
            var found: [[Holding]: (isHeld: Bool, serves: Bool)?] = [:]
            for (holders, mayDrop) in placements {
                for isDropped in mayDrop && holders.contains(layout.witness)
                    ? [false, true] : [false]
                {
                    let holdings = layout.numbers.map { number -> Holding in
                        if !left.contains(number) { return .lost }
                        guard holders.contains(number) else { return .lacks }
                        return isDropped && number == layout.witness ? .dropped : .holds
                    }
                    if known[holdings] == nil { known[holdings] = layout.aftermath(holdings) }
                    found[holdings] = known[holdings]
                }
            }
            check(left, found, layout)
        }
    }

    /// What is claimed holds whatever was where; and what is claimed to be possible is.
    private func check(
        _ left: [Int], _ found: [[Holding]: (isHeld: Bool, serves: Bool)?], _ layout: Layout
    ) {
        let nodes = left.map { NodeID(UInt32($0)) }
        let verdict = layout.survival.verdict(leaving: nodes)
        let outcomes = found.values.map { $0 }
        let text = "\(layout.places), \(layout.rule): left \(left): \(verdict), \(found)"
        // Nothing is ever lost in silence: whoever serves has it.
        #expect(outcomes.allSatisfy { $0?.isHeld ?? true }, "\(text)")
        switch verdict {
        case .byItself: #expect(outcomes.allSatisfy { $0?.serves == true }, "\(text)")
        case .whenElsewhereAnswers:
            #expect(outcomes.allSatisfy { $0?.serves == false }, "\(text)")
        case .byOperator where left.count >= layout.survival.majority:
            #expect(outcomes.contains { $0 == nil }, "\(text)")
        case .byOperator, .gone: #expect(outcomes.allSatisfy { $0 == nil }, "\(text)")
        }
        // A witness that is left alone has no copy to bring up to date.
        if verdict == .gone { return }
        let isLost = found.keys.contains { !$0.contains(.holds) }
        #expect(layout.survival.mayLoseEntries(leaving: nodes) == isLost, "\(text)")
        let isCarried = found.keys.contains { holdings in
            holdings[layout.witness - 1] == .holds && holdings.count { $0 == .holds } == 1
        }
        #expect(layout.survival.carriers(leaving: nodes).isEmpty != isCarried || isLost, "\(text)")
    }
}

extension ClosedRange<Int> {
    /// Every subset, in rising order.
    fileprivate var subsets: [[Int]] {
        reduce([[]]) { sets, number in sets + sets.map { $0 + [number] } }
    }
}
