package import TenonCore

/// A node, a room or a city: what one failure takes away.
package struct FailureDomain: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let level: FailureLevel
    /// `n1`, `shanghai/sh1` or `shanghai`: rooms of two cities may have the same name.
    package let name: String

    package init(_ level: FailureLevel, _ name: String) {
        self.level = level
        self.name = name
    }

    package static func < (one: FailureDomain, other: FailureDomain) -> Bool {
        (one.level, one.name) < (other.level, other.name)
    }

    package var description: String { "\(level.name) \(name)" }
}

/// The nodes of a cluster and where they stand.
package struct Topology: Sendable {
    package struct Node: Hashable, Sendable {
        package let id: NodeID
        package let name: String
        package let locality: Locality

        package init(id: NodeID, name: String, locality: Locality) {
            self.id = id
            self.name = name
            self.locality = locality
        }

        /// What the node is lost with at `level`; nil when its locality does not say.
        package func domain(at level: FailureLevel) -> FailureDomain? {
            switch level {
            case .node: return FailureDomain(.node, name)
            case .dc:
                guard let room = locality.name(at: "dc") else { return nil }
                let city = locality.name(at: "city").map { "\($0)/" } ?? ""
                return FailureDomain(.dc, city + room)
            case .city:
                return locality.name(at: "city").map { FailureDomain(.city, $0) }
            }
        }
    }

    /// By id.
    package let nodes: [Node]

    package init(_ nodes: [Node]) { self.nodes = nodes.sorted { $0.id < $1.id } }

    package func node(_ id: NodeID) -> Node? { nodes.first { $0.id == id } }

    /// Everything that can be lost at `level`, in the order of names.
    package func domains(at level: FailureLevel) -> [FailureDomain] {
        Set(nodes.compactMap { $0.domain(at: level) }).sorted()
    }

    package func nodes(in domain: FailureDomain) -> [Node] {
        nodes.filter { $0.domain(at: domain.level) == domain }
    }

    /// The nodes of which nobody knows what they are lost with at `level`.
    package func unlabelled(at level: FailureLevel) -> [Node] {
        nodes.filter { $0.domain(at: level) == nil }
    }
}
