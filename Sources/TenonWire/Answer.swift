package import TenonCore

/// The point of a tablet's history at which an answer stood (Rule S7).
package struct ReadPoint: Hashable, Sendable {
    package var tablet: TabletID
    package var version: Timestamp
    /// How old what the tablet had there was (Rule S8).
    package var age: ReadAge

    package init(tablet: TabletID, version: Timestamp, age: ReadAge = .newest) {
        self.tablet = tablet
        self.version = version
        self.age = age
    }
}

/// A key and its value, as a scan gives them.
package struct ScanItem: Hashable, Sendable {
    package var key: Bytes
    package var value: StoredValue

    package init(key: Bytes, value: StoredValue) {
        self.key = key
        self.value = value
    }
}

/// What a node answers a request.
package enum Answer: Hashable, Sendable {
    /// A write was committed and this came of it.
    case outcome(Outcome, at: ReadPoint)
    case value(StoredValue?, at: ReadPoint)
    case values([StoredValue?], at: ReadPoint)
    /// A page of a scan; `next` is nil at the end of what was asked for in this tablet.
    case page([ScanItem], next: Bytes?, at: ReadPoint)
    case directory(Directory)
    /// Indirect: as large as it is, it would make every answer that large.
    indirect case status(NodeStatus)
    /// An order to the node was taken.
    case done
    case refusal(Refusal)
}

extension Answer {
    /// Layout: kind 1 · point where there is one · body.
    package func encode(to writer: inout ByteWriter) {
        switch self {
        case .outcome(let outcome, let point):
            writer.uint8(1)
            point.encode(to: &writer)
            outcome.encode(to: &writer)
        case .value(let value, let point):
            writer.uint8(2)
            point.encode(to: &writer)
            value.encode(to: &writer)
        case .values(let values, let point):
            writer.uint8(3)
            point.encode(to: &writer)
            writer.uint32(UInt32(values.count))
            for value in values { value.encode(to: &writer) }
        case .page(let items, let next, let point):
            writer.uint8(4)
            point.encode(to: &writer)
            writer.uint32(UInt32(items.count))
            for item in items {
                writer.lengthPrefixed(item.key)
                item.value.encode(to: &writer)
            }
            writer.optional(next)
        case .directory(let directory):
            writer.uint8(5)
            directory.encode(to: &writer)
        case .status(let status):
            writer.uint8(6)
            status.encode(to: &writer)
        case .done: writer.uint8(7)
        case .refusal(let refusal):
            writer.uint8(8)
            refusal.encode(to: &writer)
        }
    }

    package init(from body: Bytes) throws(DecodingError) {
        var reader = ByteReader(body)
        let kind = try reader.uint8()
        switch kind {
        case 1:
            let point = try ReadPoint(from: &reader)
            self = .outcome(try Outcome(from: &reader), at: point)
        case 2:
            let point = try ReadPoint(from: &reader)
            self = .value(try StoredValue?.decode(from: &reader), at: point)
        case 3:
            let point = try ReadPoint(from: &reader)
            self = .values(try Answer.values(from: &reader), at: point)
        case 4:
            let point = try ReadPoint(from: &reader)
            let items = try Answer.items(from: &reader)
            let next =
                try reader.flag("next")
                ? reader.lengthPrefixedBytes("page", atMost: ScanRequest.pageTokenBytesMax) : nil
            self = .page(items, next: next, at: point)
        case 5: self = .directory(try Directory(from: &reader))
        case 6: self = .status(try NodeStatus(from: &reader))
        case 7: self = .done
        case 8: self = .refusal(try Refusal(from: &reader))
        default: throw .unknownKind(field: "answer", value: UInt64(kind))
        }
        try reader.finish()
    }

    private static func values(
        from reader: inout ByteReader
    ) throws(DecodingError) -> [StoredValue?] {
        let count = try reader.count("values", itemBytes: 1, atMost: Limits.getManyKeysMax)
        var values: [StoredValue?] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try StoredValue?.decode(from: &reader)) }
        return values
    }

    private static func items(from reader: inout ByteReader) throws(DecodingError) -> [ScanItem] {
        let count = try reader.count("items", itemBytes: 16, atMost: Limits.scanItemsMax)
        var items: [ScanItem] = []
        items.reserveCapacity(count)
        for _ in 0..<count {
            let key = try reader.key()
            items.append(ScanItem(key: key, value: try StoredValue(from: &reader)))
        }
        return items
    }
}

extension ReadPoint {
    /// Layout: tablet 8 · version 8 · age.
    func encode(to writer: inout ByteWriter) {
        writer.identifier(tablet)
        writer.identifier(version)
        age.encode(to: &writer)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        tablet = try reader.identifier(TabletID.self)
        version = try reader.identifier(Timestamp.self)
        age = try ReadAge(from: &reader)
    }
}
