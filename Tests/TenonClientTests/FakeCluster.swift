import NIOCore
import NIOPosix
import Synchronization
import TenonCore
import TenonWire

/// Nodes on real sockets that share one map in memory: the server's side of the protocol with
/// sessions as Rule S3 says, and faults that a test orders.
final class FakeCluster: Sendable {
    /// What a node does with a request.
    enum Fault: Sendable {
        /// Does it, and closes the connection instead of answering.
        case dropAnswer
        /// Closes the connection before it does it.
        case dropRequest
        /// Does it and never answers.
        case swallowAnswer
        /// Answers with bytes that are no frame.
        case garbage
        /// Does not do it and answers this.
        case refuse(Refusal)
    }

    struct State: Sendable {
        var values: [Bytes: StoredValue] = [:]
        var sessions: [Session: Outcome] = [:]
        var version: UInt64 = 1_000_000 << 16
        var leader = NodeID(1)
        var faults: [Fault] = []
        var writesRun = 0
        var requests = 0
        /// A fault of each request, by its number; nil for none.
        var faultOf: (@Sendable (Int) -> Fault?)?
    }

    let state = Mutex(State())
    private let group: MultiThreadedEventLoopGroup
    private let channels: Mutex<[any Channel]> = Mutex([])
    private let border: Bytes?
    let nodeCount: Int

    /// A cluster that listens. `border` splits the keyspace into tablets 2 and 3.
    init(nodes: Int = 3, border: Bytes? = nil, host: String = "127.0.0.1") async throws {
        nodeCount = nodes
        self.border = border
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        for node in 1...nodes {
            let channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 64)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            FakeNode(cluster: self, node: NodeID(UInt32(node))))
                    }
                }
                .bind(host: host, port: 0).get()
            channels.withLock { $0.append(channel) }
        }
    }

    var endpoints: [String] {
        channels.withLock { channels in
            channels.compactMap { channel in
                guard let address = channel.localAddress, let port = address.port else {
                    return nil
                }
                let host = address.ipAddress ?? ""
                return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            }
        }
    }

    func stop() async throws {
        let open = channels.withLock { $0 }
        for channel in open { try? await channel.close() }
        try await group.shutdownGracefully()
    }

    func set(_ change: @Sendable (inout State) -> Void) { state.withLock { change(&$0) } }

    var directory: Directory {
        let leader = state.withLock { $0.leader }
        let nodes = endpoints.enumerated().map { place, address in
            Directory.Node(
                id: NodeID(UInt32(place + 1)), name: "n\(place + 1)", address: address,
                locality: "")
        }
        var tablets = [
            TabletDescriptor(
                id: TabletID(2), keyspace: .default, generation: .first, lower: "", upper: border,
                leader: leader)
        ]
        if let border {
            tablets.append(
                TabletDescriptor(
                    id: TabletID(3), keyspace: .default, generation: .first, lower: border,
                    upper: nil, leader: leader))
        }
        return Directory(
            nodes: nodes, keyspaces: [.init(id: .default, name: "default")], tablets: tablets)
    }

    /// The fault of the next request, and its answer.
    func handle(_ request: Request, at node: NodeID) -> (Fault?, Answer) {
        if case .describe = request.body { return (nil, .directory(directory)) }
        return state.withLock { state in
            state.requests += 1
            let fault = state.faultOf?(state.requests) ?? state.faults.first
            if !state.faults.isEmpty { state.faults.removeFirst() }
            switch fault {
            case .dropRequest, .garbage: return (fault, .done)
            case .refuse(let refusal): return (nil, .refusal(refusal))
            case .dropAnswer, .swallowAnswer, nil: break
            }
            guard state.leader == node else {
                return (fault, .refusal(Refusal(.notLeader, "", leader: state.leader)))
            }
            return (fault, state.answer(request))
        }
    }
}

extension FakeCluster.State {
    fileprivate mutating func answer(_ request: Request) -> Answer {
        let point = ReadPoint(tablet: request.header.tablet, version: Timestamp(version))
        switch request.body {
        case .write(let bytes):
            var reader = ByteReader(bytes)
            guard let command = try? Command(from: &reader), let session = command.session else {
                return .refusal(Refusal(.invalid, "no session"))
            }
            let outcome = sessions[session] ?? run(command.operation)
            sessions[session] = outcome
            return .outcome(
                outcome, at: ReadPoint(tablet: point.tablet, version: Timestamp(version)))
        case .get(let key, _, _): return .value(values[key], at: point)
        case .getMany(let keys, _, _): return .values(keys.map { values[$0] }, at: point)
        case .scan(let scan): return page(scan, point)
        case .describe: return .done
        case .status:
            return .status(
                NodeStatus(
                    node: leader, name: "n", cluster: ClusterID(high: 1, low: 1),
                    boot: BootNumber(1), epoch: .first, state: "serving"))
        case .transferLeadership(let node):
            leader = node
            return .done
        case .contentDigest, .direct, .injectFault, .clearFaults, .acceptClock:
            return .done
        }
    }

    private mutating func run(_ operation: TenonCore.Operation) -> Outcome {
        writesRun += 1
        version += 1
        let now = Timestamp(version)
        switch operation {
        case .put(let key, let value, let condition):
            guard condition.holds(of: values[key]) else {
                return .conditionFailed(current: values[key])
            }
            values[key] = StoredValue(bytes: value.compacted(), version: now)
            return .written(version: now)
        case .delete(let key, let condition):
            guard condition.holds(of: values[key]) else {
                return .conditionFailed(current: values[key])
            }
            return .deleted(version: now, found: values.removeValue(forKey: key) != nil)
        case .deleteRange(let from, let to):
            values = values.filter { key, _ in key < from || (to.map { key >= $0 } ?? false) }
            return .written(version: now)
        case .transaction(let transaction):
            let holds = transaction.conditions.allSatisfy { $0.condition.holds(of: values[$0.key]) }
            let results = (holds ? transaction.then : transaction.else).map { step in
                self.step(step, now)
            }
            return .transaction(version: now, succeeded: holds, results: results)
        case .get, .raiseHistoryFloor, .contentDigest: return .refused(reason: "no write")
        }
    }

    private mutating func step(
        _ operation: TenonCore.Operation, _ now: Timestamp
    ) -> OperationResult {
        switch operation {
        case .put(let key, let value, _):
            values[key] = StoredValue(bytes: value, version: now)
            return .written
        case .get(let key): return .value(values[key])
        case .delete(let key, _):
            return .deleted(found: values.removeValue(forKey: key) != nil)
        default: return .written
        }
    }

    /// The token is the last key given.
    private func page(_ scan: ScanRequest, _ point: ReadPoint) -> Answer {
        var keys = values.keys.filter { key in
            key >= scan.from && (scan.to.map { key < $0 } ?? true)
        }.sorted()
        if scan.isReversed { keys.reverse() }
        if let last = scan.page {
            keys = keys.filter { scan.isReversed ? $0 < last : $0 > last }
        }
        let items = keys.prefix(scan.limit).compactMap { key in
            values[key].map { ScanItem(key: key, value: $0) }
        }
        return .page(items, next: keys.count > scan.limit ? items.last?.key : nil, at: point)
    }
}

/// One connection to a node of the fake cluster.
private final class FakeNode: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let cluster: FakeCluster
    private let node: NodeID
    private var decoder = FrameDecoder()
    private var prefaceLeft = Preface.byteCount
    private var output = ByteWriter()

    init(cluster: FakeCluster, node: NodeID) {
        self.cluster = cluster
        self.node = node
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        let skipped = min(prefaceLeft, buffer.readableBytes)
        buffer.moveReaderIndex(forwardBy: skipped)
        prefaceLeft -= skipped
        decoder.append(buffer.readBytes(length: buffer.readableBytes) ?? [])
        do {
            while let frame = try decoder.next() { try handle(frame, context) }
        } catch {
            context.close(promise: nil)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard !output.isEmpty else { return }
        let bytes = output.take()
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    private func handle(_ frame: Frame, _ context: ChannelHandlerContext) throws {
        guard frame.kind == .request else {
            let welcome = ServerWelcome(
                version: 1, cluster: ClusterID(high: 1, low: 1), node: node, epoch: .first,
                clusterTime: Timestamp(WallTime(milliseconds: 1_000_000)))
            output.frame(.serverWelcome) { writer in welcome.encode(to: &writer) }
            return
        }
        let (fault, answer) = cluster.handle(try Request(from: frame.body), at: node)
        switch fault {
        case nil, .refuse: output.frame(.answer, id: frame.id) { answer.encode(to: &$0) }
        case .dropAnswer, .dropRequest: context.close(promise: nil)
        case .swallowAnswer: break
        case .garbage: output.raw(Array("no frame at all, but more than a header".utf8))
        }
    }
}
