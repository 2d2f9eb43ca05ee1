import TenonCore
import TenonWire
import Testing

@testable import TenonClient

/// A client machine, a clock that a test turns, and the nodes' side of its links.
struct Stage {
    var dispatch: Dispatch
    var now = Instant.zero + .seconds(100)
    /// Requests that the client has sent and nobody has answered, oldest first.
    var sent: [(link: Int, id: RequestID, request: Request)] = []
    var ended: [RequestID: CallResult] = [:]
    var opened: [Int] = []
    var closed: [Int] = []
    private var nextToken: UInt64 = 0

    init(nodes: Int = 3) throws {
        dispatch = Dispatch(
            endpoints: try (1...nodes).map { try Endpoint("10.0.0.\($0):1") }, settings: .init(),
            seed: 1)
    }

    /// Three nodes, and two tablets with the border `m`, led by 1 and 2.
    static func directory(leaders: [UInt32] = [1, 2]) -> Directory {
        Directory(
            nodes: (1...3).map {
                Directory.Node(
                    id: NodeID($0), name: "n\($0)", address: "10.0.0.\($0):1", locality: "")
            },
            keyspaces: [Directory.Keyspace(id: .default, name: "default")],
            tablets: [
                TabletDescriptor(
                    id: TabletID(2), keyspace: .default, generation: .first, lower: "", upper: "m",
                    leader: NodeID(leaders[0])),
                TabletDescriptor(
                    id: TabletID(3), keyspace: .default, generation: .first, lower: "m",
                    upper: nil, leader: NodeID(leaders[1])),
            ])
    }

    /// Brings the client to where the directory is known.
    mutating func settle(leaders: [UInt32] = [1, 2]) throws {
        dispatch.fetchDirectory(at: now)
        act()
        try openAll()
        let question = try #require(sent.first)
        try answer(question, .directory(Stage.directory(leaders: leaders)))
    }

    /// Opens every link that the client wants, and welcomes it.
    mutating func openAll() throws {
        while let link = opened.popLast() {
            dispatch.connected(link, incarnation: dispatch.links[link].incarnation, at: now)
            act()
            welcome(link)
        }
    }

    mutating func welcome(
        _ link: Int, cluster: UInt64 = 9, epoch: Epoch = .first, as node: NodeID? = nil
    ) {
        let hello = ServerWelcome(
            version: 1, cluster: ClusterID(high: cluster, low: cluster),
            node: node ?? NodeID(UInt32(link + 1)), epoch: epoch,
            clusterTime: Timestamp(WallTime(milliseconds: 1_000_000)))
        feed(link) { $0.frame(.serverWelcome) { writer in hello.encode(to: &writer) } }
    }

    mutating func feed(_ link: Int, _ write: (inout ByteWriter) -> Void) {
        var writer = ByteWriter()
        write(&writer)
        dispatch.received(
            writer.bytes, on: link, incarnation: dispatch.links[link].incarnation, at: now)
        act()
    }

    @discardableResult
    mutating func put(_ key: Bytes, seconds: Int = 5) -> RequestID {
        submit(
            .write(.put(key: key, value: "v", condition: .none)), .key(keyspace: "default", key),
            seconds)
    }

    @discardableResult
    mutating func get(_ key: Bytes, seconds: Int = 5) -> RequestID {
        submit(.ask(.get(key: key, at: nil)), .key(keyspace: "default", key), seconds)
    }

    @discardableResult
    mutating func submit(_ work: Call.Work, _ route: Call.Route, _ seconds: Int = 5) -> RequestID {
        nextToken += 1
        let call = Call(work: work, route: route, deadline: now + .seconds(seconds))
        let id = dispatch.submit(call, token: nextToken, at: now)
        act()
        return id
    }

    mutating func answer(
        _ question: (link: Int, id: RequestID, request: Request), _ answer: Answer
    ) throws {
        sent.removeAll { $0.id == question.id && $0.link == question.link }
        feed(question.link) {
            $0.frame(.answer, id: question.id) { writer in answer.encode(to: &writer) }
        }
    }

    mutating func lose(_ link: Int, _ problem: String = "connection reset") {
        sent.removeAll { $0.link == link }
        dispatch.disconnected(
            link, incarnation: dispatch.links[link].incarnation, problem, at: now)
        act()
    }

    /// Lets time pass, waking the machine whenever it wants to be woken.
    mutating func pass(_ span: TimeSpan) {
        let end = now + span
        var turns = 0
        while dispatch.nextWake <= end, turns < 10_000 {
            now = max(now, dispatch.nextWake)
            dispatch.wake(at: now)
            act()
            turns += 1
        }
        #expect(turns < 10_000, "the machine spins")
        now = end
    }

    mutating func act() {
        if dispatch.nextWake <= now { dispatch.wake(at: now) }
        let effects = dispatch.takeEffects()
        opened += effects.connects
        closed += effects.closes
        for completion in effects.completions { ended[completion.id] = completion.result }
        for link in Set(effects.flushes).sorted() { read(link) }
    }

    private mutating func read(_ link: Int) {
        var bytes = dispatch.takeOutbox(of: link)
        if bytes.starts(with: Preface.client) { bytes.removeFirst(Preface.byteCount) }
        var decoder = FrameDecoder()
        decoder.append(bytes)
        while let frame = try? decoder.next() {
            guard frame.kind == .request, let request = try? Request(from: frame.body) else {
                continue
            }
            sent.append((link, frame.id, request))
        }
    }

    func error(of id: RequestID) -> TenonError? {
        if case .failure(let error)? = ended[id] { error } else { nil }
    }

    static func written(_ version: UInt64 = 5, tablet: UInt64 = 2) -> Answer {
        .outcome(
            .written(version: Timestamp(version)),
            at: ReadPoint(tablet: TabletID(tablet), version: Timestamp(version)))
    }
}

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

@Suite struct DispatchRetryTests {
    @Test func `A write whose connection is lost is sent again in the same words`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a")
        try stage.openAll()
        let first = try #require(stage.sent.first)
        guard case .write(let command) = first.request.body else {
            Issue.record("no write")
            return
        }
        stage.lose(first.link)
        stage.pass(.milliseconds(20))
        try stage.openAll()
        let second = try #require(stage.sent.first)
        #expect(second.request.body == .write(command: command))
        #expect(second.link != first.link)
        try stage.answer(second, Stage.written(77))
        guard case .success(.outcome(.written(let version), _))? = stage.ended[id] else {
            Issue.record("not written: \(String(describing: stage.ended[id]))")
            return
        }
        #expect(version == Timestamp(77))
    }

    @Test func `A deadline after sending is unavailable with an unknown outcome`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a", seconds: 1)
        try stage.openAll()
        stage.pass(.milliseconds(1_100))
        #expect(stage.error(of: id)?.kind == .unavailable)
        #expect(stage.error(of: id)?.outcome == .unknown)
    }

    @Test func `A deadline of a write that was never sent says that nothing happened`() throws {
        var stage = try Stage()
        let id = stage.put("a", seconds: 1)
        for link in 0..<3 { stage.lose(link, "connection refused") }
        stage.pass(.milliseconds(1_100))
        #expect(stage.error(of: id)?.kind == .unavailable)
        #expect(stage.error(of: id)?.outcome == .notApplied)
    }

    @Test func `A definite refusal leaves no doubt, a lost attempt before it does`() throws {
        for isLost in [false, true] {
            var stage = try Stage()
            try stage.settle()
            let id = stage.put("a")
            try stage.openAll()
            if isLost {
                stage.lose(try #require(stage.sent.first).link)
                stage.pass(.milliseconds(20))
                try stage.openAll()
            }
            try stage.answer(
                try #require(stage.sent.first), .refusal(Refusal(.diskFull, "no space")))
            #expect(stage.error(of: id)?.kind == .diskFull)
            #expect(stage.error(of: id)?.outcome == (isLost ? .unknown : .notApplied))
        }
    }

    @Test func `A read never has an unknown outcome`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.get("a", seconds: 1)
        try stage.openAll()
        stage.pass(.milliseconds(1_100))
        #expect(stage.error(of: id)?.outcome == .notApplied)
    }

    @Test func `An overloaded node is left alone as long as it asked`() throws {
        var stage = try Stage()
        try stage.settle()
        stage.put("a")
        try stage.openAll()
        try stage.answer(
            try #require(stage.sent.first),
            .refusal(Refusal(.overloaded, "", retryAfterMilliseconds: 300)))
        stage.pass(.milliseconds(140))
        #expect(stage.sent.isEmpty)
        stage.pass(.milliseconds(200))
        #expect(!stage.sent.isEmpty)
    }

    @Test func `A cancelled call ends at once and its sequence is closed`() throws {
        var stage = try Stage()
        try stage.settle()
        let id = stage.put("a")
        try stage.openAll()
        stage.dispatch.cancel([1])
        stage.act()
        #expect(stage.error(of: id)?.kind == .cancelled)
        #expect(stage.error(of: id)?.outcome == .unknown)
        #expect(stage.dispatch.sessions.windowCount == 0)
        // The late answer finds nothing.
        try stage.answer(try #require(stage.sent.first), Stage.written())
        #expect(stage.dispatch.pending.count == 0)
    }

    @Test func `A write gets its first-issue time from the cluster, once`() throws {
        var stage = try Stage()
        try stage.settle()
        stage.pass(.milliseconds(250))
        stage.put("a")
        try stage.openAll()
        let first = try #require(stage.sent.first)
        stage.lose(first.link)
        stage.pass(.milliseconds(500))
        try stage.openAll()
        for request in [first, try #require(stage.sent.first)] {
            guard case .write(let bytes) = request.request.body else { continue }
            var reader = ByteReader(bytes)
            let session = try #require(try Command(from: &reader).session)
            let least = Timestamp(WallTime(milliseconds: 1_000_000))
            let most = Timestamp(WallTime(milliseconds: 1_000_251))
            #expect((least...most).contains(session.firstIssue))
        }
    }
}

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

    @Test func `An idle client asks for no wake`() throws {
        var stage = try Stage()
        try stage.settle()
        stage.put("a")
        try stage.openAll()
        try stage.answer(try #require(stage.sent.first), Stage.written())
        stage.pass(.seconds(10))
        #expect(stage.dispatch.nextWake == .distantFuture)
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
        #expect(stage.dispatch.pending.count == 0)
        #expect(stage.dispatch.sessions.windowCount == 0)
    }
}
