package import TenonCore
package import TenonRaft

/// What a replica sends to one that lost entries (Rule L7).
package struct RepairAnswer: Hashable, Sendable {
    package enum State: UInt8, Hashable, Sendable {
        /// The entries, from the first that was asked for on.
        case entries = 0
        /// The sender's log does not hold the anchor: it cannot say what stood before it.
        case notHeld = 1
        /// The sender has trimmed what was asked for.
        case trimmed = 2
    }

    package var tablet: TabletID
    /// As it was asked.
    package var range: Raft.LostRange
    package var state: State
    package var entries: [Entry]

    /// Bytes of the entries of one answer; a larger single entry stands alone.
    package static let bytesMax = 1 << 20

    package init(
        tablet: TabletID, range: Raft.LostRange, state: State, entries: [Entry] = []
    ) {
        self.tablet = tablet
        self.range = range
        self.state = state
        self.entries = entries
    }

    /// Layout: tablet 8 · range 24 · state 1 · count 4 · entries (`Entry.encode`).
    func encode(to writer: inout ByteWriter) {
        writer.identifier(tablet)
        range.encode(to: &writer)
        writer.uint8(state.rawValue)
        writer.uint32(UInt32(entries.count))
        for entry in entries { entry.encode(to: &writer) }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        tablet = try reader.identifier(TabletID.self)
        range = try Raft.LostRange(from: &reader)
        let byte = try reader.uint8()
        guard let state = State(rawValue: byte) else {
            throw .unknownKind(field: "repair answer", value: UInt64(byte))
        }
        self.state = state
        let count = try reader.count("entries", itemBytes: Entry.headerBytes)
        entries = []
        entries.reserveCapacity(count)
        for _ in 0..<count { entries.append(try Entry(from: &reader)) }
    }
}

extension Raft.LostRange {
    /// Layout: first 8 · anchor index 8 · anchor term 8.
    func encode(to writer: inout ByteWriter) {
        writer.identifier(first)
        writer.identifier(anchor.index)
        writer.identifier(anchor.term)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let first = try reader.identifier(LogIndex.self)
        let index = try reader.identifier(LogIndex.self)
        self.init(
            first: first,
            anchor: LogPosition(index: index, term: try reader.identifier(Term.self)))
    }
}
