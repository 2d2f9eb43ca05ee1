import TenonCore
import TenonPlacement
import TenonWire

/// Where reads that may be stale are served (Rule S8), from each city.
extension Explanation {
    /// The way that a client's bounded-stale read takes.
    struct LocalRead: Hashable {
        /// What the serving copy is.
        enum Copy: String {
            case leader
            case voter
            case learner
        }

        /// Where the client is.
        let city: String
        /// The copy in that city that answers; nil when none does, and another city's is asked.
        let node: Topology.Node?
        let copy: Copy?
        /// Whether some node of the city answers: a copy could be kept there.
        let hasNodes: Bool

        /// One for each city with nodes, in the order of names. Of several copies a voter is named
        /// before a learner, and the leader last: it has enough to do.
        fileprivate init(
            _ city: String, _ copies: [(node: Topology.Node, copy: Copy)], hasNodes: Bool
        ) {
            self.city = city
            self.hasNodes = hasNodes
            let own = copies.filter { $0.node.locality.name(at: "city") == city }
            let best = own.first { $0.copy == .voter } ?? own.first { $0.copy == .learner }
            node = (best ?? own.first)?.node
            copy = (best ?? own.first)?.copy
        }

        /// What `down` leaves of these copies, city by city.
        static func all(
            _ voters: [Topology.Node], _ learners: [Topology.Node], _ leader: Topology.Node?,
            _ down: Set<NodeID>, in topology: Topology
        ) -> [LocalRead] {
            let copies =
                voters.map { (node: $0, copy: $0.id == leader?.id ? Copy.leader : .voter) }
                + learners.map { (node: $0, copy: .learner) }
            let answering = copies.filter { !down.contains($0.node.id) }
            return topology.domains(at: .city).map { domain in
                let isThere = topology.nodes(in: domain).contains { !down.contains($0.id) }
                return LocalRead(domain.name, answering, hasNodes: isThere)
            }
        }

        fileprivate var text: String {
            guard let node, let copy else { return "\(city) from another city" }
            return "\(city) from \(node.name) (\(copy.rawValue))"
        }

        var json: JSON {
            [
                "city": .string(city), "node": node.map { .string($0.name) } ?? .null,
                "copy": copy.map { .string($0.rawValue) } ?? .null,
            ]
        }
    }

    /// The learners, and the way of reads; nothing where nobody asked for either.
    func localReadLines(_ part: Part) -> [String] {
        var lines: [String] = []
        if !part.learners.isEmpty {
            let learners = part.learners.map { "\($0.name) (\($0.locality))" }
            lines.append("  learners  \(learners.joined(separator: ", "))")
        }
        if let age = keyspace.policy.localReadsWithin {
            let ways = part.localReads.map(\.text).joined(separator: ", ")
            lines.append("  reads     within \(age.text): \(ways)")
            lines.append("            a copy that knows itself to be older asks the leader first")
        }
        return lines
    }
}

extension Explanation.Part {
    /// Cities with nodes that answer, of which none has a copy that does.
    var localReadRisks: [String] {
        localReads.filter { $0.node == nil && $0.hasNodes }.map {
            "tablet \(name) has no copy in \($0.city): reads there go to another city"
        }
    }
}
