package import TenonCore
package import TenonRaft

/// What nodes say to each other on the consensus stream.
package enum NodeMessage: Sendable {
    /// A message between two replicas of a tablet.
    case raft(RaftMessage)
    /// Formation (Rule I1): save this cluster id; it is saved; all have saved it.
    case proposeCluster(ClusterID)
    case acknowledgeCluster(ClusterID)
    case announceCluster(ClusterID)
    /// The log digest of a tablet at an index, from its leader (`isQuestion`) or in answer (S5).
    case logDigest(DigestReport, isQuestion: Bool)
    /// The content digest of a tablet at a version (S5), told to the leader.
    case contentDigest(tablet: TabletID, version: Timestamp, digest: UInt64)
    /// The receiver's replica differs from a majority that agrees: it is not to be served (S5).
    case diverged(tablet: TabletID, index: LogIndex)
    /// How far a snapshot's receiver is; see ``SnapshotProgress``.
    case snapshotProgress(SnapshotProgress)
    /// What changes the cluster: the directory, and replicas that come and go.
    case cluster(ClusterMessage)
    /// What do the clocks show that you know (Rule S2)?
    case clockQuestion(askedAt: Instant)
    case clockAnswer(ClockAnswer)
    /// The sender's log lost entries: who has them (Rule L7)?
    case repairQuestion(tablet: TabletID, Raft.LostRange)
    case repairAnswer(RepairAnswer)
    /// The sender's store of a tablet is lost: its leader is to send a snapshot (Rule L7).
    case snapshotRequest(TabletID)
    /// The sender is there (Rules C1, C9); answered at once.
    case nodeHeartbeat(NodeHeartbeat)
    case nodeHeartbeatAnswer(NodeHeartbeatAnswer)
    /// What changed in the sender's set of quiet groups (Rule C9).
    case quietChange(QuietChange)
    /// Messages of another node than the one that sends them, or for another one (Rule C8).
    case relayed(RelayedMessages)
    /// A node came in a life that the sender does not know: what is remembered of it (Rule I2)?
    case peerQuestion(node: NodeID, nonce: UInt64)
    case peerAnswer(PeerMemoryAnswer)
}

/// A replica's log digest at an index.
package struct DigestReport: Hashable, Sendable {
    package var tablet: TabletID
    package var index: LogIndex
    package var digest: UInt64

    package init(tablet: TabletID, index: LogIndex, digest: UInt64) {
        self.tablet = tablet
        self.index = index
        self.digest = digest
    }
}

/// What the receiver of a snapshot tells its sender.
package struct SnapshotProgress: Hashable, Sendable {
    package enum State: UInt8, Hashable, Sendable {
        /// `chunk` chunks are written: more may come.
        case received = 0
        /// The snapshot is installed.
        case installed = 1
        /// It was given up; the sender may begin anew.
        case failed = 2
    }

    package var tablet: TabletID
    package var transfer: UInt64
    package var chunk: UInt64
    package var state: State

    package init(tablet: TabletID, transfer: UInt64, chunk: UInt64, state: State) {
        self.tablet = tablet
        self.transfer = transfer
        self.chunk = chunk
        self.state = state
    }
}

extension NodeMessage {
    /// The kind of ``cluster(_:)`` on the wire.
    package static let clusterKind: UInt8 = 9
    /// The kind of ``relayed(_:)`` on the wire.
    package static let relayedKind: UInt8 = 23

    /// Layout: kind 1 · body.
    package func encode(to writer: inout ByteWriter) {
        switch self {
        case .raft(let message):
            writer.uint8(1)
            message.encode(to: &writer)
        case .proposeCluster(let cluster):
            writer.uint8(2)
            writer.identifier(cluster)
        case .acknowledgeCluster(let cluster):
            writer.uint8(3)
            writer.identifier(cluster)
        case .announceCluster(let cluster):
            writer.uint8(4)
            writer.identifier(cluster)
        case .logDigest(let report, let isQuestion):
            writer.uint8(5)
            writer.flag(isQuestion)
            report.encode(to: &writer)
        case .contentDigest(let tablet, let version, let digest):
            writer.uint8(6)
            writer.identifier(tablet)
            writer.identifier(version)
            writer.uint64(digest)
        case .diverged(let tablet, let index):
            writer.uint8(7)
            writer.identifier(tablet)
            writer.identifier(index)
        case .snapshotProgress(let progress):
            writer.uint8(8)
            progress.encode(to: &writer)
        case .cluster(let message):
            writer.uint8(NodeMessage.clusterKind)
            message.encode(to: &writer)
        case .clockQuestion(let askedAt):
            writer.uint8(30)
            writer.uint64(askedAt.nanoseconds)
        case .clockAnswer(let answer):
            writer.uint8(31)
            answer.encode(to: &writer)
        case .repairQuestion(let tablet, let range):
            writer.uint8(32)
            writer.identifier(tablet)
            range.encode(to: &writer)
        case .repairAnswer(let answer):
            writer.uint8(33)
            answer.encode(to: &writer)
        case .snapshotRequest(let tablet):
            writer.uint8(34)
            writer.identifier(tablet)
        case .nodeHeartbeat(let heartbeat):
            writer.uint8(20)
            heartbeat.encode(to: &writer)
        case .nodeHeartbeatAnswer(let answer):
            writer.uint8(21)
            answer.encode(to: &writer)
        case .quietChange(let change):
            writer.uint8(22)
            change.encode(to: &writer)
        case .relayed(let relayed):
            writer.uint8(NodeMessage.relayedKind)
            relayed.encode(to: &writer)
        case .peerQuestion(let node, let nonce):
            writer.uint8(24)
            writer.identifier(node)
            writer.uint64(nonce)
        case .peerAnswer(let answer):
            writer.uint8(25)
            answer.encode(to: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.uint8()
        switch kind {
        case 1: self = .raft(try RaftMessage(from: &reader))
        case 2: self = .proposeCluster(try reader.identifier(ClusterID.self))
        case 3: self = .acknowledgeCluster(try reader.identifier(ClusterID.self))
        case 4: self = .announceCluster(try reader.identifier(ClusterID.self))
        case 5:
            let isQuestion = try reader.flag("question")
            let tablet = try reader.identifier(TabletID.self)
            let index = try reader.identifier(LogIndex.self)
            self = .logDigest(
                DigestReport(tablet: tablet, index: index, digest: try reader.uint64()),
                isQuestion: isQuestion)
        case 6:
            let tablet = try reader.identifier(TabletID.self)
            let version = try reader.identifier(Timestamp.self)
            self = .contentDigest(
                tablet: tablet, version: version, digest: try reader.uint64())
        case 7:
            let tablet = try reader.identifier(TabletID.self)
            self = .diverged(tablet: tablet, index: try reader.identifier(LogIndex.self))
        case 8: self = .snapshotProgress(try SnapshotProgress(from: &reader))
        case NodeMessage.clusterKind: self = .cluster(try ClusterMessage(from: &reader))
        case 20: self = .nodeHeartbeat(try NodeHeartbeat(from: &reader))
        case 21: self = .nodeHeartbeatAnswer(try NodeHeartbeatAnswer(from: &reader))
        case 22: self = .quietChange(try QuietChange(from: &reader))
        case NodeMessage.relayedKind: self = .relayed(try RelayedMessages(from: &reader))
        case 24:
            let node = try reader.identifier(NodeID.self)
            self = .peerQuestion(node: node, nonce: try reader.uint64())
        case 25: self = .peerAnswer(try PeerMemoryAnswer(from: &reader))
        case 30: self = .clockQuestion(askedAt: Instant(nanoseconds: try reader.uint64()))
        case 31: self = .clockAnswer(try ClockAnswer(from: &reader))
        case 32:
            let tablet = try reader.identifier(TabletID.self)
            self = .repairQuestion(tablet: tablet, try Raft.LostRange(from: &reader))
        case 33: self = .repairAnswer(try RepairAnswer(from: &reader))
        case 34: self = .snapshotRequest(try reader.identifier(TabletID.self))
        default: throw .unknownKind(field: "node message", value: UInt64(kind))
        }
    }
}

extension DigestReport {
    /// Layout: tablet 8 · index 8 · digest 8.
    fileprivate func encode(to writer: inout ByteWriter) {
        writer.identifier(tablet)
        writer.identifier(index)
        writer.uint64(digest)
    }
}

extension SnapshotProgress {
    /// Layout: tablet 8 · transfer 8 · chunk 8 · state 1.
    fileprivate func encode(to writer: inout ByteWriter) {
        writer.identifier(tablet)
        writer.uint64(transfer)
        writer.uint64(chunk)
        writer.uint8(state.rawValue)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        tablet = try reader.identifier(TabletID.self)
        transfer = try reader.uint64()
        chunk = try reader.uint64()
        let byte = try reader.uint8()
        guard let state = State(rawValue: byte) else {
            throw .unknownKind(field: "snapshot progress", value: UInt64(byte))
        }
        self.state = state
    }
}

/// The body of a frame of peer messages: the sender's durable log position, then each message
/// with its length.
package struct PeerOutbox: Sendable {
    private var writer = ByteWriter()
    private static let closeBytes = 1 << 20

    package init() {}

    package var isEmpty: Bool { writer.isEmpty }
    /// Whether it is time to make a frame of what there is.
    package var isFull: Bool { writer.count >= PeerOutbox.closeBytes }

    package mutating func append(_ message: NodeMessage) {
        let start = writer.count
        writer.uint32(0)
        message.encode(to: &writer)
        writer.patch(uint32: UInt32(writer.count - start - 4), at: start)
    }

    /// The messages so far, without a header; empties the outbox.
    package mutating func take() -> [UInt8] { writer.take() }
}
