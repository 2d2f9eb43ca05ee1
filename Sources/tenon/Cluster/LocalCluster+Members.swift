import TenonClient
import TenonCore
import TenonWire

/// Nodes that come and go.
extension LocalCluster {
    /// How long a node may take to become a member, and its replicas to be made elsewhere.
    static let joinSecondsMax = 30
    static let removalSecondsMax = 300

    /// Starts an empty node, which joins, and waits until it is a member.
    ///
    /// - Parameter lost: in whose place the node stands; nil for nowhere in particular. What the
    ///   others send to it is not late: they know distances by number.
    /// - Returns: the cluster with the node, written down, and the node.
    func adding(inPlaceOf lost: Node? = nil) async throws -> (cluster: LocalCluster, node: Node) {
        let name = "n\(highestNumber + 1)"
        guard layout.nodes.count < ClusterLayout.nodesMax else {
            throw ClusterError.badSetting("there are \(ClusterLayout.nodesMax) nodes already")
        }
        let host = LoopbackHost(ofAddress: layout.nodes.first?.address ?? "")
        let port = try LoopbackPorts.free(1, on: host)[0]
        var node = Node(
            name: name, address: host.address(port: port), locality: lost?.locality,
            distances: lost?.distances)
        // Written down before it starts: whoever stops the cluster must find it.
        var cluster = self
        cluster.layout.founders = layout.founders ?? layout.nodes
        cluster.layout.nodes.append(node)
        try cluster.layout.write(to: LocalCluster.layoutPath(in: directory))
        try cluster.launch(node)
        node.number = try await cluster.numberOfJoined(node).rawValue
        cluster.layout.nodes[cluster.layout.nodes.count - 1] = node
        try cluster.layout.write(to: LocalCluster.layoutPath(in: directory))
        return (cluster, node)
    }

    /// Starts the witnesses of a new cluster, which join, one after the other so that they get the
    /// numbers of their places. Returns the cluster with their numbers, written down.
    func joiningWitnesses() async throws -> LocalCluster {
        var cluster = self
        for place in layout.nodes.indices where layout.nodes[place].isToJoin {
            try cluster.launch(cluster.layout.nodes[place])
            let number = try await cluster.numberOfJoined(cluster.layout.nodes[place])
            cluster.layout.nodes[place].number = number.rawValue
            try cluster.layout.write(to: LocalCluster.layoutPath(in: directory))
        }
        return cluster
    }

    /// Has the replicas of a node made again elsewhere, and waits until it is no member. Its
    /// process, if it has one, ends by itself; its files stay.
    ///
    /// - Parameter replacement: where they go; nil leaves that to the cluster.
    /// - Returns: the cluster without the node, written down.
    func removing(_ node: Node, replacement: Node? = nil) async throws -> LocalCluster {
        let others = layout.nodes.filter { $0 != node }
        try await withTenonClient(endpoints: others.map(\.address)) { client in
            try await client.direct(.remove(node: node.name, replacement: replacement?.name))
            try await awaiting("\(node.name) is no member", LocalCluster.removalSecondsMax) {
                let directory = try? await client.describe(timeout: .seconds(1))
                return directory.map { $0.node(named: node.name) == nil } ?? false
            }
        }
        if try await !ends(node, withinSeconds: LocalCluster.stopSecondsMax) {
            try await stop(node)
        }
        var cluster = self
        cluster.layout.founders = layout.founders ?? layout.nodes
        cluster.layout.nodes = others
        try cluster.layout.write(to: LocalCluster.layoutPath(in: directory))
        return cluster
    }

    /// Of all nodes that the cluster has or had and that still have a folder.
    private var highestNumber: Int {
        let named = (layout.nodes + (layout.founders ?? [])).compactMap {
            Int($0.name.dropFirst())
        }
        var highest = named.max() ?? 0
        while LocalFile.exists(directory + "/n\(highest + 1)") { highest += 1 }
        return highest
    }

    private func numberOfJoined(_ node: Node) async throws -> NodeID {
        let others = layout.nodes.filter { $0 != node }.map(\.address)
        return try await withTenonClient(endpoints: others) { client in
            var number: NodeID?
            try await awaiting("\(node.name) is a member", LocalCluster.joinSecondsMax) {
                guard process(of: node) != nil else {
                    throw ClusterError.nodeEnded(
                        name: node.name, log: LocalFile.tail(logPath(of: node), lines: 5))
                }
                let directory = try? await client.describe(timeout: .seconds(1))
                number = directory?.node(named: node.name)?.id
                return number != nil
            }
            return number ?? NodeID(0)
        }
    }

    private func awaiting(
        _ what: String, _ seconds: Int, _ isReached: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while try await !isReached() {
            guard ContinuousClock.now < deadline else {
                throw ClusterError.notServing(
                    seconds: seconds, reason: "waited in vain until \(what)")
            }
            // The directory is asked again and again: there is nothing to wait on.
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
