import TenonCore
import TenonWire

/// Voters that the directory names and whose nodes, asked, have no replica that votes: not made
/// yet, or damaged. Whoever counts what a tablet survives counts them as lost.
struct MissingReplicas {
    struct Voter: Hashable {
        let node: NodeID
        /// As `has no replica yet`.
        let reason: String
    }

    private var byTablet: [TabletID: [Voter]] = [:]

    /// Nobody's.
    init() {}

    /// - Parameter statuses: of the nodes that answer.
    init(_ directory: Directory, _ statuses: [NodeStatus]) {
        for status in statuses {
            let replicas = Dictionary(
                status.tablets.map { ($0.tablet, $0) }, uniquingKeysWith: { one, _ in one })
            for tablet in directory.tablets
            where tablet.voters.contains(where: { $0.node == status.node }) {
                guard let reason = Self.reason(replicas[tablet.id]) else { continue }
                byTablet[tablet.id, default: []].append(Voter(node: status.node, reason: reason))
            }
        }
    }

    private static func reason(_ replica: NodeStatus.Tablet?) -> String? {
        guard let replica else { return "has no replica yet" }
        return replica.role == "quarantined" ? "is quarantined: \(replica.health)" : nil
    }

    func voters(of tablet: TabletID) -> [Voter] { byTablet[tablet] ?? [] }
}
