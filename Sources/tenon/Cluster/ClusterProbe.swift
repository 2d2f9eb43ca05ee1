import TenonCore
import TenonWire

/// What a local cluster's nodes say of themselves: the one place where its commands use a client.
enum ClusterProbe {
    /// Nil when a leader serves every tablet; otherwise what is missing.
    static func problem(endpoints: [String]) async -> String? {
        "not asked"
    }

    /// What each node says of itself, in the order of `endpoints`; nil for one that does not answer.
    static func statuses(endpoints: [String]) async -> [NodeStatus?] {
        endpoints.map { _ in nil }
    }

    /// The node that leads most tablets, the first by number among equals.
    ///
    /// A deposed leader may still think that it leads, so of two claims on a tablet the one with
    /// the higher term counts.
    static func leader(in statuses: [NodeStatus?]) -> NodeID? {
        var claims: [TabletID: (term: UInt64, node: NodeID)] = [:]
        for status in statuses.compactMap({ $0 }) {
            for tablet in status.tablets where tablet.role == "leader" {
                if tablet.term >= claims[tablet.tablet]?.term ?? 0 {
                    claims[tablet.tablet] = (tablet.term, status.node)
                }
            }
        }
        var counts: [NodeID: Int] = [:]
        for claim in claims.values { counts[claim.node, default: 0] += 1 }
        return counts.max { left, right in
            left.value == right.value ? left.key > right.key : left.value < right.value
        }?.key
    }
}
