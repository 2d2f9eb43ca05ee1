/// Numbers of command kinds on disk and on the wire. A number is never used for another meaning.
package enum CommandKind: UInt8, Sendable {
    case put = 1
    case delete = 2
    case deleteRange = 3
    case transaction = 4
    case get = 5
    case raiseHistoryFloor = 6
    case contentDigest = 7
    // Reserved, refused by logic version 1: 8 expire, 9 split, 10 session upkeep,
    // 16 prepare, 17 commit, 18 abort, 19 resolve (Rule S10).
}

/// What stands before a command's body: read alone by who needs no whole ``Command``.
package struct CommandHeader: Hashable, Sendable {
    package var kind: CommandKind
    package var session: Session?
    package var taggedFields: Bytes?

    package init(from reader: inout ByteReader) throws(DecodingError) {
        kind = try CommandKind(from: &reader)
        let flags = try reader.uint8()
        guard flags & ~(Command.sessionFlag | Command.taggedFieldsFlag) == 0 else {
            throw .unknownKind(field: "command flags", value: UInt64(flags))
        }
        session = flags & Command.sessionFlag == 0 ? nil : try Session(from: &reader)
        taggedFields =
            flags & Command.taggedFieldsFlag == 0
            ? nil
            : try reader.lengthPrefixedBytes(
                "tagged fields", atMost: Command.taggedFieldsBytesMax)
    }
}

extension Command {
    fileprivate static let sessionFlag: UInt8 = 1
    fileprivate static let taggedFieldsFlag: UInt8 = 2
    /// The most that the optional tagged fields of one command may take.
    package static let taggedFieldsBytesMax = 4_096

    package func encode(to writer: inout ByteWriter) {
        writer.uint8(operation.kind.rawValue)
        writer.uint8(
            (session == nil ? 0 : Command.sessionFlag)
                | (taggedFields == nil ? 0 : Command.taggedFieldsFlag))
        session?.encode(to: &writer)
        if let taggedFields { writer.lengthPrefixed(taggedFields) }
        operation.encodeBody(to: &writer)
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 128)
        encode(to: &writer)
        return writer.take()
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let header = try CommandHeader(from: &reader)
        session = header.session
        taggedFields = header.taggedFields
        operation = try Operation(kind: header.kind, from: &reader)
    }
}

extension CommandKind {
    init(from reader: inout ByteReader) throws(DecodingError) {
        let byte = try reader.uint8()
        guard let kind = CommandKind(rawValue: byte) else {
            throw .unknownKind(field: "command", value: UInt64(byte))
        }
        self = kind
    }
}

extension Operation {
    var kind: CommandKind {
        switch self {
        case .put: .put
        case .delete: .delete
        case .deleteRange: .deleteRange
        case .transaction: .transaction
        case .get: .get
        case .raiseHistoryFloor: .raiseHistoryFloor
        case .contentDigest: .contentDigest
        }
    }

    func encodeBody(to writer: inout ByteWriter) {
        switch self {
        case .put(let key, let value, let condition):
            condition.encode(to: &writer)
            writer.lengthPrefixed(key)
            writer.lengthPrefixed(value)
        case .delete(let key, let condition):
            condition.encode(to: &writer)
            writer.lengthPrefixed(key)
        case .deleteRange(let from, let to):
            writer.lengthPrefixed(from)
            writer.flag(to != nil)
            if let to { writer.lengthPrefixed(to) }
        case .transaction(let transaction):
            transaction.encode(to: &writer)
        case .get(let key):
            writer.lengthPrefixed(key)
        case .raiseHistoryFloor(let floor):
            writer.identifier(floor)
        case .contentDigest:
            break
        }
    }

    /// The body of a command of this kind.
    package init(kind: CommandKind, from reader: inout ByteReader) throws(DecodingError) {
        switch kind {
        case .put:
            let condition = try Condition(from: &reader)
            let key = try reader.key()
            self = .put(
                key: key,
                value: try reader.lengthPrefixedBytes("value", atMost: Limits.valueBytesMax),
                condition: condition)
        case .delete:
            let condition = try Condition(from: &reader)
            self = .delete(key: try reader.key(), condition: condition)
        case .deleteRange:
            let from = try reader.key()
            self = .deleteRange(from: from, to: try reader.flag("range end") ? reader.key() : nil)
        case .transaction:
            self = .transaction(try Transaction(from: &reader))
        case .get:
            self = .get(key: try reader.key())
        case .raiseHistoryFloor:
            self = .raiseHistoryFloor(to: try reader.identifier(Timestamp.self))
        case .contentDigest:
            self = .contentDigest
        }
    }
}

extension Transaction {
    /// Layout: three lists, each a count 4 and its items; an operation is kind 1 and its body.
    func encode(to writer: inout ByteWriter) {
        writer.uint32(UInt32(conditions.count))
        for item in conditions {
            writer.lengthPrefixed(item.key)
            item.condition.encode(to: &writer)
        }
        for operations in [then, `else`] {
            writer.uint32(UInt32(operations.count))
            for operation in operations {
                writer.uint8(operation.kind.rawValue)
                operation.encodeBody(to: &writer)
            }
        }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        conditions = []
        let conditionCount = try reader.count(
            "conditions", itemBytes: 5, atMost: Limits.transactionOperationsMax)
        conditions.reserveCapacity(conditionCount)
        for _ in 0..<conditionCount {
            let key = try reader.key()
            conditions.append(KeyCondition(key: key, condition: try Condition(from: &reader)))
        }
        then = try Transaction.operations(from: &reader)
        `else` = try Transaction.operations(from: &reader)
        guard operationCount <= Limits.transactionOperationsMax else {
            throw .tooLong(
                field: "transaction", count: operationCount,
                bound: Limits.transactionOperationsMax)
        }
    }

    private static func operations(
        from reader: inout ByteReader
    ) throws(DecodingError) -> [Operation] {
        let count = try reader.count(
            "operations", itemBytes: 5, atMost: Limits.transactionOperationsMax)
        var operations: [Operation] = []
        operations.reserveCapacity(count)
        for _ in 0..<count {
            let kind = try CommandKind(from: &reader)
            // Only plain reads and writes nest, so a message cannot make the decoder recurse.
            switch kind {
            case .put, .delete, .deleteRange, .get:
                operations.append(try Operation(kind: kind, from: &reader))
            case .transaction, .raiseHistoryFloor, .contentDigest:
                throw .unknownKind(field: "operation", value: UInt64(kind.rawValue))
            }
        }
        return operations
    }
}

extension ByteReader {
    /// A length and a key within its bound.
    package mutating func key() throws(DecodingError) -> Bytes {
        try lengthPrefixedBytes("key", atMost: Limits.keyBytesMax)
    }
}

extension Command {
    /// Whether an encoded command only removes: taken even when the disk is full (Rule L6).
    package static func isDelete(_ encoded: Bytes) -> Bool {
        guard !encoded.isEmpty, let kind = CommandKind(rawValue: encoded[0]) else { return false }
        return kind == .delete || kind == .deleteRange
    }
}
