import TenonCore
import Testing

@testable import TenonRaft

/// So many voters, the last of which is a witness; with a rule each in the place of its number.
func votersAndWitness(
    _ count: Int, _ rule: AcknowledgementRule = .majority, in places: [String?] = []
) -> Membership {
    let all = members(1...count).map { member in
        Member(
            replica: member.replica, node: member.node,
            isWitness: member.node.rawValue == UInt32(count))
    }
    return try! Membership(
        incoming: all, acknowledgement: Acknowledgement(rule, places: places))
}

/// Rule C7: voters without data.
@Suite struct `Witnesses` {
    /// Voters 1 and 2 in one city, 3 and 4 in another, witness 5 in a third.
    private func group(_ rule: AcknowledgementRule = .majority, seed: UInt64 = 1) -> TestGroup {
        var group = TestGroup(
            5, membership: votersAndWitness(5, rule, in: ["a", "a", "b", "b", nil]), seed: seed)
        let sites: [(UInt32, UInt8)] = [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)]
        for place in group.replicas.indices {
            for (node, site) in sites {
                group.replicas[place].raft.dataSites[NodeID(node)] = SiteID(site)
            }
        }
        return group
    }

    // MARK: Configurations

    @Test func `a configuration tells witnesses from voters with data`() throws {
        let membership = votersAndWitness(3)
        let again = try Membership(payload: membership.encoded())
        #expect(again == membership)
        #expect(again.isWitness(3) && !again.isWitness(2))
        #expect(again != voters(1...3))
        // The flags of the last voter stand before the two empty lists behind it.
        var payload = membership.encoded()
        #expect(payload[payload.count - 9] == 1)
        payload[payload.count - 9] = 2
        #expect(throws: DecodingError.self) { try Membership(payload: payload) }
    }

    @Test func `voters need one that has data, and a replica has one role`() throws {
        let witness = Member(replica: 1, node: NodeID(1), isWitness: true)
        #expect(throws: DecodingError.self) { try Membership(incoming: [witness]) }
        let same = Member(replica: 1, node: NodeID(1))
        let other = Member(replica: 2, node: NodeID(2))
        #expect(throws: DecodingError.self) {
            try Membership(incoming: [other], learners: []).joint(with: [same, other])
                .adding(learner: witness)
        }
    }

    // MARK: Majorities

    @Test func `a witness completes a majority`() throws {
        var group = group()
        group.elect(1)
        group.isolated = [3, 4]
        let index = try group.propose("a", at: 1)
        group.settle()
        #expect(group[1].commit == index)
    }

    @Test func `a witness acknowledges nothing from elsewhere`() throws {
        var group = group(.city)
        group.elect(1)
        group.isolated = [3, 4]
        let index = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(300))
        #expect(group.replica(5).disk.entries.last?.index == index)
        #expect(group[1].commit == index.previous)
        group.isolated = [4]
        group.advance(by: .milliseconds(300))
        #expect(group[1].commit == index)
    }

    /// Whatever the configuration says of where it stands.
    @Test func `no site makes a witness one that has data`() {
        let membership = votersAndWitness(3, .city, in: ["a", "a", "b"])
        #expect(!membership.canCommit { _ in true })
        #expect(membership.hasQuorum { _ in true })
    }

    // MARK: Elections

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `voters with data stand before a witness does`(seed: UInt64) {
        var group = group(seed: seed)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.isolated = [1]
        group.advance(by: .seconds(2))
        #expect([2, 3, 4].contains(group.leader))
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `a witness with the newest log brings a copy up to date and hands over`(
        seed: UInt64
    ) throws {
        var group = group(seed: seed)
        group.elect(1)
        group.advance(by: .milliseconds(100))
        group.isolated = [3, 4]
        let index = try group.propose("newest", at: 1)
        group.settle()
        #expect(group[1].commit == index)
        group.isolated = [1, 2]
        group.advance(by: .seconds(6))
        let leader = try #require(group.leader)
        #expect([3, 4].contains(leader))
        #expect(group[leader].term(at: index) == 1)
        let next = try group.propose("next", at: leader)
        group.settle()
        #expect(group[leader].commit == next)
    }

    @Test func `a witness that leads takes nothing, and asks another when one does not come`()
        throws
    {
        var group = group()
        // Nobody can be told to take over: nothing is known of what they have.
        group.drop = { message in
            switch message.body {
            case .appendAccepted, .heartbeatAnswer: true
            default: false
            }
        }
        group.elect(5)
        #expect(throws: ProposalError.transferring) { try group.propose("a", at: 5) }
        group.drop = { message in
            if case .timeoutNow = message.body { message.to == 1 } else { false }
        }
        group.advance(by: .milliseconds(50))
        #expect(group[5].transferTarget == 1)
        group.advance(by: .seconds(1))
        #expect(group.leader == 2)
    }

    @Test func `nobody hands over to a witness`() throws {
        var group = group()
        group.elect(1)
        group.advance(by: .milliseconds(100))
        #expect(throws: TransferError.witness) {
            try group[1].transferLeadership(to: 5, now: group.now)
        }
        // Nor does a leader whose disk stalls, while only the witness keeps up.
        group.isolated = [2, 3, 4]
        group.stalled = [1]
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(400))
        #expect(group[1].transferTarget == nil)
    }

    // MARK: What is kept

    @Test func `a witness is told to drop what two sites have, and not before`() throws {
        var group = group()
        group.elect(1)
        group.isolated = [3, 4]
        let index = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(200))
        #expect(group[1].commit == index)
        #expect(group[5].heldElsewhere < index)
        group.isolated = [4]
        group.advance(by: .milliseconds(200))
        #expect(group[5].heldElsewhere == index)
    }

    @Test func `where nobody knows the sites all with data must have it`() throws {
        var group = group()
        for place in group.replicas.indices { group.replicas[place].raft.dataSites = [:] }
        group.elect(1)
        group.isolated = [4]
        let index = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(200))
        #expect(group[5].heldElsewhere < index)
        group.isolated = []
        group.advance(by: .milliseconds(200))
        #expect(group[5].heldElsewhere == index)
    }

    @Test func `a group rests only when its witness has been told`() throws {
        var group = group()
        group.elect(1)
        group.drop = { message in
            if case .heartbeat = message.body { message.to == 5 } else { false }
        }
        _ = try group.propose("a", at: 1)
        group.advance(by: .milliseconds(200))
        #expect(group[1].commit == group[1].lastPosition.index)
        #expect(group[1].restPoint { _ in true } == nil)
        group.drop = { _ in false }
        group.advance(by: .milliseconds(200))
        #expect(group[1].restPoint { _ in true } != nil)
        #expect(group[5].heldElsewhere == group[1].commit)
    }
}

extension Membership {
    /// With these voters beside its own.
    fileprivate func joint(with voters: [Member]) throws -> Membership {
        try Membership(incoming: voters, outgoing: incoming)
    }

    fileprivate func adding(learner: Member) throws -> Membership {
        try Membership(incoming: incoming, outgoing: outgoing, learners: [learner])
    }
}
