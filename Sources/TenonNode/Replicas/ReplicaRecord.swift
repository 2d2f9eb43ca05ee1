package import TenonCore
package import TenonRaft
import TenonWire

/// A replica of this node as it was made: kept in the log beside the replica's own records, so
/// that a start knows what to open. What has changed since stands in the replica's log.
package struct ReplicaRecord: Hashable, Sendable {
    package var tablet: TabletID
    package var replica: ReplicaID
    package var keyspace: KeyspaceID
    package var generation: Generation
    package var lower: Bytes
    /// Nil for the end of the keyspace.
    package var upper: Bytes?
    /// Where the tablet's log began (``Raft/Configuration/birth``).
    package var birth: LogPosition
    /// The tablet that it was split off from; 0 when it was not.
    package var parent: TabletID
    /// The configuration in force before the first entry that this replica was sent.
    package var membership: Membership
    /// Whether it keeps no data (Rule C7), for as long as it is there.
    package var isWitness: Bool

    package init(
        tablet: TabletID, replica: ReplicaID, keyspace: KeyspaceID, generation: Generation,
        lower: Bytes, upper: Bytes?, birth: LogPosition = .zero, parent: TabletID = TabletID(0),
        membership: Membership, isWitness: Bool = false
    ) {
        self.tablet = tablet
        self.replica = replica
        self.keyspace = keyspace
        self.generation = generation
        self.lower = lower
        self.upper = upper
        self.birth = birth
        self.parent = parent
        self.membership = membership
        self.isWitness = isWitness
    }

    /// The name of the replica's folder among those of the node's tablets.
    var folderName: String { ReplicaRecord.folderName(tablet, replica) }

    static func folderName(_ tablet: TabletID, _ replica: ReplicaID) -> String {
        "\(tablet)-\(replica)"
    }

    // MARK: In the log

    /// The highest bit tells the keys of replicas from those of nodes (``PeerMemory``).
    private static let keyBit: UInt64 = 1 << 63
    private static let formatVersion: UInt8 = 2
    /// That of a witness.
    private static let witnessFormatVersion: UInt8 = 3

    /// Under which key of the log's metadata the record of a tablet's replica stands. An empty
    /// value there says that the node has none.
    static func metadataKey(of tablet: TabletID) -> UInt64 { keyBit | tablet.rawValue }

    /// Whether a key of the log's metadata is a replica's.
    static func isMetadataKey(_ key: UInt64) -> Bool { key & keyBit != 0 }

    /// The tablet of whose replica a key of the log's metadata is; nil when it is another's.
    static func tablet(ofKey key: UInt64) -> TabletID? {
        isMetadataKey(key) ? TabletID(key & ~keyBit) : nil
    }

    /// Layout: version 1 · tablet 8 · replica 8 · keyspace 4 · generation 8 · birth 16 · parent 8 ·
    /// lower · (flag 1, upper) · membership. Version 1 has no parent; version 3 is version 2 of a
    /// witness, so that software that knows none does not open one as a copy.
    package func encode(to writer: inout ByteWriter) {
        writer.uint8(
            isWitness ? ReplicaRecord.witnessFormatVersion : ReplicaRecord.formatVersion)
        writer.identifier(tablet)
        writer.identifier(replica)
        writer.identifier(keyspace)
        writer.identifier(generation)
        writer.identifier(birth.index)
        writer.identifier(birth.term)
        writer.identifier(parent)
        writer.lengthPrefixed(lower)
        writer.flag(upper != nil)
        if let upper { writer.lengthPrefixed(upper) }
        writer.lengthPrefixed(membership.encoded())
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let version = try reader.uint8()
        guard (1...ReplicaRecord.witnessFormatVersion).contains(version) else {
            throw .unknownKind(field: "replica record version", value: UInt64(version))
        }
        tablet = try reader.identifier(TabletID.self)
        replica = try reader.identifier(ReplicaID.self)
        keyspace = try reader.identifier(KeyspaceID.self)
        generation = try reader.identifier(Generation.self)
        birth = LogPosition(
            index: try reader.identifier(LogIndex.self), term: try reader.identifier(Term.self))
        parent = version == 1 ? TabletID(0) : try reader.identifier(TabletID.self)
        lower = try reader.lengthPrefixedBytes("lower", atMost: Limits.keyBytesMax)
        upper =
            try reader.flag("upper")
            ? reader.lengthPrefixedBytes("upper", atMost: Limits.keyBytesMax) : nil
        let payload = try reader.lengthPrefixedBytes("membership", atMost: 64 << 10)
        membership = try Membership(payload: payload.array)
        isWitness = version == ReplicaRecord.witnessFormatVersion
        guard replica != .none else { throw .malformed("replica 0") }
    }

    func encoded() -> Bytes {
        var writer = ByteWriter(capacity: 128)
        encode(to: &writer)
        return Bytes(writer.take())
    }

    init(decoding bytes: Bytes) throws(DecodingError) {
        var reader = ByteReader(bytes)
        try self.init(from: &reader)
        try reader.finish()
    }
}
