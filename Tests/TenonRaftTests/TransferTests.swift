import TenonCore
import Testing

@testable import TenonRaft

@Suite struct Transfers {
    private static func isTimeoutNow(_ message: RaftMessage) -> Bool {
        message.body == .timeoutNow
    }

    @Test func `leadership goes to a voter that keeps up, at once`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        let index = try group.propose("a", at: 1)
        group.settle()
        try group[1].transferLeadership(to: 3, now: group.now)
        group.settle()
        #expect(group.leader == 3)
        #expect(group[3].term == 2)
        #expect(group[1].leader == 3)
        #expect(group[3].commit > index)
    }

    @Test func `a leader that steps down leaves the next election to the others`() {
        for seed in 0..<5 {
            var group = TestGroup(3)
            group.advance(by: .milliseconds(17 * seed))
            group.elect(1)
            group[1].stepDown(now: group.now)
            #expect(group[1].role == .follower)
            group.advance(by: .milliseconds(2_000))
            #expect(group.leader == 2 || group.leader == 3)
        }
    }

    @Test func `a reluctant replica is elected only when nobody else stands`() {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group[2].priority = .last
        // The timeout that is running was drawn before.
        group.advance(by: .milliseconds(100))
        group.isolated = [1]
        group.advance(by: .milliseconds(2_000))
        #expect(group.leader == 3)
        group[3].priority = .last
        group[2].priority = .last
        group.advance(by: .milliseconds(100))
        group.isolated = [1, 3]
        group.advance(by: .milliseconds(1_900))
        #expect(group[2].role == .follower)
        group.advance(by: .milliseconds(1_500))
        #expect(group[2].role != .follower)
    }

    @Test func `of those who miss the leader the one of the highest priority stands first`() {
        for preferred in [ReplicaID(2), ReplicaID(3)] {
            var group = TestGroup(3)
            group.elect(1)
            group.advance(by: .milliseconds(100))
            group[preferred == 2 ? 3 : 2].priority = .second
            group.advance(by: .milliseconds(100))
            group.isolated = [1]
            group.advance(by: .milliseconds(1_300))
            #expect(group.leader == preferred)
        }
    }

    @Test func `only a voter that keeps up is taken`() throws {
        let membership = try Membership(incoming: members(1...3), learners: members([4]))
        var group = TestGroup(4, membership: membership)
        #expect(throws: TransferError.notLeader(hint: nil)) {
            try group[1].transferLeadership(to: 2, now: .zero)
        }
        group.elect(1)
        group.isolated = [3]
        group.advance(by: .milliseconds(100))
        let now = group.now
        #expect(throws: TransferError.alreadyLeader) {
            try group[1].transferLeadership(to: 1, now: now)
        }
        for target in [ReplicaID(4), 9] {
            #expect(throws: TransferError.notVoter) {
                try group[1].transferLeadership(to: target, now: now)
            }
        }
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(600))
        #expect(throws: TransferError.notCaughtUp) {
            try group[1].transferLeadership(to: 3, now: group.now)
        }
        group.drop = Transfers.isTimeoutNow
        try group[1].transferLeadership(to: 2, now: group.now)
        #expect(throws: TransferError.underWay(to: 2)) {
            try group[1].transferLeadership(to: 2, now: group.now)
        }
    }

    @Test func `one whose disk stalls is not taken while it owes an answer, and is afterwards`()
        throws
    {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.stalled = [2]
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(200))
        #expect(throws: TransferError.notCaughtUp) {
            try group[1].transferLeadership(to: 2, now: group.now)
        }
        // Proposals are not kept waiting by the attempt.
        _ = try group.propose("b", at: 1)
        group.stalled = []
        group.advance(by: .milliseconds(100))
        try group[1].transferLeadership(to: 2, now: group.now)
        group.settle()
        #expect(group.leader == 2)
    }

    @Test func `one that has yet to apply what it was sent is not taken, and is afterwards`()
        throws
    {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.replicas[1].isApplying = false
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(400))
        #expect(group[2].durableIndex == group[1].commit)
        #expect(throws: TransferError.notCaughtUp) {
            try group[1].transferLeadership(to: 2, now: group.now)
        }
        group[2].applied(through: group[2].commit)
        group.replicas[1].isApplying = true
        group.advance(by: .milliseconds(100))
        try group[1].transferLeadership(to: 2, now: group.now)
        group.settle()
        #expect(group.leader == 2)
    }

    @Test func `a transfer that leads nowhere is given up, proposals wait until then`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.drop = Transfers.isTimeoutNow
        try group[1].transferLeadership(to: 2, now: group.now)
        #expect(throws: ProposalError.transferring) { try group.propose("a", at: 1) }
        group.advance(by: .milliseconds(550))
        #expect(group[1].transferTarget == nil)
        _ = try group.propose("a", at: 1)
        #expect(group[1].term == 1)
    }

    @Test func `the target is told only when it has the whole log durably`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.stalled = [2]
        _ = try group.propose("a", at: 1)
        group.settle()
        try group[1].transferLeadership(to: 2, now: group.now)
        group.settle()
        #expect(!group.delivered.contains(where: Transfers.isTimeoutNow))
        group.stalled = []
        group.settle()
        #expect(group.leader == 2)
    }

    @Test func `a lost request is repeated with the heartbeats`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.drop = Transfers.isTimeoutNow
        try group[1].transferLeadership(to: 2, now: group.now)
        group.settle()
        group.drop = { _ in false }
        group.advance(by: .milliseconds(100))
        #expect(group.leader == 2)
    }

    @Test func `a request that does not come from the leader is ignored`() {
        var group = TestGroup(3)
        group.elect(1)
        group[2].step(group.message(.timeoutNow, from: 3, to: 2, term: 1), now: group.now)
        #expect(group[2].term == 1)
    }
}

/// Leadership depends on the disk (architecture, section 4, rule 6).
@Suite struct StalledLeaders {
    @Test func `a leader whose log write stalls hands over`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.stalled = [1]
        let index = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(450))
        #expect(group.leader == 1)
        group.advance(by: .milliseconds(200))
        #expect(group.leader != 1)
        #expect(group.leader != nil)
        #expect(group.delivered.contains { $0.body == .timeoutNow })
        #expect(group[2].commit >= index)
    }

    @Test func `a leader that is asked for reads all the time notices that its disk stalls`() throws
    {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.stalled = [1]
        _ = try group.propose("a", at: 1)
        for number in 0..<70 {
            group[1].requestRead(ReadToken(UInt64(number)))
            group.settle()
            group.advance(by: .milliseconds(10))
        }
        #expect(group.leader != 1)
        #expect(group.leader != nil)
    }

    @Test func `a leader whose state machine stalls hands over`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.replicas[0].isApplying = false
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(700))
        #expect(group.leader != 1)
        #expect(group.leader != nil)
    }

    @Test func `work that goes on is no stall`() throws {
        var group = TestGroup(3)
        group.elect(1)
        for _ in 0..<40 {
            // The disk is always at work, but each write ends.
            group.stalled = [1]
            _ = try group.propose("a", at: 1)
            group.advance(by: .milliseconds(50))
            group.stalled = []
            group.settle()
        }
        #expect(group[1].role == .leader)
        #expect(group[1].term == 1)
    }

    @Test func `a stalled leader without a successor falls silent and is replaced`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.stalled = [1]
        group.drop = { message in
            if case .append = message.body { message.from == 1 } else { false }
        }
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(900))
        #expect(group.leader == 1 && !group[1].isMuted)
        group.advance(by: .milliseconds(200))
        #expect(group[1].isMuted)
        group.advance(by: .milliseconds(2_000))
        #expect(group.leader == 2 || group.leader == 3)
    }

    @Test func `where all disks stall together the leader stays`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        for _ in 0..<5 {
            group.stalled = [1, 2, 3]
            let index = try group.propose("a", at: 1)
            group.advance(by: .milliseconds(900))
            #expect(group.leader == 1 && !group[1].isMuted)
            group.stalled = []
            group.settle()
            group.advance(by: .milliseconds(100))
            #expect(group[2].commit >= index)
        }
        #expect(group.leader == 1 && group[1].term == 1)
        #expect(!group.delivered.contains { $0.body == .timeoutNow })
    }

    @Test func `of the others the leadership goes to one whose disk goes on`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.stalled = [1, 2]
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(700))
        #expect(group.leader != 1 && group.leader != 2)
    }

    @Test func `where no voter has room the leader stays, and hands over once one has`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        // The leader hears of the others before its own log is full.
        for replica: ReplicaID in [2, 3] { group[replica].isLogFull = true }
        group.advance(by: .milliseconds(100))
        group[1].isLogFull = true
        #expect(group[1].room == .nowhere)
        group.stalled = [1, 2, 3]
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(3_000))
        #expect(group.leader == 1 && group[1].term == 1 && !group[1].isMuted)
        group[1].requestRead(ReadToken(7))
        group.settle()
        #expect(group.replica(1).confirmed.contains { $0.token == ReadToken(7) })

        group[3].isLogFull = false
        group.advance(by: .milliseconds(2_000))
        #expect(group.leader == 1, "one of three cannot get votes: they wait for room, too")
        group[2].isLogFull = false
        group.stalled = [1]
        group.advance(by: .milliseconds(300))
        #expect(group.leader == 2 || group.leader == 3)
        #expect(group.leader.map { group[$0].room } == .here)
        #expect(group[3].commit >= 2)
    }

    @Test func `a leader with a full log and nothing under way hands over`() {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group[1].isLogFull = true
        #expect(group[1].room == .elsewhere)
        group.advance(by: .milliseconds(200))
        #expect(group.leader == 2 || group.leader == 3)
        #expect(group.leader.map { group[$0].room } == .here)
    }

    @Test func `a stalled leader whose successor does not take over falls silent`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.stalled = [1]
        group.drop = { $0.body == .timeoutNow }
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(700))
        #expect(group[1].transferTarget != nil)
        group.advance(by: .milliseconds(450))
        #expect(group[1].isMuted)
        group.advance(by: .milliseconds(2_000))
        #expect(group.leader == 2 || group.leader == 3)
    }

    @Test func `a silent leader sends no appends and takes no proposals`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.stalled = [1]
        group.drop = { $0.body == .timeoutNow }
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(1_150))
        #expect(group[1].isMuted)
        #expect(throws: ProposalError.transferring) { try group.propose("b", at: 1) }
        group.delivered = []
        group[1].peerUnreachable(node: NodeID(2), now: group.now)
        group[1].peerUnreachable(node: NodeID(3), now: group.now)
        group.settle()
        #expect(!group.delivered.contains { $0.from == 1 })
    }

    @Test func `a replica whose disk stalls does not stand for election`() {
        var group = TestGroup(3)
        group.stalled = [3]
        group.elect(1)
        group.isolated = [3]
        group.advance(by: .seconds(4))
        #expect(group[3].isStalled)
        #expect(group[3].role == .follower)
        #expect(group[3].term == 1)
        group.stalled = []
        group.advance(by: .seconds(1))
        #expect(group[3].role == .preCandidate)
    }

    @Test func `what was proposed a moment ago does not stand in the way of a transfer`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        let index = try group.propose("a", at: 1)
        try group[1].transferLeadership(to: 2, now: group.now)
        group.settle()
        #expect(group.leader == 2)
        #expect(group[2].commit > index)
    }

    @Test func `a disk that comes back in time keeps the leader`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.stalled = [1]
        group.drop = { message in
            if case .append = message.body { message.from == 1 } else { false }
        }
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(1_100))
        #expect(group[1].isMuted)
        group.stalled = []
        group.drop = { _ in false }
        group.advance(by: .milliseconds(200))
        #expect(!group[1].isMuted)
        #expect(group.leader == 1)
    }

    @Test func `a single voter has nobody to make room for`() throws {
        var group = TestGroup(1)
        group.elect(1)
        group.stalled = [1]
        _ = try group.propose("a", at: 1)
        group.advance(by: .seconds(3))
        #expect(group[1].role == .leader)
        #expect(!group[1].isMuted)
        group.stalled = []
        group.settle()
        #expect(group[1].commit == 2)
    }
}
