internal import Glibc
import Logging
internal import NIOCore
internal import NIOPosix
import TenonCore
import TenonWire

/// One link of this node to a peer: connects, says who we are, checks who answers, and sends.
/// A link that breaks is made again, with growing pauses.
///
/// `@unchecked Sendable`: touched on the driver's event loop only.
final class PeerDialer: @unchecked Sendable {
    private static let connectTimeout = TimeAmount.seconds(1)
    private static let pauseMin = TimeAmount.milliseconds(50)
    private static let pauseMax = TimeAmount.seconds(1)
    /// What a link may hold unsent before messages are dropped: peers repeat them, and one that
    /// reads so slowly is better served by newer ones.
    private static let unsentBytesMax = 64 << 20

    let key: PeerLinkKey
    let address: NetworkAddress
    private let driver: NodeDriver
    private var channel: (any Channel)?
    private var isUp = false
    private var unsentBytes = 0
    private var pause = PeerDialer.pauseMin
    private var isStopped = false
    private var lastProblem = ""
    /// Whether the two ends refused each other: it will not be otherwise in a moment.
    private var isRefused = false
    /// What makes the link faulty; nil in a node that takes no such orders.
    private var shaper: LinkShaper?
    private var delivery: Scheduled<Void>?
    /// The next attempt, while one is waited for.
    private var nextAttempt: Scheduled<Void>?
    /// Whether the link was cut between the connection and its first bytes.
    private var owesHello = false

    init(key: PeerLinkKey, address: NetworkAddress, driver: NodeDriver) {
        self.key = key
        self.address = address
        self.driver = driver
    }

    /// From now on the link is as faulty as this says.
    func becomeFaulty(_ fault: LinkDisorder?) {
        if shaper == nil { shaper = LinkShaper(seed: UInt64.random(in: 0...UInt64.max)) }
        shaper?.change(to: fault, now: driver.now)
        if let due = shaper?.nextDue {
            delivery?.cancel()
            delivery = nil
            deliver(at: due)
        }
        if let channel, owesHello, shaper?.isCut == false { sayHello(on: channel) }
    }

    /// The peer has just connected to us: it is there, and need not be waited for.
    func connectNow() {
        guard let nextAttempt else { return }
        nextAttempt.cancel()
        connect()
    }

    func connect() {
        nextAttempt = nil
        guard !isStopped else { return }
        guard shaper?.isCut != true else {
            // What is sent into a cut link is never answered.
            driver.loop.scheduleTask(in: PeerDialer.connectTimeout) {
                self.failed(ChannelError.connectTimeout(PeerDialer.connectTimeout))
            }
            return
        }
        ClientBootstrap(group: driver.loop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connectTimeout(PeerDialer.connectTimeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        PeerLinkHandler(dialer: self))
                }
            }
            .connect(host: address.host, port: address.port)
            .whenComplete { result in
                if case .failure(let error) = result { self.failed(error) }
            }
    }

    func stop() {
        isStopped = true
        channel?.close(promise: nil)
    }

    /// Sends whole frames, when the link is up and not choked.
    func send(_ bytes: [UInt8]) {
        guard isUp else { return }
        switch shaper?.accept(bytes, now: driver.now) ?? .pass {
        case .pass: write(bytes)
        case .wait(let due): deliver(at: due)
        case .drop: break
        }
    }

    /// Sees to it that what a faulty link holds is sent when its time has come.
    private func deliver(at due: Instant) {
        guard delivery == nil else { return }
        let delay = Int64(clamping: due.since(driver.now).nanoseconds)
        delivery = driver.loop.scheduleTask(in: .nanoseconds(max(delay, 100_000))) {
            self.delivery = nil
            for bytes in self.shaper?.takeDue(at: self.driver.now) ?? [] { self.write(bytes) }
            if let next = self.shaper?.nextDue { self.deliver(at: next) }
        }
    }

    private func write(_ bytes: [UInt8]) {
        guard let channel, unsentBytes + bytes.count <= PeerDialer.unsentBytesMax else { return }
        unsentBytes += bytes.count
        let count = bytes.count
        let promise = channel.eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenComplete { _ in self.unsentBytes -= count }
        channel.writeAndFlush(channel.allocator.buffer(bytes: bytes), promise: promise)
    }

    func connected(_ channel: any Channel) {
        self.channel = channel
        owesHello = shaper?.isCut ?? false
        if !owesHello { sayHello(on: channel) }
    }

    private func sayHello(on channel: any Channel) {
        owesHello = false
        var writer = ByteWriter()
        writer.raw(Preface.peer)
        let hello = driver.hello(to: key.node, stream: key.stream)
        writer.frame(.peerHello) { hello.encode(to: &$0) }
        channel.writeAndFlush(channel.allocator.buffer(bytes: writer.take()), promise: nil)
    }

    func received(_ frame: Frame) throws {
        switch frame.kind {
        case .peerWelcome:
            let hello = try PeerHello(from: frame.body)
            guard hello.identity.node == key.node else {
                throw SettingError(
                    setting: "cluster",
                    problem: "at \(address) answers node \(hello.identity.node), not \(key.node)")
            }
            if let refusal = driver.peerHeard(hello) {
                throw SettingError(setting: "node \(key.node)", problem: refusal)
            }
            isUp = true
            pause = PeerDialer.pauseMin
            lastProblem = ""
            driver.linkUp(key)
        case .goodbye:
            let goodbye = try Goodbye(from: frame.body)
            throw SettingError(
                setting: "node \(key.node)", problem: "it refuses us: \(goodbye.reason)")
        default:
            throw DecodingError.unknownKind(
                field: "answer of a peer", value: UInt64(frame.kind.rawValue))
        }
    }

    func noteProblem(_ problem: String) { lastProblem = problem }

    /// One end refused the other. The link is tried on, slowly, and each reason is told once.
    func noteRefusal(_ problem: String) {
        lastProblem = problem
        isRefused = true
        guard key.stream == .consensus, driver.isNews("link: " + problem, of: key.node) else {
            return
        }
        driver.logger.warning("no link to node \(key.node) at \(address): \(problem)")
    }

    /// The connection is gone: the peer's process ended, or one end refused the other.
    func disconnected() {
        channel = nil
        isUp = false
        owesHello = false
        shaper?.reset()
        driver.linkDown(
            key, problem: lastProblem.isEmpty ? "the connection was closed" : lastProblem,
            isReset: true)
        again()
    }

    private func failed(_ error: any Error) {
        // A peer that nobody answers for is silent, not gone: only a refusal proves that its
        // process is (Rule C1).
        let isRefused = PeerDialer.isRefusal(error)
        driver.linkDown(key, problem: "\(address): \(error)", isReset: isRefused)
        again()
    }

    private static func isRefusal(_ error: any Error) -> Bool {
        if let error = error as? IOError { return error.errnoCode == ECONNREFUSED }
        if let error = error as? NIOConnectionError {
            return !error.connectionErrors.isEmpty
                && error.connectionErrors.allSatisfy { isRefusal($0.error) }
        }
        return false
    }

    private func again() {
        guard !isStopped else { return }
        // A welcome may stand before the refusal and has shortened the pause.
        if isRefused { pause = PeerDialer.pauseMax }
        isRefused = false
        nextAttempt = driver.loop.scheduleTask(in: pause) { self.connect() }
        let doubled = TimeAmount.nanoseconds(pause.nanoseconds * 2)
        pause = min(doubled, PeerDialer.pauseMax)
    }
}

/// Feeds a link's frames to its dialer.
private final class PeerLinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let dialer: PeerDialer
    private var decoder = FrameDecoder(frameBytesMax: 64 << 10)

    init(dialer: PeerDialer) { self.dialer = dialer }

    func channelActive(context: ChannelHandlerContext) { dialer.connected(context.channel) }

    func channelInactive(context: ChannelHandlerContext) { dialer.disconnected() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        guard let bytes = buffer.readBytes(length: buffer.readableBytes) else { return }
        decoder.append(bytes)
        do {
            while let frame = try decoder.next() { try dialer.received(frame) }
        } catch {
            dialer.noteRefusal("\(error)")
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        dialer.noteProblem("\(error)")
        context.close(promise: nil)
    }
}
