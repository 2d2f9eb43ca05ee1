import TenonCore
import Testing

@testable import TenonRaft

@Suite struct Elections {
    @Test func `a group left alone elects one leader, whose no-op commits`() {
        var group = TestGroup(3)
        group.advance(by: .milliseconds(1_500))
        let leaders = group.replicas.filter { $0.raft.role == .leader }
        #expect(leaders.count == 1)
        for replica in group.replicas {
            #expect(replica.raft.leader == group.leader)
            #expect(replica.state.map(\.kind) == [.noop])
        }
    }

    @Test func `a single voter leads only when its vote is on the disk`() {
        var group = TestGroup(1)
        group.stalled = [1]
        group[1].campaign(now: .zero)
        group.settle()
        #expect(group[1].role == .candidate)
        group.stalled = []
        group.settle()
        #expect(group[1].role == .leader)
        #expect(group[1].commit == 1)
    }

    @Test func `a replica that was cut off does not raise its term or depose the leader`() {
        var group = TestGroup(3)
        group.elect(1)
        let term = group[1].term
        group.isolated = [3]
        group.advance(by: .seconds(5))
        #expect(group[3].role == .preCandidate)
        group.isolated = []
        group.advance(by: .seconds(3))
        #expect(group[1].role == .leader)
        #expect(group.replicas.map(\.raft.term) == [term, term, term])
        #expect(group[3].leader == 1)
    }

    @Test func `votes are refused while a leader is heard, and not after`() {
        var group = TestGroup(3)
        group.elect(1)
        let term = group[2].term
        let request = RaftMessage.Body.voteRequest(
            last: LogPosition(index: 9, term: 9), isTransfer: false)
        group[2].step(group.message(request, from: 3, to: 2, term: 9), now: group.now)
        #expect(group[2].term == term)
        group.isolated = [1, 3]
        group.now = group.now + .milliseconds(499)
        group[2].step(group.message(request, from: 3, to: 2, term: 9), now: group.now)
        #expect(group[2].term == term)
        group.now = group.now + .milliseconds(1)
        group[2].step(group.message(request, from: 3, to: 2, term: 9), now: group.now)
        #expect(group[2].term == 9)
    }

    @Test func `a pre-vote is not answered while a leader is heard`() {
        var group = TestGroup(3)
        group.elect(1)
        let request = RaftMessage.Body.preVoteRequest(last: LogPosition(index: 9, term: 9))
        group[2].step(group.message(request, from: 3, to: 2, term: 9), now: group.now)
        #expect(!group[2].hasReady)
        #expect(group[2].leader == 1)
    }

    @Test func `a leader without a quorum steps down after an election timeout`() {
        var group = TestGroup(3)
        group.elect(1)
        group.isolated = [1]
        group.advance(by: .milliseconds(490))
        #expect(group[1].role == .leader)
        group.advance(by: .milliseconds(60))
        #expect(group[1].role != .leader)
    }

    @Test func `an answer counts from when its heartbeat was sent, however late it comes`() {
        var group = TestGroup(3)
        group.elect(1)
        group.drop = {
            if case .heartbeatAnswer = $0.body { true } else { false }
        }
        group.advance(by: .milliseconds(60))
        let start = group.now
        let answer = RaftMessage.HeartbeatAnswer(
            round: 2, sentAt: Instant(nanoseconds: 50_000_000), sentThrough: 1,
            wallTime: WallTime(milliseconds: 0), received: 1, durable: 1)
        group.advance(by: .milliseconds(430))
        group[1].step(
            group.message(.heartbeatAnswer(answer), from: 2, to: 1, term: 1), now: group.now)
        group.advance(by: .milliseconds(70))
        #expect(group[1].role != .leader)
        #expect(group.now.since(start) == .milliseconds(500))
    }

    @Test func `a replica with a newer term makes the leader step down and is followed up to`() {
        var disks = (1...3).map { _ in TestDisk(membership: voters(1...3)) }
        disks[2].hardState.term = 9
        var group = TestGroup(3, disks: disks)
        group.isolated = [3]
        group.elect(1)
        group.isolated = []
        group.advance(by: .seconds(4))
        #expect(group.leader != nil)
        #expect(group.replicas.allSatisfy { $0.raft.term > 9 && $0.raft.leader == group.leader })
    }

    @Test func `a split vote is resolved by the next timeout`() {
        var group = TestGroup(4)
        group[1].startElection(isTransfer: false)
        group[2].startElection(isTransfer: false)
        // Each reaches one other voter first.
        group.drop = {
            ($0.from == 1 && $0.to == 4) || ($0.from == 2 && $0.to == 3)
        }
        group.settle()
        #expect(group.leader == nil)
        group.drop = { _ in false }
        group.advance(by: .seconds(4))
        #expect(group.replicas.filter { $0.raft.role == .leader }.count == 1)
    }

    @Test func `one vote a term, also after a restart`() {
        var group = TestGroup(3)
        let request = RaftMessage.Body.voteRequest(last: .zero, isTransfer: false)
        group[2].step(group.message(request, from: 1, to: 2, term: 5), now: .zero)
        group.settle()
        #expect(group.delivered.last?.body == .voteAnswer(granted: true))
        for isRestarted in [false, true] {
            if isRestarted { group.crash(2) }
            group[2].step(group.message(request, from: 3, to: 2, term: 5), now: .zero)
            group.settle()
            #expect(group.delivered.last?.body == .voteAnswer(granted: false))
        }
        group[2].step(group.message(request, from: 1, to: 2, term: 5), now: .zero)
        group.settle()
        #expect(group.delivered.last?.body == .voteAnswer(granted: true))
    }

    @Test func `a vote leaves only when it is on the disk`() {
        var group = TestGroup(3)
        group.stalled = [2]
        let request = RaftMessage.Body.voteRequest(last: .zero, isTransfer: false)
        group[2].step(group.message(request, from: 1, to: 2, term: 5), now: .zero)
        group.settle()
        #expect(group.delivered.isEmpty)
        group.stalled = []
        group.settle()
        #expect(group.delivered.map(\.body) == [.voteAnswer(granted: true)])
    }

    @Test func `a vote that waited for the disk is dropped when its term is over`() {
        var group = TestGroup(3)
        group.stalled = [2]
        let request = RaftMessage.Body.voteRequest(last: .zero, isTransfer: false)
        group[2].step(group.message(request, from: 1, to: 2, term: 5), now: .zero)
        group.settle()
        group[2].step(group.message(request, from: 3, to: 2, term: 6), now: .zero)
        group.stalled = []
        group.settle()
        #expect(group.delivered.map(\.to) == [3])
        #expect(group.delivered.map(\.term) == [6])
    }

    @Test func `votes are asked for only when the log they speak of is on the disk`() {
        var group = TestGroup(3)
        group.stalled = [2]
        let append = RaftMessage.Append(
            previous: .zero, commit: .zero, entries: [entry(1, term: 1)])
        group[2].step(group.message(.append(append), from: 1, to: 2, term: 1), now: .zero)
        group.collect()
        group[2].startElection(isTransfer: false)
        group.settle()
        #expect(group.delivered.isEmpty)
        group.stalled = []
        group.settle()
        #expect(group[2].role == .leader)
    }

    @Test(arguments: [
        // The voter's log, the candidate's last entry, the answer.
        ([1, 1, 2], (3, 2), true), ([1, 1, 2], (4, 2), true), ([1, 1, 2], (2, 2), false),
        ([1, 1, 2], (1, 3), true), ([1, 1, 2], (9, 1), false),
    ])
    func `a vote goes only to a log that is at least as up to date`(
        terms: [Int], last: (Int, Int), isGranted: Bool
    ) {
        var disk = TestDisk(membership: voters(1...3))
        disk.hardState.term = 3
        disk.entries = log(terms: terms)
        let position = LogPosition(
            index: LogIndex(UInt64(last.0)), term: Term(UInt64(last.1)))
        var group = TestGroup(3, disks: [disk, disk, disk])
        group[2].step(
            group.message(.preVoteRequest(last: position), from: 1, to: 2, term: 3), now: .zero)
        group.settle()
        #expect(group.delivered.last?.body == .preVoteAnswer(granted: isGranted))
        group[2].step(
            group.message(
                .voteRequest(last: position, isTransfer: false), from: 1, to: 2, term: 4),
            now: .zero)
        group.settle()
        #expect(group.delivered.last?.body == .voteAnswer(granted: isGranted))
    }

    @Test func `a learner never stands for election but answers votes`() throws {
        let membership = try Membership(incoming: members([1]), learners: members([2]))
        var group = TestGroup(2, membership: membership)
        group.isolated = [1]
        group.advance(by: .seconds(5))
        #expect(group[2].role == .follower)
        #expect(group[2].term == .zero)
        group.isolated = []
        let request = RaftMessage.Body.voteRequest(last: .zero, isTransfer: false)
        group[2].step(group.message(request, from: 1, to: 2, term: 5), now: group.now)
        group.settle()
        #expect(group.delivered.contains { $0.body == .voteAnswer(granted: true) })
    }

    @Test func `a refused connection to the leader's node starts a pre-vote at once`() {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(200))
        group.isolated = [1]
        group[2].peerUnreachable(node: NodeID(1), now: group.now)
        group[3].peerUnreachable(node: NodeID(1), now: group.now)
        group.advance(by: .milliseconds(50))
        #expect(group[2].role == .leader || group[3].role == .leader)
    }

    @Test func `an unreachable node that does not lead is no reason for an election`() {
        var group = TestGroup(3)
        group.elect(1)
        group[2].peerUnreachable(node: NodeID(3), now: group.now)
        #expect(group[2].leader == 1)
    }

    @Test func `what is not for this replica, tablet or epoch is dropped`() {
        var group = TestGroup(3)
        let good = group.message(
            .voteRequest(last: .zero, isTransfer: false), from: 1, to: 2, term: 5)
        var wrong = [good, good, good]
        wrong[0].tablet = TabletID(8)
        wrong[1].to = 3
        wrong[2].epoch = Epoch(2)
        for message in wrong { group[2].step(message, now: .zero) }
        #expect(group[2].term == .zero)
        group[2].step(good, now: .zero)
        #expect(group[2].term == 5)
    }

    @Test func `each role change is told once`() {
        var group = TestGroup(1)
        group[1].campaign(now: .zero)
        let asked = group[1].takeReady()
        #expect(asked.roleChange == RoleChange(role: .candidate, term: 1, leader: nil))
        group[1].persisted(asked.ticket!)
        let won = group[1].takeReady()
        #expect(won.roleChange == RoleChange(role: .leader, term: 1, leader: 1))
        let quiet = group[1].takeReady()
        #expect(quiet.roleChange == nil)
    }
}
