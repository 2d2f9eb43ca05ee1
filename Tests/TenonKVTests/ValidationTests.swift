import TenonCore
import TenonKV
import Testing

@Suite("Validation before a proposal")
struct ValidationTests {
    private let bounds = KeyInterval(lower: "b", upper: "m")
    private let session = Session.of(5, firstIssue: Timestamp(1), answeredBelow: 5)

    private func check(
        _ operation: Operation, session: Session?, from origin: CommandOrigin = .client
    ) throws -> CheckedCommand {
        let command = Command(operation: operation, session: session)
        return try StateMachine.validate(Bytes(command.encoded()), bounds: bounds, from: origin)
    }

    @Test("It says which keys a command reads when it is applied")
    func keysRead() throws {
        #expect(try check(.put("c", "1"), session: session).keysRead == [])
        #expect(try check(.put("c", "1"), session: session).session == session)
        #expect(try check(.put("c", "1", if: .absent), session: session).keysRead == ["c"])
        #expect(try check(.delete("d"), session: session).keysRead == ["d"])
        #expect(try check(.deleteRange(from: "a", to: "c"), session: session).keysRead == [])
        let transaction = Transaction(
            conditions: [KeyCondition(key: "c", condition: .absent)],
            then: [.put("d", "1"), .get(key: "e")], else: [.delete("f")])
        #expect(
            try check(.transaction(transaction), session: session).keysRead == ["c", "e", "f"])
    }

    @Test("Keys outside the tablet are refused, in transactions too")
    func outsideKeys() {
        for key: Bytes in ["a", "m", "z", ""] {
            let refusal = CommandRefusal.outsideTablet(key: key)
            #expect(throws: refusal) { try check(.put(key, "1"), session: session) }
            #expect(throws: refusal) { try check(.delete(key), session: session) }
            let transaction = Transaction(conditions: [], then: [], else: [.get(key: key)])
            #expect(throws: refusal) { try check(.transaction(transaction), session: session) }
        }
        #expect(throws: CommandRefusal.outsideTablet(key: "n")) {
            try check(.deleteRange(from: "n", to: "o"), session: session)
        }
    }

    @Test("Clients send no upkeep, no bare get, and no write without a session")
    func origins() throws {
        for operation in [Operation.raiseHistoryFloor(to: Timestamp(1)), .contentDigest] {
            #expect(throws: CommandRefusal.notForClients) { try check(operation, session: nil) }
            _ = try check(operation, session: nil, from: .leader)
        }
        #expect(throws: CommandRefusal.notForClients) {
            try check(.get(key: "c"), session: session, from: .leader)
        }
        #expect(throws: CommandRefusal.noSession) { try check(.put("c", "1"), session: nil) }
        let belowMark = Session.of(4, firstIssue: Timestamp(1), answeredBelow: 5)
        #expect(throws: CommandRefusal.sessionBelowMark) {
            try check(.put("c", "1"), session: belowMark)
        }
    }

    @Test("Sizes over their bounds are refused, those at their bounds taken")
    func sizes() throws {
        let long = Bytes([UInt8](repeating: UInt8(ascii: "c"), count: Limits.keyBytesMax + 1))
        let large = Bytes([UInt8](repeating: 0, count: Limits.valueBytesMax + 1))
        #expect(throws: CommandRefusal.self) { try check(.put(long, "1"), session: session) }
        #expect(throws: CommandRefusal.self) { try check(.put("c", large), session: session) }
        let half = Bytes([UInt8](repeating: 0, count: Limits.valueBytesMax))
        let longest = Bytes(long.array.dropLast())
        _ = try check(.put(longest, half, if: .value(half)), session: session)
        let transaction = Transaction(
            conditions: [], then: [.put("c", half), .put("d", half), .put("e", half)])
        #expect(throws: CommandRefusal.self) {
            try check(.transaction(transaction), session: session)
        }
    }

    @Test("What is cut or followed by more is refused")
    func malformed() throws {
        let command = Command(operation: .put("c", "1", if: .absent), session: session)
        let bytes = Bytes(command.encoded())
        for count in 0..<bytes.count {
            #expect(throws: CommandRefusal.self) {
                try StateMachine.validate(bytes[0..<count], bounds: bounds)
            }
        }
        #expect(throws: CommandRefusal.malformed(.trailingBytes(1))) {
            try StateMachine.validate(Bytes(bytes.array + [0]), bounds: bounds)
        }
    }
}

@Suite("Key intervals")
struct KeyIntervalTests {
    @Test("An interval holds its lower bound and not its upper")
    func contains() {
        let interval = KeyInterval(lower: "b", upper: "d")
        #expect(interval.contains("b"))
        #expect(interval.contains("czzz"))
        #expect(!interval.contains("d"))
        #expect(!interval.contains("a"))
        #expect(KeyInterval.everything.contains(""))
        #expect(KeyInterval(lower: "b", upper: "b").isEmpty)
        #expect(!KeyInterval(lower: "b").isEmpty)
    }

    @Test("What two intervals have in common is in both")
    func clipped() {
        let intervals = [
            KeyInterval.everything, KeyInterval(lower: "b", upper: "m"), KeyInterval(lower: "f"),
            KeyInterval(lower: "", upper: "c"), KeyInterval(lower: "x", upper: "z"),
        ]
        let keys: [Bytes] = ["", "a", "b", "c", "f", "l", "m", "x", "y", "z", "zz"]
        for left in intervals {
            for right in intervals {
                let both = left.clipped(to: right)
                for key in keys {
                    let isInBoth = left.contains(key) && right.contains(key)
                    #expect(both.contains(key) == isInBoth)
                }
            }
        }
    }
}
