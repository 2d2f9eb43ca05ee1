/// One replica of a tablet and the node it lives on.
package struct Member: Hashable, Sendable {
    package var replica: ReplicaID
    package var node: NodeID
    /// Whether it votes and keeps the log, and has no data (Rule C7). A replica is made as one or
    /// the other and stays so: another role is another replica, under another number.
    package var isWitness: Bool

    package init(replica: ReplicaID, node: NodeID, isWitness: Bool = false) {
        self.replica = replica
        self.node = node
        self.isWitness = isWitness
    }

    package static let encodedBytes = 8 + 4

    /// Layout: replica 8 · node 4. Its role stands elsewhere: in a list of members behind each of
    /// them, in a configuration among the flags.
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(replica)
        writer.identifier(node)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        replica = try reader.identifier(ReplicaID.self)
        node = try reader.identifier(NodeID.self)
        isWitness = false
    }

    /// Layout: 1 byte, bit 0 witness, the others 0.
    package var roleFlags: UInt8 { isWitness ? 1 : 0 }

    /// - Throws: `unknownKind` for a role that this software does not know.
    package mutating func take(roleFlags flags: UInt8) throws(DecodingError) {
        guard flags <= 1 else { throw .unknownKind(field: "role flags", value: UInt64(flags)) }
        isWitness = flags == 1
    }
}

extension [Member] {
    /// A group has no more members than this.
    package static var countMax: Int { 64 }

    /// Set in the count of a list that has a witness.
    private static var rolesBit: UInt32 { 1 << 31 }

    /// The same members in rising order of replica.
    package var inOrder: [Member] { sorted { $0.replica < $1.replica } }

    /// Those that have data.
    package var withData: [Member] { filter { !$0.isWitness } }

    /// Layout: count 4 (bit 31: with roles) · member 12 each, with roles · role flags 1 behind each.
    /// A list without witnesses has no roles: it is as it was before there were any.
    package func encode(to writer: inout ByteWriter) {
        let hasRoles = contains(where: \.isWitness)
        writer.uint32(UInt32(count) | (hasRoles ? [Member].rolesBit : 0))
        for member in self {
            member.encode(to: &writer)
            if hasRoles { writer.uint8(member.roleFlags) }
        }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        self = []
        let head = try reader.uint32()
        let hasRoles = head & [Member].rolesBit != 0
        let count = Int(head & ~[Member].rolesBit)
        guard count <= [Member].countMax else {
            throw .tooLong(field: "members", count: count, bound: [Member].countMax)
        }
        for _ in 0..<count {
            var member = try Member(from: &reader)
            if hasRoles { try member.take(roleFlags: reader.uint8()) }
            append(member)
        }
        guard !hasRoles || contains(where: \.isWitness) else {
            throw .malformed("roles of members none of which is a witness")
        }
    }
}
