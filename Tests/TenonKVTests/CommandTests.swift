import TenonCore
import TenonKV
import TenonStore
import Testing

@Suite("Commands")
struct CommandTests {
    @Test("Command i of an entry has the version base + i, and each later entry is above")
    func versions() throws {
        let tablet = try TabletHarness()
        let base = tablet.nextVersion
        let outcomes = try tablet.apply(.put("a", "1"), .put("b", "2"), .put("c", "3"))
        #expect(
            outcomes == [
                .written(version: base), .written(version: base.advanced(by: 1)),
                .written(version: base.advanced(by: 2)),
            ])
        #expect(tablet.state.lastVersion == base.advanced(by: 2))
        let next = try tablet.apply(.put("a", "4"))
        #expect(next == [.written(version: base.advanced(by: 3))])
        #expect(
            try tablet.get("a").get()
                == ReadAnswer(
                    value: StoredValue(bytes: "4", version: base.advanced(by: 3)),
                    at: base.advanced(by: 3)))
    }

    @Test("A delete says whether there was a value, and takes a version either way")
    func deletes() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"))
        let first = tablet.nextVersion
        #expect(try tablet.apply(.delete("a")) == [.deleted(version: first, found: true)])
        let second = tablet.nextVersion
        #expect(second > first)
        #expect(try tablet.apply(.delete("a")) == [.deleted(version: second, found: false)])
        #expect(try tablet.value("a") == nil)
    }

    @Test("A conditional write takes effect only when its condition holds, and says what it saw")
    func conditions() throws {
        let tablet = try TabletHarness()
        let version = tablet.nextVersion
        try tablet.apply(.put("a", "1", if: .absent))
        let seen = StoredValue(bytes: "1", version: version)
        #expect(
            try tablet.apply(
                .put("a", "2", if: .absent), .put("b", "2", if: .present),
                .put("a", "2", if: .value("x")), .put("a", "2", if: .version(version.next)),
                .delete("a", if: .value("x")))
                == [
                    .conditionFailed(current: seen), .conditionFailed(current: nil),
                    .conditionFailed(current: seen), .conditionFailed(current: seen),
                    .conditionFailed(current: seen),
                ])
        #expect(try tablet.value("a") == "1")
        try tablet.apply(.put("a", "3", if: .version(version)))
        #expect(try tablet.value("a") == "3")
    }

    @Test("Commands of one entry see those before them")
    func sameEntry() throws {
        let tablet = try TabletHarness()
        let base = tablet.nextVersion
        let outcomes = try tablet.apply(
            .put("n", "0"), .put("n", "1", if: .value("0")), .put("n", "1", if: .value("0")),
            .delete("n"), .delete("n"))
        #expect(
            outcomes == [
                .written(version: base), .written(version: base.advanced(by: 1)),
                .conditionFailed(
                    current: StoredValue(bytes: "1", version: base.advanced(by: 1))),
                .deleted(version: base.advanced(by: 3), found: true),
                .deleted(version: base.advanced(by: 4), found: false),
            ])
    }

    @Test("A deleteRange is clipped to the tablet and removes what lies in it")
    func rangeDelete() throws {
        let tablet = try TabletHarness(bounds: KeyInterval(lower: "b", upper: "x"))
        for key in ["b", "c", "d", "w"] { try tablet.apply(.put(Bytes(key), "1")) }
        try tablet.apply(.deleteRange(from: "c", to: "d"))
        #expect(try tablet.scanAll(ScanRequest(.everything)).map(\.key) == ["b", "d", "w"])
        try tablet.apply(.deleteRange(from: "", to: "c"))
        #expect(try tablet.scanAll(ScanRequest(.everything)).map(\.key) == ["d", "w"])
        try tablet.apply(.deleteRange(from: "y", to: nil), .deleteRange(from: "w", to: "c"))
        #expect(try tablet.scanAll(ScanRequest(.everything)).map(\.key) == ["d", "w"])
        try tablet.apply(.deleteRange(from: "", to: nil), .put("e", "2"))
        #expect(try tablet.scanAll(ScanRequest(.everything)).map(\.key) == ["e"])
    }

    @Test("Entries of other kinds count and give no outcome")
    func otherKinds() throws {
        let tablet = try TabletHarness()
        let digest = tablet.state.logDigest
        #expect(try tablet.apply(payload: [], kind: .noop) == [])
        #expect(try tablet.apply(payload: [1, 2], kind: .configuration) == [])
        #expect(tablet.state.appliedIndex == LogIndex(2))
        #expect(tablet.state.logDigest != digest)
    }

    @Test("An empty entry moves the log's time")
    func emptyEntry() throws {
        let tablet = try TabletHarness()
        let version = tablet.nextVersion
        #expect(try tablet.apply([Command]()) == [])
        #expect(tablet.state.lastVersion == version)
    }

    @Test("An entry of a higher logic version stops the tablet before any effect")
    func unknownLogicVersion() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"))
        var builder = CommandBatchBuilder(logicVersion: LogicVersion.newest.next)
        builder.append(Bytes(Command(operation: .put("a", "2")).encoded()))
        let payload = builder.finish(base: tablet.nextVersion)
        let stop = KVError.unknownLogicVersion(LogicVersion.newest.next, at: LogIndex(2))
        #expect(throws: stop) { try tablet.apply(payload: payload) }
        #expect(tablet.state.stopped == stop)
        #expect(try tablet.value("a") == "1")
        #expect(throws: stop) { try tablet.apply(.put("a", "3")) }
        #expect(throws: stop) { try tablet.state.prepareFlush(configuration: "") }
    }

    @Test("A version that does not rise, or a malformed command, stops the tablet")
    func corruptEntries() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"))
        var builder = CommandBatchBuilder()
        builder.append(Bytes(Command(operation: .put("a", "2")).encoded()))
        let stale = builder.finish(base: tablet.state.lastVersion)
        #expect(throws: KVError.self) { try tablet.apply(payload: stale) }

        for broken: [UInt8] in [[], [99, 0], [1, 0, 0, 1, 0, 0, 0], [5, 0, 1, 0, 0, 0, 0x61]] {
            let other = try TabletHarness()
            var builder = CommandBatchBuilder()
            builder.append(Bytes(broken))
            let payload = builder.finish(base: other.nextVersion)
            #expect(throws: KVError.self) { try other.apply(payload: payload) }
            #expect(other.state.stopped != nil)
        }
    }

    @Test("The history floor rises by command, never falls, and never passes the log's time")
    func historyFloor() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"))
        let first = tablet.state.lastVersion
        try tablet.apply(.raiseHistoryFloor(to: first))
        #expect(tablet.state.historyFloor == first)
        try tablet.apply(.raiseHistoryFloor(to: Timestamp(1)))
        #expect(tablet.state.historyFloor == first)
        let version = tablet.nextVersion
        #expect(try tablet.apply(.raiseHistoryFloor(to: .newest)) == [.upkeep(version: version)])
        #expect(tablet.state.historyFloor == version)
    }

    @Test("Answers of one entry are bounded; what goes over is refused without an effect")
    func answerBound() throws {
        var configuration = StateMachine.Configuration()
        configuration.entryAnswerBytesMax = 2_500
        let tablet = try TabletHarness(configuration: configuration)
        try tablet.apply(.put("big", Bytes([UInt8](repeating: 1, count: 1_000))))
        let outcomes = try tablet.apply(
            .put("big", "x", if: .absent), .put("big", "x", if: .absent),
            .put("big", "x", if: .absent), .put("small", "x", if: .absent))
        #expect(
            outcomes.map { outcome in
                switch outcome {
                case .conditionFailed: "failed"
                case .refused: "refused"
                case .written: "written"
                default: "other"
                }
            } == ["failed", "failed", "refused", "written"])
    }
}

@Suite("Transactions")
struct TransactionTests {
    private func run(
        _ tablet: TabletHarness, _ conditions: [KeyCondition], _ then: [Operation],
        else otherwise: [Operation] = []
    ) throws -> Outcome? {
        let transaction = Transaction(conditions: conditions, then: then, else: otherwise)
        return try tablet.apply(.transaction(transaction)).first
    }

    @Test("All conditions see the state before; one list or the other is done")
    func lists() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"))
        let held = tablet.nextVersion
        #expect(
            try run(
                tablet, [KeyCondition(key: "a", condition: .value("1"))], [.put("a", "2")],
                else: [.put("a", "3")])
                == .transaction(version: held, succeeded: true, results: [.written]))
        let failed = tablet.nextVersion
        #expect(
            try run(
                tablet,
                [
                    KeyCondition(key: "a", condition: .present),
                    KeyCondition(key: "b", condition: .present),
                ], [.put("a", "4")], else: [.get(key: "a")])
                == .transaction(
                    version: failed, succeeded: false,
                    results: [.value(StoredValue(bytes: "2", version: held))]))
        #expect(try tablet.value("a") == "2")
    }

    @Test("Operations see those before them, and of several writes of a key the last one counts")
    func order() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "0"), .put("b", "0"), .put("c", "0"))
        let version = tablet.nextVersion
        let outcome = try run(
            tablet, [],
            [
                .put("a", "1"), .put("a", "2", if: .value("1")), .get(key: "a"),
                .delete("b"), .delete("b"), .get(key: "b"), .put("b", "3", if: .present),
                .deleteRange(from: "a", to: "c"), .get(key: "a"), .get(key: "c"),
                .put("b", "4", if: .absent), .delete("a"),
            ])
        let zero = try #require(try tablet.get("c").get().value)
        #expect(
            outcome
                == .transaction(
                    version: version, succeeded: true,
                    results: [
                        .written, .written, .value(StoredValue(bytes: "2", version: version)),
                        .deleted(found: true), .deleted(found: false), .value(nil),
                        .conditionFailed(current: nil), .written, .value(nil), .value(zero),
                        .written, .deleted(found: false),
                    ]))
        #expect(try tablet.scanAll(ScanRequest(.everything)).map(\.key) == ["b", "c"])
        #expect(try tablet.value("b") == "4")
    }

    @Test("All effects are at one version: a read sees all of them or none")
    func atomicity() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "0"), .put("b", "0"))
        let before = tablet.state.lastVersion
        let version = tablet.nextVersion
        _ = try run(tablet, [], [.put("a", "1"), .deleteRange(from: "b", to: nil), .put("c", "1")])
        #expect(
            try tablet.scanAll(ScanRequest(.everything, version: before)).map(\.key) == ["a", "b"])
        let after = try tablet.scanAll(ScanRequest(.everything, version: version))
        #expect(after.map(\.key) == ["a", "c"])
        #expect(after.map(\.value.version) == [version, version])
    }

    @Test("A transaction that reads too much is refused without an effect")
    func answerBound() throws {
        var configuration = StateMachine.Configuration()
        configuration.answerBytesMax = 1_500
        let tablet = try TabletHarness(configuration: configuration)
        try tablet.apply(.put("a", Bytes([UInt8](repeating: 1, count: 1_000))))
        let outcome = try run(tablet, [], [.put("b", "1"), .get(key: "a"), .get(key: "a")])
        guard case .refused = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        #expect(try tablet.value("b") == nil)
    }
}
