/// What became of a command, the same on every replica.
public enum Outcome: Hashable, Sendable {
    /// A put or a deleteRange took effect at `version`.
    case written(version: Timestamp)
    /// A delete took effect; `found` says whether there was a value.
    case deleted(version: Timestamp, found: Bool)
    /// The condition did not hold of what the key had.
    case conditionFailed(current: StoredValue?)
    /// A transaction ran; `succeeded` says which of its lists.
    case transaction(version: Timestamp, succeeded: Bool, results: [OperationResult])
    /// First issued below the session floor: whether it ran before is not known, and it never
    /// will (Rule S3).
    case sessionExpired
    /// A late duplicate of a write that the client has an answer to (Rule S3). Nobody waits for it.
    case duplicate
    /// A command that leaders propose was applied.
    case upkeep(version: Timestamp)
    /// The command breaks a rule that is checked when it is applied.
    case refused(reason: String)
}

/// What one operation of a transaction gave.
public enum OperationResult: Hashable, Sendable {
    /// A put or a deleteRange.
    case written
    /// A delete; whether there was a value.
    case deleted(found: Bool)
    /// A get.
    case value(StoredValue?)
    /// A put or delete with a condition of its own that did not hold: it alone was skipped.
    case conditionFailed(current: StoredValue?)
}

extension Outcome {
    /// The most bytes of a reason.
    private static let reasonBytesMax = 1_024

    /// Layout: kind 1 · body.
    package func encode(to writer: inout ByteWriter) {
        switch self {
        case .written(let version):
            writer.uint8(1)
            writer.identifier(version)
        case .deleted(let version, let found):
            writer.uint8(2)
            writer.identifier(version)
            writer.flag(found)
        case .conditionFailed(let current):
            writer.uint8(3)
            current.encode(to: &writer)
        case .transaction(let version, let succeeded, let results):
            writer.uint8(4)
            writer.identifier(version)
            writer.flag(succeeded)
            writer.uint32(UInt32(results.count))
            for result in results { result.encode(to: &writer) }
        case .sessionExpired: writer.uint8(5)
        case .duplicate: writer.uint8(6)
        case .upkeep(let version):
            writer.uint8(7)
            writer.identifier(version)
        case .refused(let reason):
            writer.uint8(8)
            writer.lengthPrefixed(String(reason.prefix(Outcome.reasonBytesMax / 4)))
        }
    }

    package func encoded() -> Bytes {
        var writer = ByteWriter(capacity: 16)
        encode(to: &writer)
        return Bytes(writer.take())
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.uint8()
        switch kind {
        case 1: self = .written(version: try reader.identifier(Timestamp.self))
        case 2:
            let version = try reader.identifier(Timestamp.self)
            self = .deleted(version: version, found: try reader.flag("found"))
        case 3: self = .conditionFailed(current: try StoredValue?.decode(from: &reader))
        case 4:
            let version = try reader.identifier(Timestamp.self)
            let succeeded = try reader.flag("succeeded")
            let count = try reader.count(
                "results", itemBytes: 1, atMost: Limits.transactionOperationsMax)
            var results: [OperationResult] = []
            results.reserveCapacity(count)
            for _ in 0..<count { results.append(try OperationResult(from: &reader)) }
            self = .transaction(version: version, succeeded: succeeded, results: results)
        case 5: self = .sessionExpired
        case 6: self = .duplicate
        case 7: self = .upkeep(version: try reader.identifier(Timestamp.self))
        case 8:
            self = .refused(
                reason: try reader.lengthPrefixedText("reason", atMost: Outcome.reasonBytesMax))
        default: throw .unknownKind(field: "outcome", value: UInt64(kind))
        }
    }
}

extension OperationResult {
    /// Layout: kind 1 · body.
    package func encode(to writer: inout ByteWriter) {
        switch self {
        case .written: writer.uint8(1)
        case .deleted(let found):
            writer.uint8(2)
            writer.flag(found)
        case .value(let value):
            writer.uint8(3)
            value.encode(to: &writer)
        case .conditionFailed(let current):
            writer.uint8(4)
            current.encode(to: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.uint8()
        switch kind {
        case 1: self = .written
        case 2: self = .deleted(found: try reader.flag("found"))
        case 3: self = .value(try StoredValue?.decode(from: &reader))
        case 4: self = .conditionFailed(current: try StoredValue?.decode(from: &reader))
        default: throw .unknownKind(field: "result", value: UInt64(kind))
        }
    }
}
