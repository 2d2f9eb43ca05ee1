import TenonCore
import TenonPlacement
import Testing

@testable import TenonRaft

/// How many voters stand in each of some places, the most first: what names a place plays no part.
private func divisions(of count: Int, atMost most: Int) -> [[Int]] {
    guard count > 0 else { return [[]] }
    return (1...min(count, most)).reversed().flatMap { first in
        divisions(of: count - first, atMost: first).map { [first] + $0 }
    }
}

/// Up to seven voters, divided over places in every way.
private let layouts = (1...7).flatMap { divisions(of: $0, atMost: $0) }

/// What holds an entry, or does not, in one place.
private struct PlaceState: Hashable, Comparable {
    var holders: Int
    var others: Int

    static func < (one: PlaceState, other: PlaceState) -> Bool {
        (one.holders, one.others) < (other.holders, other.others)
    }
}

/// The proof that `tenon explain` prints, against what real replicas do: every layout, every
/// placement of one entry that a leader takes for committed, and every loss.
///
/// Places are rooms or cities, as the rule asks; a majority knows none. Voters of a place are
/// alike, so placements and losses are numbers for each place, and what becomes of survivors is
/// tried once for all that look the same.
struct SurvivalBruteForceTests {
    /// What becomes of the voters that are left.
    private struct Aftermath {
        /// Somebody leads.
        var isElected: Bool
        /// And holds the entry.
        var isHeld: Bool
        /// And commits new ones.
        var serves: Bool
    }

    /// Voters in places of these sizes, under one rule.
    private struct Layout {
        let sizes: [Int]
        let rule: AcknowledgementRule
        /// The place of each voter, by its number less one.
        let places: [Int]
        let membership: Membership
        let survival: Survival

        init(_ sizes: [Int], _ rule: AcknowledgementRule) throws {
            self.sizes = sizes
            self.rule = rule
            let places = sizes.enumerated().flatMap { Array(repeating: $0.0, count: $0.1) }
            self.places = places
            let members = members(1...places.count)
            membership = try Membership(
                incoming: members, acknowledgement: Acknowledgement(rule, places: places))
            let topology = Topology(
                try places.enumerated().map { number, place in
                    // Rooms of one city or of many: they are told apart all the same.
                    let text = rule == .dc ? "city=c\(place % 2),dc=r\(place)" : "city=c\(place)"
                    return Topology.Node(
                        id: NodeID(UInt32(number + 1)), name: "n\(number + 1)",
                        locality: try Locality(parsing: text))
                })
            survival = Survival(
                voters: members.map(\.node), acknowledgement: rule, in: topology)
        }

        /// The numbers of voters: of each place the first so many.
        func voters(_ counts: [Int], skipping skipped: [Int]? = nil) -> [Int] {
            places.indices.filter { voter in
                let place = places[voter]
                let rank = voter - sizes[..<place].reduce(0, +) - (skipped?[place] ?? 0)
                return rank >= 0 && rank < counts[place]
            }.map { $0 + 1 }
        }

        /// Every choice of at most so many of each place.
        static func counts(upTo sizes: [Int]) -> [[Int]] {
            sizes.reduce([[]]) { sums, size in
                sums.flatMap { sum in (0...size).map { sum + [$0] } }
            }
        }

        // MARK: Symmetry

        /// The places of one size, which are alike, for each size.
        private var classes: [[Int]] {
            Set(sizes).sorted().map { size in sizes.indices.filter { sizes[$0] == size } }
        }

        /// One of all that are the same but for the names of places.
        func canonical<State: Comparable>(_ states: [State]) -> [State] {
            var result = states
            for alike in classes {
                for (place, state) in zip(alike, alike.map { states[$0] }.sorted(by: >)) {
                    result[place] = state
                }
            }
            return result
        }

        // MARK: Placements

        /// How many voters of each place hold an entry that a leader takes for committed: reached
        /// by leaders in all places, with the entry on their own disks, or not yet.
        func placements() throws -> Set<[Int]> {
            var found: Set<[Int]> = []
            for place in classes.compactMap(\.first) {
                for isDurable in [true, false] {
                    try insertPlacements(ledFrom: place, isDurable, into: &found)
                }
            }
            return found
        }

        private func insertPlacements(
            ledFrom place: Int, _ isDurable: Bool, into found: inout Set<[Int]>
        ) throws {
            let id = ReplicaID(UInt64(sizes[..<place].reduce(0, +) + 1))
            var start = TestGroup(places.count, membership: membership)
            start.elect(id)
            start.advance(by: .milliseconds(100))
            // With fewer places than the rule asks for nothing is ever committed.
            #expect(start[id].isReadyToServe == (rule == .majority || sizes.count >= 2))
            guard start[id].isReadyToServe else { return }
            var others = sizes
            others[place] -= 1
            var tried: Set<[Int]> = []
            for counts in Layout.counts(upTo: others) {
                var known = counts
                if isDurable { known[place] += 1 }
                // The leader's own place is not like the others.
                let alike = canonical(sizes.indices.map { counts[$0] * 2 + ($0 == place ? 1 : 0) })
                guard tried.insert(alike).inserted else { continue }
                var skipped = sizes.map { _ in 0 }
                skipped[place] = 1
                let having = Set(
                    voters(counts, skipping: skipped).map { ReplicaID(UInt64($0)) })
                if try commits(having, isDurable, leader: id, start) {
                    found.insert(canonical(known))
                }
            }
        }

        /// Whether a leader takes an entry for committed when `having` and, if its own disk does
        /// what it should, itself have it durably.
        private func commits(
            _ having: Set<ReplicaID>, _ isDurable: Bool, leader: ReplicaID, _ start: TestGroup
        ) throws -> Bool {
            var group = start
            if !isDurable { group.stalled = [leader] }
            group.drop = { message in
                guard case .append = message.body else { return false }
                return !having.contains(message.to)
            }
            let index = try group.propose("e", at: leader)
            group.settle()
            for voter in having {
                #expect(group.replica(voter).disk.entries.last?.index == index)
            }
            return group[leader].commit >= index
        }

        // MARK: Losses

        /// Runs what is left: in each place so many that hold the entry and so many that do not.
        func aftermath(_ left: [PlaceState]) -> Aftermath {
            let holders = voters(left.map(\.holders))
            let others = voters(left.map(\.others), skipping: left.map(\.holders))
            let log = log(terms: [1, 1])
            let disks = places.indices.map { voter in
                var disk = TestDisk(membership: membership)
                disk.hardState.term = 1
                disk.entries = holders.contains(voter + 1) ? log : [log[0]]
                return disk
            }
            var group = TestGroup(places.count, membership: membership, disks: disks)
            let living = Set((holders + others).map { ReplicaID(UInt64($0)) })
            group.isolated = Set(membership.incoming.map(\.replica)).subtracting(living)
            // Several elections' time; where one is won nobody has to wait for the others.
            for _ in 0..<12 where group.leader.map({ !living.contains($0) }) ?? true {
                group.advance(by: .milliseconds(250))
            }
            guard let leader = group.leader, living.contains(leader) else {
                return Aftermath(isElected: false, isHeld: false, serves: false)
            }
            let isHeld = group[leader].term(at: 2) == 1
            let index = try? group.propose("new", at: leader)
            group.advance(by: .milliseconds(200))
            let serves = index.map { group[leader].commit >= $0 } ?? false
            return Aftermath(isElected: true, isHeld: isHeld, serves: serves)
        }

        /// What the proof says of the voters that are left.
        func claim(_ left: [PlaceState]) -> (verdict: LossVerdict, mayLoseEntries: Bool) {
            let nodes = voters(left.map { $0.holders + $0.others }).map { NodeID(UInt32($0)) }
            return (
                survival.verdict(leaving: nodes), survival.mayLoseEntries(leaving: nodes)
            )
        }
    }

    @Test(arguments: 1...7)
    func `a majority left serves by itself and has every entry`(count: Int) throws {
        try check(Layout([count], .majority))
    }

    @Test(arguments: layouts)
    func `voters of two places serve by themselves, of one they wait`(sizes: [Int]) throws {
        try check(Layout(sizes, sizes.count % 2 == 0 ? .dc : .city))
    }

    /// Every reachable placement, every loss of any number of voters.
    private func check(_ layout: Layout) throws {
        let placements = try layout.placements()
        #expect(placements.isEmpty == (layout.sizes.count < 2 && layout.rule != .majority))
        var states: Set<[PlaceState]> = []
        for holders in placements {
            let others = zip(layout.sizes, holders).map { $0 - $1 }
            for left in Layout.counts(upTo: holders) {
                for alsoLeft in Layout.counts(upTo: others) {
                    states.insert(
                        layout.canonical(
                            zip(left, alsoLeft).map { PlaceState(holders: $0, others: $1) }))
                }
            }
        }
        for state in states { check(state, layout) }
        checkLostEntries(placements, layout)
    }

    private func check(_ left: [PlaceState], _ layout: Layout) {
        let claim = layout.claim(left)
        let isAnyHolder = left.contains { $0.holders > 0 }
        let found = layout.aftermath(left)
        let isTrue: Bool =
            switch claim.verdict {
            case .byItself: found.isElected && found.isHeld && found.serves
            case .whenElsewhereAnswers: found.isElected && found.isHeld && !found.serves
            case .byOperator, .gone: !found.isElected
            }
        if !isTrue || !(isAnyHolder || claim.mayLoseEntries) {
            Issue.record(
                "\(layout.sizes), \(layout.rule): left \(left): \(claim), found \(found)")
        }
    }

    /// Each loss of which the proof says that entries may be lost, loses one in some placement, and
    /// no other does.
    private func checkLostEntries(_ placements: Set<[Int]>, _ layout: Layout) {
        for left in Layout.counts(upTo: layout.sizes) where !placements.isEmpty {
            // Of places that are alike those with the most holders may be those that lost most.
            let fewestFirst = layout.canonical(left.map { -$0 }).map { -$0 }
            let isLost = placements.contains { holders in
                zip(layout.sizes, zip(fewestFirst, holders)).allSatisfy { size, numbers in
                    numbers.0 + numbers.1 <= size
                }
            }
            let claim = layout.claim(left.map { PlaceState(holders: $0, others: 0) })
            #expect(claim.mayLoseEntries == isLost, "\(layout.sizes), \(layout.rule): \(left)")
        }
    }
}
