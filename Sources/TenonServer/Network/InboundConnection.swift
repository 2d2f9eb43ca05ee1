import Logging
internal import NIOCore
import TenonCore
import TenonWire

/// A connection that somebody made to this node: a client or a peer, told apart by its first
/// eight bytes.
///
/// Garbage, an oversized frame or half a frame end this connection and nothing else. Until the
/// hello is read the connection holds a few bytes only, and not for long.
final class InboundConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long the other end may take to say who it is.
    private static let helloTimeout = TimeAmount.seconds(10)
    private static let clientsMax = 10_000
    /// The longest hello of either kind.
    private static let helloBytesMax = 4_096

    private enum Phase {
        case preface
        case clientHello
        case client(ConnectionID)
        case peerHello
        case peer(NodeID, PeerStream)
        case closed
    }

    private let driver: NodeDriver
    private var phase = Phase.preface
    /// The first bytes, until there are enough to tell who connects.
    private var preface: [UInt8] = []
    private var decoder = FrameDecoder(frameBytesMax: InboundConnection.helloBytesMax)
    private var timeout: Scheduled<Void>?

    init(driver: NodeDriver) { self.driver = driver }

    func channelActive(context: ChannelHandlerContext) {
        guard driver.clientCount < InboundConnection.clientsMax else {
            return close(context, "is one more than \(InboundConnection.clientsMax)")
        }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timeout = context.eventLoop.scheduleTask(in: InboundConnection.helloTimeout) {
            let (handler, context) = bound.value
            handler.close(context, "said nothing of itself for 10 s", .info)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        ended(context)
    }

    private func ended(_ context: ChannelHandlerContext) {
        switch phase {
        case .client(let connection): driver.clientClosed(connection)
        case .peer(let node, let stream):
            driver.peerClosed(PeerLinkKey(node: node, stream: stream), context.channel)
        case .preface, .clientHello, .peerHello, .closed: break
        }
        phase = .closed
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        guard let bytes = buffer.readBytes(length: buffer.readableBytes) else { return }
        receive(bytes, context)
    }

    /// A client that does not read its answers is not read from either.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        let isWritable = context.channel.isWritable
        context.channel.setOption(.autoRead, value: isWritable).whenFailure { _ in
            // The channel is closed already: there is nothing to hold back.
        }
        context.fireChannelWritabilityChanged()
    }

    /// Mostly a reset: the other process ended. Clients come and go, and of a peer the links and
    /// the status tell, so nobody needs to read this unless he looks for it.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(context, "ended: \(error)", .debug)
    }

    private func receive(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        do {
            if case .preface = phase {
                try readPreface(bytes, context)
            } else {
                decoder.append(bytes)
            }
            while let frame = try nextFrame() { try handle(frame, context) }
        } catch {
            close(context, "sent what is not ours: \(error)")
        }
    }

    /// Nil as well when the phase has no frames: before the preface is whole, and after the end.
    private func nextFrame() throws(FrameError) -> Frame? {
        switch phase {
        case .preface, .closed: nil
        case .clientHello, .client, .peerHello, .peer: try decoder.next()
        }
    }

    private func readPreface(_ bytes: [UInt8], _ context: ChannelHandlerContext) throws {
        preface.append(contentsOf: bytes)
        guard preface.count >= Preface.byteCount else { return }
        switch Array(preface[..<Preface.byteCount]) {
        case Preface.client: phase = .clientHello
        case Preface.peer: phase = .peerHello
        default: return close(context, "is neither a client nor a peer of ours")
        }
        decoder.append(Array(preface[Preface.byteCount...]))
        preface = []
    }

    private func handle(_ frame: Frame, _ context: ChannelHandlerContext) throws {
        switch phase {
        case .client(let connection): driver.clientSent(frame, connection)
        case .peer(let node, let stream): driver.peerSent(frame, from: node, stream)
        case .clientHello:
            guard frame.kind == .clientHello else { throw unexpected(frame) }
            let hello = try ClientHello(from: frame.body)
            timeout?.cancel()
            decoder.admitLongFrames()
            phase = .client(driver.clientOpened(context.channel, hello: hello))
        case .peerHello:
            guard frame.kind == .peerHello else { throw unexpected(frame) }
            let hello = try PeerHello(from: frame.body)
            timeout?.cancel()
            welcome(hello, context)
        case .preface, .closed:
            preconditionFailure("a frame in a phase that has none")
        }
    }

    private func welcome(_ hello: PeerHello, _ context: ChannelHandlerContext) {
        let refusal = driver.peerHeard(hello)
        var writer = ByteWriter()
        // The other end is told who this is even when it is refused: an empty node learns so
        // that it was wiped (Rule I1).
        let own = driver.hello(to: hello.identity.node, stream: hello.stream)
        writer.frame(.peerWelcome) { own.encode(to: &$0) }
        if let refusal {
            writer.frame(.goodbye) { Goodbye(reason: refusal).encode(to: &$0) }
        }
        context.writeAndFlush(
            wrapOutboundOut(context.channel.allocator.buffer(bytes: writer.take())), promise: nil)
        if let refusal {
            // It comes again and again: one line for each reason is enough.
            let isNew = driver.isNews(refusal, of: hello.identity.node)
            return close(
                context, "is node \(hello.identity.node), refused: \(refusal)",
                isNew ? .warning : .debug)
        }
        decoder.admitLongFrames()
        phase = .peer(hello.identity.node, hello.stream)
        driver.peerOpened(
            PeerLinkKey(node: hello.identity.node, stream: hello.stream), context.channel)
    }

    private func unexpected(_ frame: Frame) -> DecodingError {
        .unknownKind(field: "first frame", value: UInt64(frame.kind.rawValue))
    }

    /// Ends the connection, and says why once in the log.
    private func close(
        _ context: ChannelHandlerContext, _ reason: String, _ level: Logger.Level = .warning
    ) {
        if case .closed = phase { return }
        ended(context)
        timeout?.cancel()
        let remote = context.remoteAddress.map { "\($0)" } ?? "somebody"
        driver.logger.log(level: level, "closing the connection of \(remote): it \(reason)")
        context.close(promise: nil)
    }
}
