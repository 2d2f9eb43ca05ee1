package import TenonCore

/// What a peer link is for. A node connects one of each to every peer and sends on those; it
/// receives on the ones that the peer connected.
package enum PeerStream: UInt8, Hashable, Sendable {
    /// Consensus and node-level messages.
    case consensus = 1
    /// Snapshots, so that they never delay consensus.
    case bulk = 2
}

/// Who a node is, as it tells its peers before anything else (Rules I1, I2).
package struct PeerIdentity: Hashable, Sendable {
    /// ``ClusterID/none`` while its folder has not taken part in a formation.
    package var cluster: ClusterID
    package var node: NodeID
    package var folder: FolderID
    package var boot: BootNumber
    /// Random, new with each boot: two processes on copies of one folder differ in it.
    package var nonce: UInt64
    package var epoch: Epoch
    /// Whether its log holds anything besides the formation itself.
    package var hasEntries: Bool
    /// The number of the last batch in its log. What peers acknowledged to it or from it lies at
    /// or below; a folder rolled back to an older state shows a lower one.
    package var logPosition: UInt64
    /// Digest of the `--cluster` list, which must be equal on all nodes.
    package var memberListDigest: UInt64

    package init(
        cluster: ClusterID, node: NodeID, folder: FolderID, boot: BootNumber, nonce: UInt64,
        epoch: Epoch, hasEntries: Bool, logPosition: UInt64, memberListDigest: UInt64
    ) {
        self.cluster = cluster
        self.node = node
        self.folder = folder
        self.boot = boot
        self.nonce = nonce
        self.epoch = epoch
        self.hasEntries = hasEntries
        self.logPosition = logPosition
        self.memberListDigest = memberListDigest
    }

    /// Layout: cluster 16 · node 4 · folder 16 · boot 8 · nonce 8 · epoch 8 · has entries 1 ·
    /// log position 8 · member list digest 8.
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(cluster)
        writer.identifier(node)
        writer.identifier(folder)
        writer.identifier(boot)
        writer.uint64(nonce)
        writer.identifier(epoch)
        writer.flag(hasEntries)
        writer.uint64(logPosition)
        writer.uint64(memberListDigest)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        cluster = try reader.identifier(ClusterID.self)
        node = try reader.identifier(NodeID.self)
        folder = try reader.identifier(FolderID.self)
        boot = try reader.identifier(BootNumber.self)
        nonce = try reader.uint64()
        epoch = try reader.identifier(Epoch.self)
        hasEntries = try reader.flag("has entries")
        logPosition = try reader.uint64()
        memberListDigest = try reader.uint64()
    }
}

/// The first frame each way of a peer link.
///
/// Layout: versions 4 · logic version 2 · stream 1 · receiver 4 · identity.
package struct PeerHello: Hashable, Sendable {
    package var versions: ProtocolRange
    /// The newest logic version that this node applies (Rule S6).
    package var logicVersion: LogicVersion
    package var stream: PeerStream
    /// Whom the sender believes to talk to.
    package var receiver: NodeID
    package var identity: PeerIdentity

    package init(
        versions: ProtocolRange = .current, logicVersion: LogicVersion = .newest,
        stream: PeerStream, receiver: NodeID, identity: PeerIdentity
    ) {
        self.versions = versions
        self.logicVersion = logicVersion
        self.stream = stream
        self.receiver = receiver
        self.identity = identity
    }

    package func encode(to writer: inout ByteWriter) {
        versions.encode(to: &writer)
        writer.identifier(logicVersion)
        writer.uint8(stream.rawValue)
        writer.identifier(receiver)
        identity.encode(to: &writer)
    }

    package init(from body: Bytes) throws(DecodingError) {
        var reader = ByteReader(body)
        versions = try ProtocolRange(from: &reader)
        logicVersion = try reader.identifier(LogicVersion.self)
        let streamByte = try reader.uint8()
        guard let stream = PeerStream(rawValue: streamByte) else {
            throw .unknownKind(field: "stream", value: UInt64(streamByte))
        }
        self.stream = stream
        receiver = try reader.identifier(NodeID.self)
        identity = try PeerIdentity(from: &reader)
        try reader.finish()
    }
}
