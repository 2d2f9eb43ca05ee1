package import TenonCore

/// A place in the log together with the term of the entry there: what two logs compare by.
///
/// Order is the order of "at least as up to date": by term first, then by index.
/// Source: Ongaro's thesis, section 3.6.1.
package struct LogPosition: Hashable, Comparable, Sendable {
    package var index: LogIndex
    package var term: Term

    package init(index: LogIndex, term: Term) {
        self.index = index
        self.term = term
    }

    /// Before the first entry of any log.
    package static let zero = LogPosition(index: .zero, term: .zero)

    package static func < (left: LogPosition, right: LogPosition) -> Bool {
        (left.term, left.index) < (right.term, right.index)
    }

    /// Layout: index 8 · term 8.
    func encode(to writer: inout ByteWriter) {
        writer.identifier(index)
        writer.identifier(term)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        index = try reader.identifier(LogIndex.self)
        term = try reader.identifier(Term.self)
    }
}

extension Entry {
    /// Where the entry stands.
    package var position: LogPosition { LogPosition(index: index, term: term) }
}

/// A linearizable read that waits for its read index, as the node numbers them.
package struct ReadToken: NumericIdentifier {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}
