/// One replica of a tablet and the node it lives on.
package struct Member: Hashable, Sendable {
    package var replica: ReplicaID
    package var node: NodeID

    package init(replica: ReplicaID, node: NodeID) {
        self.replica = replica
        self.node = node
    }

    package static let encodedBytes = 8 + 4

    /// Layout: replica 8 · node 4.
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(replica)
        writer.identifier(node)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        replica = try reader.identifier(ReplicaID.self)
        node = try reader.identifier(NodeID.self)
    }
}

extension [Member] {
    /// A group has no more members than this.
    package static var countMax: Int { 64 }

    /// The same members in rising order of replica.
    package var inOrder: [Member] { sorted { $0.replica < $1.replica } }

    /// Layout: count 4 · member 12 each.
    package func encode(to writer: inout ByteWriter) {
        writer.uint32(UInt32(count))
        for member in self { member.encode(to: &writer) }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        self = []
        let count = try reader.count(
            "members", itemBytes: Member.encodedBytes, atMost: [Member].countMax)
        for _ in 0..<count { append(try Member(from: &reader)) }
    }
}
