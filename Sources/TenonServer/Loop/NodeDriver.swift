internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
import TenonCore
import TenonNode
import TenonWire

/// Drives one node on one event loop: hands it what arrives, and performs what it orders.
///
/// All events of one turn of the event loop are given to the node first; a task submitted with
/// the first of them runs after all ready I/O and closes the node's turn. So one entry, one log
/// write and one write a connection serve everything that arrived together.
///
/// `@unchecked Sendable`: everything but the constants is touched on `loop` only, which each
/// entry point checks.
final class NodeDriver: @unchecked Sendable {
    let loop: any EventLoop
    let logger: Logger
    private let clock: any Clock
    private let node: Node
    private let logThread: LogThread
    private let readers = NIOThreadPool(numberOfThreads: 1)
    private let workers = NIOThreadPool(numberOfThreads: 1)

    private var clients: [ConnectionID: any Channel] = [:]
    private var peerLinks: [PeerLinkKey: PeerDialer] = [:]
    /// The links that peers made to this node: the newest of each kind.
    private var inboundPeers: [PeerLinkKey: any Channel] = [:]
    /// What ``isNews(_:of:)`` said yes to.
    private var refusalsTold: Set<String> = []
    private static let refusalsToldMax = 256
    private var nextConnection: UInt64 = 1
    private var isTurnScheduled = false
    private var turnBegan = Instant.zero
    private var timer: Scheduled<Void>?
    private var timerDue = Instant.distantFuture
    private var resources = ProcessResources()
    /// Why the node ended, once it did; nothing leaves this process after that.
    private(set) var haltReason: String?
    private let halted: EventLoopPromise<String>
    private let freeBytes: @Sendable () -> UInt64
    /// Never looked at again: it holds the lock that keeps a second process out of the folder.
    private let folder: NodeFolder
    /// Nil in a node that takes no orders to be faulty: then nothing of it is in any path.
    private let faults: FaultInjector?

    init(
        node: consuming Node, in folder: NodeFolder, logThread: LogThread, loop: any EventLoop,
        clock: any Clock,
        logger: Logger, faults: FaultInjector? = nil,
        freeBytes: @escaping @Sendable () -> UInt64
    ) {
        self.node = node
        self.folder = folder
        self.logThread = logThread
        self.loop = loop
        self.clock = clock
        self.logger = logger
        self.freeBytes = freeBytes
        self.faults = faults
        halted = loop.makePromise(of: String.self)
        faults?.linksChanged = { [weak self] in
            guard let self, let faults = self.faults else { return }
            for (key, dialer) in self.peerLinks {
                dialer.becomeFaulty(faults.fault(ofLinkTo: key.node))
            }
        }
    }

    /// Completes with the reason when the node must not go on (Rule L6, I1).
    var whenHalted: EventLoopFuture<String> { halted.futureResult }

    // MARK: Turns

    /// Asks for a turn after all ready I/O of this one.
    func wantTurn() {
        loop.preconditionInEventLoop()
        guard !isTurnScheduled, haltReason == nil else { return }
        isTurnScheduled = true
        turnBegan = clock.now
        loop.execute { self.turn() }
    }

    private func turn() {
        isTurnScheduled = false
        guard haltReason == nil else { return }
        let effects = node.turn(now: clock.now, wallTime: clock.wallTime)
        perform(effects)
        guard haltReason == nil else { return }
        noteTurn()
        refreshCounters()
        if node.wantsAnotherTurn { wantTurn() }
        scheduleTimer()
    }

    private func noteTurn() {
        let span = clock.now.since(turnBegan).nanoseconds / 1_000
        if span > node.counters.longestTurnMicroseconds {
            node.counters.longestTurnMicroseconds = span
        }
    }

    /// One timer is enough: one that comes early only makes a turn that finds nothing to do.
    private func scheduleTimer() {
        let due = node.nextDeadline
        guard due < timerDue else { return }
        timer?.cancel()
        timerDue = due
        let delay = max(1_000_000, due.since(clock.now).nanoseconds)
        timer = loop.scheduleTask(in: .nanoseconds(Int64(clamping: delay))) {
            self.timerDue = .distantFuture
            self.wantTurn()
        }
    }

    // MARK: Effects

    private func perform(_ effects: Effects) {
        for notice in effects.notices { say(notice) }
        if let reason = effects.halt { return halt(reason) }
        if let work = effects.logWork {
            logThread.perform(work, then: loop) { result in
                self.node.logFinished(result, now: self.clock.now)
                self.wantTurn()
            }
        }
        for output in effects.peerOutput {
            peerLinks[PeerLinkKey(node: output.node, stream: output.stream)]?.send(output.bytes)
        }
        for output in effects.clientOutput {
            guard let channel = clients[output.connection], !isSwallowed(output.bytes) else {
                continue
            }
            channel.writeAndFlush(channel.allocator.buffer(bytes: output.bytes), promise: nil)
        }
        for job in effects.jobs { start(job) }
        if let wanted = effects.peersWanted { keepLinks(to: wanted) }
        for (connection, reason) in effects.clientsToClose { closeClient(connection, reason) }
        for (peer, _) in effects.peersToClose {
            for stream in [PeerStream.consensus, .bulk] {
                inboundPeers[PeerLinkKey(node: peer, stream: stream)]?.close(promise: nil)
            }
        }
    }

    private func start(_ job: BackgroundJob) {
        let pool = job.lane == .read ? readers : workers
        let loop = self.loop
        pool.submit { state in
            guard state == .active else { return }
            let outcome = job.perform()
            loop.execute {
                self.node.jobFinished(job.id, outcome, now: self.clock.now)
                self.wantTurn()
            }
        }
    }

    private func say(_ notice: Notice) {
        switch notice.level {
        case .info: logger.info("\(notice.text)")
        case .warning: logger.warning("\(notice.text)")
        case .error: logger.error("\(notice.text)")
        }
    }

    private func halt(_ reason: String) {
        guard haltReason == nil else { return }
        haltReason = reason
        logger.critical("\(reason)")
        do throws(FileError) {
            // The loop may wait for the disk now: the node is over.
            try node.recordFence()
        } catch {
            logger.error("that a recovery ended this node's epoch is not written down: \(error)")
        }
        halted.succeed(reason)
    }

    /// The reason of an end that was asked for.
    static let gracefulReason = "stopped"

    /// Ends the node as if it halted, without an error.
    func stopGracefully() {
        guard haltReason == nil else { return }
        haltReason = NodeDriver.gracefulReason
        halted.succeed(NodeDriver.gracefulReason)
    }

    // MARK: Life

    func start() {
        readers.start()
        workers.start()
        logThread.start()
    }

    /// The log thread is left alone between two steps of zeroing the reserve for so many times what
    /// a step took, the wait for the work before it included: where there is load, or a slow disk,
    /// the reserve takes a fifth of the thread at the most, and gives way.
    private static let prepareAheadRest = 4
    private static let prepareAheadPauses =
        TimeAmount.milliseconds(5)...TimeAmount.milliseconds(200)

    /// Completes the log's reserve little by little, so that a disk that fills up later does not
    /// stop the log (Rule L6).
    func prepareLogAhead() {
        let begin = clock.now
        logThread.prepareAhead(then: loop) { hasMore in
            guard hasMore, self.haltReason == nil else { return }
            let took = self.clock.now.since(begin)
            let rest = TimeAmount.nanoseconds(
                Int64(took.nanoseconds) * Int64(NodeDriver.prepareAheadRest))
            let pauses = NodeDriver.prepareAheadPauses
            self.loop.scheduleTask(in: min(max(rest, pauses.lowerBound), pauses.upperBound)) {
                self.prepareLogAhead()
            }
        }
    }

    /// Ends the threads. Also for a driver that never came to serve.
    func stop() {
        loop.execute {
            self.stopGracefully()
            self.timer?.cancel()
        }
        readers.shutdownGracefully { _ in }
        workers.shutdownGracefully { _ in }
        logThread.stop()
    }

    /// Connects to the other nodes as the node knows them, and lets go of those that are none.
    func keepLinks(to nodes: [(node: NodeID, address: String)]) {
        loop.preconditionInEventLoop()
        let gone = peerLinks.filter { key, _ in !nodes.contains { $0.node == key.node } }
        for (key, dialer) in gone {
            dialer.stop()
            peerLinks.removeValue(forKey: key)
        }
        for (node, text) in nodes {
            do throws(SettingError) {
                keepLinks(to: node, at: try NetworkAddress(parsing: text, setting: "address"))
            } catch {
                logger.error("node \(node) cannot be reached: \(error)")
            }
        }
    }

    private func keepLinks(to node: NodeID, at address: NetworkAddress) {
        for stream in [PeerStream.consensus, .bulk] {
            let key = PeerLinkKey(node: node, stream: stream)
            if peerLinks[key]?.address == address { continue }
            peerLinks[key]?.stop()
            let dialer = PeerDialer(key: key, address: address, driver: self)
            peerLinks[key] = dialer
            if let faults { dialer.becomeFaulty(faults.fault(ofLinkTo: node)) }
            dialer.connect()
        }
    }

    /// The other nodes of the cluster, as this node knows them when it starts.
    var otherNodes: [(node: NodeID, address: String)] {
        node.cluster.directory.nodes.filter { $0.id != node.id }.map { ($0.id, $0.address) }
    }

    func prepareToStop() {
        loop.preconditionInEventLoop()
        node.prepareToStop(now: clock.now)
        wantTurn()
    }

    var leadsNothing: Bool { node.leadsNothing }
    var nodeID: NodeID { node.id }
    var now: Instant { clock.now }

    // MARK: Clients

    var clientCount: Int { clients.count }

    func clientOpened(_ channel: any Channel, hello: ClientHello) -> ConnectionID {
        loop.preconditionInEventLoop()
        let connection = ConnectionID(nextConnection)
        nextConnection += 1
        clients[connection] = channel
        node.clientOpened(connection, hello: hello, now: clock.now)
        wantTurn()
        return connection
    }

    func clientSent(_ frame: Frame, _ connection: ConnectionID) {
        if let faults {
            if obeys(frame, connection, faults) || faults.areClientsCut { return }
        }
        wantTurn()
        // All that arrives in one turn arrived when it began: a clock read a turn, not a request.
        node.received(frame, from: connection, now: turnBegan)
    }

    func clientClosed(_ connection: ConnectionID) {
        clients.removeValue(forKey: connection)
        node.clientClosed(connection)
    }

    private func closeClient(_ connection: ConnectionID, _ reason: String) {
        guard let channel = clients[connection] else { return }
        logger.warning("closing client connection \(connection): \(reason)")
        channel.close(promise: nil)
    }

    /// Gauges that cost a system call: brought up to date at most ten times a second.
    private func refreshCounters() {
        guard resources.isDue(now: turnBegan) else { return }
        node.counters.cpuMicroseconds = resources.cpuMicroseconds()
        node.counters.memoryResidentBytes = resources.residentBytes()
        node.counters.diskFreeBytes = freeBytes()
        if let faults { node.counters.faultInjection = UInt64(1 + faults.count) }
    }

    // MARK: Orders to be faulty

    /// Whether the frame was such an order; it is answered then.
    private func obeys(
        _ frame: Frame, _ connection: ConnectionID, _ faults: FaultInjector
    ) -> Bool {
        guard frame.kind == .request, RequestBody.ordersFaults(frame.body) else { return false }
        do throws(DecodingError) {
            switch try Request(from: frame.body).body {
            case .injectFault(let order):
                logger.warning("by order faulty from now on: \(order)")
                faults.take(order, on: loop)
            case .clearFaults:
                logger.warning("all faults end by order")
                faults.clear()
            default: return false
            }
        } catch {
            return false  // Garbage is the node's to answer.
        }
        var writer = ByteWriter()
        writer.frame(.answer, id: frame.id) { Answer.done.encode(to: &$0) }
        if let channel = clients[connection] {
            channel.writeAndFlush(channel.allocator.buffer(bytes: writer.take()), promise: nil)
        }
        return true
    }

    /// Whether clients do not get this because they are cut off. The welcome passes: without it
    /// nobody could order the fault to end.
    private func isSwallowed(_ output: [UInt8]) -> Bool {
        guard faults?.areClientsCut == true else { return false }
        let kindAt = 8
        return output.count > kindAt && output[kindAt] != FrameKind.serverWelcome.rawValue
    }

    // MARK: Peers

    /// Nil when the peer is welcome; otherwise why not.
    func peerHeard(_ hello: PeerHello) -> String? {
        let refusal = node.heard(hello, now: clock.now)
        wantTurn()
        return refusal
    }

    /// A peer that was welcomed sends on `channel` from now on. An older link of the same kind is
    /// closed: a process that another start of its folder has replaced is not heard any more
    /// (Rule I2). Our own link to it is made at once: what it asks is answered on that one.
    func peerOpened(_ key: PeerLinkKey, _ channel: any Channel) {
        inboundPeers.updateValue(channel, forKey: key)?.close(promise: nil)
        peerLinks[key]?.connectNow()
    }

    func peerClosed(_ key: PeerLinkKey, _ channel: any Channel) {
        if inboundPeers[key] === channel { inboundPeers.removeValue(forKey: key) }
    }

    func hello(to receiver: NodeID, stream: PeerStream) -> PeerHello {
        node.hello(to: receiver, stream: stream)
    }

    func peerSent(_ frame: Frame, from peer: NodeID, _ stream: PeerStream) {
        node.received(frame, from: peer, stream, now: clock.now)
        wantTurn()
    }

    /// Whether `refusal` was not told of this node before, so that the log has each reason once.
    func isNews(_ refusal: String, of node: NodeID) -> Bool {
        if refusalsTold.count >= NodeDriver.refusalsToldMax { refusalsTold.removeAll() }
        return refusalsTold.insert("\(node) \(refusal)").inserted
    }

    func linkUp(_ key: PeerLinkKey) {
        node.linkUp(key.node, key.stream)
        wantTurn()
    }

    func linkDown(_ key: PeerLinkKey, problem: String, isReset: Bool) {
        node.linkDown(
            key.node, key.stream, problem: problem, isReset: isReset, now: clock.now)
        wantTurn()
    }
}

/// One of this node's links.
struct PeerLinkKey: Hashable {
    var node: NodeID
    var stream: PeerStream
}
