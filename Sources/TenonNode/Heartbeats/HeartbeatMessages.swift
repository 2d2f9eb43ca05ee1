package import TenonCore
package import TenonRaft

/// What a node tells each peer every heartbeat interval, whatever its groups do: it is there, it
/// reaches these others, and its quiet groups are those of this set (Rules C8, C9).
package struct NodeHeartbeat: Hashable, Sendable {
    /// The sender's boot, and the receiver's as the sender knows it; 0 when it does not.
    package var boot: BootNumber
    package var peerBoot: BootNumber
    /// On the sender's monotonic clock; comes back in the answer.
    package var sentAt: Instant
    /// The number of the sender's set of quiet groups that the receiver follows.
    package var set: UInt64
    /// The nodes to which the sender has fresh round trips, in rising order.
    package var reaches: [NodeID]

    package init(
        boot: BootNumber, peerBoot: BootNumber, sentAt: Instant, set: UInt64, reaches: [NodeID]
    ) {
        self.boot = boot
        self.peerBoot = peerBoot
        self.sentAt = sentAt
        self.set = set
        self.reaches = reaches
    }
}

/// The answer to a ``NodeHeartbeat``, given at once.
package struct NodeHeartbeatAnswer: Hashable, Sendable {
    /// Of the node that answers, and of the one that asked.
    package var boot: BootNumber
    package var peerBoot: BootNumber
    /// As the heartbeat named them.
    package var sentAt: Instant
    package var namedSet: UInt64
    /// The number of the set that the node that answers holds.
    package var heldSet: UInt64
    /// Groups of that set that it left by itself, in rising order.
    package var left: [TabletID]

    package init(
        boot: BootNumber, peerBoot: BootNumber, sentAt: Instant, namedSet: UInt64,
        heldSet: UInt64, left: [TabletID]
    ) {
        self.boot = boot
        self.peerBoot = peerBoot
        self.sentAt = sentAt
        self.namedSet = namedSet
        self.heldSet = heldSet
        self.left = left
    }
}

/// A quiet group as its leader's node announces it to the node of one of its followers.
package struct QuietGroup: Hashable, Sendable {
    package var tablet: TabletID
    /// The follower's replica on the node that is told (Rule I3).
    package var receiver: ReplicaID
    package var point: Raft.RestPoint

    package init(tablet: TabletID, receiver: ReplicaID, point: Raft.RestPoint) {
        self.tablet = tablet
        self.receiver = receiver
        self.point = point
    }
}

/// How a node's set of quiet groups got from one number to another.
package struct QuietChange: Hashable, Sendable {
    package var boot: BootNumber
    package var peerBoot: BootNumber
    package var epoch: Epoch
    /// The number that the receiver must hold; 0: whatever it holds, `joined` is the whole set.
    package var from: UInt64
    package var to: UInt64
    package var joined: [QuietGroup]
    package var gone: [TabletID]

    package init(
        boot: BootNumber, peerBoot: BootNumber, epoch: Epoch, from: UInt64, to: UInt64,
        joined: [QuietGroup], gone: [TabletID]
    ) {
        self.boot = boot
        self.peerBoot = peerBoot
        self.epoch = epoch
        self.from = from
        self.to = to
        self.joined = joined
        self.gone = gone
    }
}

// MARK: Codec

/// Groups and nodes that one message may name.
private let listMax = 65_536

extension NodeHeartbeat {
    /// Layout: boot 8 · peer's boot 8 · sent at 8 · set 8 · count 4 · nodes 4 each.
    func encode(to writer: inout ByteWriter) {
        writer.identifier(boot)
        writer.identifier(peerBoot)
        writer.uint64(sentAt.nanoseconds)
        writer.uint64(set)
        writer.uint32(UInt32(reaches.count))
        for node in reaches { writer.identifier(node) }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        boot = try reader.identifier(BootNumber.self)
        peerBoot = try reader.identifier(BootNumber.self)
        sentAt = Instant(nanoseconds: try reader.uint64())
        set = try reader.uint64()
        reaches = []
        for _ in 0..<(try reader.count("nodes", itemBytes: 4, atMost: listMax)) {
            reaches.append(try reader.identifier(NodeID.self))
        }
    }
}

extension NodeHeartbeatAnswer {
    /// Layout: boot 8 · peer's boot 8 · sent at 8 · named set 8 · held set 8 · count 4 ·
    /// tablets 8 each.
    func encode(to writer: inout ByteWriter) {
        writer.identifier(boot)
        writer.identifier(peerBoot)
        writer.uint64(sentAt.nanoseconds)
        writer.uint64(namedSet)
        writer.uint64(heldSet)
        writer.uint32(UInt32(left.count))
        for tablet in left { writer.identifier(tablet) }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        boot = try reader.identifier(BootNumber.self)
        peerBoot = try reader.identifier(BootNumber.self)
        sentAt = Instant(nanoseconds: try reader.uint64())
        namedSet = try reader.uint64()
        heldSet = try reader.uint64()
        left = []
        for _ in 0..<(try reader.count("tablets", itemBytes: 8, atMost: listMax)) {
            left.append(try reader.identifier(TabletID.self))
        }
    }
}

extension QuietChange {
    /// Bytes of one group on the wire.
    private static let groupBytes = 40

    /// Layout: boot 8 · peer's boot 8 · epoch 8 · from 8 · to 8 · count 4 · groups (tablet 8 ·
    /// receiver 8 · leader 8 · term 8 · commit 8) · count 4 · tablets 8 each.
    func encode(to writer: inout ByteWriter) {
        writer.identifier(boot)
        writer.identifier(peerBoot)
        writer.identifier(epoch)
        writer.uint64(from)
        writer.uint64(to)
        writer.uint32(UInt32(joined.count))
        for group in joined {
            writer.identifier(group.tablet)
            writer.identifier(group.receiver)
            writer.identifier(group.point.leader)
            writer.identifier(group.point.term)
            writer.identifier(group.point.commit)
        }
        writer.uint32(UInt32(gone.count))
        for tablet in gone { writer.identifier(tablet) }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        boot = try reader.identifier(BootNumber.self)
        peerBoot = try reader.identifier(BootNumber.self)
        epoch = try reader.identifier(Epoch.self)
        from = try reader.uint64()
        to = try reader.uint64()
        guard from < to else { throw .malformed("a set that goes back") }
        joined = []
        let groupCount = try reader.count(
            "quiet groups", itemBytes: QuietChange.groupBytes, atMost: listMax)
        for _ in 0..<groupCount { joined.append(try QuietGroup(from: &reader)) }
        gone = []
        for _ in 0..<(try reader.count("tablets", itemBytes: 8, atMost: listMax)) {
            gone.append(try reader.identifier(TabletID.self))
        }
    }
}

extension QuietGroup {
    /// Terms and indexes lie below it, as in a ``RaftMessage``.
    private static let numberBound: UInt64 = 1 << 62

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        tablet = try reader.identifier(TabletID.self)
        receiver = try reader.identifier(ReplicaID.self)
        let leader = try reader.identifier(ReplicaID.self)
        let term = try reader.identifier(Term.self)
        let commit = try reader.identifier(LogIndex.self)
        guard max(term.rawValue, commit.rawValue) < QuietGroup.numberBound else {
            throw .malformed("an index or term out of range")
        }
        point = Raft.RestPoint(leader: leader, term: term, commit: commit)
    }
}
