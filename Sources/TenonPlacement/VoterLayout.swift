package import TenonCore

/// The nodes of a cluster as places for voters: which of them are lost together.
///
/// Only what labels say can be relied on: a voter on a node without one is never well placed.
package struct VoterLayout: Sendable {
    /// By id.
    package let nodes: [Placement.Node]
    /// For each node the numbers of its city and of its room; ``unknown`` where nobody says.
    fileprivate let cities: [Int]
    fileprivate let rooms: [Int]
    /// For each node whether its replicas have no data (Rule C7).
    fileprivate let isWitness: [Bool]
    fileprivate let cityNames: [String]
    fileprivate static let unknown = -1

    package init(_ nodes: [Placement.Node]) {
        let nodes = nodes.sorted { $0.id < $1.id }
        self.nodes = nodes
        func names(_ levels: [String]) -> [String] {
            nodes.map { node in
                let known = levels.compactMap { node.locality.name(at: $0) }
                return known.count == levels.count ? known.joined(separator: "/") : ""
            }
        }
        func numbers(_ names: [String]) -> [Int] {
            let known = Set(names).sorted().filter { !$0.isEmpty }
            return names.map { known.firstIndex(of: $0) ?? VoterLayout.unknown }
        }
        let cityNames = names(["city"])
        // Without cities rooms are told apart by their own names.
        let haveCities = cityNames.contains { !$0.isEmpty }
        self.cityNames = cityNames
        isWitness = nodes.map(\.isWitness)
        cities = numbers(cityNames)
        rooms = numbers(names(haveCities ? ["city", "dc"] : ["dc"]))
    }

    /// The same places, seen by a policy. - Complexity: O(nodes · cities).
    package func under(_ policy: Placement.Policy) -> PolicyLayout {
        var order: [String] = []
        for city in [policy.home].compactMap({ $0 }) + policy.failover where !order.contains(city) {
            order.append(city)
        }
        let ranks = cityNames.map { order.firstIndex(of: $0) ?? order.count }
        return PolicyLayout(
            layout: self, survive: policy.survive, acknowledgement: policy.acknowledgement,
            home: policy.home, ranks: ranks)
    }

    /// For each node the number of what it is lost with at a level.
    fileprivate func domains(at level: FailureLevel) -> [Int] {
        switch level {
        case .node: Array(nodes.indices)
        case .dc: rooms
        case .city: cities
        }
    }

    /// What commits of voters on `members` are to need: the rule that is asked for, or else the one
    /// in force; a rule counts only where the loss of one voter does not end all writes. Nil when
    /// neither does. - Complexity: O(members · nodes).
    package func acknowledgement(
        of members: [NodeID], asked: AcknowledgementRule, inForce: AcknowledgementRule
    ) -> Acknowledgement? {
        [asked, inForce].lazy.map { acknowledgement($0, of: members) }
            .first(where: \.standsLossOfOne)
    }

    private func acknowledgement(
        _ rule: AcknowledgementRule, of members: [NodeID]
    ) -> Acknowledgement {
        guard let level = rule.level else { return .majority }
        let domains = domains(at: level)
        let places = members.map { member -> Int? in
            guard let place = nodes.firstIndex(where: { $0.id == member }),
                domains[place] != VoterLayout.unknown, !isWitness[place]
            else { return nil }
            return domains[place]
        }
        return Acknowledgement(rule, places: places)
    }

    /// The highest level of which `count` voters can survive every loss.
    package func highestLevel(_ count: Int, isAble: (Int) -> Bool) -> FailureLevel {
        FailureLevel.allCases.last { level in
            let layout = under(Placement.Policy(survive: level))
            let best = layout.best(count, isAble: isAble) { _ in 0 }
            guard let best else { return false }
            let cost = layout.cost(of: best)
            return cost.exposed == 0 && cost.misplaced == 0
        } ?? .node
    }
}

/// How far a set of voters is from what a policy asks. Less is better; what stands first weighs
/// more than all that follows.
package struct LayoutCost: Comparable, Sendable {
    /// Witnesses that must not be: in a home, beside another one, or without two voters that have
    /// data (Rule C7).
    package var misplaced = 0
    /// Voters too many in places that are lost at once: with one of these places gone, so many
    /// more would be needed for a majority.
    package var exposed = 0
    /// Voters that are missing elsewhere (Rule C6): with a voter less, or with what the policy is
    /// to survive lost, so many sites would be too few for a commit.
    package var missingElsewhere = 0
    /// Voters without data: a copy is worth more, where a node for one is left.
    package var witnesses = 0
    /// How far from home the voters are: each counts the cities that should lead before its own.
    package var distance = 0
    /// Voters beside another one in the same room.
    package var crowded = 0

    /// Whether less would be survived than with `other`: the rest is about where, not about what.
    func isRiskier(than other: LayoutCost) -> Bool {
        (exposed, missingElsewhere) > (other.exposed, other.missingElsewhere)
    }

    package static func < (one: LayoutCost, other: LayoutCost) -> Bool {
        let head = (one.misplaced, one.exposed, one.missingElsewhere)
        let otherHead = (other.misplaced, other.exposed, other.missingElsewhere)
        guard head == otherHead else { return head < otherHead }
        return (one.witnesses, one.distance, one.crowded)
            < (other.witnesses, other.distance, other.crowded)
    }
}

/// Places for the voters of tablets under one policy. Voters are given as places of nodes.
package struct PolicyLayout: Sendable {
    fileprivate let layout: VoterLayout
    fileprivate let survive: FailureLevel
    fileprivate let acknowledgement: AcknowledgementRule
    fileprivate let home: String?
    fileprivate let ranks: [Int]

    /// How early the node at `place` should lead: 0 at home.
    package func rank(of place: Int) -> Int { ranks[place] }

    /// - Complexity: O(voters²).
    package func cost(of voters: [Int]) -> LayoutCost {
        var cost = LayoutCost()
        for voter in voters { cost.distance += ranks[voter] }
        count(witnessesOf: voters, into: &cost)
        cost.missingElsewhere = missingElsewhere(voters)
        if isPlanted(.exposedLayoutAllowed) { return cost }
        // Without so many a majority is left.
        let spare = (voters.count - 1) / 2
        switch survive {
        case .node: return cost
        case .dc: cost.exposed = surplus(of: voters, over: spare, layout.rooms)
        case .city: cost.exposed = surplus(of: voters, over: spare, layout.cities)
        }
        cost.crowded = surplus(of: voters, over: 1, layout.rooms)
        return cost
    }

    /// How far `voters` are from two sites that can acknowledge, whichever voter is lost, and
    /// whatever else the policy is to survive. - Complexity: O(voters²).
    private func missingElsewhere(_ voters: [Int]) -> Int {
        guard let level = acknowledgement.level else { return 0 }
        let sites = layout.domains(at: level)
        let known = voters.filter { sites[$0] != VoterLayout.unknown && !layout.isWitness[$0] }
        let most = known.map { one in known.count { sites[$0] == sites[one] } }.max() ?? 0
        var missing = max(0, 2 - (known.count - most))
        guard survive > .node else { return missing }
        let lostWith = layout.domains(at: survive)
        var seen: [Int] = []
        for voter in voters where !seen.contains(lostWith[voter]) {
            seen.append(lostWith[voter])
            let left = known.filter { lostWith[$0] != lostWith[voter] }
            missing += max(0, 2 - Set(left.map { sites[$0] }).count)
        }
        return missing
    }

    /// A witness completes a majority in the place of the odd voter, one at the most, and never
    /// where the tablet should be led: it could not lead there, and would hold a vote that a copy at
    /// home should have.
    private func count(witnessesOf voters: [Int], into cost: inout LayoutCost) {
        let witnesses = voters.filter { layout.isWitness[$0] }
        guard !witnesses.isEmpty else { return }
        cost.witnesses = witnesses.count
        cost.misplaced = witnesses.count - 1
        if voters.count - witnesses.count < 2 { cost.misplaced += 1 }
        guard let home else { return }
        cost.misplaced += witnesses.count { layout.cityNames[$0] == home }
    }

    /// By how many the voters in each domain are more than `bound`, all together; of one whose
    /// domain nobody knows nothing can be said, and it counts as one too many.
    private func surplus(of voters: [Int], over bound: Int, _ domains: [Int]) -> Int {
        var sum = 0
        for (place, voter) in voters.enumerated() {
            let before = voters[..<place].count { domains[$0] == domains[voter] }
            if before >= bound || domains[voter] == VoterLayout.unknown { sum += 1 }
        }
        return sum
    }

    /// The best set of `count` voters that there is; nil when too few nodes are able.
    ///
    /// Built one by one and mended by exchanging single voters as long as that helps, which a test
    /// holds against all sets.
    ///
    /// - Parameters:
    ///   - isAble: whether the node at a place may have a voter.
    ///   - load: decides between places that are equally good: the lesser is taken.
    /// - Complexity: O(count⁴ · nodes) at worst.
    package func best(
        _ count: Int, isAble: (Int) -> Bool, load: (Int) -> Int
    ) -> [Int]? {
        let able = layout.nodes.indices.filter(isAble)
        guard able.count >= count else { return nil }
        var chosen: [Int] = []
        while chosen.count < count {
            let left = able.filter { !chosen.contains($0) }
            let next = left.map { (cost(of: chosen + [$0]), load($0), $0) }.min { $0 < $1 }
            guard let next else { return nil }
            chosen.append(next.2)
        }
        while let better = exchange(in: chosen, for: able, load: load) { chosen = better }
        return chosen.sorted()
    }

    /// `voters` with the one of them exchanged for which that helps most; nil when it never does.
    package func exchange(
        in voters: [Int], for able: [Int], load: (Int) -> Int
    ) -> [Int]? {
        let before = cost(of: voters)
        guard before > LayoutCost() else { return nil }
        var best: (cost: LayoutCost, load: Int, voters: [Int])?
        for (index, leaving) in voters.enumerated() {
            for coming in able where !voters.contains(coming) {
                var changed = voters
                changed[index] = coming
                let cost = cost(of: changed)
                let load = load(coming) - load(leaving)
                if cost < before, best.map({ (cost, load) < ($0.cost, $0.load) }) ?? true {
                    best = (cost, load, changed)
                }
            }
        }
        return best?.voters
    }
}
