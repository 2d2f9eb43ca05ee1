import TenonCore
import Testing

@testable import TenonRaft

@Suite struct Snapshots {
    /// Replica 3 missed five entries, which the leader has trimmed.
    private func makeGroup() throws -> TestGroup {
        var group = TestGroup(3)
        group.elect(1)
        group.isolated = [3]
        for text in ["a", "b", "c", "d", "e"] { _ = try group.propose(text, at: 1) }
        group.settle()
        group.replicas[0].trim(through: 6)
        group.isolated = []
        group.advance(by: .milliseconds(120))
        return group
    }

    @Test func `a follower that needs trimmed entries wants one snapshot`() throws {
        var group = try makeGroup()
        group.advance(by: .milliseconds(500))
        #expect(group.replica(1).snapshotsWanted == [3])
        #expect(group[1].followers.map(\.state) == [.replicate, .snapshot])
    }

    @Test func `an installed snapshot is acknowledged when its write is durable, then all follows`()
        throws
    {
        var group = try makeGroup()
        let term = group[1].term
        let at = LogPosition(index: 6, term: term)
        group.stalled = [3]
        let isInstalled = group[3].installSnapshot(
            at: at, membership: voters(1...3), now: group.now)
        #expect(isInstalled)
        group.replicas[2].state = group.replica(1).state
        group.replicas[2].disk.flush(group.replica(1).state, at: at, voters(1...3))
        group.delivered = []
        group.settle()
        #expect(group.delivered.isEmpty)
        #expect(group.replica(3).writes.first?.logReset == at)
        group.stalled = []
        group.settle()
        #expect(group.delivered.contains { $0.body == .appendAccepted(match: 6) })
        let index = try group.propose("f", at: 1)
        group.advance(by: .milliseconds(60))
        #expect(group[3].commit == index)
        #expect(group.replica(3).state == group.replica(1).state)
        group.crash(3)
        #expect(group[3].lastPosition.index == index)
    }

    @Test func `a lost acknowledgement of a snapshot is made good by heartbeats`() throws {
        var group = try makeGroup()
        group.drop = { message in
            if case .appendAccepted = message.body { message.from == 3 } else { false }
        }
        _ = group[3].installSnapshot(
            at: LogPosition(index: 6, term: 1), membership: voters(1...3), now: group.now)
        group.advance(by: .milliseconds(200))
        #expect(group[1].followers[1].state == .replicate)
        #expect(group[1].followers[1].match == 6)
    }

    @Test func `a snapshot that failed is wanted again after a heartbeat, not before`() throws {
        var group = try makeGroup()
        group[1].snapshotFailed(to: 3)
        group.settle()
        #expect(group.replica(1).snapshotsWanted == [3])
        group.advance(by: .milliseconds(110))
        #expect(group.replica(1).snapshotsWanted == [3, 3])
    }

    @Test func `a snapshot not newer than what is committed changes nothing`() throws {
        var group = try makeGroup()
        let last = group[2].lastPosition
        group[2].applied(through: group[2].commit)
        let isInstalled = group[2].installSnapshot(
            at: LogPosition(index: group[2].commit, term: 1), membership: voters(1...3),
            now: group.now)
        #expect(!isInstalled)
        #expect(group[2].lastPosition == last)
    }

    @Test func `one who leads, or is of an older term, follows when a newer snapshot is there`()
        throws
    {
        var group = try makeGroup()
        let before = group[1].term
        let isInstalled = group[1].installSnapshot(
            at: LogPosition(index: 99, term: before.next), membership: voters(1...3),
            now: group.now)
        #expect(isInstalled)
        #expect(group[1].role == .follower)
        #expect(group[1].term == before.next)
        #expect(group[1].commit == 99)
        group[1].applied(through: 99)
    }

    private func follower(
        entries: [Entry], membership: Membership = voters(1...3)
    ) -> TestReplica {
        var disk = TestDisk(membership: membership)
        disk.hardState.term = 2
        disk.entries = entries
        return TestReplica(2, disk: disk)
    }

    @Test func `entries after a snapshot that the log leads through stay`() {
        var replica = follower(entries: log(terms: [1, 1, 1, 2, 2]))
        let at = LogPosition(index: 3, term: 1)
        let isInstalled = replica.raft.installSnapshot(
            at: at, membership: voters(1...3), now: .zero)
        #expect(isInstalled)
        #expect(replica.raft.lastPosition == LogPosition(index: 5, term: 2))
        #expect(replica.raft.durableIndex == 5)
        #expect(replica.raft.commit == 3)
        // The new commit index alone is no reason to write.
        let ready = replica.raft.takeReady()
        #expect(ready.ticket == nil)
    }

    @Test func `a log that conflicts with a snapshot is dropped, late tickets included`() {
        var replica = follower(entries: [])
        let entries = log(terms: [1, 1, 1, 1, 1])
        let append = RaftMessage.Append(previous: .zero, commit: .zero, entries: entries)
        let message = RaftMessage(
            tablet: TabletID(7), from: 1, to: 2, epoch: .first, term: 2, body: .append(append))
        replica.raft.step(message, now: .zero)
        _ = replica.drain()
        let at = LogPosition(index: 3, term: 2)
        let isInstalled = replica.raft.installSnapshot(
            at: at, membership: voters(1...3), now: .zero)
        #expect(isInstalled)
        #expect(replica.raft.lastPosition == at)
        replica.completeWrite()
        #expect(replica.raft.durableIndex == .zero)
        _ = replica.drain()
        replica.completeWrite()
        #expect(replica.raft.durableIndex == 3)
        #expect(replica.disk.entries.isEmpty)
    }

    @Test func `entries that no write holds yet leave no gap behind a snapshot`() {
        var replica = follower(entries: [])
        let append = RaftMessage.Append(
            previous: .zero, commit: .zero, entries: log(terms: [1, 1, 1, 1, 1]))
        let message = RaftMessage(
            tablet: TabletID(7), from: 1, to: 2, epoch: .first, term: 2, body: .append(append))
        replica.raft.step(message, now: .zero)
        let at = LogPosition(index: 3, term: 1)
        _ = replica.raft.installSnapshot(at: at, membership: voters(1...3), now: .zero)
        let ready = replica.raft.takeReady()
        #expect(ready.logReset == at)
        #expect(ready.entries.map(\.index) == [4, 5])
    }

    @Test func `trimming keeps the position and configuration that the log starts after`() throws {
        var group = TestGroup(3)
        group.elect(1)
        for text in ["a", "b", "c"] { _ = try group.propose(text, at: 1) }
        group.settle()
        let bytes = group[1].payloadBytes
        group.replicas[0].trim(through: 3)
        #expect(group[1].firstIndex == 4)
        #expect(group[1].basePosition == LogPosition(index: 3, term: 1))
        #expect(group[1].membership(at: 3) == voters(1...3))
        #expect(group[1].payloadBytes == bytes - 2)
        _ = try group.propose("d", at: 1)
        group.advance(by: .milliseconds(60))
        #expect(group.replica(2).state == group.replica(1).state)
    }

    @Test func `trimming past what is applied or durable traps`() async {
        await #expect(processExitsWith: .failure) {
            var group = TestGroup(1)
            group.elect(1)
            group[1].trim(through: 2)
        }
    }
}
