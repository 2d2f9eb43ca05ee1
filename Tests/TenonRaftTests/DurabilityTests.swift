import TenonCore
import Testing

@testable import TenonRaft

/// Rule L4, and what a restart finds.
@Suite struct Durability {
    private func append(
        after previous: Int, term previousTerm: Int, _ entries: [Entry]
    ) -> RaftMessage.Body {
        .append(
            RaftMessage.Append(
                previous: LogPosition(
                    index: LogIndex(UInt64(previous)), term: Term(UInt64(previousTerm))),
                commit: .zero, entries: entries))
    }

    @Test func `a late ticket does not mark overwritten entries durable`() {
        var group = TestGroup(3)
        group.stalled = [2]
        let old = (1...12).map { entry($0, term: 1) }
        group[2].step(
            group.message(append(after: 0, term: 0, old), from: 1, to: 2, term: 1), now: .zero)
        group.collect()
        let new = (8...14).map { entry($0, term: 2) }
        group[2].step(
            group.message(append(after: 7, term: 1, new), from: 3, to: 2, term: 2), now: .zero)
        group.collect()

        group.replicas[1].completeWrite()
        #expect(group[2].durableIndex == 7)
        group.settle()
        #expect(group.delivered.filter { $0.to == 3 }.map(\.body) == [.appendAccepted(match: 7)])
        group.replicas[1].completeWrite()
        #expect(group[2].durableIndex == 14)
        group.settle()
        #expect(group.delivered.last?.body == .appendAccepted(match: 14))
    }

    @Test func `a ticket completes all before it`() {
        var group = TestGroup(3)
        group.stalled = [2]
        for number in 1...3 {
            let piece = [entry(number, term: 1)]
            let body = append(after: number - 1, term: number == 1 ? 0 : 1, piece)
            group[2].step(group.message(body, from: 1, to: 2, term: 1), now: .zero)
            group.collect()
        }
        #expect(group.replica(2).writes.count == 3)
        group[2].persisted(WriteTicket(2))
        #expect(group[2].durableIndex == 2)
        group[2].persisted(WriteTicket(1))
        #expect(group[2].durableIndex == 2)
    }

    @Test func `an append is acknowledged when it is durable, a heartbeat at once`() {
        var group = TestGroup(3)
        group.stalled = [2]
        let body = append(after: 0, term: 0, [entry(1, term: 1)])
        group[2].step(group.message(body, from: 1, to: 2, term: 1), now: .zero)
        let heartbeat = RaftMessage.Heartbeat(
            round: 4, sentAt: .zero, wallTime: WallTime(milliseconds: 0), commit: 0,
            sentThrough: 1)
        group[2].step(group.message(.heartbeat(heartbeat), from: 1, to: 2, term: 1), now: .zero)
        group.settle()
        let answer = RaftMessage.HeartbeatAnswer(
            round: 4, sentAt: .zero, sentThrough: 1, wallTime: WallTime(milliseconds: 0),
            received: 1, durable: 0, question: group[2].closedQuestion)
        #expect(group.delivered.map(\.body) == [.heartbeatAnswer(answer)])
        group.stalled = []
        group.settle()
        #expect(group.delivered.last?.body == .appendAccepted(match: 1))
    }

    @Test func `a repeated append is acknowledged again`() {
        var group = TestGroup(3)
        let body = append(after: 0, term: 0, [entry(1, term: 1)])
        for count in 1...2 {
            group[2].step(group.message(body, from: 1, to: 2, term: 1), now: .zero)
            group.settle()
            #expect(
                group.delivered.map(\.body)
                    == Array(repeating: .appendAccepted(match: 1), count: count))
        }
    }

    @Test func `a commit index alone is not worth a write and goes along with the next`() throws {
        var group = TestGroup(1)
        group.elect(1)
        #expect(group[1].commit == 1)
        #expect(group.replica(1).disk.hardState.commit == .zero)
        _ = try group.propose("a", at: 1)
        group.settle()
        #expect(group.replica(1).disk.hardState.commit == 1)
    }

    @Test func `what was flushed is not handed out again after a restart, what follows is`() throws
    {
        var group = TestGroup(1)
        group.elect(1)
        for text in ["a", "b", "c"] { _ = try group.propose(text, at: 1) }
        group.settle()
        group.replicas[0].flush(at: 2)
        group.crash(1)
        #expect(group[1].applied == 2)
        group.elect(1)
        #expect(group.replica(1).state.map(\.index.rawValue) == [1, 2, 3, 4, 5])
    }

    @discardableResult
    private func restore(_ restored: Raft.Restored) throws(RestoreError) -> Raft {
        try Raft(
            configuration: Raft.Configuration(tablet: TabletID(7), replica: 1, epoch: .first),
            restored: restored, now: .zero, seed: 1)
    }

    @Test func `what was recovered is checked before it is used`() {
        let membership = voters([1])
        let term = HardState(term: 5)
        #expect(throws: RestoreError.gap(expected: 1, found: 2)) {
            try restore(
                .init(hardState: term, entries: [entry(2, term: 1)], membership: membership))
        }
        #expect(throws: RestoreError.termOutOfOrder(index: 2, term: 1)) {
            try restore(
                .init(hardState: term, entries: log(terms: [2, 1]), membership: membership))
        }
        #expect(throws: RestoreError.termOutOfOrder(index: 1, term: 6)) {
            try restore(.init(hardState: term, entries: log(terms: [6]), membership: membership))
        }
        #expect(throws: RestoreError.trimmedPastFlush(base: 3, flushed: 0)) {
            try restore(
                .init(
                    hardState: term, base: LogPosition(index: 3, term: 1), membership: membership))
        }
        #expect(throws: RestoreError.configurationEntry(index: 1, .truncated)) {
            let broken = Entry(index: 1, term: 1, kind: .configuration, payload: [])
            try restore(.init(hardState: term, entries: [broken], membership: membership))
        }
    }

    @Test func `a log that does not lead up to the flushed state is dropped, on disk too`() throws {
        let flushed = LogPosition(index: 3, term: 4)
        let membership = voters([1, 2, 3])
        for terms in [[1, 1], [1, 1, 2, 2, 2]] {
            var raft = try restore(
                .init(
                    hardState: HardState(term: 2, vote: 3), entries: log(terms: terms),
                    flushed: flushed, membership: membership))
            #expect(raft.lastPosition == flushed)
            // The hard state of the snapshot's term was lost in the same crash.
            #expect(raft.term == 4)
            let ready = raft.takeReady()
            #expect(ready.logReset == flushed)
            #expect(ready.hardState?.vote == ReplicaID.none)
            #expect(raft.durableIndex == .zero)
            raft.persisted(ready.ticket!)
            #expect(raft.durableIndex == 3)
        }
    }

    @Test func `settings that cannot work are refused`() {
        func check(_ change: (inout Raft.Configuration) -> Void, _ error: ConfigurationError) {
            var configuration = Raft.Configuration(tablet: TabletID(7), replica: 1, epoch: .first)
            change(&configuration)
            #expect(throws: error) { try configuration.validate() }
        }
        check({ $0.replica = .none }, .noReplica)
        check({ $0.windowBytesMax = 0 }, .notPositive("windowBytesMax"))
        check({ $0.stallBound = .zero }, .notPositive("stallBound"))
        check(
            { $0.electionTimeoutMin = .milliseconds(99) },
            .electionTimeoutTooShort(minimum: .milliseconds(99), heartbeat: .milliseconds(50)))
        check(
            { $0.electionTimeoutMax = .milliseconds(500) },
            .emptyElectionTimeout(minimum: .milliseconds(500), maximum: .milliseconds(500)))
    }
}
