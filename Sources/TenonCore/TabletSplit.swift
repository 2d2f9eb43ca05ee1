/// A tablet that becomes two: of the keys [lower, upper) it keeps [lower, at), and a new tablet, the
/// *half*, gets [at, upper).
///
/// The same value is the directory's intent (``TabletSplit/half`` and the numbers of its replicas
/// are given out before anybody is told), the order to the tablet's leader, and the payload of the
/// entry that does it.
package struct TabletSplit: Hashable, Sendable {
    /// The rules by which the entry is applied (Rule S6).
    package var logicVersion: LogicVersion
    package var tablet: TabletID
    /// The bounds that it was planned for. The split raises the tablet's generation by one.
    package var generation: Generation
    /// The members that it was planned for: with others in force a leader does not propose it.
    package var configuration: Generation
    /// The first key of the half; inside the tablet, not at its border.
    package var at: Bytes
    /// A number that no tablet had.
    package var half: TabletID
    /// The first voters of the half, one on the node of each voter of the tablet.
    package var members: [Member]
    /// What commits of the half need, as of the tablet itself.
    package var acknowledgement: Acknowledgement

    package init(
        tablet: TabletID, generation: Generation, configuration: Generation, at: Bytes,
        half: TabletID, members: [Member], acknowledgement: Acknowledgement = .majority
    ) {
        logicVersion = .newest
        self.tablet = tablet
        self.generation = generation
        self.configuration = configuration
        self.at = at
        self.half = half
        self.members = members
        self.acknowledgement = acknowledgement
    }

    /// The generation of both tablets once the split is done.
    package var newGeneration: Generation { generation.next }

    /// The replica of the half on a node; nil when none was planned there.
    package func member(on node: NodeID) -> Member? { members.first { $0.node == node } }

    /// Layout: logic version 2 · reserved 2 · tablet 8 · generation 8 · configuration 8 · half 8 ·
    /// members · acknowledgement · at.
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(logicVersion)
        writer.uint16(0)
        writer.identifier(tablet)
        writer.identifier(generation)
        writer.identifier(configuration)
        writer.identifier(half)
        members.encode(to: &writer)
        acknowledgement.encode(to: &writer)
        writer.lengthPrefixed(at)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        logicVersion = try reader.identifier(LogicVersion.self)
        guard try reader.uint16() == 0 else { throw .malformed("reserved bytes of a split") }
        tablet = try reader.identifier(TabletID.self)
        generation = try reader.identifier(Generation.self)
        configuration = try reader.identifier(Generation.self)
        half = try reader.identifier(TabletID.self)
        members = try [Member](from: &reader)
        acknowledgement = try Acknowledgement(from: &reader)
        at = try reader.lengthPrefixedBytes("split key", atMost: Limits.keyBytesMax).compacted()
        guard half != tablet, !at.isEmpty, areMembersValid else {
            throw .malformed("a split into nothing")
        }
    }

    /// Whether the half can have them: replicas in strictly rising order, one on a node.
    private var areMembersValid: Bool {
        guard let first = members.first, first.replica != .none else { return false }
        return zip(members, members.dropFirst()).allSatisfy { $0.replica < $1.replica }
            && Set(members.map(\.node)).count == members.count
            && acknowledgement.fits(voters: members.count)
    }

    /// The entry's payload.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 128)
        encode(to: &writer)
        return writer.take()
    }

    /// - Parameter payload: of an entry of kind ``EntryKind/split``.
    package init(payload: [UInt8]) throws(DecodingError) {
        var reader = ByteReader(payload)
        try self.init(from: &reader)
        try reader.finish()
    }
}

/// A split that was done, and where in the tablet's log: the half begins there.
package struct AppliedSplit: Hashable, Sendable {
    package var split: TabletSplit
    package var index: LogIndex
    package var term: Term
    /// Where the half ends: the tablet's upper bound until then; nil for the end of the keyspace.
    package var upper: Bytes?

    package init(_ split: TabletSplit, at index: LogIndex, _ term: Term, upper: Bytes?) {
        self.split = split
        self.index = index
        self.term = term
        self.upper = upper
    }

    /// Layout: index 8 · term 8 · (flag 1, upper) · split.
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(index)
        writer.identifier(term)
        writer.flag(upper != nil)
        if let upper { writer.lengthPrefixed(upper) }
        split.encode(to: &writer)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        index = try reader.identifier(LogIndex.self)
        term = try reader.identifier(Term.self)
        upper =
            try reader.flag("upper")
            ? try reader.lengthPrefixedBytes("upper", atMost: Limits.keyBytesMax).compacted() : nil
        split = try TabletSplit(from: &reader)
    }
}
