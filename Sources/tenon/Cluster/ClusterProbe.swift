import TenonClient
import TenonCore
import TenonWire

/// Asks the nodes of a local cluster how they are.
struct ClusterProbe: Sendable {
    let client: TenonClient
    /// The nodes as they are now.
    let nodes: @Sendable () -> [NodeID]
    /// Where the nodes stand, as they were told; the directory knows it a moment after it serves.
    var localities: [NodeID: String] = [:]

    /// How long one question may take: a node of this machine that is well answers in a moment.
    private static let timeout = Duration.seconds(1)

    /// Runs `body` with a probe of a cluster.
    static func with<Result>(
        _ cluster: LocalCluster, _ body: (ClusterProbe) async throws -> Result
    ) async throws -> Result {
        let numbers = cluster.numbers
        let places = cluster.layout.nodes.map { ($0.locality, cluster.layout.number(of: $0)) }
        var localities: [NodeID: String] = [:]
        for case (let locality?, let node?) in places { localities[node] = locality }
        let known = localities
        return try await withTenonClient(endpoints: cluster.endpoints) { client in
            try await body(ClusterProbe(client: client, nodes: { numbers }, localities: known))
        }
    }

    /// Nil when a leader serves every tablet; otherwise what is missing.
    ///
    /// A linearizable read is asked of each tablet: what a status says may be out of date, what is
    /// served is served.
    func problem() async -> String? {
        do throws(TenonError) {
            let directory = try await client.describe(timeout: ClusterProbe.timeout)
            for tablet in directory.tablets where tablet.keyspace == .default {
                // The empty key is as good as any, but a key of one zero is a key for certain.
                let key = tablet.lower.isEmpty ? Bytes([0]) : tablet.lower
                _ = try await client.keyspace("default").get(key, timeout: ClusterProbe.timeout)
            }
            let isPlaced = directory.nodes.allSatisfy {
                localities[$0.id] == nil || localities[$0.id] == $0.locality
            }
            return isPlaced ? nil : "where the nodes stand is not written down yet"
        } catch {
            return error.message
        }
    }

    /// What each node says of itself, in the order of the nodes; nil for one that does not answer.
    func statuses() async -> [NodeStatus?] {
        let nodes = nodes()
        return await withTaskGroup(of: (Int, NodeStatus?).self) { group in
            for (place, node) in nodes.enumerated() {
                group.addTask { (place, await status(of: node)) }
            }
            var statuses = [NodeStatus?](repeating: nil, count: nodes.count)
            for await (place, status) in group { statuses[place] = status }
            return statuses
        }
    }

    /// What one node says of itself; nil when it does not answer.
    func status(of node: NodeID) async -> NodeStatus? {
        do throws(TenonError) {
            return try await client.status(of: node, timeout: ClusterProbe.timeout)
        } catch {
            return nil
        }
    }

    /// The node that leads most tablets, the first by number among equals; nil when none leads.
    static func leader(in statuses: [NodeStatus?]) -> NodeID? {
        var counts: [NodeID: Int] = [:]
        for node in leaders(in: statuses).values { counts[node, default: 0] += 1 }
        return counts.max { left, right in
            left.value == right.value ? left.key > right.key : left.value < right.value
        }?.key
    }

    /// Who leads each data tablet. A deposed leader may still think that it leads: of two claims the
    /// one with the higher term counts.
    static func leaders(in statuses: [NodeStatus?]) -> [TabletID: NodeID] {
        var claims: [TabletID: (term: UInt64, node: NodeID)] = [:]
        for status in statuses.compactMap({ $0 }) {
            let led = status.tablets.filter { $0.role == "leader" && $0.tablet != .directory }
            for tablet in led {
                if tablet.term >= claims[tablet.tablet]?.term ?? 0 {
                    claims[tablet.tablet] = (tablet.term, status.node)
                }
            }
        }
        return claims.mapValues(\.node)
    }
}
