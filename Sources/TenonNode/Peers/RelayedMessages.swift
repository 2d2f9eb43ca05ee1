import TenonCore
package import TenonRaft
package import TenonWire

/// Consensus messages that go to a node by way of a third one (Rule C8): one hop, no bulk.
package struct RelayedMessages: Sendable {
    /// What the sender would say of itself to the receiver on a link of their own. The receiver
    /// checks it as it would check that, and not the connection on which it came.
    package var origin: PeerHello
    package var messages: [RaftMessage]

    package init(origin: PeerHello, messages: [RaftMessage]) {
        self.origin = origin
        self.messages = messages
    }

    /// Messages of one relay: those of one turn for one node.
    private static let messagesMax = 65_536

    /// Bytes of a hello at most.
    private static let originBytesMax = 1_024

    /// Layout: length 4 · origin as in a hello · count 4 · messages, each with its length 4.
    func encode(to writer: inout ByteWriter) {
        RelayedMessages.prefixed(&writer) { origin.encode(to: &$0) }
        writer.uint32(UInt32(messages.count))
        for message in messages {
            RelayedMessages.prefixed(&writer) { message.encode(to: &$0) }
        }
    }

    private static func prefixed(_ writer: inout ByteWriter, _ body: (inout ByteWriter) -> Void) {
        let start = writer.count
        writer.uint32(0)
        body(&writer)
        writer.patch(uint32: UInt32(writer.count - start - 4), at: start)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        origin = try PeerHello(
            from: try reader.lengthPrefixedBytes(
                "origin", atMost: RelayedMessages.originBytesMax))
        messages = []
        let count = try reader.count(
            "messages", itemBytes: RaftMessage.headerBytes,
            atMost: RelayedMessages.messagesMax)
        for _ in 0..<count {
            let bytes = try reader.lengthPrefixedBytes("message", atMost: Limits.frameBytesMax)
            var message = ByteReader(bytes)
            messages.append(try RaftMessage(from: &message))
            try message.finish()
        }
    }

    /// About what it takes on the wire.
    var bytesEstimate: Int { messages.reduce(256) { $0 + 4 + $1.encodedBytesEstimate } }
}
