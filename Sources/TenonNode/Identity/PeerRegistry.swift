package import TenonCore
package import TenonWire

/// What this node remembers of another, in its log (Rule I2).
package struct PeerMemory: Hashable, Sendable {
    package var folder: FolderID
    package var boot: BootNumber
    package var nonce: UInt64
    /// The highest log position that the peer has said it made durable.
    package var position: UInt64

    static let encodedBytes = 41

    /// Layout: version 1 · folder 16 · boot 8 · nonce 8 · position 8.
    package func encoded() -> Bytes {
        var writer = ByteWriter(capacity: PeerMemory.encodedBytes)
        writer.uint8(1)
        writer.identifier(folder)
        writer.identifier(boot)
        writer.uint64(nonce)
        writer.uint64(position)
        return Bytes(writer.take())
    }

    package init(decoding bytes: Bytes) throws(DecodingError) {
        var reader = ByteReader(bytes)
        let version = try reader.uint8()
        guard version == 1 else { throw .unknownKind(field: "version", value: UInt64(version)) }
        folder = try reader.identifier(FolderID.self)
        boot = try reader.identifier(BootNumber.self)
        nonce = try reader.uint64()
        position = try reader.uint64()
        try reader.finish()
    }

    package init(_ identity: PeerIdentity) {
        folder = identity.folder
        boot = identity.boot
        nonce = identity.nonce
        position = identity.logPosition
    }
}

/// Decides which peers this node talks to, and remembers them (Rule I2).
///
/// Refused are: an epoch that a recovery ended, another cluster, another member list, a name
/// that is not a member's, a folder other than the remembered one (wiped), a lower boot number
/// or the same one with another nonce (cloned), and a log position below the remembered one
/// (rolled back). What another node remembers counts like what this one saw itself
/// (``PeerInquiries``). What this cannot see: a rollback by less than what was remembered when all
/// peers restarted meanwhile; memories are written each minute or 64 MiB.
package struct PeerRegistry: Sendable {
    /// A memory is written again when it is older than this…
    static let rememberEvery = TimeSpan.seconds(60)
    /// … or when the peer's position moved by so many batches. A batch is 4 KiB at least, so
    /// 64 MiB are 16,384 of the smallest.
    static let rememberPositions: UInt64 = 16_384

    private struct Record {
        var memory: PeerMemory
        var writtenAt: Instant
        var writtenPosition: UInt64
    }

    private let me: NodeID
    private var members: [NodeID]
    private let memberListDigest: UInt64
    /// Kept for nodes that are no members, too: they may be again once this node knows better.
    private var records: [NodeID: Record] = [:]

    package init(me: NodeID, members: [NodeID], memberListDigest: UInt64) {
        self.me = me
        self.members = members.sorted()
        self.memberListDigest = memberListDigest
    }

    /// The cluster has these nodes now.
    package mutating func setMembers(_ members: [NodeID]) { self.members = members.sorted() }

    /// Takes up what the log remembered of `node`.
    package mutating func restore(_ memory: PeerMemory, of node: NodeID) {
        records[node] = Record(
            memory: memory, writtenAt: .zero, writtenPosition: memory.position)
    }

    package func memory(of node: NodeID) -> PeerMemory? {
        records[node]?.memory
    }

    /// Nil when `hello` is welcome, otherwise why it is refused.
    ///
    /// - Parameter cluster: this node's, ``ClusterID/none`` before it has one.
    package func refusal(of hello: PeerHello, cluster: ClusterID, epoch: Epoch) -> String? {
        let peer = hello.identity
        guard hello.versions.agreed(with: .current) != nil else {
            return "no common protocol version: it speaks \(hello.versions.oldest) to "
                + "\(hello.versions.newest)"
        }
        // Before all else: who was declared lost is no member any more, and is to hear why.
        if peer.cluster == cluster, peer.epoch < epoch, !isPlanted(.epochFenceOff) {
            return "its epoch \(peer.epoch) was ended by a recovery (now \(epoch)): it joins as a "
                + "new node, with an empty folder"
        }
        guard members.contains(peer.node), peer.node != me else {
            return "node \(peer.node) is not another member of this cluster"
        }
        guard hello.receiver == me else {
            return "it wants node \(hello.receiver), this is \(me): check the addresses"
        }
        guard peer.memberListDigest == memberListDigest else {
            return "its --cluster list, --tablets or session bounds differ from this node's"
        }
        guard peer.cluster == cluster || peer.cluster == .none || cluster == .none else {
            return "it belongs to cluster \(peer.cluster), this node to \(cluster)"
        }
        if isPlanted(.wipedNodeVotes) { return nil }
        return records[peer.node].flatMap { refusal(of: peer, remembering: $0.memory) }
    }

    private func refusal(of peer: PeerIdentity, remembering memory: PeerMemory) -> String? {
        if peer.folder != memory.folder {
            return "node \(peer.node) comes with another data folder than before: "
                + "wiped: join as a new node"
        }
        if peer.boot < memory.boot {
            return "node \(peer.node) comes with boot \(peer.boot) after boot \(memory.boot): "
                + "its folder was rolled back or cloned"
        }
        if peer.boot == memory.boot && peer.nonce != memory.nonce {
            return "node \(peer.node) runs twice: its folder was cloned"
        }
        // Within one boot it is one process, and a hello that was on its way while another link
        // told of newer writes shows an older position: only a restart can come from older files.
        if peer.boot > memory.boot && peer.logPosition < memory.position {
            return "node \(peer.node) comes with its log at \(peer.logPosition), it was at "
                + "\(memory.position): its folder was rolled back"
        }
        return nil
    }

    /// Remembers a welcome peer; what is returned goes into the log.
    package mutating func remember(_ peer: PeerIdentity, now: Instant) -> PeerMemory? {
        guard members.contains(peer.node) else { return nil }
        var memory = PeerMemory(peer)
        if let old = records[peer.node]?.memory {
            memory.position = max(memory.position, old.position)
            if old == memory { return nil }
        }
        records[peer.node] = Record(
            memory: memory, writtenAt: now, writtenPosition: memory.position)
        return memory
    }

    /// Whether `peer` is in another life than this node remembers, or it remembers none.
    package func isNewLife(_ peer: PeerIdentity) -> Bool {
        guard let memory = records[peer.node]?.memory else { return true }
        return peer.boot != memory.boot || peer.nonce != memory.nonce
    }

    /// Takes up what another node remembers of `node`, unless this one knows better; what is
    /// returned goes into the log. Of two lives of one boot number the one that this node let in
    /// itself stands: neither of them gets the other's promises.
    package mutating func learn(
        _ told: PeerMemory, of node: NodeID, now: Instant
    ) -> PeerMemory? {
        guard members.contains(node), node != me else { return nil }
        var memory = told
        if let old = records[node]?.memory {
            guard told.folder == old.folder else { return nil }
            if told.boot == old.boot, told.nonce == old.nonce {
                return advance(node, to: told.position, now: now)
            }
            guard told.boot > old.boot else { return nil }
            memory.position = max(told.position, old.position)
        }
        records[node] = Record(
            memory: memory, writtenAt: now, writtenPosition: memory.position)
        return memory
    }

    /// Notes the position a peer says is durable; what is returned goes into the log.
    package mutating func advance(
        _ node: NodeID, to position: UInt64, now: Instant
    ) -> PeerMemory? {
        guard members.contains(node), var record = records[node],
            position > record.memory.position
        else { return nil }
        record.memory.position = position
        let isDue =
            now.since(record.writtenAt) >= PeerRegistry.rememberEvery
            || position - record.writtenPosition >= PeerRegistry.rememberPositions
        if isDue {
            record.writtenAt = now
            record.writtenPosition = position
        }
        records[node] = record
        return isDue ? record.memory : nil
    }
}
