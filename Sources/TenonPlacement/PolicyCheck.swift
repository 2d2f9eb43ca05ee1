package import TenonCore

/// Why a policy cannot be kept by the nodes that there are, and what to change.
package struct PolicyProblem: Error, Hashable, Sendable {
    package let message: String
}

extension PlacementPolicy {
    /// Whether tablets of `replicas` voters can meet this policy on `nodes`, dead or alive: those
    /// that are down will come back, those that leave will not.
    ///
    /// - Throws: ``PolicyProblem`` for the first thing that is wrong; with a counter-example when
    ///   the goal is out of reach.
    package func check(
        replicas: Int, on nodes: [Placement.Node], names: (NodeID) -> String
    ) throws(PolicyProblem) {
        try checkHomes()
        try checkCities(of: nodes)
        let layout = VoterLayout(nodes.filter(\.keepsReplicas))
        let count = Placement.votersWanted(
            replicas, nodes: Placement.usable(layout.nodes.map(\.isWitness)))
        try checkWitness(count, layout, names)
        // Homes are wishes: they put nothing out of reach.
        let policy = Placement.Policy(survive: survive, acknowledgement: acknowledgement)
        let view = layout.under(policy)
        guard let places = view.best(count, isAble: { _ in true }, load: { _ in 0 }) else {
            throw PolicyProblem(message: "no node may have replicas: undrain or add one")
        }
        try PlacementPolicy.checkReach(policy, places, layout, names)
        try PlacementPolicy.checkAcknowledgement(policy, places, layout, names)
    }

    private func checkHomes() throws(PolicyProblem) {
        guard homes.count <= PlacementPolicy.homesMax, failover.count <= PlacementPolicy.homesMax
        else {
            throw PolicyProblem(
                message: "it names more than \(PlacementPolicy.homesMax) homes or cities")
        }
        let ordered = homes.sorted { $0.prefix < $1.prefix }
        for (one, other) in zip(ordered, ordered.dropFirst())
        where other.prefix.starts(with: one.prefix) {
            throw PolicyProblem(
                message: "the homes of \(one.city) and \(other.city) overlap: a key may have one "
                    + "home only")
        }
        for (place, city) in failover.enumerated() where failover[..<place].contains(city) {
            throw PolicyProblem(message: "\(city) is named twice in the failover order")
        }
    }

    private func checkCities(of nodes: [Placement.Node]) throws(PolicyProblem) {
        let known = Set(
            nodes.filter { $0.keepsReplicas && !$0.isWitness }.compactMap {
                $0.locality.name(at: "city")
            })
        for city in homes.map(\.city) + failover where !known.contains(city) {
            let list =
                known.isEmpty
                ? "no node's locality names a city (serve --locality city=…,dc=…)"
                : "there are nodes in \(known.sorted().joined(separator: ", "))"
            throw PolicyProblem(message: "no node is in \(city): \(list)")
        }
    }

    /// Whether some set of voters survives every loss at the level of the goal.
    private static func checkReach(
        _ policy: Placement.Policy, _ places: [Int], _ layout: VoterLayout,
        _ names: (NodeID) -> String
    ) throws(PolicyProblem) {
        let cost = layout.under(policy).cost(of: places)
        if policy.survive == .node || cost.exposed == 0 { return }
        let topology = Topology(layout, names)
        let voters = places.map { layout.nodes[$0].id }
        let list = voters.map(names).joined(separator: ", ")
        let survival = Survival(
            voters: voters, witnesses: layout.witnesses(among: places), keptUntil: policy.survive,
            in: topology)
        guard let loss = survival.worstLoss(at: policy.survive) else {
            let unknown = topology.unlabelled(at: policy.survive).map(\.name)
            throw PolicyProblem(
                message: "--survive \(policy.survive.name) needs to know the "
                    + "\(policy.survive.name) of every node: start "
                    + "\(unknown.joined(separator: ", ")) with --locality city=…,dc=…")
        }
        throw PolicyProblem(
            message: "no placement survives the loss of any \(policy.survive.name): with the best "
                + "one, voters \(list), the loss of \(loss.domain) leaves \(loss.left.count) and a "
                + "majority is \(loss.majority). Nodes in three or more different "
                + "\(policy.survive == .dc ? "rooms" : "cities") are needed")
    }

    /// Whether writes go on without any one voter, and after every loss that the policy is to
    /// survive, when a voter elsewhere has to acknowledge them (Rule C6).
    private static func checkAcknowledgement(
        _ policy: Placement.Policy, _ places: [Int], _ layout: VoterLayout,
        _ names: (NodeID) -> String
    ) throws(PolicyProblem) {
        guard let level = policy.acknowledgement.level,
            layout.under(policy).cost(of: places).missingElsewhere > 0
        else { return }
        let topology = Topology(layout, names)
        let voters = places.map { layout.nodes[$0].id }
        let place = level == .dc ? "room" : "city"
        let asked = "--ack \(policy.acknowledgement.name)"
        let head =
            "\(asked) acknowledges a write when a voter of another \(place) has it, too; with the "
            + "best placement, voters \(voters.map(names).joined(separator: ", ")), "
        let change =
            "Add nodes in more \(level == .dc ? "rooms" : "cities"), give more --replicas, or ask "
            + "for \(level == .city ? "--ack dc or --ack majority" : "--ack majority")"
        // A witness has no data: it acknowledges nothing that anybody could read (Rule C7).
        let domains = places.filter { !layout.nodes[$0].isWitness }.compactMap {
            topology.node(layout.nodes[$0].id)?.domain(at: level)
        }
        guard
            let fullest = domains.max(by: { one, other in
                (domains.count { $0 == one }, other) < (domains.count { $0 == other }, one)
            })
        else {
            throw PolicyProblem(
                message: "\(asked) needs to know the \(place) of nodes: start them with "
                    + "--locality city=…,dc=…, or ask for --ack majority")
        }
        let elsewhere = domains.count { $0 != fullest }
        if elsewhere < 2 {
            throw PolicyProblem(
                message: head + "\(elsewhere == 0 ? "none stands" : "only one stands") outside "
                    + "\(fullest), where it may be led: two are needed, so that writes go on when "
                    + "one is lost. \(change)")
        }
        let survival = Survival(
            voters: voters, witnesses: layout.witnesses(among: places), keptUntil: policy.survive,
            acknowledgement: policy.acknowledgement, in: topology)
        let loss = survival.worstLoss(at: policy.survive)
        throw PolicyProblem(
            message: head + "\(loss.map { "the loss of \($0.domain)" } ?? "some loss") leaves "
                + "voters of one \(place) only, and writes would stop. \(change)")
    }
}

extension Placement {
    /// The largest odd number of voters that a tablet is to have and nodes allow.
    package static func votersWanted(_ replicas: Int, nodes: Int) -> Int {
        let count = max(1, min(replicas, nodes))
        return count % 2 == 0 ? count - 1 : count
    }
}

extension Topology {
    fileprivate init(_ layout: VoterLayout, _ names: (NodeID) -> String) {
        self.init(
            layout.nodes.map { .init(id: $0.id, name: names($0.id), locality: $0.locality) })
    }
}
