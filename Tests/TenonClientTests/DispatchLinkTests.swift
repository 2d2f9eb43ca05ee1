import TenonCore
import TenonWire
import Testing

@testable import TenonClient

@Suite struct DispatchLinkTests {
    @Test func `A silent node is asked for a sign of life, then its calls go elsewhere`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a")
        try stage.openAll()
        let first = try #require(stage.sent.first)
        stage.pass(.milliseconds(260))
        #expect(stage.sent.contains { $0.link == first.link && $0.id == Dispatch.pingID })
        stage.pass(.milliseconds(300))
        try stage.openAll()
        let other = try #require(
            stage.sent.first { $0.link != first.link && $0.request.body == .describe })
        try stage.answer(other, .directory(Stage.directory(leaders: [3, 3])))
        stage.pass(.milliseconds(150))
        try stage.openAll()
        let second = try #require(stage.sent.first { $0.id == id && $0.link != first.link })
        #expect(stage.dispatch.links[second.link].node == NodeID(3))
        try stage.answer(second, Stage.written())
        #expect(stage.error(of: id) == nil && stage.ended[id] != nil)
    }

    @Test func `A node that answers pings keeps its slow calls`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a")
        try stage.openAll()
        let first = try #require(stage.sent.first)
        for _ in 0..<40 {
            stage.pass(.milliseconds(100))
            for ping in stage.sent where ping.id == Dispatch.pingID {
                try stage.answer(ping, .directory(Stage.directory()))
            }
        }
        #expect(stage.ended[id] == nil)
        #expect(stage.sent.map(\.id) == [id])
        try stage.answer(first, Stage.written())
        #expect(stage.ended[id] != nil)
    }

    @Test(arguments: [0, 260]) func `A client that was held up itself suspects nobody at once`(
        pinged: Int
    ) throws {
        var stage = try Stage()
        try stage.settle()
        stage.put("a", seconds: 60)
        try stage.openAll()
        let link = try #require(stage.sent.first).link
        stage.pass(.milliseconds(pinged))
        // Nothing was read and nothing was done for two seconds.
        stage.now = stage.now + .seconds(2)
        stage.act()
        stage.pass(.milliseconds(150))
        #expect(!stage.dispatch.links[link].isSuspected)
        stage.pass(.milliseconds(100))
        #expect(stage.dispatch.links[link].isSuspected && stage.closed.isEmpty)
        stage.pass(.seconds(6))
        #expect(stage.closed.contains(link))
    }

    @Test func `What is read first after being held up makes nobody else suspected`() throws {
        var stage = try Stage()
        try stage.settle()
        stage.put("a")
        stage.put("z")
        try stage.openAll()
        stage.pass(.milliseconds(260))
        let pings = stage.sent.filter { $0.id == Dispatch.pingID }
        #expect(pings.count == 2)
        stage.now = stage.now + .seconds(2)
        try stage.answer(pings[0], .directory(Stage.directory()))
        #expect(!stage.dispatch.links[pings[1].link].isSuspected)
        try stage.answer(pings[1], .directory(Stage.directory()))
        stage.pass(.milliseconds(100))
        #expect(stage.dispatch.links.allSatisfy { !$0.isSuspected })
    }

    @Test func `A late answer of a silent node still counts`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a")
        try stage.openAll()
        let first = try #require(stage.sent.first)
        stage.pass(.milliseconds(600))
        try stage.answer(first, Stage.written(9))
        #expect(stage.error(of: id) == nil && stage.ended[id] != nil)
    }

    @Test func `A late refusal of an attempt that was given up is ignored`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a")
        try stage.openAll()
        let first = try #require(stage.sent.first)
        stage.pass(.milliseconds(600))
        try stage.answer(first, .refusal(Refusal(.invalid, "late")))
        #expect(stage.ended[id] == nil)
    }

    @Test func `Garbage closes the connection and the call goes elsewhere`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a")
        try stage.openAll()
        let first = try #require(stage.sent.first)
        stage.sent = []
        stage.feed(first.link) { $0.raw(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)) }
        #expect(stage.closed == [first.link])
        stage.pass(.milliseconds(20))
        try stage.openAll()
        try stage.answer(try #require(stage.sent.first), Stage.written())
        #expect(stage.error(of: id) == nil && stage.ended[id] != nil)
    }

    @Test func `An answer of the wrong kind is garbage`() throws {
        var stage = try Stage()
        try stage.settle()
        stage.get("a")
        try stage.openAll()
        let first = try #require(stage.sent.first)
        try stage.answer(first, Stage.written())
        #expect(stage.closed == [first.link])
    }

    @Test func `An oversized frame closes the connection before it is buffered`() throws {
        var stage = try Stage()
        try stage.settle()
        stage.feed(0) { $0.uint32(UInt32.max) }
        #expect(stage.closed == [0] || stage.dispatch.links[0].state == .idle)
        #expect(stage.dispatch.links.allSatisfy { $0.decoder.pendingBytes == 0 })
    }

    @Test func `Half a frame is waited for`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.get("a")
        try stage.openAll()
        let question = try #require(stage.sent.first)
        var writer = ByteWriter()
        writer.frame(.answer, id: question.id) { body in
            Answer.value(nil, at: ReadPoint(tablet: TabletID(2), version: .zero)).encode(to: &body)
        }
        for byte in writer.bytes {
            #expect(stage.ended[id] == nil)
            stage.feed(question.link) { $0.uint8(byte) }
        }
        #expect(stage.ended[id] != nil)
    }

    @Test func `A node of another cluster is refused`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.submit(.ask(.status), .node(NodeID(2)))
        let opened = stage.opened.popLast()
        let link = try #require(opened ?? stage.dispatch.link(of: NodeID(2)))
        if stage.dispatch.links[link].state != .ready {
            stage.dispatch.connected(
                link, incarnation: stage.dispatch.links[link].incarnation, at: stage.now)
            stage.act()
            stage.welcome(link, cluster: 10)
            #expect(stage.closed.contains(link))
            #expect(stage.error(of: id)?.message.contains("cluster") == true)
        }
    }

    @Test func `A node of an ended epoch is refused`() throws {
        var stage = try Stage()
        stage.dispatch.epoch = Epoch(3)
        stage.put("a")
        let opened = stage.opened.popLast()
        let link = try #require(opened)
        stage.dispatch.connected(
            link, incarnation: stage.dispatch.links[link].incarnation, at: stage.now)
        stage.act()
        stage.welcome(link, epoch: Epoch(2))
        #expect(stage.closed == [link])
    }

    @Test func `News of an earlier connection is not taken for the present one`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a")
        try stage.openAll()
        let request = try #require(stage.sent.first)
        let now = stage.dispatch.links[request.link].incarnation
        stage.dispatch.disconnected(
            request.link, incarnation: now - 1, "old news", at: stage.now)
        stage.act()
        #expect(stage.dispatch.links[request.link].state == .ready)
        try stage.answer(request, Stage.written())
        #expect(stage.ended[id] != nil)
    }

    @Test func `An idle client wakes to refresh its directory and for nothing else`() throws {
        var stage = try Stage()
        try stage.settle()
        stage.put("a")
        try stage.openAll()
        try stage.answer(try #require(stage.sent.first), Stage.written())
        stage.pass(.seconds(1))
        #expect(stage.dispatch.nextWake == stage.dispatch.nextRefresh)
        #expect(stage.dispatch.nextRefresh > stage.now)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `Random bytes never trap the machine`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var stage = try Stage()
        try stage.settle()
        for _ in 0..<50 {
            stage.put(Bytes(String(random.below(100))))
            try stage.openAll()
            let link = Int(random.below(UInt64(stage.dispatch.links.count)))
            var bytes = (0..<Int(random.below(200))).map { _ in
                UInt8(truncatingIfNeeded: random.next())
            }
            if random.below(2) == 0, let request = stage.sent.last {
                // A true frame with a flipped bit.
                var writer = ByteWriter()
                writer.frame(.answer, id: request.id) { Stage.written().encode(to: &$0) }
                bytes = writer.bytes
                bytes[Int(random.below(UInt64(bytes.count)))] ^= 1 << UInt8(random.below(8))
            }
            stage.feed(link) { $0.raw(bytes) }
            stage.pass(.milliseconds(Int(random.below(300))))
        }
        stage.pass(.seconds(20))
        // A refresh of the directory may be under way.
        #expect(stage.dispatch.pending.count == (stage.dispatch.directoryCall == nil ? 0 : 1))
        #expect(stage.dispatch.sessions.windowCount == 0)
    }
}
