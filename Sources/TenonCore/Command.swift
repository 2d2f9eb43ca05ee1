/// What a write asks of the state machine. A request carries its command in the very bytes that
/// go into the entry, so the leader checks them and copies them once.
///
/// Layout of a command:
/// ```
/// kind 1 · flags 1 · session 40 when flagged · tagged fields when flagged · body
/// tagged fields: total length 4 · (tag 1 · length 4 · bytes)…   kept through log and snapshot
/// ```
/// Source: rules S3 and F.
public enum Operation: Hashable, Sendable {
    /// Sets a key's value.
    case put(key: Bytes, value: Bytes, condition: Condition)
    /// Removes a key's value.
    case delete(key: Bytes, condition: Condition)
    /// Removes the values of all keys from `from` up to and without `to`, nil for the end.
    case deleteRange(from: Bytes, to: Bytes?)
    /// Checks conditions, then does one list of operations or the other.
    case transaction(Transaction)
    /// Reads a key inside a transaction.
    case get(key: Bytes)
    /// Raises the history floor (Rule S4). Proposed by leaders, not by clients.
    case raiseHistoryFloor(to: Timestamp)
    /// Asks every replica for its content digest at this command's version (Rule S5). Proposed by
    /// leaders or operators, not by clients.
    case contentDigest
}

/// One-tablet transaction: when all `conditions` hold `then` is done, otherwise `else`, at once.
public struct Transaction: Hashable, Sendable {
    /// What must hold, key by key.
    public var conditions: [KeyCondition]
    /// Puts, deletes, deleteRanges and gets, done in order when the conditions hold.
    public var then: [Operation]
    /// The same, done when one of them does not.
    public var `else`: [Operation]

    /// A transaction of these parts.
    public init(conditions: [KeyCondition], then: [Operation], else: [Operation] = []) {
        self.conditions = conditions
        self.then = then
        self.else = `else`
    }

    /// Conditions and operations together: what ``Limits/transactionOperationsMax`` bounds.
    package var operationCount: Int { conditions.count + then.count + `else`.count }
}

/// A condition of a transaction and its key.
public struct KeyCondition: Hashable, Sendable {
    /// The key.
    public var key: Bytes
    /// What must hold of it.
    public var condition: Condition

    /// `condition` on `key`.
    public init(key: Bytes, condition: Condition) {
        self.key = key
        self.condition = condition
    }
}

/// What makes the retry of a write run once (Rule S3).
package struct Session: Hashable, Sendable {
    package var client: ClientID
    package var sequence: SequenceNumber
    /// Cluster time of the first attempt; the same for every retry.
    package var firstIssue: Timestamp
    /// All sequences below this one are answered; the tablet forgets their outcomes.
    package var lowWaterMark: SequenceNumber

    package init(
        client: ClientID, sequence: SequenceNumber, firstIssue: Timestamp,
        lowWaterMark: SequenceNumber
    ) {
        self.client = client
        self.sequence = sequence
        self.firstIssue = firstIssue
        self.lowWaterMark = lowWaterMark
    }

    package static let encodedBytes = 40

    /// Layout: client 16 · sequence 8 · first issue 8 · low-water mark 8.
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(client)
        writer.identifier(sequence)
        writer.identifier(firstIssue)
        writer.identifier(lowWaterMark)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        client = try reader.identifier(ClientID.self)
        sequence = try reader.identifier(SequenceNumber.self)
        firstIssue = try reader.identifier(Timestamp.self)
        lowWaterMark = try reader.identifier(SequenceNumber.self)
    }
}

/// An operation with what travels beside it.
package struct Command: Hashable, Sendable {
    package var operation: Operation
    /// Nil for what leaders propose of their own accord.
    package var session: Session?
    /// Optional tagged fields (signature, principal), opaque here, kept as they came.
    package var taggedFields: Bytes?

    package init(operation: Operation, session: Session? = nil, taggedFields: Bytes? = nil) {
        self.operation = operation
        self.session = session
        self.taggedFields = taggedFields
    }
}
