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

    init(nodes: Int = 3, settings: Dispatch.Settings = .init()) throws {
        dispatch = Dispatch(
            endpoints: try (1...nodes).map { try Endpoint("10.0.0.\($0):1") },
            settings: settings, seed: 1)
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
