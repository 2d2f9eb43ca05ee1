internal import TenonCore

/// What a record is, on disk. 0 is none.
enum RecordKind: UInt8, Sendable, Hashable {
    case entries = 1
    case hardState = 2
    case trim = 3
    case reset = 4
    case remove = 5
    case metadata = 6
    /// Entries that were copied from a segment about to be recycled. Unlike ``entries`` they
    /// never truncate: newer ones may stand behind them (Rule L2).
    case forwardedEntries = 7
    /// The mark, copied forward, of entries that were durable and are lost.
    case damagedEntries = 8
    /// The mark, copied forward, that anything of a tablet may be lost.
    case suspicion = 9
}

/// One line of a batch's directory: what a record is about, without its content. The next batch
/// carries the directory (Rule L1), so that the loss of a batch is known to the tablet and index,
/// and loses no term, vote or base.
///
/// ```text
///  0  1  kind (RecordKind)
///  1  8  tablet; of metadata the key
///  9  8  replica
/// 17  8  first index of entries
/// 25  8  last index: of entries the last; of a hard state the commit index; of trim and reset
///        the base
/// 33  8  term: of the last entry; of the hard state; of the base
/// 41  8  vote of a hard state
/// 49  4  bytes of the record in the body
/// ```
struct RecordSummary: Hashable, Sendable {
    var kind: RecordKind
    var tablet = TabletID(0)
    var replica = ReplicaID.none
    var first = LogIndex.zero
    var last = LogIndex.zero
    var term = Term.zero
    var vote = ReplicaID.none
    var bytes = 0

    static let encodedBytes = 53

    /// The key of a metadata record.
    var metadataKey: UInt64 { tablet.rawValue }

    func encode(to writer: inout ByteWriter) {
        writer.uint8(kind.rawValue)
        writer.identifier(tablet)
        writer.identifier(replica)
        writer.identifier(first)
        writer.identifier(last)
        writer.identifier(term)
        writer.identifier(vote)
        writer.uint32(UInt32(bytes))
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        kind = try RecordSummary.kind(from: &reader)
        tablet = try reader.identifier(TabletID.self)
        replica = try reader.identifier(ReplicaID.self)
        first = try reader.identifier(LogIndex.self)
        last = try reader.identifier(LogIndex.self)
        term = try reader.identifier(Term.self)
        vote = try reader.identifier(ReplicaID.self)
        bytes = Int(try reader.uint32())
    }

    init(
        kind: RecordKind, tablet: TabletID, replica: ReplicaID, first: LogIndex = .zero,
        last: LogIndex = .zero, term: Term = .zero, vote: ReplicaID = .none, bytes: Int
    ) {
        self.kind = kind
        self.tablet = tablet
        self.replica = replica
        self.first = first
        self.last = last
        self.term = term
        self.vote = vote
        self.bytes = bytes
    }

    static func kind(from reader: inout ByteReader) throws(DecodingError) -> RecordKind {
        let byte = try reader.uint8()
        guard let kind = RecordKind(rawValue: byte) else {
            throw .unknownKind(field: "record kind", value: UInt64(byte))
        }
        return kind
    }

    /// The directory in `bytes`.
    static func directory(_ bytes: Bytes) throws(DecodingError) -> [RecordSummary] {
        var reader = ByteReader(bytes)
        var directory: [RecordSummary] = []
        directory.reserveCapacity(bytes.count / encodedBytes)
        while !reader.isAtEnd { directory.append(try RecordSummary(from: &reader)) }
        return directory
    }
}
