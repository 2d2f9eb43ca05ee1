import TenonCore
import Testing

@testable import TenonRaft

/// Rule C3.
@Suite struct Leases {
    private let length = TimeSpan.milliseconds(500)

    /// Three voters of which 1 leads and has the promises of the others.
    private func leading(_ count: Int = 3) -> TestGroup {
        var group = TestGroup(count)
        for id in 1...UInt64(count) { group[ReplicaID(id)].usesLeases = true }
        group.elect(1)
        group.advance(by: .milliseconds(60))
        return group
    }

    private func read(_ token: ReadToken, at id: ReplicaID, _ group: inout TestGroup) {
        let now = group.now
        group[id].requestRead(token, now: now)
    }

    private func isReadAlone(_ group: inout TestGroup) -> Bool {
        read(9, at: 1, &group)
        return group[1].takeReady().confirmedReads.map(\.token) == [9]
    }

    @Test func `a leader that has a quorum's promises asks nobody`() throws {
        var group = leading()
        let index = try group.propose("a", at: 1)
        group.settle()
        read(7, at: 1, &group)
        let ready = group[1].takeReady()
        #expect(ready.confirmedReads == [ConfirmedRead(token: 7, index: index)])
        #expect(ready.messages.isEmpty)
    }

    @Test func `without promises a round is asked, as ever`() {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(60))
        #expect(!isReadAlone(&group))
        // Wanted from now on: the rounds of before carried none.
        group[1].usesLeases = true
        #expect(!isReadAlone(&group))
    }

    @Test func `it ends nine tenths of its length after the round was sent`() {
        var group = leading()
        group.isolated = [2, 3]
        let sent = group.now
        // The last answered round left at some moment of the last 50 ms.
        group.advance(by: .milliseconds(390))
        #expect(isReadAlone(&group))
        group.advance(by: .milliseconds(70))
        #expect(group.now.since(sent) < length)
        #expect(!isReadAlone(&group))
    }

    @Test func `one promise of two is enough, none is not`() {
        var group = leading()
        group.isolated = [3]
        group.advance(by: .seconds(2))
        #expect(group[1].role == .leader)
        #expect(isReadAlone(&group))
    }

    @Test func `who has promised votes for nobody, whatever happens to the connection`() {
        var group = leading()
        group.isolated = [1]
        let now = group.now
        group[2].peerUnreachable(node: NodeID(1), now: now)
        group[3].peerUnreachable(node: NodeID(1), now: now)
        group.advance(by: .milliseconds(440))
        #expect(group[2].term == group[1].term && group[3].term == group[1].term)
        #expect(isReadAlone(&group) == false, "the leader counts less than they")
        group.advance(by: .milliseconds(200))
        #expect(group.leader != 1)
    }

    @Test func `a vote asked for by the leader is given, and it never reads alone again`() throws {
        var group = leading()
        let now = group.now
        // Told, and lost on the way.
        group.drop = { if case .timeoutNow = $0.body { true } else { false } }
        try group[1].transferLeadership(to: 2, now: now)
        group.advance(by: .seconds(2))
        #expect(group[1].role == .leader)
        #expect(!isReadAlone(&group), "the one that was told may stand at any time")
        group.drop = { _ in false }
        let later = group.now
        try group[1].transferLeadership(to: 2, now: later)
        group.settle()
        #expect(group[2].role == .leader)
    }

    @Test func `a voter that is started votes for nobody while an old promise may hold`() {
        var group = leading()
        group.isolated = [1]
        group.crash(2, isSilent: true)
        group.crash(3, isSilent: true)
        group.advance(by: .milliseconds(440))
        #expect(group[2].term == group[1].term && group[3].term == group[1].term)
        let start = group.now
        let request = group.message(
            .preVoteRequest(last: group[3].log.last), from: 2, to: 3, term: group[3].term)
        group[3].step(request, now: start)
        group.collect()
        #expect(group.network.isEmpty)
        group.advance(by: .seconds(2))
        #expect(group.leader == 2 || group.leader == 3)
    }

    @Test func `a leader alone in its group reads alone`() {
        var group = leading(1)
        #expect(isReadAlone(&group))
    }

    @Test func `a follower's read is answered without a round`() {
        var group = leading()
        group.delivered = []
        read(5, at: 2, &group)
        group.settle()
        #expect(group.replica(2).confirmed.map(\.token) == [5])
        let rounds = group.delivered.count {
            if case .heartbeat = $0.body { true } else { false }
        }
        #expect(rounds == 0)
    }
}
