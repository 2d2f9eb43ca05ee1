package import TenonCore

/// What a client needs to route: where the nodes are and which tablet holds a key.
package struct Directory: Hashable, Sendable {
    /// Whose directory it is; with `epoch` and `memberListDigest` what a node that joins takes
    /// over (Rule I1).
    package var cluster = ClusterID.none
    package var epoch = Epoch.first
    /// Of all that must be the same on all nodes for ever.
    package var memberListDigest: UInt64 = 0
    /// The version of the directory's tablet at which this copy was taken; 0 for none.
    package var version: Timestamp
    /// By id; those that were removed for good are not among them.
    package var nodes: [Node]
    /// By id.
    package var keyspaces: [Keyspace]
    /// Sorted by keyspace and lower bound; the intervals of a keyspace touch and cover all keys.
    package var tablets: [TabletDescriptor]

    package init(
        version: Timestamp = .zero, nodes: [Node], keyspaces: [Keyspace],
        tablets: [TabletDescriptor]
    ) {
        self.version = version
        self.nodes = nodes
        self.keyspaces = keyspaces
        self.tablets = tablets
    }

    /// Bounds of the three lists.
    package static let nodesMax = 1_000
    package static let keyspacesMax = 10_000
    package static let tabletsMax = 100_000

    package func node(_ id: NodeID) -> Node? { nodes.first { $0.id == id } }
    package func node(named name: String) -> Node? { nodes.first { $0.name == name } }
    /// Whether the replicas of some node are being made again elsewhere.
    package var isOneLeaving: Bool { nodes.contains { $0.state == .leaving } }
    package func keyspace(_ id: KeyspaceID) -> Keyspace? { keyspaces.first { $0.id == id } }
    package func keyspace(named name: String) -> Keyspace? {
        keyspaces.first { $0.name == name }
    }

    /// The tablet of `keyspace` that holds `key`. - Complexity: O(log tablets).
    package func tablet(of keyspace: KeyspaceID, holding key: Bytes) -> TabletDescriptor? {
        var low = 0
        var high = tablets.count
        while low < high {
            let middle = (low + high) / 2
            let tablet = tablets[middle]
            if tablet.keyspace < keyspace || (tablet.keyspace == keyspace && tablet.lower <= key) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        guard low > 0 else { return nil }
        let candidate = tablets[low - 1]
        guard candidate.keyspace == keyspace else { return nil }
        if let upper = candidate.upper, key >= upper { return nil }
        return candidate
    }

    /// Layout: cluster 16 · epoch 8 · member list digest 8 · version 8 · node count 4 · nodes · keyspace count 4 · keyspaces · tablet count 4 ·
    /// tablets; each as its record.
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(cluster)
        writer.identifier(epoch)
        writer.uint64(memberListDigest)
        writer.identifier(version)
        writer.uint32(UInt32(nodes.count))
        for node in nodes { node.encode(to: &writer) }
        writer.uint32(UInt32(keyspaces.count))
        for keyspace in keyspaces { keyspace.encode(to: &writer) }
        writer.uint32(UInt32(tablets.count))
        for tablet in tablets { tablet.encode(to: &writer) }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        cluster = try reader.identifier(ClusterID.self)
        epoch = try reader.identifier(Epoch.self)
        memberListDigest = try reader.uint64()
        version = try reader.identifier(Timestamp.self)
        nodes = []
        keyspaces = []
        tablets = []
        for _ in 0..<(try reader.count("nodes", itemBytes: 16, atMost: Directory.nodesMax)) {
            nodes.append(try Node(from: &reader))
        }
        let keyspaceCount = try reader.count(
            "keyspaces", itemBytes: 8, atMost: Directory.keyspacesMax)
        for _ in 0..<keyspaceCount { keyspaces.append(try Keyspace(from: &reader)) }
        let tabletCount = try reader.count("tablets", itemBytes: 29, atMost: Directory.tabletsMax)
        tablets.reserveCapacity(tabletCount)
        for _ in 0..<tabletCount { tablets.append(try TabletDescriptor(from: &reader)) }
    }
}
