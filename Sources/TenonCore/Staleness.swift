/// How old the content may be that a read is answered from (Rule S8).
public enum Staleness: Hashable, Sendable {
    /// Not at all: linearizable, by the leader.
    case none
    /// Any replica that has all that was acknowledged so many milliseconds before it is asked.
    case within(milliseconds: UInt32)
    /// Any replica, whatever it has. Served without a majority, too.
    case any

    /// Layout: kind 1 (0 none, 1 within, 2 any) · milliseconds 4 when within.
    package func encode(to writer: inout ByteWriter) {
        switch self {
        case .none: writer.uint8(0)
        case .within(let milliseconds):
            writer.uint8(1)
            writer.uint32(milliseconds)
        case .any: writer.uint8(2)
        }
    }

    /// - Throws: `DecodingError` for another kind, or bytes that are missing.
    package init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.uint8()
        switch kind {
        case 0: self = .none
        case 1: self = .within(milliseconds: try reader.uint32())
        case 2: self = .any
        default: throw .unknownKind(field: "staleness", value: UInt64(kind))
        }
    }
}

/// How old the content was that a read was answered from (Rule S8).
public enum ReadAge: Hashable, Sendable {
    /// It is what the leader would have answered: linearizable, or at the version asked for.
    case newest
    /// All that was acknowledged so many milliseconds before the replica was asked is in it.
    case within(milliseconds: UInt32)
    /// No leader has told the replica since it was started.
    case unknown

    /// Layout: kind 1 (0 newest, 1 within, 2 unknown) · milliseconds 4 when within.
    package func encode(to writer: inout ByteWriter) {
        switch self {
        case .newest: writer.uint8(0)
        case .within(let milliseconds):
            writer.uint8(1)
            writer.uint32(milliseconds)
        case .unknown: writer.uint8(2)
        }
    }

    /// - Throws: `DecodingError` for another kind, or bytes that are missing.
    package init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.uint8()
        switch kind {
        case 0: self = .newest
        case 1: self = .within(milliseconds: try reader.uint32())
        case 2: self = .unknown
        default: throw .unknownKind(field: "age of an answer", value: UInt64(kind))
        }
    }

    /// The age of what is made of parts: that of the oldest.
    package static func oldest(_ ages: some Sequence<ReadAge>) -> ReadAge {
        ages.reduce(.newest) { left, right in
            switch (left, right) {
            case (.unknown, _), (_, .unknown): .unknown
            case (.newest, let age), (let age, .newest): age
            case (.within(let one), .within(let other)): .within(milliseconds: max(one, other))
            }
        }
    }
}
