package import TenonCore

/// What a client needs to route: where the nodes are and which tablet holds a key.
package struct Directory: Hashable, Sendable {
    package struct Node: Hashable, Sendable {
        package var id: NodeID
        package var name: String
        /// `HOST:PORT`, an IPv6 host in brackets.
        package var address: String
        /// `key=value,…`, outermost first; empty when none was given.
        package var locality: String

        package init(id: NodeID, name: String, address: String, locality: String) {
            self.id = id
            self.name = name
            self.address = address
            self.locality = locality
        }
    }

    package struct Keyspace: Hashable, Sendable {
        package var id: KeyspaceID
        package var name: String

        package init(id: KeyspaceID, name: String) {
            self.id = id
            self.name = name
        }
    }

    package var nodes: [Node]
    package var keyspaces: [Keyspace]
    /// Sorted by keyspace and lower bound; the intervals of a keyspace touch and cover all keys.
    package var tablets: [TabletDescriptor]

    package init(nodes: [Node], keyspaces: [Keyspace], tablets: [TabletDescriptor]) {
        self.nodes = nodes
        self.keyspaces = keyspaces
        self.tablets = tablets
    }

    private static let nodesMax = 10_000
    private static let keyspacesMax = 10_000
    private static let tabletsMax = 100_000

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

    func encode(to writer: inout ByteWriter) {
        writer.uint32(UInt32(nodes.count))
        for node in nodes {
            writer.identifier(node.id)
            writer.lengthPrefixed(node.name)
            writer.lengthPrefixed(node.address)
            writer.lengthPrefixed(node.locality)
        }
        writer.uint32(UInt32(keyspaces.count))
        for keyspace in keyspaces {
            writer.identifier(keyspace.id)
            writer.lengthPrefixed(keyspace.name)
        }
        writer.uint32(UInt32(tablets.count))
        for tablet in tablets { tablet.encode(to: &writer) }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        nodes = []
        keyspaces = []
        tablets = []
        for _ in 0..<(try reader.count("nodes", itemBytes: 16, atMost: Directory.nodesMax)) {
            nodes.append(
                Node(
                    id: try reader.identifier(NodeID.self),
                    name: try reader.lengthPrefixedText("name", atMost: Limits.nameBytesMax),
                    address: try reader.lengthPrefixedText("address", atMost: 1_024),
                    locality: try reader.lengthPrefixedText("locality", atMost: 1_024)))
        }
        let keyspaceCount = try reader.count(
            "keyspaces", itemBytes: 8, atMost: Directory.keyspacesMax)
        for _ in 0..<keyspaceCount {
            keyspaces.append(
                Keyspace(
                    id: try reader.identifier(KeyspaceID.self),
                    name: try reader.lengthPrefixedText("keyspace", atMost: Limits.nameBytesMax)))
        }
        let tabletCount = try reader.count("tablets", itemBytes: 29, atMost: Directory.tabletsMax)
        tablets.reserveCapacity(tabletCount)
        for _ in 0..<tabletCount { tablets.append(try TabletDescriptor(from: &reader)) }
    }
}

/// A tablet's place: its interval, its generation and, as far as the answering node knows, its
/// leader.
package struct TabletDescriptor: Hashable, Sendable {
    package var id: TabletID
    package var keyspace: KeyspaceID
    package var generation: Generation
    package var lower: Bytes
    /// Nil for the end of the keyspace.
    package var upper: Bytes?
    /// 0 when it is not known.
    package var leader: NodeID

    package init(
        id: TabletID, keyspace: KeyspaceID, generation: Generation, lower: Bytes, upper: Bytes?,
        leader: NodeID
    ) {
        self.id = id
        self.keyspace = keyspace
        self.generation = generation
        self.lower = lower
        self.upper = upper
        self.leader = leader
    }

    /// Layout: id 8 · keyspace 4 · generation 8 · leader 4 · lower · (flag 1, upper).
    func encode(to writer: inout ByteWriter) {
        writer.identifier(id)
        writer.identifier(keyspace)
        writer.identifier(generation)
        writer.identifier(leader)
        writer.lengthPrefixed(lower)
        writer.optional(upper)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        id = try reader.identifier(TabletID.self)
        keyspace = try reader.identifier(KeyspaceID.self)
        generation = try reader.identifier(Generation.self)
        leader = try reader.identifier(NodeID.self)
        lower = try reader.key()
        upper = try reader.flag("upper") ? reader.key() : nil
    }
}
