import TenonCore
import TenonKV
import TenonStore
import Testing

@Suite("Sessions")
struct SessionTests {
    private func put(_ key: Bytes, _ value: Bytes, _ session: Session) -> Command {
        Command(operation: .put(key, value), session: session)
    }

    @Test("A retry gets the outcome of the first attempt and changes nothing")
    func retry() throws {
        let tablet = try TabletHarness()
        let session = Session.of(1, firstIssue: tablet.nextVersion)
        let first = try tablet.apply([put("a", "1", session)])
        try tablet.apply(.put("a", "2"))
        #expect(try tablet.apply([put("a", "1", session)]) == first)
        #expect(try tablet.value("a") == "2")
    }

    @Test("A retry in the same entry runs once")
    func retryInOneEntry() throws {
        let tablet = try TabletHarness()
        let session = Session.of(1, firstIssue: tablet.nextVersion)
        let increment = Command(operation: .put("n", "1", if: .absent), session: session)
        let outcomes = try tablet.apply([increment, increment])
        #expect(outcomes[0] == outcomes[1])
    }

    @Test("A failed condition stays failed for its retries")
    func failedCondition() throws {
        let tablet = try TabletHarness()
        let session = Session.of(1, firstIssue: tablet.nextVersion)
        let command = Command(operation: .put("a", "1", if: .present), session: session)
        #expect(try tablet.apply([command]) == [.conditionFailed(current: nil)])
        try tablet.apply(.put("a", "0"))
        #expect(try tablet.apply([command]) == [.conditionFailed(current: nil)])
    }

    @Test("Sequences may arrive in any order")
    func outOfOrder() throws {
        let tablet = try TabletHarness()
        let issue = tablet.nextVersion
        var answers: [UInt64: Outcome] = [:]
        for sequence: UInt64 in [5, 1, 3, 2, 4] {
            let session = Session.of(sequence, firstIssue: issue)
            answers[sequence] = try tablet.apply([put("k", "v", session)]).first
        }
        for sequence: UInt64 in 1...5 {
            let session = Session.of(sequence, firstIssue: issue)
            #expect(try tablet.apply([put("k", "w", session)]).first == answers[sequence])
        }
        #expect(tablet.state.sessionCounts.outcomes == 5)
    }

    @Test("The client's mark lets outcomes go, and what is below it is a duplicate")
    func lowWaterMark() throws {
        let tablet = try TabletHarness()
        let issue = tablet.nextVersion
        for sequence: UInt64 in 1...4 {
            try tablet.apply([put("k", "v", .of(sequence, firstIssue: issue))])
        }
        try tablet.apply([put("k", "v", .of(5, firstIssue: issue, answeredBelow: 4))])
        #expect(tablet.state.sessionCounts.outcomes == 2)
        try tablet.apply(.put("k", "newer"))
        #expect(try tablet.apply([put("k", "v", .of(3, firstIssue: issue))]) == [.duplicate])
        #expect(try tablet.value("k") == "newer")
        // An older mark that arrives late does not bring the new one back.
        let late = try tablet.apply([put("k", "w", .of(6, firstIssue: issue, answeredBelow: 2))])
        #expect(late == [.written(version: tablet.state.lastVersion)])
        #expect(try tablet.apply([put("k", "v", .of(3, firstIssue: issue))]) == [.duplicate])
    }

    @Test("Clients do not disturb each other")
    func clients() throws {
        let tablet = try TabletHarness()
        let issue = tablet.nextVersion
        try tablet.apply([put("a", "1", .of(client: 1, 1, firstIssue: issue))])
        try tablet.apply([put("b", "1", .of(client: 2, 1, firstIssue: issue, answeredBelow: 1))])
        let retried = try tablet.apply([put("a", "2", .of(client: 1, 1, firstIssue: issue))])
        #expect(retried == [.written(version: issue)])
    }

    @Test("After the window a retry is refused as expired, and never runs")
    func window() throws {
        let tablet = try TabletHarness()
        let session = Session.of(1, firstIssue: tablet.nextVersion)
        try tablet.apply([put("a", "1", session)])
        tablet.wallMilliseconds += 599_999
        try tablet.apply(.put("a", "2"))
        #expect(
            try tablet.apply([put("a", "1", session)]) == [.written(version: session.firstIssue)])
        tablet.wallMilliseconds += 2
        #expect(try tablet.apply([put("a", "1", session)]) == [.sessionExpired])
        #expect(try tablet.value("a") == "2")
        #expect(tablet.state.sessionFloor > session.firstIssue)
        #expect(tablet.state.sessionCounts == (0, 0, 0))
    }

    @Test("A client's mark is kept until the floor has passed its latest write")
    func markOutlivesOutcomes() throws {
        let tablet = try TabletHarness()
        let early = tablet.nextVersion
        try tablet.apply([put("a", "1", .of(1, firstIssue: early))])
        tablet.wallMilliseconds += 500_000
        let late = tablet.nextVersion
        try tablet.apply([put("a", "2", .of(2, firstIssue: late, answeredBelow: 2))])
        tablet.wallMilliseconds += 200_000
        // The first write's window is over, the client's is not: the mark still answers.
        #expect(try tablet.apply([put("a", "1", .of(1, firstIssue: early))]) == [.duplicate])
        #expect(tablet.state.sessionCounts.clients == 1)
        tablet.wallMilliseconds += 600_000
        #expect(try tablet.apply([put("a", "1", .of(1, firstIssue: early))]) == [.sessionExpired])
        #expect(tablet.state.sessionCounts.clients == 0)
    }

    @Test("A first issue far ahead of the log's time is refused")
    func ahead() throws {
        let tablet = try TabletHarness()
        let limit = Timestamp(WallTime(milliseconds: tablet.wallMilliseconds + 60_000))
        let allowed = try tablet.apply([put("a", "1", .of(1, firstIssue: limit))])
        #expect(allowed == [.written(version: tablet.state.lastVersion)])
        let beyond = limit.advanced(by: 10)
        guard case .refused = try tablet.apply([put("a", "2", .of(2, firstIssue: beyond))]).first
        else {
            Issue.record("a first issue beyond the bound ran")
            return
        }
        #expect(try tablet.value("a") == "1")
    }

    @Test("A full table forgets the oldest and raises the floor above it, no further")
    func fullTable() throws {
        var configuration = StateMachine.Configuration()
        configuration.sessionsMax = 16
        let tablet = try TabletHarness(configuration: configuration)
        let start = tablet.nextVersion
        for client: UInt64 in 1...20 {
            let issue = start.advanced(by: client)
            try tablet.apply([put("k", "v", .of(client: client, 1, firstIssue: issue))])
        }
        #expect(tablet.state.sessionCounts.outcomes == 16)
        #expect(tablet.state.sessionCounts.clients == 16)
        #expect(tablet.state.sessionFloor == start.advanced(by: 5))
        let forgotten = Session.of(client: 4, 1, firstIssue: start.advanced(by: 4))
        let kept = Session.of(client: 5, 1, firstIssue: start.advanced(by: 5))
        #expect(try tablet.apply([put("k", "w", forgotten)]) == [.sessionExpired])
        guard case .written = try tablet.apply([put("k", "w", kept)]).first else {
            Issue.record("the outcome of a kept write is gone")
            return
        }
        #expect(try tablet.value("k") == "v")
    }

    @Test("The table's bytes are bounded too")
    func fullBytes() throws {
        var configuration = StateMachine.Configuration()
        configuration.sessionBytesMax = 64 << 10
        let tablet = try TabletHarness(configuration: configuration)
        try tablet.apply(.put("big", Bytes([UInt8](repeating: 7, count: 20 << 10))))
        let start = tablet.nextVersion
        for sequence: UInt64 in 1...10 {
            let session = Session.of(sequence, firstIssue: start.advanced(by: sequence))
            try tablet.apply([Command(operation: .put("big", "x", if: .absent), session: session)])
        }
        #expect(tablet.state.sessionCounts.outcomes == 3)
        #expect(tablet.state.sessionCounts.bytes <= 64 << 10)
    }

    @Test("Clients that send only marks cannot fill the table either")
    func fullOfMarks() throws {
        var configuration = StateMachine.Configuration()
        configuration.sessionsMax = 16
        let tablet = try TabletHarness(configuration: configuration)
        let start = tablet.nextVersion
        for client: UInt64 in 1...100 {
            let issue = start.advanced(by: client * 2)
            try tablet.apply([put("k", "v", .of(client: client, 1, firstIssue: issue))])
            let next = issue.advanced(by: 1)
            try tablet.apply([
                put("k", "v", .of(client: client, 2, firstIssue: next, answeredBelow: 2))
            ])
        }
        #expect(tablet.state.sessionCounts.clients == 16)
        #expect(tablet.state.sessionCounts.outcomes == 16)
    }
}
