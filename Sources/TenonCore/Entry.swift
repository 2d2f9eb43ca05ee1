/// What a Raft group's log holds, and what a member must keep besides.

/// What an entry's payload is.
package enum EntryKind: UInt8, Sendable, Hashable {
    /// Nothing: a new leader's first entry of its term.
    case noop = 1
    /// Commands for the state machine (``CommandBatch``).
    case commands = 2
    /// A configuration of the group, active on append (Rule C4).
    case configuration = 3
    /// The tablet becomes two (``TabletSplit``).
    case split = 4
}

/// One entry of a group's log. Entries with equal (index, term) are equal.
package struct Entry: Hashable, Sendable {
    package var index: LogIndex
    package var term: Term
    package var kind: EntryKind
    /// Opaque to the log. Shared, never copied, from the proposal to the disk and the peers.
    package var payload: [UInt8]

    package init(index: LogIndex, term: Term, kind: EntryKind, payload: [UInt8]) {
        self.index = index
        self.term = term
        self.kind = kind
        self.payload = payload
    }

    /// Bytes of an encoded entry before its payload.
    package static let headerBytes = 8 + 8 + 1 + 4
    package var encodedBytes: Int { Entry.headerBytes + payload.count }

    /// Layout: index 8 · term 8 · kind 1 · payload length 4 · payload.
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(index)
        writer.identifier(term)
        writer.uint8(kind.rawValue)
        writer.lengthPrefixed(payload)
    }

    /// - Parameter payloadBytesMax: refuses a longer payload before it makes room for it.
    package init(
        from reader: inout ByteReader, payloadBytesMax: Int = Limits.frameBytesMax
    ) throws(DecodingError) {
        index = try reader.identifier(LogIndex.self)
        term = try reader.identifier(Term.self)
        let kindByte = try reader.uint8()
        guard let kind = EntryKind(rawValue: kindByte) else {
            throw .unknownKind(field: "entry kind", value: UInt64(kindByte))
        }
        self.kind = kind
        payload = try reader.lengthPrefixedBytes("entry payload", atMost: payloadBytesMax).array
    }
}

/// What a member must have on stable storage before it answers: Raft's persistent state.
package struct HardState: Hashable, Sendable {
    package var term: Term
    /// Who got this member's vote in `term`; ``ReplicaID/none`` for nobody.
    package var vote: ReplicaID
    /// A lower bound of what is committed. Saves work at a restart; safety does not rest on it.
    package var commit: LogIndex

    package init(term: Term = .zero, vote: ReplicaID = .none, commit: LogIndex = .zero) {
        self.term = term
        self.vote = vote
        self.commit = commit
    }

    package static let encodedBytes = 24

    /// Layout: term 8 · vote 8 · commit 8.
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(term)
        writer.identifier(vote)
        writer.identifier(commit)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        term = try reader.identifier(Term.self)
        vote = try reader.identifier(ReplicaID.self)
        commit = try reader.identifier(LogIndex.self)
    }
}
