internal import TenonCore

/// A record as a batch's body holds it: what callers append, and what the log adds of its own
/// when it copies forward.
///
/// ```text
///  0  1  kind (RecordKind)
///  1  8  tablet; of metadata the key
///  9  8  replica
/// 17     entries, forwardedEntries (and repaired ones): count 4 · entries (Entry)
///        hardState: HardState (24)
///        trim, reset: index 8 · term 8
///        remove, suspicion: nothing
///        metadata: length 4 · value
///        damagedEntries: first 8 · last 8 · term 8
/// ```
enum BatchRecord: Hashable, Sendable {
    case given(LogRecord)
    case forwardedEntries(tablet: TabletID, replica: ReplicaID, entries: [Entry])
    case damagedEntries(
        tablet: TabletID, replica: ReplicaID, first: LogIndex, last: LogIndex, term: Term)
    case suspicion(tablet: TabletID, replica: ReplicaID)

    /// Bytes of kind, tablet and replica.
    static let headerBytes = 17

    /// What the next batch's header says of this record.
    var summary: RecordSummary {
        var summary = place
        summary.bytes = encodedBytes
        return summary
    }

    private var place: RecordSummary {
        switch self {
        case .given(.entries(let tablet, let replica, let entries)):
            BatchRecord.summary(of: entries, .entries, tablet, replica)
        case .forwardedEntries(let tablet, let replica, let entries),
            .given(.repaired(let tablet, let replica, let entries)):
            BatchRecord.summary(of: entries, .forwardedEntries, tablet, replica)
        case .given(.hardState(let tablet, let replica, let state)):
            RecordSummary(
                kind: .hardState, tablet: tablet, replica: replica, last: state.commit,
                term: state.term, vote: state.vote, bytes: 0)
        case .given(.trim(let tablet, let replica, let through, let term)):
            RecordSummary(
                kind: .trim, tablet: tablet, replica: replica, last: through, term: term, bytes: 0)
        case .given(.reset(let tablet, let replica, let index, let term)):
            RecordSummary(
                kind: .reset, tablet: tablet, replica: replica, last: index, term: term, bytes: 0)
        case .given(.remove(let tablet, let replica)):
            RecordSummary(kind: .remove, tablet: tablet, replica: replica, bytes: 0)
        case .given(.metadata(let key, _)):
            RecordSummary(kind: .metadata, tablet: TabletID(key), replica: .none, bytes: 0)
        case .damagedEntries(let tablet, let replica, let first, let last, let term):
            RecordSummary(
                kind: .damagedEntries, tablet: tablet, replica: replica, first: first, last: last,
                term: term, bytes: 0)
        case .suspicion(let tablet, let replica):
            RecordSummary(kind: .suspicion, tablet: tablet, replica: replica, bytes: 0)
        }
    }

    private static func summary(
        of entries: [Entry], _ kind: RecordKind, _ tablet: TabletID, _ replica: ReplicaID
    ) -> RecordSummary {
        guard let first = entries.first, let last = entries.last else {
            preconditionFailure("a record of no entries for tablet \(tablet)")
        }
        precondition(
            first.index.distance(to: last.index) == entries.count - 1,
            "\(entries.count) entries from \(first.index) to \(last.index)")
        return RecordSummary(
            kind: kind, tablet: tablet, replica: replica, first: first.index, last: last.index,
            term: last.term, bytes: 0)
    }

    /// Bytes in the body.
    var encodedBytes: Int {
        let content =
            switch self {
            case .given(.entries(_, _, let entries)), .given(.repaired(_, _, let entries)),
                .forwardedEntries(_, _, let entries):
                entries.reduce(4) { $0 + $1.encodedBytes }
            case .given(.hardState): HardState.encodedBytes
            case .given(.trim), .given(.reset): 16
            case .given(.remove), .suspicion: 0
            case .given(.metadata(_, let value)): 4 + value.count
            case .damagedEntries: 24
            }
        return BatchRecord.headerBytes + content
    }

    func encode(to writer: inout ByteWriter) {
        let place = self.place
        writer.uint8(place.kind.rawValue)
        writer.identifier(place.tablet)
        writer.identifier(place.replica)
        switch self {
        case .given(.entries(_, _, let entries)), .given(.repaired(_, _, let entries)),
            .forwardedEntries(_, _, let entries):
            writer.uint32(UInt32(entries.count))
            for entry in entries { entry.encode(to: &writer) }
        case .given(.hardState(_, _, let state)):
            state.encode(to: &writer)
        case .given(.trim), .given(.reset):
            writer.identifier(place.last)
            writer.identifier(place.term)
        case .given(.remove), .suspicion:
            break
        case .given(.metadata(_, let value)):
            writer.lengthPrefixed(value)
        case .damagedEntries:
            writer.identifier(place.first)
            writer.identifier(place.last)
            writer.identifier(place.term)
        }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try RecordSummary.kind(from: &reader)
        let tablet = try reader.identifier(TabletID.self)
        let replica = try reader.identifier(ReplicaID.self)
        switch kind {
        case .entries:
            let entries = try BatchRecord.entries(from: &reader)
            self = .given(.entries(tablet: tablet, replica: replica, entries: entries))
        case .forwardedEntries:
            let entries = try BatchRecord.entries(from: &reader)
            self = .forwardedEntries(tablet: tablet, replica: replica, entries: entries)
        case .hardState:
            let state = try HardState(from: &reader)
            self = .given(.hardState(tablet: tablet, replica: replica, state))
        case .trim, .reset:
            let index = try reader.identifier(LogIndex.self)
            let term = try reader.identifier(Term.self)
            self = .given(
                kind == .trim
                    ? .trim(tablet: tablet, replica: replica, through: index, term: term)
                    : .reset(tablet: tablet, replica: replica, at: index, term: term))
        case .remove:
            self = .given(.remove(tablet: tablet, replica: replica))
        case .metadata:
            let value = try reader.lengthPrefixedBytes(
                "metadata", atMost: BatchHeader.bodyBytesMax)
            self = .given(.metadata(key: tablet.rawValue, value: value.compacted()))
        case .damagedEntries:
            let first = try reader.identifier(LogIndex.self)
            let last = try reader.identifier(LogIndex.self)
            let term = try reader.identifier(Term.self)
            self = .damagedEntries(
                tablet: tablet, replica: replica, first: first, last: last, term: term)
        case .suspicion:
            self = .suspicion(tablet: tablet, replica: replica)
        }
    }

    private static func entries(from reader: inout ByteReader) throws(DecodingError) -> [Entry] {
        let count = try reader.count("entries", itemBytes: Entry.headerBytes)
        guard count > 0 else { throw .malformed("a record of no entries") }
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let entry = try Entry(from: &reader, payloadBytesMax: BatchHeader.bodyBytesMax)
            if let last = entries.last, entry.index != last.index.next {
                throw .malformed("entry \(entry.index) after \(last.index)")
            }
            entries.append(entry)
        }
        return entries
    }

    /// The records in a whole, decompressed body.
    static func records(in body: Bytes, count: Int) throws(DecodingError) -> [BatchRecord] {
        var reader = ByteReader(body)
        var records: [BatchRecord] = []
        records.reserveCapacity(min(count, body.count / headerBytes))
        for _ in 0..<count { records.append(try BatchRecord(from: &reader)) }
        try reader.finish()
        return records
    }
}
