package import TenonCore

/// Where a record of the directory stands in tablet 1. The keys are text, so that a scan of it
/// can be read; numbers have leading zeros, so that their order is the order of keys.
package enum DirectoryKey: Hashable, Sendable {
    /// The next number of each kind, and that the directory was set up at all.
    case numbers
    case node(NodeID)
    case keyspace(KeyspaceID)
    case tablet(TabletID)
    /// A split of the tablet that is under way.
    case split(TabletID)

    package var bytes: Bytes {
        switch self {
        case .numbers: Bytes("numbers")
        case .node(let id): Bytes("node/" + DirectoryKey.decimal(UInt64(id.rawValue)))
        case .keyspace(let id): Bytes("keyspace/" + DirectoryKey.decimal(UInt64(id.rawValue)))
        case .tablet(let id): Bytes("tablet/" + DirectoryKey.decimal(id.rawValue))
        case .split(let id): Bytes("split/" + DirectoryKey.decimal(id.rawValue))
        }
    }

    /// - Throws: `DecodingError.malformed` for a key that is none of the directory's.
    package init(_ bytes: Bytes) throws(DecodingError) {
        if bytes == DirectoryKey.numbers.bytes {
            self = .numbers
        } else if let number = DirectoryKey.number(bytes, after: "node/") {
            self = .node(NodeID(UInt32(truncatingIfNeeded: number)))
        } else if let number = DirectoryKey.number(bytes, after: "keyspace/") {
            self = .keyspace(KeyspaceID(UInt32(truncatingIfNeeded: number)))
        } else if let number = DirectoryKey.number(bytes, after: "tablet/") {
            self = .tablet(TabletID(number))
        } else if let number = DirectoryKey.number(bytes, after: "split/") {
            self = .split(TabletID(number))
        } else {
            throw .malformed("a key that the directory does not know")
        }
    }

    private static let digits = 20

    private static func decimal(_ number: UInt64) -> String {
        let text = String(number)
        return String(repeating: "0", count: digits - text.utf8.count) + text
    }

    private static func number(_ bytes: Bytes, after prefix: String) -> UInt64? {
        let prefix = Array(prefix.utf8)
        let text = bytes.array
        guard text.count == prefix.count + digits, text.starts(with: prefix) else { return nil }
        var number: UInt64 = 0
        for digit in text[prefix.count...] {
            guard (0x30...0x39).contains(digit) else { return nil }
            let (tens, isOver) = number.multipliedReportingOverflow(by: 10)
            let (sum, isOverAgain) = tens.addingReportingOverflow(UInt64(digit - 0x30))
            guard !isOver, !isOverAgain else { return nil }
            number = sum
        }
        return number
    }
}

/// The lowest numbers that were given to no node, keyspace and tablet yet: none is used twice
/// (Rule I3).
package struct DirectoryNumbers: Hashable, Sendable {
    package var node: NodeID
    package var keyspace: KeyspaceID
    package var tablet: TabletID

    package init(node: NodeID, keyspace: KeyspaceID, tablet: TabletID) {
        self.node = node
        self.keyspace = keyspace
        self.tablet = tablet
    }

    /// Layout: node 4 · keyspace 4 · tablet 8.
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(node)
        writer.identifier(keyspace)
        writer.identifier(tablet)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        node = try reader.identifier(NodeID.self)
        keyspace = try reader.identifier(KeyspaceID.self)
        tablet = try reader.identifier(TabletID.self)
    }
}
