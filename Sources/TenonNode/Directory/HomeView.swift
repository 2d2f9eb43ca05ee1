import TenonCore
import TenonWire

/// Where tablets should be led, as one copy of the directory says.
struct HomeView {
    /// Of each tablet whose keyspace says where it is led, by id.
    private let tablets: [TabletID: TabletDescriptor]
    private let policies: [KeyspaceID: PlacementPolicy]
    private let cities: [NodeID: String]

    /// - Complexity: O(tablets) when some keyspace has a home, otherwise O(nodes + keyspaces).
    init(_ directory: Directory) {
        var policies: [KeyspaceID: PlacementPolicy] = [:]
        for keyspace in directory.keyspaces
        where !keyspace.policy.homes.isEmpty || !keyspace.policy.failover.isEmpty {
            policies[keyspace.id] = keyspace.policy
        }
        var tablets: [TabletID: TabletDescriptor] = [:]
        for tablet in directory.tablets where policies[tablet.keyspace] != nil {
            tablets[tablet.id] = tablet
        }
        var cities: [NodeID: String] = [:]
        for node in directory.nodes where !policies.isEmpty {
            // What cannot be read is as good as not said.
            cities[node.id] = (try? Locality(parsing: node.locality))?.name(at: "city")
        }
        self.policies = policies
        self.tablets = tablets
        self.cities = cities
    }

    /// Whether some voter of the tablet stands where it rather should be led than on `node`.
    func isAway(_ node: NodeID, _ id: TabletID) -> Bool {
        guard let tablet = tablets[id], let policy = policies[tablet.keyspace] else { return false }
        let home = policy.home(from: tablet.lower, to: tablet.upper)?.city
        let order = [home].compactMap { $0 } + policy.failover
        func rank(_ node: NodeID) -> Int {
            cities[node].flatMap { order.firstIndex(of: $0) } ?? order.count
        }
        let own = rank(node)
        return tablet.voters.contains { rank($0.node) < own }
    }
}
