import TenonCore
import Testing

@testable import TenonRaft

/// Rule C2.
@Suite struct ReadIndexes {
    @Test func `a read is confirmed at the commit index when a quorum has answered`() throws {
        var group = TestGroup(3)
        group.elect(1)
        let index = try group.propose("a", at: 1)
        group.settle()
        group[1].requestRead(7)
        group.settle()
        #expect(group.replica(1).confirmed == [ConfirmedRead(token: 7, index: index)])
        group.isolated = [2, 3]
        group[1].requestRead(8)
        group.advance(by: .milliseconds(300))
        #expect(group.replica(1).confirmed.count == 1)
    }

    @Test func `a single voter confirms in the same turn`() {
        var group = TestGroup(1)
        group.elect(1)
        group[1].requestRead(7)
        let ready = group[1].takeReady()
        #expect(ready.confirmedReads == [ConfirmedRead(token: 7, index: 1)])
    }

    @Test func `a read that arrives after its round was sent waits for the next`() {
        var group = TestGroup(3)
        group.elect(1)
        group[1].requestRead(1)
        group.collect()
        // The round of read 1 is in the network.
        group[1].requestRead(2)
        let heartbeats = group.network
        group.network = []
        #expect(heartbeats.count == 2)
        for message in heartbeats { group.deliver(message) }
        for message in group.replicas[1].drain() + group.replicas[2].drain() {
            group.deliver(message)
        }
        let ready = group[1].takeReady()
        #expect(ready.confirmedReads.map(\.token) == [1])
        // It starts its own now.
        #expect(ready.messages.count == 2)
        group.network = ready.messages
        group.settle()
        #expect(group.replica(1).confirmed.map(\.token) == [2])
    }

    @Test func `reads gather while a round is under way`() {
        var group = TestGroup(3)
        group.elect(1)
        for token in 1...5 {
            group[1].requestRead(ReadToken(UInt64(token)))
            group.collect()
        }
        #expect(group.network.count == 2)
        group.settle()
        #expect(group.replica(1).confirmed.map(\.token.rawValue) == [1, 2, 3, 4, 5])
    }

    @Test func `a new leader confirms nothing before an entry of its own term is committed`() {
        var group = TestGroup(3)
        group.drop = { message in
            if case .append = message.body { true } else { false }
        }
        group.elect(1)
        group[1].requestRead(1)
        group.advance(by: .milliseconds(200))
        #expect(group.replica(1).confirmed.isEmpty)
        #expect(!group[1].isReadyToServe)
        group.drop = { _ in false }
        group.advance(by: .milliseconds(200))
        #expect(group.replica(1).confirmed == [ConfirmedRead(token: 1, index: 1)])
    }

    @Test func `a lost round is made good by the next heartbeat`() {
        var group = TestGroup(3)
        group.elect(1)
        group.isolated = [2, 3]
        group[1].requestRead(1)
        group.settle()
        group.isolated = []
        group.advance(by: .milliseconds(100))
        #expect(group.replica(1).confirmed.map(\.token) == [1])
    }

    @Test func `a deposed leader rejects its reads`() {
        var group = TestGroup(3)
        group.elect(1)
        group.isolated = [1]
        group[1].requestRead(1)
        group.settle()
        group[1].requestRead(2)
        group.advance(by: .milliseconds(600))
        #expect(group.replica(1).rejected == [1, 2])
    }

    @Test func `a follower asks its leader, one message for all reads of a turn`() throws {
        var group = TestGroup(3)
        group.elect(1)
        let index = try group.propose("a", at: 1)
        group.settle()
        group.delivered = []
        group[2].requestRead(1)
        group[2].requestRead(2)
        group.settle()
        #expect(
            group.replica(2).confirmed
                == [ConfirmedRead(token: 1, index: index), ConfirmedRead(token: 2, index: index)])
        let requests = group.delivered.filter {
            if case .readRequest = $0.body { true } else { false }
        }
        #expect(requests.count == 1)
        // It need not wait for a heartbeat to apply what it reads.
        #expect(group[2].applied == index)
    }

    @Test func `a follower without a leader, or whose leader is gone, rejects`() {
        var group = TestGroup(3)
        group[2].requestRead(1)
        group.settle()
        #expect(group.replica(2).rejected == [1])
        group.elect(1)
        group.isolated = [1]
        group[2].requestRead(2)
        group.settle()
        group[2].requestRead(3)
        group[2].peerUnreachable(node: NodeID(1), now: group.now)
        group.settle()
        #expect(group.replica(2).rejected == [1, 2, 3])
    }

    @Test func `a follower's read whose request was lost is rejected in time`() {
        var group = TestGroup(3)
        group.elect(1)
        group.drop = { message in
            if case .readRequest = message.body { true } else { false }
        }
        group[2].requestRead(1)
        group.advance(by: .milliseconds(510))
        #expect(group[2].leader == 1)
        #expect(group.replica(2).rejected == [1])
    }

    @Test func `an answer to a request of an earlier life confirms nothing`() throws {
        var group = TestGroup(3)
        group.elect(1)
        group[2].requestRead(1)
        var answers: [RaftMessage] = []
        group.drop = { message in
            if case .readAnswer = message.body {
                answers.append(message)
                return true
            }
            return false
        }
        group.settle()
        #expect(answers.count == 1)
        group.crash(2)
        group.advance(by: .milliseconds(100))
        _ = try group.propose("a", at: 1)
        group.settle()
        group[2].requestRead(2)
        group.settle()
        group[2].step(answers[0], now: group.now)
        group.collect()
        #expect(group.replica(2).confirmed.isEmpty)
    }

    @Test func `a replica that does not lead says so to who asks it`() {
        var group = TestGroup(3)
        group[2].step(group.message(.readRequest(batch: 4), from: 3, to: 2, term: 0), now: .zero)
        group.settle()
        #expect(group.delivered.map(\.body) == [.readAnswer(batch: 4, index: nil)])
    }

    @Test func `reads beyond the bound are rejected at once`() {
        var group = TestGroup(3) { $0.pendingReadsMax = 2 }
        group.elect(1)
        group.isolated = [1]
        for replica in [ReplicaID(1), 2] {
            for token in 1...3 { group[replica].requestRead(ReadToken(UInt64(token))) }
            group.collect()
            #expect(group.replica(replica).rejected == [3])
        }
    }
}
