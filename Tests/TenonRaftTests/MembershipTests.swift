import TenonCore
import Testing

@testable import TenonRaft

@Suite struct Memberships {
    private let joint = try! Membership(
        incoming: members([1, 2]), outgoing: members([2, 3]), learners: members([3, 4]),
        generation: Generation(5), acknowledgement: Acknowledgement(.city, places: ["a", "b"]),
        outgoingAcknowledgement: Acknowledgement(.dc, places: ["a", nil]))

    @Test func `the payload of a configuration entry is as documented`() throws {
        let one = try Membership(
            incoming: [Member(replica: 0x0102, node: NodeID(3))], generation: Generation(9),
            acknowledgement: Acknowledgement(.city, sites: [SiteID(7)]))
        let golden: [UInt8] =
            [1, 2, 0, 9, 0, 0, 0, 0, 0, 0, 0]
            + [1, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 7, 0]
            + [0, 0, 0, 0, 0, 0, 0, 0]
        #expect(one.encoded() == golden)
        #expect(try Membership(payload: golden) == one)
        #expect(try Membership(payload: joint.encoded()) == joint)
    }

    @Test func `every truncation is refused, every flipped bit is refused or means something else`()
    {
        let bytes = joint.encoded()
        for count in bytes.indices {
            #expect(throws: DecodingError.self) {
                try Membership(payload: Array(bytes[..<count]))
            }
        }
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            if let other = try? Membership(payload: flipped) {
                #expect(other != joint)
                #expect(other.encoded() == flipped)
            }
        }
        #expect(throws: DecodingError.trailingBytes(1)) { try Membership(payload: bytes + [0]) }
    }

    @Test func `what is reserved is refused, never ignored`() {
        var rule = joint.encoded()
        rule[1] = 3
        #expect(throws: DecodingError.unknownKind(field: "acknowledgement rule", value: 3)) {
            try Membership(payload: rule)
        }
        // Bit 0 is a witness's; the others are nobody's yet.
        var role = joint.encoded()
        role[11 + 4 + 13] = 2
        #expect(throws: DecodingError.unknownKind(field: "role flags", value: 2)) {
            try Membership(payload: role)
        }
    }

    @Test func `a membership without sense is refused`() {
        let elsewhere = Member(replica: 1, node: NodeID(9))
        #expect(throws: DecodingError.self) { try Membership(incoming: []) }
        #expect(throws: DecodingError.self) { try Membership(incoming: members([2, 1])) }
        #expect(throws: DecodingError.self) { try Membership(incoming: members([1, 1])) }
        #expect(throws: DecodingError.self) { try Membership(incoming: members([0, 1])) }
        #expect(throws: DecodingError.self) { try Membership(incoming: members(1...65)) }
        #expect(throws: DecodingError.self) {
            try Membership(incoming: members([1]), learners: members([1]))
        }
        #expect(throws: DecodingError.self) {
            try Membership(incoming: members([1]), outgoing: [elsewhere])
        }
        let sites = Acknowledgement(.dc, places: ["a", "b"])
        #expect(throws: DecodingError.self) {
            try Membership(incoming: members([1]), acknowledgement: sites)
        }
        #expect(throws: DecodingError.self) {
            try Membership(incoming: members([1, 2]), outgoingAcknowledgement: sites)
        }
        var unasked = voters(1...2).encoded()
        unasked[11 + 4 + 12] = 1
        #expect(throws: DecodingError.malformed("a site that no rule asks for")) {
            try Membership(payload: unasked)
        }
    }

    @Test func `members are named once, in order`() {
        #expect(joint.members.map(\.replica) == [1, 2, 3, 4])
        #expect([1, 2, 3, 4].map { joint.isVoter($0) } == [true, true, true, false])
    }

    @Test(arguments: 1...7)
    func `a majority is more than half`(count: Int) {
        let membership = voters(1...count)
        for yes in 0...count {
            #expect(membership.hasQuorum { $0.rawValue <= yes } == (yes * 2 > count))
            let outcome = membership.outcome { $0.rawValue <= yes ? true : false }
            #expect((outcome == .won) == (yes * 2 > count))
            #expect((outcome == .lost) == (yes * 2 <= count))
        }
        #expect(membership.outcome { _ in nil } == .pending)
        let value = membership.quorumValue { $0.rawValue * 10 }
        #expect(membership.hasQuorum { $0.rawValue * 10 >= value })
        #expect(!membership.hasQuorum { $0.rawValue * 10 > value })
    }

    @Test func `a joint quorum needs a majority of both halves`() throws {
        let joint = try Membership(incoming: members(1...3), outgoing: members(4...6))
        #expect(!joint.hasQuorum { $0 <= 3 })
        #expect(!joint.hasQuorum { $0 >= 4 })
        #expect(joint.hasQuorum { [1, 2, 5, 6].contains($0) })
        #expect(joint.quorumValue { $0.rawValue } == 2)
        #expect(joint.outcome { $0 <= 3 ? true : nil } == .pending)
        #expect(joint.outcome { [1, 2, 3, 6].contains($0) ? true : false } == .lost)
    }
}

/// Rule C4, as far as the log goes.
@Suite struct Configurations {
    @Test func `a configuration is in force on append, before it is committed`() throws {
        var group = TestGroup(3, membership: voters(1...2))
        group.elect(1)
        group.isolated = [2, 3]
        let index = try group[1].proposeMembership(voters(1...3))
        #expect(group[1].membership == voters(1...3))
        #expect(group[1].followers.map(\.member.replica) == [2, 3])
        #expect(group[1].membership(at: index.previous) == voters(1...2))
        group.isolated = []
        group.advance(by: .milliseconds(200))
        #expect(group.replicas.allSatisfy { $0.raft.membership == voters(1...3) })
        #expect(group.replicas.allSatisfy { $0.raft.commit == index })
    }

    @Test func `a configuration goes back when its entry is truncated`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group.isolated = [1]
        let index = try group[1].proposeMembership(voters(1...2))
        group.settle()
        #expect(group[1].membership == voters(1...2))
        group.advance(by: .seconds(2))
        group.isolated = []
        group.advance(by: .seconds(2))
        #expect(group.leader != 1)
        #expect(group[1].membership == voters(1...3))
        #expect(group[1].lastPosition.index >= index)
    }

    @Test(arguments: [Set<ReplicaID>([2, 3]), [4, 5]])
    func `a joint configuration commits with both halves only`(missing: Set<ReplicaID>) throws {
        var group = TestGroup(5, membership: voters(1...3))
        group.elect(1)
        let joint = try Membership(incoming: members([1, 4, 5]), outgoing: members(1...3))
        group.isolated = missing
        let index = try group[1].proposeMembership(joint)
        group.advance(by: .milliseconds(200))
        #expect(group[1].commit < index)
        group.isolated = [2, 5]
        group.advance(by: .milliseconds(200))
        // The leader has ended the joint configuration since.
        #expect(group[1].commit == index.next)
        #expect(!group[1].membership.isJoint)
    }

    @Test func `a learner gets the log and has no say in what is committed`() throws {
        let membership = try Membership(incoming: members(1...2), learners: members([3]))
        var group = TestGroup(3, membership: membership)
        group.elect(1)
        group.settle()
        #expect(group.replica(3).disk.entries.count == 1)
        group.isolated = [2]
        let index = try group.propose("a", at: 1)
        group.settle()
        #expect(group.replica(3).disk.entries.last?.index == index)
        #expect(group[1].commit < index)
    }

    @Test func `one change at a time, and none before the term has a committed entry`() throws {
        var group = TestGroup(3)
        group.drop = { message in
            if case .append = message.body { true } else { false }
        }
        group.elect(1)
        #expect(throws: ProposalError.configurationUnderWay) {
            try group[1].proposeMembership(voters(1...2))
        }
        group.drop = { _ in false }
        group.advance(by: .milliseconds(100))
        group.isolated = [2, 3]
        _ = try group[1].proposeMembership(voters(1...2))
        #expect(throws: ProposalError.configurationUnderWay) {
            try group[1].proposeMembership(voters(1...3))
        }
    }

    @Test func `a restart finds the configuration of the flush and those after it`() throws {
        var group = TestGroup(3)
        group.elect(1)
        let index = try group[1].proposeMembership(voters(1...2))
        group.settle()
        group.crash(1)
        #expect(group[1].membership == voters(1...2))
        group.advance(by: .seconds(2))
        group.replicas[0].trim(through: index)
        group.crash(1)
        #expect(group[1].membership == voters(1...2))
        #expect(group[1].membership(at: index) == voters(1...2))
    }
}

/// Rule C4, as a leader carries it out.
@Suite struct MemberChanges {
    /// 1, 2 and 3 vote; 4 and 5 are there, with empty logs.
    private func group(_ voterCount: Int = 3) -> TestGroup {
        var group = TestGroup(5, membership: voters(1...voterCount))
        group.elect(1)
        return group
    }

    @Test func `a learner becomes a voter through a joint configuration that ends by itself`()
        throws
    {
        var group = group()
        try group[1].changeMembers(voters: members(1...3), learners: members([4]), now: group.now)
        group.settle()
        #expect(group[4].lastPosition == group[1].lastPosition)
        try group[1].changeMembers(voters: members(1...4), learners: [], now: group.now)
        #expect(group[1].membership.isJoint)
        group.settle()
        group.advance(by: .milliseconds(100))
        #expect(group[1].membership.incoming == members(1...4))
        #expect(!group[1].membership.isJoint)
        #expect(group[4].membership == group[1].membership)
        #expect(group[1].membership.generation == Generation(4))
        #expect(group[1].commit == group[1].lastPosition.index)
    }

    @Test func `a voter that was no learner, or lags, is refused`() throws {
        var group = group()
        #expect(throws: MembershipChangeError.notCaughtUp(4)) {
            try group[1].changeMembers(voters: members(1...4), learners: [], now: group.now)
        }
        group.isolated = [4]
        try group[1].changeMembers(voters: members(1...3), learners: members([4]), now: group.now)
        group.settle()
        #expect(throws: MembershipChangeError.notCaughtUp(4)) {
            try group[1].changeMembers(voters: members(1...4), learners: [], now: group.now)
        }
    }

    @Test func `members are stated again under the next number, one statement at a time`() throws {
        var group = group()
        let before = group[1].membership
        try group[1].restateMembers(now: group.now)
        #expect(throws: MembershipChangeError.proposal(.configurationUnderWay)) {
            try group[1].restateMembers(now: group.now)
        }
        group.settle()
        let after = group[2].membership
        #expect(after.generation == before.generation.next)
        #expect(after.incoming == before.incoming && after.learners == before.learners)
        #expect(!after.isJoint && group[1].commit == group[1].membershipIndex)
        #expect(throws: MembershipChangeError.proposal(.notLeader(hint: 1))) {
            try group[2].restateMembers(now: group.now)
        }
    }

    @Test func `what is so already, a second change and a follower's are refused`() throws {
        var group = group()
        #expect(throws: MembershipChangeError.noChange) {
            try group[1].changeMembers(voters: members(1...3), learners: [], now: group.now)
        }
        #expect(throws: MembershipChangeError.proposal(.notLeader(hint: 1))) {
            try group[2].changeMembers(voters: members(1...2), learners: [], now: group.now)
        }
        group.isolated = [2, 3]
        try group[1].changeMembers(voters: members(1...2), learners: [], now: group.now)
        #expect(throws: MembershipChangeError.proposal(.configurationUnderWay)) {
            try group[1].changeMembers(voters: members(1...3), learners: [], now: group.now)
        }
        #expect(throws: MembershipChangeError.self) {
            try group[1].changeMembers(voters: [], learners: [], now: group.now)
        }
    }

    @Test func `a leader that is to go hands over to a voter that comes, which ends the change`()
        throws
    {
        var group = group()
        try group[1].changeMembers(voters: members(2...3), learners: [], now: group.now)
        group.settle()
        group.advance(by: .milliseconds(200))
        #expect([2, 3].contains(group.leader))
        let leader = try #require(group.leader)
        #expect(group[leader].membership.incoming == members(2...3))
        #expect(!group[leader].membership.isJoint)
        #expect(group[leader].commit == group[leader].lastPosition.index)
    }

    @Test func `a new leader finds a joint configuration and ends it`() throws {
        var group = group()
        try group[1].changeMembers(voters: members(1...3), learners: members([4]), now: group.now)
        group.settle()
        try group[1].changeMembers(voters: members(2...4), learners: [], now: group.now)
        group.collect()
        for message in group.network { group.deliver(message) }
        group.network = []
        group.isolated = [1]
        group.advance(by: .seconds(3))
        let leader = try #require([2, 3, 4].first { group[$0].role == .leader })
        #expect(group[leader].membership.incoming == members(2...4))
        #expect(!group[leader].membership.isJoint)
    }

    @Test func `a replica that lacks what its group was born with neither votes so nor stands`() {
        let birth = LogPosition(index: 5, term: 2)
        var whole = TestDisk(membership: voters(1...3))
        whole.base = birth
        whole.flushed = birth
        whole.hardState.term = 2
        let blank = TestDisk(membership: voters(1...3))
        var group = TestGroup(3, disks: [blank, blank, whole]) { $0.birth = birth }
        group.isolated = [3]
        group.advance(by: .seconds(5))
        #expect(group.leader == nil)
        #expect(group[1].term == .zero)
        group.isolated = [2]
        group.advance(by: .seconds(5))
        #expect(group.leader == 3)
    }
}
