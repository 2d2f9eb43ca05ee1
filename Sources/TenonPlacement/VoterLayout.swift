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
    private let cityNames: [String]
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
            ranks: ranks)
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
                domains[place] != VoterLayout.unknown
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
            return best.map { layout.cost(of: $0).exposed == 0 } ?? false
        } ?? .node
    }
}

/// How far a set of voters is from what a policy asks. Less is better; what stands first weighs
/// more than all that follows.
package struct LayoutCost: Comparable, Sendable {
    /// Voters too many in places that are lost at once: with one of these places gone, so many
    /// more would be needed for a majority.
    package var exposed = 0
    /// Voters that are missing elsewhere (Rule C6): with a voter less, or with what the policy is
    /// to survive lost, so many sites would be too few for a commit.
    package var missingElsewhere = 0
    /// How far from home the voters are: each counts the cities that should lead before its own.
    package var distance = 0
    /// Voters beside another one in the same room.
    package var crowded = 0

    /// Whether less would be survived than with `other`: the rest is about where, not about what.
    func isRiskier(than other: LayoutCost) -> Bool {
        (exposed, missingElsewhere) > (other.exposed, other.missingElsewhere)
    }

    package static func < (one: LayoutCost, other: LayoutCost) -> Bool {
        (one.exposed, one.missingElsewhere, one.distance, one.crowded)
            < (other.exposed, other.missingElsewhere, other.distance, other.crowded)
    }
}

/// Places for the voters of tablets under one policy. Voters are given as places of nodes.
package struct PolicyLayout: Sendable {
    fileprivate let layout: VoterLayout
    fileprivate let survive: FailureLevel
    fileprivate let acknowledgement: AcknowledgementRule
    fileprivate let ranks: [Int]

    /// How early the node at `place` should lead: 0 at home.
    package func rank(of place: Int) -> Int { ranks[place] }

    /// - Complexity: O(voters²).
    package func cost(of voters: [Int]) -> LayoutCost {
        var cost = LayoutCost()
        for voter in voters { cost.distance += ranks[voter] }
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
        let known = voters.filter { sites[$0] != VoterLayout.unknown }
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
