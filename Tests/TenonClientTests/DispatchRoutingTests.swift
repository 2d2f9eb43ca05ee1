import TenonCore
import TenonWire
import Testing

@testable import TenonClient

@Suite struct DispatchRoutingTests {
    @Test func `The first call fetches the directory and then goes to its leader`() throws {
        var stage = try Stage()
        let id = stage.put("zebra")
        #expect(stage.opened.count == 1)
        try stage.openAll()
        let question = try #require(stage.sent.first)
        #expect(question.request.body == .describe)
        try stage.answer(question, .directory(Stage.directory()))
        try stage.openAll()
        let request = try #require(stage.sent.first)
        #expect(stage.dispatch.links[request.link].node == NodeID(2))
        #expect(request.request.header.tablet == TabletID(3))
        try stage.answer(request, Stage.written())
        #expect(throws: Never.self) { try #require(stage.ended[id]).get() }
    }

    @Test func `A redirection is followed at once and remembered`() throws {
        var stage = try Stage()
        try stage.settle(leaders: [1, 2])
        stage.put("a")
        try stage.openAll()
        let first = try #require(stage.sent.first)
        try stage.answer(first, .refusal(Refusal(.notLeader, "", leader: NodeID(3))))
        try stage.openAll()
        let second = try #require(stage.sent.first)
        #expect(stage.dispatch.links[second.link].node == NodeID(3))
        try stage.answer(second, Stage.written())
        stage.put("b")
        #expect(stage.dispatch.links[try #require(stage.sent.first).link].node == NodeID(3))
    }

    /// The leader went to a node that joined since: nobody but a fresh directory knows its address.
    @Test func `A leader that the directory does not name is looked up in a fresh one`() throws {
        var stage = try Stage()
        try stage.settle(leaders: [1, 2])
        stage.put("a")
        try stage.openAll()
        let request = try #require(stage.sent.first)
        try stage.answer(request, .refusal(Refusal(.notLeader, "", leader: NodeID(4))))
        try stage.openAll()
        let question = try #require(stage.sent.first { $0.request.body == .describe })
        var directory = Stage.directory(leaders: [4, 2])
        directory.nodes.append(
            Directory.Node(id: NodeID(4), name: "n4", address: "127.0.0.1:7504", locality: ""))
        try stage.answer(question, .directory(directory))
        stage.pass(.milliseconds(200))
        try stage.openAll()
        stage.pass(.milliseconds(50))
        try stage.openAll()
        let again = try #require(stage.sent.last { $0.request.body != .describe })
        #expect(stage.dispatch.links[again.link].node == NodeID(4))
    }

    @Test func `Nodes that name each other as leader do not make a loop of it`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a")
        for turn in 0..<40 where stage.ended[id] == nil {
            try stage.openAll()
            guard let request = stage.sent.first else { break }
            #expect(turn < 10, "redirections are followed for ever")
            let other: UInt32 = stage.dispatch.links[request.link].node == NodeID(1) ? 2 : 1
            try stage.answer(request, .refusal(Refusal(.notLeader, "", leader: NodeID(other))))
        }
        #expect(stage.ended[id] == nil)
        stage.pass(.milliseconds(20))
        try stage.openAll()
        #expect(!stage.sent.isEmpty)
    }

    @Test func `A keyspace that is not there is invalid when a fresh directory has none either`()
        throws
    {
        var stage = try Stage()
        try stage.settle()
        let id = stage.submit(.ask(.get(key: "a", at: nil)), .key(keyspace: "other", "a"))
        #expect(stage.error(of: id) == nil)
        let question = try #require(stage.sent.first { $0.request.body == .describe })
        try stage.answer(question, .directory(Stage.directory()))
        stage.pass(.milliseconds(1))
        #expect(stage.error(of: id)?.kind == .invalid)
    }

    @Test func `A node that joined since is found in a fresh directory`() throws {
        var stage = try Stage()
        try stage.settle()
        let there = stage.submit(.ask(.status), .node(NodeID(4)))
        #expect(stage.error(of: there) == nil)
        var directory = Stage.directory()
        directory.nodes.append(
            Directory.Node(id: NodeID(4), name: "n4", address: "10.0.0.4:1", locality: ""))
        let question = try #require(stage.sent.first { $0.request.body == .describe })
        try stage.answer(question, .directory(directory))
        stage.pass(.milliseconds(1))
        try stage.openAll()
        let asked = try #require(stage.sent.first { $0.request.body == .status })
        #expect(stage.dispatch.links[asked.link].node == NodeID(4))
        let nowhere = stage.submit(.ask(.status), .node(NodeID(9)))
        let again = try #require(stage.sent.last { $0.request.body == .describe })
        try stage.answer(again, .directory(directory))
        stage.pass(.milliseconds(1))
        #expect(stage.error(of: nowhere)?.kind == .invalid)
    }

    @Test func `A call's place is not used again before its end was told`() throws {
        var stage = try Stage()
        try stage.settle()
        let call = Call(
            work: .ask(.get(key: "a", at: nil)), route: .tablet(TabletID(99)),
            deadline: stage.now + .seconds(1))
        let first = stage.dispatch.submit(call, token: 1, at: stage.now)
        let second = stage.dispatch.submit(call, token: 2, at: stage.now)
        #expect(SlotMap<PendingCall>.place(of: first) != SlotMap<PendingCall>.place(of: second))
        let told = stage.dispatch.takeEffects().completions.map(\.id)
        #expect(told == [first, second])
        let third = stage.dispatch.submit(call, token: 3, at: stage.now)
        #expect(SlotMap<PendingCall>.place(of: third) == SlotMap<PendingCall>.place(of: second))
        #expect(third != second)
    }

    @Test func `A stale descriptor makes the client ask for the directory again`() throws {
        var stage = try Stage()
        try stage.settle()
        stage.get("a")
        try stage.openAll()
        try stage.answer(try #require(stage.sent.first), .refusal(Refusal(.staleDescriptor, "")))
        try stage.openAll()
        let question = try #require(stage.sent.first { $0.request.body == .describe })
        try stage.answer(question, .directory(Stage.directory(leaders: [3, 3])))
        stage.pass(.milliseconds(20))
        try stage.openAll()
        #expect(stage.dispatch.links[try #require(stage.sent.first).link].node == NodeID(3))
    }

    @Test func `A call to one node fails at once when the node cannot be reached`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.submit(.ask(.status), .node(NodeID(2)))
        stage.opened = []
        stage.lose(1, "connection refused")
        let error = try #require(stage.error(of: id))
        #expect(error.kind == .unavailable)
        #expect(error.message.contains("connection refused"))
    }

    // MARK: A directory that grows old

    @Test func `All nodes are replaced while all goes well, and the client finds the new ones`()
        throws
    {
        var stage = try Stage()
        try stage.settle()
        stage.pass(Dispatch.refreshInterval * 2)
        try stage.openAll()
        let question = try #require(stage.sent.first { $0.request.header.tablet == .directory })
        var directory = Stage.directory(leaders: [4, 4])
        directory.version = Timestamp(7)
        directory.nodes = [
            Directory.Node(id: NodeID(4), name: "n4", address: "10.0.0.4:1", locality: "")
        ]
        try stage.answer(question, .directory(directory))
        for link in 0..<3 { stage.lose(link, "connection refused") }
        stage.put("a")
        stage.pass(.milliseconds(20))
        let link = try #require(stage.dispatch.link(of: NodeID(4)))
        #expect(stage.opened.contains(link))
    }

    @Test func `A refresh that nobody answers is made again`() throws {
        var stage = try Stage()
        try stage.settle()
        for _ in 1...3 {
            stage.sent.removeAll()
            stage.pass(.seconds(10))
            try stage.openAll()
            stage.pass(.seconds(10))
            #expect(stage.sent.contains { $0.request.header.tablet == .directory })
        }
    }

    @Test(arguments: [(Epoch(2), Timestamp(8)), (Epoch(1), Timestamp(99))])
    func `A directory older than the one that is known is not taken`(
        epoch: Epoch, version: Timestamp
    ) throws {
        var stage = try Stage()
        try stage.settle()
        var known = Stage.directory()
        known.epoch = Epoch(2)
        known.version = Timestamp(9)
        stage.dispatch.install(known, at: stage.now)
        var old = Directory(nodes: [], keyspaces: [], tablets: [])
        old.epoch = epoch
        old.version = version
        stage.dispatch.install(old, at: stage.now)
        #expect(stage.dispatch.routes.directory == known)
        var new = known
        new.epoch = Epoch(3)
        new.version = Timestamp(1)
        stage.dispatch.install(new, at: stage.now)
        #expect(stage.dispatch.routes.directory == new)
    }

    // MARK: The search for a leader

    @Test func `While nobody is known to lead one call in ten milliseconds looks`() throws {
        var stage = try Stage()
        try stage.settle(leaders: [0, 2])
        for _ in 0..<100 { stage.put("a") }
        try stage.openAll()
        #expect(stage.sent.count == 1)
        for turn in 2...11 {
            stage.pass(RouteTable.scoutInterval)
            try stage.openAll()
            #expect(stage.sent.count == turn)
        }
        // They look at every node in turn, not at the same one again.
        #expect(Set(stage.sent.map(\.link)).count == 3)
    }

    @Test func `The search for one tablet's leader holds up no other tablet`() throws {
        var stage = try Stage()
        try stage.settle(leaders: [0, 2])
        for _ in 0..<10 { stage.put("a") }
        for _ in 0..<10 { stage.put("z") }
        try stage.openAll()
        #expect(stage.sent.count { $0.request.header.tablet == TabletID(2) } == 1)
        #expect(stage.sent.count { $0.request.header.tablet == TabletID(3) } == 10)
    }

    @Test(arguments: [Refusal.Reason.unavailable, .notLeader])
    func `A leader that is cut off from the others is refused by once, not by every call`(
        reason: Refusal.Reason
    ) throws {
        var stage = try Stage()
        try stage.settle(leaders: [1, 2])
        for _ in 0..<100 { stage.put("a") }
        try stage.openAll()
        let deposed = Set(stage.sent.map(\.link))
        #expect(stage.sent.count == 100 && deposed.count == 1)
        for request in stage.sent { try stage.answer(request, .refusal(Refusal(reason, ""))) }
        stage.pass(.milliseconds(50))
        try stage.openAll()
        #expect(stage.sent.count < 10, "scouts only")
        let scout = try #require(stage.sent.first { !deposed.contains($0.link) })
        try stage.answer(scout, Stage.written())
        stage.dispatch.install(Stage.directory(leaders: [1, 2]), at: stage.now)
        stage.pass(.milliseconds(200))
        try stage.openAll()
        #expect(stage.sent.count { $0.link == scout.link } >= 95)
    }

    @Test func `A scout that is sent to the leader takes all that wait along at once`() throws {
        var stage = try Stage()
        try stage.settle(leaders: [0, 2])
        for _ in 0..<100 { stage.put("a") }
        try stage.openAll()
        let scout = try #require(stage.sent.first)
        try stage.answer(scout, .refusal(Refusal(.notLeader, "", leader: NodeID(3))))
        try stage.openAll()
        #expect(stage.sent.count == 100)
        #expect(Set(stage.sent.map { stage.dispatch.links[$0.link].node }) == [NodeID(3)])
    }

    @Test func `A scout that meets the leader itself takes all that wait along at once`() throws {
        var stage = try Stage()
        try stage.settle(leaders: [0, 2])
        for _ in 0..<100 { stage.put("a") }
        try stage.openAll()
        let scout = try #require(stage.sent.first)
        try stage.answer(scout, Stage.written())
        try stage.openAll()
        #expect(stage.sent.count == 99)
        let leader = stage.dispatch.links[scout.link].node
        #expect(Set(stage.sent.map { stage.dispatch.links[$0.link].node }) == [leader])
    }

    @Test func `A call that waits for a leader ends at its deadline, not applied`() throws {
        var stage = try Stage()
        try stage.settle(leaders: [0, 2])
        var calls: [RequestID] = []
        for _ in 0..<300 { calls.append(stage.put("a", seconds: 1)) }
        try stage.openAll()
        stage.pass(.seconds(2))
        #expect(stage.ended.count == 300)
        // The first went out and may have been applied; the last never left.
        #expect(stage.error(of: calls[0])?.outcome == .unknown)
        let error = try #require(stage.error(of: calls[299]))
        #expect(error.outcome == .notApplied)
        #expect(error.message.contains("nobody is known to lead"))
    }
}
