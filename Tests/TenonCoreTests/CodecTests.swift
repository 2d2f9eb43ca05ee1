import TenonCore
import Testing

/// A value of every shape that each codec can write, and its decoder.
private enum Samples {
    static let session = Session(
        client: ClientID(high: 1, low: 2), sequence: SequenceNumber(3), firstIssue: Timestamp(4),
        lowWaterMark: SequenceNumber(5))

    static let conditions: [Condition] = [
        .none, .absent, .present, .version(Timestamp(9)), .value("v"),
    ]

    static var operations: [Operation] {
        conditions.map { .put(key: "k", value: "value", condition: $0) }
            + [
                .delete(key: "k", condition: .absent),
                .deleteRange(from: "a", to: nil), .deleteRange(from: "a", to: "b"),
                .get(key: "k"), .raiseHistoryFloor(to: Timestamp(7)), .contentDigest,
                .transaction(
                    Transaction(
                        conditions: [KeyCondition(key: "k", condition: .version(Timestamp(1)))],
                        then: [.put(key: "k", value: "1", condition: .none), .get(key: "k")],
                        else: [.delete(key: "k", condition: .none)])),
            ]
    }

    static var commands: [Command] {
        operations.flatMap { operation in
            [
                Command(operation: operation),
                Command(operation: operation, session: session, taggedFields: [1, 0, 0, 0, 0]),
            ]
        }
    }

    static let outcomes: [Outcome] = [
        .written(version: Timestamp(1)), .deleted(version: Timestamp(2), found: true),
        .conditionFailed(current: nil),
        .conditionFailed(current: StoredValue(bytes: "v", version: Timestamp(3))),
        .transaction(
            version: Timestamp(4), succeeded: true,
            results: [
                .written, .deleted(found: false), .value(nil),
                .value(StoredValue(bytes: "w", version: Timestamp(5))),
                .conditionFailed(current: nil),
            ]),
        .sessionExpired, .duplicate, .upkeep(version: Timestamp(6)), .refused(reason: "because"),
    ]
}

/// What every codec promises: what is written reads back, every truncation is refused, and no
/// changed bit is read as something that writes other bytes than were read.
private func checkCodec<Value: Equatable>(
    _ value: Value, encode: (Value, inout ByteWriter) -> Void,
    decode: (inout ByteReader) throws -> Value
) throws {
    func whole(_ bytes: [UInt8]) throws -> Value {
        var reader = ByteReader(bytes)
        let value = try decode(&reader)
        try reader.finish()
        return value
    }
    func bytes(of value: Value) -> [UInt8] {
        var writer = ByteWriter()
        encode(value, &writer)
        return writer.take()
    }
    let encoded = bytes(of: value)
    #expect(try whole(encoded) == value)
    for count in 0..<encoded.count {
        #expect(throws: DecodingError.self) { try whole(Array(encoded[..<count])) }
    }
    for place in 0..<encoded.count * 8 {
        var flipped = encoded
        flipped[place / 8] ^= 1 << UInt8(place % 8)
        guard let read = try? whole(flipped) else { continue }
        #expect(bytes(of: read) == flipped, "bit \(place) of \(value)")
    }
}

@Suite("Codecs")
struct CodecTests {
    @Test("Conditions read back; damage is refused or is another condition")
    func conditions() throws {
        for condition in Samples.conditions {
            try checkCodec(
                condition, encode: { $0.encode(to: &$1) }, decode: { try Condition(from: &$0) })
        }
    }

    @Test("Commands read back; damage is refused or is another command")
    func commands() throws {
        for command in Samples.commands {
            try checkCodec(
                command, encode: { $0.encode(to: &$1) }, decode: { try Command(from: &$0) })
        }
    }

    @Test("Outcomes read back; damage is refused or is another outcome")
    func outcomes() throws {
        for outcome in Samples.outcomes {
            try checkCodec(
                outcome, encode: { $0.encode(to: &$1) }, decode: { try Outcome(from: &$0) })
        }
    }

    @Test("Entries and hard states read back; damage is refused or is another")
    func entries() throws {
        let entry = Entry(
            index: LogIndex(1), term: Term(2), kind: .commands, payload: [3, 4, 5])
        try checkCodec(entry, encode: { $0.encode(to: &$1) }, decode: { try Entry(from: &$0) })
        let state = HardState(term: Term(1), vote: ReplicaID(2), commit: LogIndex(3))
        try checkCodec(state, encode: { $0.encode(to: &$1) }, decode: { try HardState(from: &$0) })
    }

    @Test("The bytes of a put are fixed")
    func goldenPut() {
        let command = Command(
            operation: .put(key: "k", value: "v", condition: .version(Timestamp(0x0102))),
            session: Samples.session)
        let expected: [UInt8] =
            [1, 1]  // put, with a session
            + [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]  // client
            + [3, 0, 0, 0, 0, 0, 0, 0]  // sequence
            + [4, 0, 0, 0, 0, 0, 0, 0]  // first issue
            + [5, 0, 0, 0, 0, 0, 0, 0]  // low-water mark
            + [3, 2, 1, 0, 0, 0, 0, 0, 0]  // condition: version 0x0102
            + [1, 0, 0, 0, 0x6B, 1, 0, 0, 0, 0x76]
        #expect(command.encoded() == expected)
    }

    @Test("The bytes of an entry, of a hard state and of a batch are fixed")
    func goldenEntry() {
        var writer = ByteWriter()
        Entry(index: LogIndex(1), term: Term(2), kind: .noop, payload: [9]).encode(to: &writer)
        #expect(
            writer.take() == [
                1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 9,
            ])
        HardState(term: Term(1), vote: ReplicaID(2), commit: LogIndex(3)).encode(to: &writer)
        #expect(
            writer.take() == [
                1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
            ])
        var batch = CommandBatchBuilder(logicVersion: LogicVersion(1))
        batch.append([7, 8])
        #expect(
            batch.finish(base: Timestamp(5)) == [
                1, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 7, 8,
            ])
    }

    @Test("The bytes of outcomes are fixed")
    func goldenOutcomes() {
        #expect(
            Outcome.deleted(version: Timestamp(1), found: true).encoded()
                == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1])
        #expect(Outcome.conditionFailed(current: nil).encoded() == [3, 0])
        #expect(Outcome.sessionExpired.encoded() == [5])
    }

    @Test("A length is checked against its bound before room is made for it")
    func bounds() {
        var reader = ByteReader([1, 0, 0, 0xFF, 0xFF, 0xFF, 0x7F])
        #expect(throws: DecodingError.self) { try Command(from: &reader) }
        var counted = ByteReader([0xFF, 0xFF, 0xFF, 0x7F, 1, 2])
        #expect(throws: DecodingError.truncated) { try counted.count("items", itemBytes: 1) }
        var long = ByteWriter()
        long.lengthPrefixed([UInt8](repeating: 0, count: Limits.keyBytesMax + 1))
        var key = ByteReader(long.bytes)
        #expect(
            throws: DecodingError.tooLong(
                field: "key", count: Limits.keyBytesMax + 1, bound: Limits.keyBytesMax)
        ) { try key.key() }
    }

    @Test("Transactions do not nest")
    func nesting() {
        let inner = Operation.transaction(Transaction(conditions: [], then: []))
        let command = Command(
            operation: .transaction(Transaction(conditions: [], then: [inner])))
        var reader = ByteReader(command.encoded())
        #expect(throws: DecodingError.unknownKind(field: "operation", value: 4)) {
            try Command(from: &reader)
        }
    }

    @Test("Random bytes never crash a decoder")
    func randomBytes() {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<20_000 {
            // Small bytes make plausible kinds and lengths.
            let bytes = (0..<generator.below(64)).map { _ in UInt8(generator.below(9)) }
            var command = ByteReader(bytes)
            _ = try? Command(from: &command)
            var outcome = ByteReader(bytes)
            _ = try? Outcome(from: &outcome)
            var entry = ByteReader(bytes)
            _ = try? Entry(from: &entry)
            guard let batch = try? CommandBatch(payload: bytes) else { continue }
            var commands = batch.commandReaders()
            while let piece = try? commands.next() { _ = piece }
        }
    }

    @Test("A batch gives its commands back in order, each once")
    func batches() throws {
        var builder = CommandBatchBuilder()
        for number in UInt8(0)..<10 {
            builder.append(Bytes([UInt8](repeating: number, count: Int(number))))
        }
        let batch = try CommandBatch(payload: builder.finish(base: Timestamp(100)))
        #expect(batch.count == 10)
        #expect(batch.last == Timestamp(109))
        var commands = batch.commandReaders()
        for number in UInt8(0)..<10 {
            #expect(try commands.next() == Bytes([UInt8](repeating: number, count: Int(number))))
        }
        #expect(try commands.next() == nil)
    }

    @Test("A batch with bytes after its last command is refused")
    func trailingBytes() throws {
        var builder = CommandBatchBuilder()
        builder.append([1, 2])
        let batch = try CommandBatch(payload: builder.finish(base: Timestamp(1)) + [0])
        var commands = batch.commandReaders()
        _ = try commands.next()
        #expect(throws: DecodingError.trailingBytes(1)) { try commands.next() }
    }

    @Test("An entry closes at its bounds; a single larger command stands alone")
    func entryBounds() {
        var builder = CommandBatchBuilder()
        #expect(builder.accepts(bytes: Limits.entryBytesMax * 4))
        builder.append([1])
        #expect(!builder.accepts(bytes: Limits.entryBytesMax))
        for _ in 1..<Limits.entryCommandsMax { builder.append([1]) }
        #expect(!builder.accepts(bytes: 1))
    }
}
