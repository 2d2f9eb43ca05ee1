import TenonCore
import Testing

@testable import TenonRaft

/// Replicas whose disks lost entries that they had acknowledged (Rule L7).
@Suite struct LostEntries {
    private func entry(_ index: UInt64, _ term: UInt64 = 1) -> Entry {
        Entry(
            index: LogIndex(index), term: Term(term), kind: .commands,
            payload: [UInt8(truncatingIfNeeded: index)])
    }

    private func position(_ index: UInt64, _ term: UInt64 = 1) -> LogPosition {
        LogPosition(index: LogIndex(index), term: Term(term))
    }

    /// Replica 1 of three with entries 1 and 2, that had four, or more with `aside` behind the
    /// third.
    private func replica(aside: [UInt64] = []) throws -> Raft {
        let last = max(4, aside.last ?? 0)
        var restored = Raft.Restored(
            hardState: HardState(term: Term(1), vote: .none, commit: .zero),
            entries: [entry(1), entry(2)], membership: voters(1...3))
        restored.lost = Raft.Lost(
            last: position(last), term: Term(1), aside: aside.map { entry($0) })
        return try Raft(
            configuration: Raft.Configuration(tablet: TabletID(7), replica: 1, epoch: .first),
            restored: restored, now: .zero, seed: 1)
    }

    private func message(
        _ body: RaftMessage.Body, from: ReplicaID, term: UInt64
    ) -> RaftMessage {
        RaftMessage(
            tablet: TabletID(7), from: from, to: 1, epoch: .first, term: Term(term), body: body)
    }

    private func append(_ entries: [Entry], after: LogPosition) -> RaftMessage.Body {
        .append(RaftMessage.Append(previous: after, commit: .zero, entries: entries))
    }

    /// Does all writes; returns what leaves.
    private func settle(_ raft: inout Raft) -> (messages: [RaftMessage], repaired: [Entry]) {
        var sent: [RaftMessage] = []
        var repaired: [Entry] = []
        while raft.hasReady {
            let ready = raft.takeReady()
            sent += ready.messages
            repaired += ready.repaired
            if let ticket = ready.ticket { raft.persisted(ticket) }
        }
        return (sent, repaired)
    }

    @Test func `it neither votes nor stands`() throws {
        var raft = try replica()
        raft.tick(now: .zero + .seconds(5), wallTime: WallTime(milliseconds: 0))
        let ready = settle(&raft)
        #expect(ready.messages.isEmpty)
        #expect(raft.role == .follower)
        raft.step(
            message(.preVoteRequest(last: position(9)), from: 2, term: 1),
            now: .zero + .seconds(9))
        raft.step(
            message(.voteRequest(last: position(9), isTransfer: false), from: 2, term: 2),
            now: .zero + .seconds(9))
        let after = settle(&raft)
        #expect(after.messages.isEmpty)
        raft.step(
            message(append([], after: position(2)), from: 2, term: 2), now: .zero + .seconds(9))
        raft.step(message(.timeoutNow, from: 2, term: 2), now: .zero + .seconds(9))
        #expect(raft.role == .follower)
    }

    @Test func `it is whole again when its log is durable as far as it was`() throws {
        var raft = try replica()
        raft.step(
            message(append([entry(3)], after: position(2)), from: 2, term: 1), now: .zero)
        let first = settle(&raft)
        #expect(first.messages.contains { $0.body == .appendAccepted(match: LogIndex(3)) })
        #expect(!raft.isWhole)
        raft.step(
            message(append([entry(4)], after: position(3)), from: 2, term: 1), now: .zero)
        #expect(!raft.isWhole, "not before it is durable")
        _ = settle(&raft)
        #expect(raft.isWhole)
    }

    @Test func `an entry of a newer term ends it, too`() throws {
        var raft = try replica(aside: [4, 5])
        raft.step(
            message(append([entry(3, 2)], after: position(2)), from: 2, term: 2), now: .zero)
        _ = settle(&raft)
        #expect(raft.isWhole)
    }

    @Test func `others' entries fill the gap, and what is behind it counts again`() throws {
        var raft = try replica(aside: [5, 6])
        let range = try #require(raft.lostRange)
        #expect(range == Raft.LostRange(first: LogIndex(3), anchor: position(5)))
        raft.restore([entry(3)], for: range, now: .zero)
        // More is missing, and asked for anew; the old answer comes too late.
        let second = try #require(raft.lostRange)
        #expect(second.first == LogIndex(4))
        raft.restore([entry(3), entry(4)], for: range, now: .zero)
        #expect(raft.lostRange == second)
        let half = settle(&raft)
        #expect(half.repaired == [entry(3)])
        raft.restore([entry(4), entry(5)], for: second, now: .zero)
        #expect(raft.lostRange == nil)
        #expect(!raft.isWhole)
        let rest = settle(&raft)
        #expect(rest.repaired == [entry(4)], "what was there is not written again")
        #expect(raft.isWhole)
        #expect(raft.lastPosition == position(6))
        #expect(raft.durableIndex == LogIndex(6))
    }

    @Test func `entries that cannot be its own are not taken`() throws {
        for entries in [[entry(4)], [entry(3, 2)], [entry(2)], []] {
            var raft = try replica(aside: [5])
            let range = try #require(raft.lostRange)
            raft.restore(entries, for: range, now: .zero)
            #expect(raft.lastPosition == position(2))
            let after = settle(&raft)
            #expect(after.repaired.isEmpty)
        }
    }

    @Test func `only who holds the anchor gives entries`() throws {
        var raft = try replica()
        raft.step(
            message(append([entry(3), entry(4)], after: position(2)), from: 2, term: 1),
            now: .zero)
        _ = settle(&raft)
        func given(_ first: UInt64, _ anchor: LogPosition) -> [Entry]? {
            raft.entries(
                for: Raft.LostRange(first: LogIndex(first), anchor: anchor), bytesMax: 1 << 20)
        }
        #expect(given(2, position(4))?.map(\.index.rawValue) == [2, 3, 4])
        #expect(given(2, position(4, 2)) == nil)
        #expect(given(2, position(5)) == nil)
        #expect(given(5, position(4)) == nil)
        #expect(given(0, position(4)) == [])
    }

    @Test func `its leader stops counting on what it lost, and sends it again`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        for value in ["a", "b", "c"] { _ = try group.propose(value, at: 1) }
        group.settle()
        let before = try #require(group[1].followers.first { $0.member.replica == 2 })
        #expect(before.match == group[1].lastPosition.index)
        group[1].step(
            RaftMessage(
                tablet: TabletID(7), from: 2, to: 1, epoch: .first, term: group[1].term,
                body: .lostEntries(after: LogIndex(1))), now: group.now)
        let after = try #require(group[1].followers.first { $0.member.replica == 2 })
        #expect(after.match == LogIndex(1))
        group.advance(by: .milliseconds(200))
        let again = try #require(group[1].followers.first { $0.member.replica == 2 })
        #expect(again.match == before.match)
    }
}
