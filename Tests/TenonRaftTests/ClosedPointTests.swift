import TenonCore
import Testing

@testable import TenonRaft

/// Rule S8: how new a replica knows itself to be.
@Suite struct ClosedPointsOfAGroup {
    /// Three voters led by 1, some heartbeats after its election.
    private func leading() throws -> (group: TestGroup, last: LogIndex) {
        var group = TestGroup(3)
        group.elect(1)
        let last = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(160))
        return (group, last)
    }

    private func age(of id: ReplicaID, _ group: TestGroup) -> TimeSpan? {
        let raft = group[id]
        return raft.closedSince(applied: raft.applied).map { group.now.since($0) }
    }

    @Test func `a follower is as new as the heartbeat before last, and asks nobody for it`() throws
    {
        var (group, last) = try leading()
        for _ in 0..<10 {
            group.advance(by: .milliseconds(50))
            let age = try #require(self.age(of: 2, group))
            #expect(age <= .milliseconds(150))
            #expect(group[2].applied == last)
        }
    }

    @Test func `a follower that is cut off grows old by its own clock`() throws {
        var (group, _) = try leading()
        group.isolated = [2]
        let before = try #require(self.age(of: 2, group))
        group.advance(by: .seconds(3))
        #expect(age(of: 2, group) == TimeSpan(nanoseconds: before.nanoseconds + 3_000_000_000))
    }

    @Test func `a leader without a quorum makes nobody new`() throws {
        var (group, _) = try leading()
        // 2 hears its leader, whose other follower is gone; then 3 is there and 2 alone hears it.
        group.drop = {
            if case .heartbeatAnswer = $0.body { $0.to == 1 } else { false }
        }
        let before = try #require(group[2].closedSince(applied: group[2].applied))
        group.advance(by: .milliseconds(300))
        let after = try #require(group[2].closedSince(applied: group[2].applied))
        // What was answered already may still be told, once.
        #expect(after.since(before) <= .milliseconds(100))
    }

    @Test func `what is not applied does not count`() {
        var points = ClosedPoints()
        points.note(5, since: Instant(nanoseconds: 100), applied: 5)
        points.note(9, since: Instant(nanoseconds: 200), applied: 5)
        #expect(points.since(applied: 8) == Instant(nanoseconds: 100))
        #expect(points.since(applied: 9) == Instant(nanoseconds: 200))
        #expect(points.since(applied: 4) == nil)
    }

    @Test func `a point of a longer log that is older says nothing more`() {
        var points = ClosedPoints()
        points.note(9, since: Instant(nanoseconds: 100), applied: 5)
        points.note(7, since: Instant(nanoseconds: 200), applied: 5)
        #expect(points.since(applied: 7) == Instant(nanoseconds: 200))
        points.note(6, since: Instant(nanoseconds: 150), applied: 7)
        #expect(points.since(applied: 7) == Instant(nanoseconds: 200))
        #expect(points.since(applied: 6) == nil)
    }

    @Test func `a replica that lags keeps the points that it reaches first`() {
        var points = ClosedPoints()
        for number in 1...UInt64(3 * ClosedPoints.countMax) {
            points.note(LogIndex(number), since: Instant(nanoseconds: number), applied: .zero)
        }
        #expect(points.since(applied: 1) == Instant(nanoseconds: 1))
        let end = LogIndex(UInt64(3 * ClosedPoints.countMax))
        #expect(points.since(applied: end) == Instant(nanoseconds: end.rawValue))
    }

    @Test func `an answer to an earlier life of the replica is dropped`() throws {
        var (group, last) = try leading()
        let question = group[2].closedQuestion
        group.crash(2)
        let closed = ClosedAnswer(question: question, index: last, age: .zero)
        let heartbeat = RaftMessage.Heartbeat(
            round: 90, sentAt: group.now, wallTime: WallTime(milliseconds: 0), commit: last,
            sentThrough: last, closed: closed)
        let now = group.now
        group[2].step(group.message(.heartbeat(heartbeat), from: 1, to: 2, term: 1), now: now)
        #expect(group[2].closedSince(applied: LogIndex(99)) == nil)
    }

    @Test func `a round of before the clock began is not named on it`() throws {
        var (group, last) = try leading()
        let now = group.now
        var question = group[2].closedQuestion
        question.askedAt = now
        let before = group[2].closedSince(applied: last)
        let closed = ClosedAnswer(
            question: question, index: last, age: TimeSpan(nanoseconds: now.nanoseconds + 1))
        group[2].receive(closed)
        #expect(group[2].closedSince(applied: last) == before)
    }

    @Test func `a new leader says nothing before an entry of its own is committed`() throws {
        var (group, _) = try leading()
        group.isolated = [1]
        group.stalled = [2, 3]
        group[2].campaign(now: group.now)
        group.settle()
        let old = try #require(group[3].closedSince(applied: group[3].applied))
        group.advance(by: .milliseconds(300))
        #expect(group[3].closedSince(applied: group[3].applied) == old)
    }
}
