import TenonCore
import TenonRaft
import TenonStore
import TenonWire

/// A snapshot on its way between two nodes.
struct SnapshotKey: Hashable {
    var tablet: TabletID
    var peer: NodeID
    var transfer: UInt64
}

/// A piece of a snapshot.
package struct SnapshotChunk: Sendable {
    package var bytes: [UInt8]
}

struct SnapshotTransfers {
}

extension Node {
    func snapshotWanted(_ tablet: Tablet, by follower: ReplicaID) {}
    func snapshotLinkDown(_ node: NodeID) {}
    func readBulk(_ body: Bytes, from node: NodeID) throws(DecodingError) {}
    func snapshotProgressed(_ progress: SnapshotProgress, from node: NodeID) {}
    func snapshotSendFinished(_ key: SnapshotKey, _ outcome: JobOutcome, now: Instant) {}
    func snapshotReceiveFinished(_ key: SnapshotKey, _ outcome: JobOutcome, now: Instant) {}
}
