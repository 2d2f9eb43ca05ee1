internal import NIOCore

/// The end of a channel's pipeline: hands bytes and endings to the loop, decides nothing.
final class LinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let loop: ClientLoop
    private let link: Int
    private let incarnation: Int
    private var problem = "the connection was closed"

    init(loop: ClientLoop, link: Int, incarnation: Int) {
        self.loop = loop
        self.link = link
        self.incarnation = incarnation
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        guard let bytes = buffer.readBytes(length: buffer.readableBytes) else { return }
        loop.received(bytes, on: link, incarnation: incarnation)
    }

    func channelReadComplete(context: ChannelHandlerContext) { loop.turnEnded() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        problem = ClientLoop.words(for: error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        loop.disconnected(link, incarnation: incarnation, problem)
    }
}
