import TenonCore
import TenonKV
import TenonStore
import Testing

@Suite("State machine model")
struct ModelTests {
    /// Random entries against the dumb reference. `flushes` says how often (one in so many
    /// entries) the tablet is flushed, and restarted half of those times; 0 never.
    private func run(seed: UInt64, flushes: UInt64) throws -> TabletHarness {
        var generator = SeededGenerator(seed: seed)
        var configuration = StateMachine.Configuration()
        configuration.sessionsMax = 16
        configuration.sessionWindow = .seconds(2)
        configuration.sessionAheadMax = .seconds(1)
        let tablet = try TabletHarness(
            bounds: KeyInterval(lower: "b", upper: "y"), configuration: configuration)
        var model = TabletModel(bounds: tablet.bounds, configuration: configuration)
        var commands = CommandGenerator(seed: seed &* 7 &+ 1)
        var restarts = SeededGenerator(seed: seed &+ 99)
        for _ in 0..<150 {
            tablet.wallMilliseconds += generator.below(4) == 0 ? generator.below(400) : 0
            if generator.below(20) == 0 { tablet.term = tablet.term.next }
            let base = tablet.nextVersion
            let batch = (0..<generator.below(6)).map { _ in commands.next(near: base) }
            let outcomes = try tablet.apply(batch)
            let expected = model.apply(batch, base: base)
            try #require(outcomes == expected, "seed \(seed), entry \(tablet.state.appliedIndex)")
            #expect(tablet.state.sessionFloor == model.sessions.floor)
            #expect(tablet.state.sessionCounts.outcomes == model.sessions.records.count)
            #expect(tablet.state.sessionCounts.clients == model.sessions.clients.count)
            if generator.below(10) == 0 { try compareReads(tablet, model, &generator) }
            if flushes > 0, restarts.below(flushes) == 0 {
                try tablet.flush()
                if restarts.below(2) == 0 { try tablet.restart() }
            } else if flushes > 0, restarts.below(flushes * 2) == 0 {
                try tablet.restart()
            }
        }
        try compareReads(tablet, model, &generator)
        return tablet
    }

    private func compareReads(
        _ tablet: TabletHarness, _ model: TabletModel, _ generator: inout SeededGenerator
    ) throws {
        let floor = tablet.state.historyFloor.rawValue
        let span = tablet.state.lastVersion.rawValue - floor
        let version = Timestamp(floor + generator.below(span + 1))
        for time in [version, tablet.state.lastVersion] {
            let expected = model.contents(at: time)
            for isReversed in [false, true] {
                let items = try tablet.scanAll(
                    ScanRequest(
                        .everything, isReversed: isReversed,
                        limit: Int(generator.below(9)) + 1, version: time))
                let inOrder = isReversed ? expected.reversed() : expected
                #expect(items.map(\.key) == inOrder.map(\.key))
                #expect(items.map(\.value) == inOrder.map(\.value))
            }
            let keys = (0..<10).map { _ in CommandGenerator.key(&generator) }
            let inside = keys.filter { tablet.bounds.contains($0) }
            let values = try tablet.getMany(inside, at: time).get().values
            #expect(values == inside.map { key in expected.first { $0.key == key }?.value })
        }
    }

    @Test("Random entries give the outcomes and contents of the reference", arguments: 1...12)
    func agreesWithReference(seed: UInt64) throws {
        _ = try run(seed: seed, flushes: 0)
    }

    @Test(
        "Replicas that flush, compact and restart at other times agree in everything",
        arguments: 1...8)
    func replicasAgree(seed: UInt64) throws {
        let steady = try run(seed: seed, flushes: 0)
        for flushes: UInt64 in [2, 9, 40] {
            let other = try run(seed: seed, flushes: flushes)
            #expect(other.state.logDigest == steady.state.logDigest)
            #expect(other.state.lastVersion == steady.state.lastVersion)
            #expect(other.state.historyFloor == steady.state.historyFloor)
            #expect(other.state.sessionCounts == steady.state.sessionCounts)
            #expect(try other.contentDigest() == steady.contentDigest())
        }
    }
}

/// Random commands: few keys and few clients, so that they meet; retries, late and early ones.
struct CommandGenerator {
    private var generator: SeededGenerator
    private var sent: [Command] = []
    private var sequences = [UInt64](repeating: 0, count: 24)

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    static func key(_ generator: inout SeededGenerator) -> Bytes {
        // "a" and "z" lie outside the tablets of these tests.
        let letters = Array("abcdefgxyz".utf8)
        let count = generator.below(2) + 1
        return Bytes((0..<count).map { _ in letters[Int(generator.below(10))] })
    }

    mutating func next(near base: Timestamp) -> Command {
        if !sent.isEmpty, generator.below(5) == 0 {
            // A retry of something recent, or of something long forgotten.
            let span = generator.below(3) == 0 ? UInt64(sent.count) : min(8, UInt64(sent.count))
            return sent[sent.count - 1 - Int(generator.below(span))]
        }
        let command = Command(operation: operation(near: base), session: session(near: base))
        if command.session != nil { sent.append(command) }
        return command
    }

    private mutating func session(near base: Timestamp) -> Session? {
        guard generator.below(8) > 0 else { return nil }
        let client = Int(generator.below(24))
        sequences[client] += generator.below(3) + 1
        // Mostly a moment ago, now and then long ago or in the future.
        let milliseconds: UInt64 = generator.below(12) == 0 ? 3_000 : 50
        let past = base.rawValue - min(base.rawValue, generator.below(milliseconds << 16))
        let issue = generator.below(15) == 0 ? base.rawValue + generator.below(1_200 << 16) : past
        let sequence = sequences[client] - min(generator.below(3), sequences[client])
        return .of(
            client: UInt64(client), sequence, firstIssue: Timestamp(issue),
            answeredBelow: sequence - min(sequence, generator.below(6)))
    }

    private mutating func operation(near base: Timestamp) -> Operation {
        switch generator.below(16) {
        case 0: return .raiseHistoryFloor(to: base.earlier(by: .milliseconds(300)))
        case 1: return .contentDigest
        case 2, 3: return .transaction(transaction(near: base))
        default: return simple(near: base)
        }
    }

    private mutating func simple(near base: Timestamp) -> Operation {
        let key = CommandGenerator.key(&generator)
        switch generator.below(10) {
        case 0...5: return .put(key: key, value: value(), condition: condition(near: base))
        case 6...8: return .delete(key: key, condition: condition(near: base))
        default:
            let end = generator.below(4) == 0 ? nil : CommandGenerator.key(&generator)
            return .deleteRange(from: key, to: end)
        }
    }

    private mutating func transaction(near base: Timestamp) -> Transaction {
        let conditions = (0..<generator.below(3)).map { _ in
            KeyCondition(
                key: CommandGenerator.key(&generator), condition: condition(near: base))
        }
        return Transaction(
            conditions: conditions, then: list(near: base), else: list(near: base))
    }

    private mutating func list(near base: Timestamp) -> [Operation] {
        (0..<generator.below(6)).map { _ in
            generator.below(3) == 0
                ? .get(key: CommandGenerator.key(&generator)) : simple(near: base)
        }
    }

    private mutating func value() -> Bytes {
        Bytes([UInt8](repeating: UInt8(generator.below(3)), count: Int(generator.below(30))))
    }

    private mutating func condition(near base: Timestamp) -> Condition {
        switch generator.below(8) {
        case 0: .absent
        case 1: .present
        case 2: .value(value())
        case 3: .version(Timestamp(base.rawValue - min(base.rawValue, generator.below(8))))
        default: .none
        }
    }
}
