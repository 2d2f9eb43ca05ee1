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

    @Test func `A keyspace that is not there is invalid at once`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.submit(.ask(.get(key: "a", at: nil)), .key(keyspace: "other", "a"))
        #expect(stage.error(of: id)?.kind == .invalid)
    }

    @Test func `A call's place is not used again before its end was told`() throws {
        var stage = try Stage()
        try stage.settle()
        let call = Call(
            work: .ask(.get(key: "a", at: nil)), route: .key(keyspace: "none", "a"),
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
}
