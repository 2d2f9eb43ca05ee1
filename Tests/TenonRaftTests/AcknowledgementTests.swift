import TenonCore
import Testing

@testable import TenonRaft

/// Voters 1, 2, …, each in the place of the same number.
func voters(in places: [String?], _ rule: AcknowledgementRule = .city) -> Membership {
    try! Membership(
        incoming: members(1...places.count), acknowledgement: Acknowledgement(rule, places: places))
}

/// Rule C6: an entry is committed when voters of two sites have it, and a majority.
@Suite struct `Acknowledgement from elsewhere` {
    /// Three voters in one city, two in another.
    private func group() -> TestGroup {
        TestGroup(5, membership: voters(in: ["a", "a", "a", "b", "b"]))
    }

    @Test func `a majority in one city commits nothing, one voter elsewhere completes it`() throws {
        var group = group()
        group.elect(1)
        group.isolated = [4, 5]
        let index = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(300))
        #expect(group.replica(3).disk.entries.last?.index == index)
        #expect(group[1].commit == index.previous)
        group.isolated = [5]
        group.advance(by: .milliseconds(300))
        #expect(group[1].commit == index)
    }

    /// Nor does a majority elsewhere while the leader's own disk is behind: that is one site, too.
    @Test func `what only one other city has durably is not committed`() throws {
        var group = TestGroup(5, membership: voters(in: ["a", "b", "b", "b", "b"]))
        group.elect(1)
        group.stalled = [1]
        let index = try group.propose("a", at: 1)
        group.settle()
        #expect(group.replica(5).disk.entries.last?.index == index)
        #expect(group[1].commit == index.previous)
        group.stalled = []
        group.settle()
        #expect(group[1].commit == index)
    }

    @Test func `elections need a majority only, but their leader serves nothing by itself`() throws
    {
        var group = group()
        group.isolated = [4, 5]
        group.elect(1)
        group[1].requestRead(7)
        group.advance(by: .milliseconds(300))
        #expect(group[1].role == .leader && !group[1].isReadyToServe)
        #expect(group.replica(1).confirmed.isEmpty)
        group.isolated = []
        group.advance(by: .milliseconds(300))
        #expect(group[1].isReadyToServe)
        #expect(group.replica(1).confirmed.map(\.token) == [7])
    }

    @Test func `a leader that has committed in its term reads by a plain majority`() throws {
        var group = group()
        group.elect(1)
        group.isolated = [4, 5]
        group[1].requestRead(7)
        group.advance(by: .milliseconds(300))
        #expect(group.replica(1).confirmed.map(\.token) == [7])
        // And by a lease, whose promises are a majority's.
        for id: ReplicaID in [1, 2, 3] { group[id].usesLeases = true }
        group.advance(by: .milliseconds(300))
        #expect(group[1].holdsLease(at: group.now))
    }

    @Test func `a voter of which nobody knows where it stands counts for no site`() throws {
        var group = TestGroup(3, membership: voters(in: ["a", nil, nil]))
        group.elect(1)
        group.advance(by: .milliseconds(300))
        #expect(group[1].commit == .zero)
        var told = TestGroup(3, membership: voters(in: ["a", nil, "b"]))
        told.elect(2)
        told.advance(by: .milliseconds(300))
        #expect(told[2].commit == 1)
    }

    /// Against the definition, over all that three values on five voters can be.
    @Test func `the commit index is the greatest that a quorum of each half and two sites have`() {
        let places = ["a", "a", "b", nil, "c"]
        let joint = try! Membership(
            incoming: members(1...5), outgoing: members(2...5),
            acknowledgement: Acknowledgement(.dc, places: places),
            outgoingAcknowledgement: Acknowledgement(.city, places: ["x", "y", "y", "y"]))
        let halves = [(Array(0...4), places), (Array(1...4), [nil, "x", "y", "y", "y"])]
        for number in 0..<243 {
            let values = (0..<5).map { digit in
                (0..<digit).reduce(number) { rest, _ in rest / 3 } % 3
            }
            let greatest = (0...2).last { value in
                halves.allSatisfy { voters, places in
                    let have = voters.filter { values[$0] >= value }
                    return have.count * 2 > voters.count
                        && Set(have.compactMap { places[$0] }).count >= 2
                }
            }
            #expect(
                joint.commitValue { values[Int($0.rawValue) - 1] } == greatest, "\(values)")
        }
    }

    @Test func `without room elsewhere there is none`() throws {
        var group = group()
        group.elect(1)
        group.advance(by: .milliseconds(100))
        #expect(group[1].room == .here)
        for id: ReplicaID in [4, 5] { group[id].isLogFull = true }
        group.advance(by: .milliseconds(100))
        #expect(group[1].room == .nowhere)
        group[5].isLogFull = false
        group.advance(by: .milliseconds(100))
        #expect(group[1].room == .here)
    }
}

/// Rules C4 and C6: a configuration with another rule.
@Suite struct `Changes of acknowledgement` {
    private let cities = Acknowledgement(.city, places: ["a", "a", "a", "b", "b"])

    private func change(
        _ group: inout TestGroup, to acknowledgement: Acknowledgement
    ) throws -> LogIndex {
        try group[1].changeMembers(
            voters: members(1...5), learners: [], acknowledgement: acknowledgement, now: group.now)
    }

    @Test func `a rule comes in force for everything at once, and stays`() throws {
        var group = TestGroup(5)
        group.elect(1)
        group.isolated = [4, 5]
        let earlier = try group.propose("a", at: 1)
        let index = try change(&group, to: cities)
        // The joint configuration holds for what is before it and not committed, too.
        group.advance(by: .milliseconds(300))
        #expect(group[1].membership.isJoint)
        #expect(group[1].commit == earlier.previous)
        group.isolated = [5]
        group.advance(by: .milliseconds(300))
        #expect(group[1].commit == index.next)
        #expect(group[1].membership.acknowledgement == cities)
        #expect(!group[1].membership.isJoint && !group[1].membership.isVoter(9))
        group.crash(2)
        #expect(group[2].membership.acknowledgement == cities)
    }

    /// Otherwise what is acknowledged by the new rule is lost with its site, and with it the entry
    /// that allowed it.
    @Test func `a rule that goes holds until the change is committed by it`() throws {
        var group = TestGroup(5, membership: voters(in: ["a", "a", "a", "b", "b"]))
        group.elect(1)
        group.isolated = [4, 5]
        let index = try change(&group, to: .majority)
        group.advance(by: .milliseconds(300))
        #expect(group[1].commit == index.previous)
        group.isolated = [4]
        group.advance(by: .milliseconds(300))
        #expect(group[1].commit == index.next)
        group.isolated = [4, 5]
        let later = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(300))
        #expect(group[1].commit == later)
    }

    @Test func `a rule goes back when its entry is truncated`() throws {
        var group = TestGroup(5)
        group.elect(1)
        group.isolated = [1]
        _ = try change(&group, to: cities)
        group.advance(by: .seconds(2))
        group.isolated = []
        group.advance(by: .seconds(2))
        #expect(group[1].membership == voters(1...5))
    }

    @Test func `voters that change without their sites are refused under a rule`() throws {
        var group = TestGroup(3, membership: voters(in: ["a", "b", "c"]))
        group.elect(1)
        #expect(throws: MembershipChangeError.self) {
            try group[1].changeMembers(voters: members(1...2), learners: [], now: group.now)
        }
        #expect(throws: MembershipChangeError.noChange) {
            try group[1].changeMembers(voters: members(1...3), learners: [], now: group.now)
        }
    }
}
