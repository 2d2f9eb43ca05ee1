internal import TenonCore
internal import TenonNode
internal import TenonWire

extension Simulation {
    /// Cities in which no node has a copy of some tablet, though its policy asks for one in each:
    /// for a failure, when they are still so long after all faults were healed.
    var citiesWithoutCopy: [String] {
        let copies = cluster.hosts.compactMap { $0.node?.describe() }
        guard let directory = copies.max(by: { $0.version < $1.version }) else { return [] }
        var cities: [NodeID: String] = [:]
        for node in directory.nodes where node.state != .leaving {
            cities[node.id] = (try? Locality(parsing: node.locality))?.name(at: "city")
        }
        let wanted = Set(cities.values)
        return directory.tablets.flatMap { tablet -> [String] in
            guard directory.keyspace(tablet.keyspace)?.policy.localReadsWithin != nil else {
                return []
            }
            let there = (tablet.voters + tablet.learners).filter { hasReplica($0, of: tablet.id) }
            return wanted.subtracting(there.compactMap { cities[$0.node] }).sorted().map {
                "tablet \(tablet.id) has no copy in city \($0)"
            }
        }
    }

    /// Whether a member's replica is on its node; one that is down or rebuilt is not missed.
    private func hasReplica(_ member: Member, of tablet: TabletID) -> Bool {
        guard let node = cluster.hosts.first(where: { $0.nodeID == member.node })?.node else {
            return true
        }
        return (0..<node.probeCount).contains { node.probe($0).tablet == tablet }
    }
}
