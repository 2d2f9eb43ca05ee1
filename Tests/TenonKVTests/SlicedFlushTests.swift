import TenonCore
import TenonStore
import Testing

@testable import TenonKV

/// Writing sessions before a flush, and taking them back, in slices (Rule S9).
@Suite("Sliced flushes")
struct SlicedFlushTests {
    private func put(_ key: Bytes, _ session: Session) -> Command {
        Command(operation: .put(key, "v"), session: session)
    }

    @Test("Sessions staged in slices are those of a flush that writes all at once")
    func equalToWhole() throws {
        var configuration = StateMachine.Configuration()
        configuration.sessionsMax = 64
        for seed in UInt64(1)...20 {
            var random = SeededGenerator(seed: seed)
            let staged = try TabletHarness(configuration: configuration)
            let whole = try TabletHarness(configuration: configuration)
            var sessions: [Session] = []
            for round in 0..<12 {
                for step in 0..<Int(random.below(40)) {
                    let sequence = UInt64(round * 40 + step + 1)
                    let session = Session.of(
                        client: random.below(100), sequence, firstIssue: staged.nextVersion,
                        answeredBelow: random.below(4) == 0 ? sequence : 0)
                    sessions.append(session)
                    let command = put(Bytes("k\(random.below(9))"), session)
                    let outcomes = try whole.apply([command])
                    #expect(try staged.apply([command]) == outcomes)
                    if random.below(3) == 0 {
                        staged.state.stageFlush(atMost: 1 + Int(random.below(6)))
                    }
                }
                try staged.flush()
                try whole.flush()
                #expect(staged.state.unwrittenSessionRows == 0)
                if random.below(2) == 0 {
                    try staged.restart()
                    try whole.restart()
                }
                #expect(staged.state.sessionCounts == whole.state.sessionCounts)
                #expect(staged.state.sessionFloor == whole.state.sessionFloor)
            }
            // Every retry is answered alike: what came of it, a duplicate, expired.
            for session in sessions {
                let outcomes = try whole.apply([put("retry", session)])
                #expect(try staged.apply([put("retry", session)]) == outcomes)
            }
            #expect(staged.state.logDigest == whole.state.logDigest)
        }
    }

    @Test("No slice writes many more rows than it may, and the rest gets less")
    func bounded() throws {
        let tablet = try TabletHarness()
        let issue = tablet.nextVersion
        // One client with many outcomes, and many with one.
        for first in stride(from: UInt64(1), through: 3_000, by: 500) {
            try tablet.apply(
                (first..<first + 500).map { put("k", .of($0, firstIssue: issue)) })
            try tablet.apply(
                (first..<first + 500).map { put("k", .of(client: $0 + 1, 1, firstIssue: issue)) })
        }
        #expect(tablet.state.unwrittenSessionRows >= 6_000)
        var slices = 0
        while tablet.state.unwrittenSessionRows > 256 {
            let before = tablet.store.memtableBytes
            let rows = tablet.state.unwrittenSessionRows
            tablet.state.stageFlush(atMost: 256)
            #expect(tablet.state.unwrittenSessionRows < rows)
            #expect(tablet.store.memtableBytes - before < 256 * 300)
            slices += 1
        }
        #expect(slices < 60)
        try tablet.flush()
        let counts = tablet.state.sessionCounts
        try tablet.restart()
        #expect(tablet.state.sessionCounts == counts)
    }

    @Test("A restore in steps takes back what one at once does, and no step reads all")
    func restoreInSteps() throws {
        let tablet = try TabletHarness()
        let issue = tablet.nextVersion
        for first in stride(from: UInt64(1), through: 4_000, by: 500) {
            try tablet.apply(
                (first..<first + 500).map { put("k", .of(client: $0, 1, firstIssue: issue)) })
        }
        try tablet.flush()
        var restore = try StateMachineRestore(
            store: tablet.store, tablet: TabletHarness.tablet, bounds: .everything,
            configuration: tablet.configuration)
        var (steps, loads) = (0, 0)
        var restored: StateMachine?
        while restored == nil {
            switch try restore.step() {
            case .needs(let read):
                restore.add(try read.run())
                loads += 1
            case .more: steps += 1
            case .done(let machine): restored = machine
            }
        }
        #expect(steps >= 8 && loads > 0)
        #expect(restored?.sessionCounts ?? (0, 0, 0) == tablet.state.sessionCounts)
        #expect(restored?.logDigest == tablet.state.logDigest)
        #expect(restored?.lastVersion == tablet.state.lastVersion)
    }
}
