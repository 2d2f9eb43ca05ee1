import TenonCore
import Testing

@testable import TenonRaft

@Suite struct Replication {
    @Test func `an entry is replicated before the leader's own disk has it`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.stalled = [1]
        let index = try group.propose("a", at: 1)
        group.settle()
        #expect(group[1].durableIndex < index)
        #expect(group[1].commit == index)
    }

    @Test func `the leader counts itself only when its own disk has the entry`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.stalled = [1]
        group.isolated = [3]
        let index = try group.propose("a", at: 1)
        group.settle()
        #expect(group[2].durableIndex == index)
        #expect(group[1].commit < index)
        group.stalled = []
        group.settle()
        #expect(group[1].commit == index)
    }

    /// Figure 7 of the Raft paper (3.6 of the thesis): six ways in which a follower's log can
    /// differ from a new leader's.
    @Test func `every log of figure 7 becomes the leader's, in one refusal at most two`() {
        let logs = [
            [1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
            [1, 1, 1, 4, 4, 5, 5, 6, 6],
            [1, 1, 1, 4],
            [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
            [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
            [1, 1, 1, 4, 4, 4, 4],
            [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
        ]
        let disks = logs.map { terms in
            var disk = TestDisk(membership: voters(1...7))
            disk.hardState.term = 7
            disk.entries = log(terms: terms)
            return disk
        }
        var group = TestGroup(7, disks: disks)
        group.elect(1)
        group.advance(by: .milliseconds(200))
        #expect(group[1].term == 8)
        for number in 2...7 {
            let replica = group.replicas[number - 1]
            #expect(replica.state == group.replica(1).state)
            #expect(replica.disk.entries == group.replica(1).disk.entries)
            let refusals = group.delivered.filter {
                if case .appendRejected = $0.body { $0.from == replica.raft.replica } else { false }
            }
            #expect(refusals.count <= 2, "follower \(number)")
        }
    }

    /// Figure 8 of the Raft paper (3.7 of the thesis).
    @Test func `an entry of an older term on a majority is not committed, and may be replaced`() {
        let logs = [[1, 2], [1, 2], [1], [1], [1, 3]]
        let disks = logs.map { terms in
            var disk = TestDisk(membership: voters(1...5))
            disk.hardState.term = 3
            disk.entries = log(terms: terms)
            return disk
        }
        var group = TestGroup(5, disks: disks) { $0.messageBytesMax = 1 }
        group.drop = { message in
            guard case .append(let append) = message.body else { return false }
            return append.entries.contains { $0.term == 4 }
        }
        group.isolated = [5]
        group.elect(1)
        group.advance(by: .milliseconds(300))
        let holders = group.replicas.filter { $0.disk.holds(LogPosition(index: 2, term: 2)) }
        #expect(holders.count >= 3)
        #expect(group[1].commit == .zero)

        group.isolated = [1]
        // Silence, but nobody else stands for election. Replica 5 first learns of term 4.
        group.now = group.now + .milliseconds(500)
        group[5].campaign(now: group.now)
        group.settle()
        group.elect(5)
        group.settle()
        #expect(group[3].term(at: 2) == 3)
        #expect(group[2].term(at: 2) == 3)
        #expect(group[5].commit == 3)
    }

    @Test func `a lost append is noticed by the next heartbeat and sent again`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.drop = { message in
            if case .append = message.body { message.to == 2 } else { false }
        }
        let index = try group.propose("a", at: 1)
        group.settle()
        #expect(group[2].lastPosition.index < index)
        group.drop = { _ in false }
        group.advance(by: .milliseconds(100))
        #expect(group.replica(2).disk.entries.last?.index == index)
    }

    @Test func `a lost acknowledgement is made good by a heartbeat's answer`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.drop = { message in
            if case .appendAccepted = message.body { true } else { false }
        }
        let index = try group.propose("a", at: 1)
        group.settle()
        #expect(group[1].commit < index)
        group.advance(by: .milliseconds(100))
        #expect(group[1].commit == index)
    }

    @Test func `appends that arrive in the wrong order end in the right one`() throws {
        var group = TestGroup(2)
        group.elect(1)
        for text in ["a", "b", "c"] {
            _ = try group.propose(text, at: 1)
            group.collect()
        }
        group.network.reverse()
        group.settle()
        group.advance(by: .milliseconds(200))
        #expect(group.replica(2).state == group.replica(1).state)
        #expect(group[1].commit == 4)
    }

    @Test func `a follower that restarts in the same term is found out and caught up`() throws {
        var group = TestGroup(3)
        group.elect(1)
        let index = try group.propose("a", at: 1)
        group.settle()
        group.crash(2)
        group.advance(by: .milliseconds(200))
        #expect(group.replica(2).state.last?.index == index)
    }

    @Test(arguments: [(2, 8 << 20), (128, 40)])
    func `no more is under way to a follower than its window`(
        messagesMax: Int, bytesMax: Int
    ) throws {
        var group = TestGroup(2) {
            $0.windowMessagesMax = messagesMax
            $0.windowBytesMax = bytesMax
            $0.messageBytesMax = 1
        }
        group.elect(1)
        group.delivered = []
        group.drop = { message in
            if case .appendAccepted = message.body { true } else { false }
        }
        for _ in 0..<10 { _ = try group.propose("a", at: 1) }
        group.settle()
        let appends = group.delivered.filter {
            if case .append = $0.body { true } else { false }
        }
        // 40 bytes: the second entry of 22 bytes passes the bound, the third waits.
        #expect(appends.count == 2)
        group.drop = { _ in false }
        group.advance(by: .milliseconds(100))
        #expect(group[1].commit == 11)
    }

    @Test func `an append carries entries up to the bound, and a larger one alone`() throws {
        var group = TestGroup(2) { $0.messageBytesMax = 50 }
        group.elect(1)
        group.delivered = []
        for text in ["a", "b", String(repeating: "c", count: 100), "d"] {
            _ = try group.propose(text, at: 1)
        }
        group.settle()
        let counts = group.delivered.compactMap { message -> Int? in
            if case .append(let append) = message.body { append.entries.count } else { nil }
        }
        #expect(counts == [2, 1, 1])
    }

    @Test func `proposals beyond the bound are refused until some are committed`() throws {
        var group = TestGroup(3) { $0.uncommittedBytesMax = 100 }
        group.elect(1)
        group.isolated = [2, 3]
        let large = String(repeating: "x", count: 200)
        // Nothing waits: even a payload over the bound stands alone.
        _ = try group.propose(large, at: 1)
        #expect(throws: ProposalError.overloaded) { try group.propose("y", at: 1) }
        group.isolated = []
        group.advance(by: .milliseconds(200))
        _ = try group.propose("y", at: 1)
    }

    @Test func `a follower names the leader to who proposes there`() {
        var group = TestGroup(3)
        #expect(throws: ProposalError.notLeader(hint: nil)) { try group.propose("a", at: 2) }
        group.elect(1)
        #expect(throws: ProposalError.notLeader(hint: 1)) { try group.propose("a", at: 2) }
    }

    @Test func `committed entries are handed out once, in order, in bounded pieces`() throws {
        var group = TestGroup(1) { $0.applyBytesMax = 50 }
        group.elect(1)
        for text in ["a", "b", "c", "d", "e"] { _ = try group.propose(text, at: 1) }
        let ready = group[1].takeReady()
        group[1].persisted(ready.ticket!)
        var pieces: [[UInt64]] = []
        while group[1].hasReady {
            pieces.append(group[1].takeReady().committed.map(\.index.rawValue))
        }
        #expect(pieces == [[2, 3], [4, 5], [6]])
    }

    @Test func `a heartbeat commits only what is known to be the leader's`() {
        var disk = TestDisk(membership: voters(1...3))
        disk.hardState.term = 1
        disk.entries = log(terms: [1, 1, 1])
        var group = TestGroup(3, disks: [disk, disk, disk])
        let heartbeat = RaftMessage.Heartbeat(
            round: 1, sentAt: .zero, wallTime: WallTime(milliseconds: 5), commit: 3, sentThrough: 3)
        group[2].step(group.message(.heartbeat(heartbeat), from: 1, to: 2, term: 2), now: .zero)
        #expect(group[2].commit == .zero)
        let append = RaftMessage.Append(
            previous: LogPosition(index: 1, term: 1), commit: 3, entries: [])
        group[2].step(group.message(.append(append), from: 1, to: 2, term: 2), now: .zero)
        #expect(group[2].commit == 1)
        #expect(group[2].peerClocks.map(\.wallTime.milliseconds) == [5])
    }

    @Test func `an append that is no continuation is dropped whole`() {
        let good = entry(1, term: 1)
        let bad: [[Entry]] = [
            [entry(2, term: 1)],
            [good, entry(3, term: 1)],
            [entry(1, term: 2), entry(2, term: 1)],
            [entry(1, term: 4)],
            [good, Entry(index: 2, term: 1, kind: .configuration, payload: [9, 9])],
        ]
        var group = TestGroup(3)
        for entries in bad {
            let append = RaftMessage.Append(previous: .zero, commit: 1, entries: entries)
            group[2].step(group.message(.append(append), from: 1, to: 2, term: 3), now: .zero)
            #expect(group[2].lastPosition == .zero)
            #expect(group[2].commit == .zero)
        }
    }

    @Test func `an unreachable follower is sent again what was under way`() throws {
        var group = TestGroup(2)
        group.elect(1)
        group.isolated = [2]
        let index = try group.propose("a", at: 1)
        group.settle()
        group.isolated = []
        group[1].peerUnreachable(node: NodeID(2), now: group.now)
        group.settle()
        #expect(group[1].commit == index)
    }

    @Test func `a late acknowledgement of what was to be sent again saves sending it`() {
        var progress = Progress(member: members([2])[0], next: 2, now: .zero)
        progress.agreed(through: 1)
        #expect(progress.state == .replicate)
        progress.accepted(5, now: .zero)
        #expect(progress.match == 5)
        #expect(progress.next == 6)
    }
}
