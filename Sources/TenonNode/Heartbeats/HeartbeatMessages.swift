package import TenonCore

/// What a node tells each peer every heartbeat interval, whatever its groups do: it is there, it
/// reaches these others (Rules C1, C8).
package struct NodeHeartbeat: Hashable, Sendable {
    /// The sender's boot, and the receiver's as the sender knows it; 0 when it does not.
    package var boot: BootNumber
    package var peerBoot: BootNumber
    /// On the sender's monotonic clock; comes back in the answer.
    package var sentAt: Instant
    /// The nodes to which the sender has fresh round trips, in rising order.
    package var reaches: [NodeID]

    package init(
        boot: BootNumber, peerBoot: BootNumber, sentAt: Instant, reaches: [NodeID]
    ) {
        self.boot = boot
        self.peerBoot = peerBoot
        self.sentAt = sentAt
        self.reaches = reaches
    }
}

/// The answer to a ``NodeHeartbeat``, given at once.
package struct NodeHeartbeatAnswer: Hashable, Sendable {
    /// Of the node that answers, and of the one that asked.
    package var boot: BootNumber
    package var peerBoot: BootNumber
    /// As the heartbeat named it.
    package var sentAt: Instant

    package init(boot: BootNumber, peerBoot: BootNumber, sentAt: Instant) {
        self.boot = boot
        self.peerBoot = peerBoot
        self.sentAt = sentAt
    }
}

// MARK: Codec

/// Nodes that one message may name.
private let listMax = 65_536

extension NodeHeartbeat {
    /// Layout: boot 8 · peer's boot 8 · sent at 8 · count 4 · nodes 4 each.
    func encode(to writer: inout ByteWriter) {
        writer.identifier(boot)
        writer.identifier(peerBoot)
        writer.uint64(sentAt.nanoseconds)
        writer.uint32(UInt32(reaches.count))
        for node in reaches { writer.identifier(node) }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        boot = try reader.identifier(BootNumber.self)
        peerBoot = try reader.identifier(BootNumber.self)
        sentAt = Instant(nanoseconds: try reader.uint64())
        reaches = []
        for _ in 0..<(try reader.count("nodes", itemBytes: 4, atMost: listMax)) {
            reaches.append(try reader.identifier(NodeID.self))
        }
    }
}

extension NodeHeartbeatAnswer {
    /// Layout: boot 8 · peer's boot 8 · sent at 8.
    func encode(to writer: inout ByteWriter) {
        writer.identifier(boot)
        writer.identifier(peerBoot)
        writer.uint64(sentAt.nanoseconds)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        boot = try reader.identifier(BootNumber.self)
        peerBoot = try reader.identifier(BootNumber.self)
        sentAt = Instant(nanoseconds: try reader.uint64())
    }
}
