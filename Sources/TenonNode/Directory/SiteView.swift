import TenonCore
import TenonPlacement
import TenonWire

/// Where nodes stand, at the level that each keyspace is to survive, as one copy of the directory
/// says: what leaders go by when they tell witnesses what to drop (Rule C7).
struct SiteView {
    private let levels: [KeyspaceID: FailureLevel]
    /// By level. Empty without a witness in the cluster: nobody asks then.
    private var sites: [FailureLevel: [NodeID: SiteID]] = [:]

    /// - Complexity: O(keyspaces), and with witnesses O(nodes · sites) besides.
    init(_ directory: Directory) {
        var levels: [KeyspaceID: FailureLevel] = [:]
        for keyspace in directory.keyspaces { levels[keyspace.id] = keyspace.policy.survive }
        if directory.nodes.contains(where: \.isWitness) {
            let nodes = directory.nodes.map { Placement.Node($0, isAlive: true) }
            levels[.directory] = DirectoryController.directoryPolicy(nodes).survive
            for level in FailureLevel.allCases {
                sites[level] = SiteView.sites(of: directory.nodes, at: level)
            }
        }
        self.levels = levels
    }

    /// The sites of all nodes of which somebody has said where they stand, as a tablet of a
    /// keyspace is to see them; empty when that is not known.
    func sites(of keyspace: KeyspaceID) -> [NodeID: SiteID] {
        levels[keyspace].flatMap { sites[$0] } ?? [:]
    }

    private static func sites(
        of nodes: [Directory.Node], at level: FailureLevel
    ) -> [NodeID: SiteID] {
        var domains: [FailureDomain] = []
        var sites: [NodeID: SiteID] = [:]
        for node in nodes {
            // What cannot be read is as good as not said.
            let locality = (try? Locality(parsing: node.locality)) ?? .unknown
            let place = Topology.Node(id: node.id, name: node.name, locality: locality)
            guard let domain = place.domain(at: level) else { continue }
            if !domains.contains(domain) { domains.append(domain) }
            let number = (domains.firstIndex(of: domain) ?? 0) + 1
            // Of more sites than there are numbers the last ones count as one.
            sites[node.id] = SiteID(UInt8(min(number, Int(UInt8.max))))
        }
        return sites
    }
}
