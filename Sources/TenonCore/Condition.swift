/// What must hold of a key for a conditional write to take effect.
public enum Condition: Hashable, Sendable {
    /// Always.
    case none
    /// The key has no value.
    case absent
    /// The key has a value.
    case present
    /// The key's value was written at exactly this version.
    case version(Timestamp)
    /// The key has exactly this value.
    case value(Bytes)
}

extension Condition {
    /// Layout: kind 1 · (version: 8 | value: length 4, bytes).
    package func encode(to writer: inout ByteWriter) {
        switch self {
        case .none: writer.uint8(0)
        case .absent: writer.uint8(1)
        case .present: writer.uint8(2)
        case .version(let version):
            writer.uint8(3)
            writer.identifier(version)
        case .value(let value):
            writer.uint8(4)
            writer.lengthPrefixed(value)
        }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.uint8()
        switch kind {
        case 0: self = .none
        case 1: self = .absent
        case 2: self = .present
        case 3: self = .version(try reader.identifier(Timestamp.self))
        case 4:
            self = .value(
                try reader.lengthPrefixedBytes("condition value", atMost: Limits.valueBytesMax))
        default: throw .unknownKind(field: "condition", value: UInt64(kind))
        }
    }

    /// Whether it holds of a key whose value is `value`, nil when it has none.
    package func holds(of value: StoredValue?) -> Bool {
        switch self {
        case .none: true
        case .absent: value == nil
        case .present: value != nil
        case .version(let version): value?.version == version
        case .value(let bytes): value?.bytes == bytes
        }
    }
}

/// A key's value and the version at which it was written.
public struct StoredValue: Hashable, Sendable {
    /// The bytes.
    public var bytes: Bytes
    /// When they were written.
    public var version: Timestamp

    /// The value `bytes`, written at `version`.
    public init(bytes: Bytes, version: Timestamp) {
        self.bytes = bytes
        self.version = version
    }

    /// Layout: version 8 · length 4 · bytes.
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(version)
        writer.lengthPrefixed(bytes)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        version = try reader.identifier(Timestamp.self)
        bytes = try reader.lengthPrefixedBytes("value", atMost: Limits.valueBytesMax)
    }
}

extension Optional where Wrapped == StoredValue {
    /// Layout: found 1 · value when found.
    package func encode(to writer: inout ByteWriter) {
        writer.flag(self != nil)
        self?.encode(to: &writer)
    }

    package static func decode(
        from reader: inout ByteReader
    ) throws(DecodingError) -> StoredValue? {
        try reader.flag("found") ? StoredValue(from: &reader) : nil
    }
}
