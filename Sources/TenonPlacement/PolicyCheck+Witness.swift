package import TenonCore

/// Witnesses (Rule C7) in what a policy comes to.
extension PlacementPolicy {
    /// Whether the voters can be placed without a witness where none may be: for keys of each home,
    /// and for those of none.
    func checkWitness(
        _ count: Int, _ layout: VoterLayout, _ names: (NodeID) -> String
    ) throws(PolicyProblem) {
        guard layout.nodes.contains(where: \.isWitness) else { return }
        for home in [nil] + homes.map({ Optional.some($0.city) }) {
            let policy = Placement.Policy(
                survive: survive, home: home, failover: failover,
                acknowledgement: acknowledgement)
            let view = layout.under(policy)
            guard let places = view.best(count, isAble: { _ in true }, load: { _ in 0 }),
                view.cost(of: places).misplaced > 0
            else { continue }
            let witnesses = layout.witnesses(among: places).map(names).joined(separator: ", ")
            guard let home else {
                throw PolicyProblem(
                    message: "of \(count) voters only one may be a witness, beside two with data; "
                        + "with the best placement \(witnesses) would be one: add nodes with data "
                        + "or give fewer --replicas")
            }
            throw PolicyProblem(
                message: "\(count) voters need witness \(witnesses), which stands in \(home), a "
                    + "home of this keyspace: a witness has no data and cannot lead there. Add a "
                    + "node with data, take another home or give fewer --replicas")
        }
    }
}

extension VoterLayout {
    /// Those of the nodes at `places` that are witnesses.
    package func witnesses(among places: [Int]) -> [NodeID] {
        places.map { nodes[$0] }.filter(\.isWitness).map(\.id)
    }
}

extension Placement {
    /// How many of these nodes a tablet can have voters on: those with data, and one witness.
    ///
    /// - Parameter areWitnesses: of each node whether it is one.
    package static func usable(_ areWitnesses: [Bool]) -> Int {
        areWitnesses.count { !$0 } + (areWitnesses.contains(true) ? 1 : 0)
    }
}
