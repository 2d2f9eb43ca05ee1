package import TenonCore
package import TenonPlacement
package import TenonWire

/// What nodes say to each other about the cluster itself. Any of them may be lost: each is said
/// again as long as it is true and somebody needs to know.
package enum ClusterMessage: Sendable {
    /// From the leader of the directory to all: it leads, and its copy is of this version.
    case directoryVersion(Timestamp)
    /// From anybody to anybody: the sender's copy is of this version. A node that was away may
    /// know nobody any more whom the leader of the directory could be.
    case haveDirectory(Timestamp)
    /// In answer to either: the sender's copy is older.
    case wantDirectory
    case directory(Directory)
    /// From the leader of tablets to the leader of the directory (Rule C5), with the version of the
    /// sender's copy.
    case report([TabletDescriptor], knowing: Timestamp)
    /// From the leader of the directory to a tablet's leader: bring its voters and those who stay
    /// learners to these, and have commits need so much of the voters.
    case setMembers(TabletID, target: [Member], learners: [Member], Acknowledgement)
    /// The same: hand the leadership to a node.
    case setLeader(TabletID, NodeID)
    /// To a node that is to have a replica, by the committed configuration of this number; 0 when
    /// there is none yet.
    case createReplica(ReplicaRecord, by: Generation)
    /// To a node whose replica is no member of its tablet any more, by the committed configuration
    /// of this number. It stays when it knows of a newer one.
    case removeReplica(TabletID, ReplicaID, by: Generation)
    /// To the leader of the directory: the replica was removed, or never was here.
    case replicaRemoved(TabletID, ReplicaID)
    /// To the leader of the directory, from a replica that hears no leader: is it still a member?
    /// With the number of the newest configuration that it knows, committed or not; in the second
    /// case to the members, too.
    case isMember(TabletID, ReplicaID, newest: Generation)

    /// To the leader of the directory, from a node whose record there says otherwise: it stands
    /// here (``Locality``).
    case locality(String)

    /// From the leader of the directory to a tablet's leader: split it.
    case splitTablet(TabletSplit)
    /// From a tablet's leader to the leader of the directory: it is too large, and could be cut here.
    case wantSplit(SplitWish)

    /// Reports in one message.
    static let reportsMax = 512
}

extension ClusterMessage {
    /// Layout: kind 1 · body.
    func encode(to writer: inout ByteWriter) {
        switch self {
        case .directoryVersion(let version):
            writer.uint8(1)
            writer.identifier(version)
        case .wantDirectory: writer.uint8(2)
        case .directory(let directory):
            writer.uint8(3)
            directory.encode(to: &writer)
        case .report(let tablets, let version):
            writer.uint8(4)
            writer.identifier(version)
            writer.uint32(UInt32(tablets.count))
            for tablet in tablets { tablet.encode(to: &writer) }
        case .setMembers(let tablet, let target, let learners, let acknowledgement):
            writer.uint8(5)
            writer.identifier(tablet)
            target.encode(to: &writer)
            learners.encode(to: &writer)
            acknowledgement.encode(to: &writer)
        case .setLeader(let tablet, let node):
            writer.uint8(6)
            writer.identifier(tablet)
            writer.identifier(node)
        case .createReplica(let record, let configuration):
            writer.uint8(7)
            record.encode(to: &writer)
            writer.identifier(configuration)
        case .removeReplica(let tablet, let replica, let configuration):
            encode(8, tablet, replica, to: &writer)
            writer.identifier(configuration)
        case .replicaRemoved(let tablet, let replica):
            encode(9, tablet, replica, to: &writer)
        case .haveDirectory(let version):
            writer.uint8(11)
            writer.identifier(version)
        case .isMember(let tablet, let replica, let newest):
            encode(10, tablet, replica, to: &writer)
            writer.identifier(newest)
        case .locality(let text):
            writer.uint8(12)
            writer.lengthPrefixed(text)
        case .splitTablet(let split):
            writer.uint8(40)
            split.encode(to: &writer)
        case .wantSplit(let wish):
            writer.uint8(41)
            writer.identifier(wish.tablet)
            writer.identifier(wish.generation)
            writer.lengthPrefixed(wish.at)
            writer.uint64(wish.bytesBelow)
            writer.uint64(wish.bytesFrom)
        }
    }

    private func encode(
        _ kind: UInt8, _ tablet: TabletID, _ replica: ReplicaID, to writer: inout ByteWriter
    ) {
        writer.uint8(kind)
        writer.identifier(tablet)
        writer.identifier(replica)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let kind = try reader.uint8()
        switch kind {
        case 1: self = .directoryVersion(try reader.identifier(Timestamp.self))
        case 2: self = .wantDirectory
        case 3: self = .directory(try Directory(from: &reader))
        case 4:
            let version = try reader.identifier(Timestamp.self)
            let count = try reader.count(
                "reports", itemBytes: 29, atMost: ClusterMessage.reportsMax)
            var tablets: [TabletDescriptor] = []
            tablets.reserveCapacity(count)
            for _ in 0..<count { tablets.append(try TabletDescriptor(from: &reader)) }
            self = .report(tablets, knowing: version)
        case 5:
            let tablet = try reader.identifier(TabletID.self)
            let target = try [Member](from: &reader)
            let learners = try [Member](from: &reader)
            let acknowledgement = try Acknowledgement(from: &reader)
            guard acknowledgement.fits(voters: target.count) else {
                throw .malformed("sites that are not those of the voters")
            }
            self = .setMembers(tablet, target: target, learners: learners, acknowledgement)
        case 6:
            let tablet = try reader.identifier(TabletID.self)
            self = .setLeader(tablet, try reader.identifier(NodeID.self))
        case 7:
            let record = try ReplicaRecord(from: &reader)
            self = .createReplica(record, by: try reader.identifier(Generation.self))
        case 8...10:
            let tablet = try reader.identifier(TabletID.self)
            let replica = try reader.identifier(ReplicaID.self)
            if kind == 9 {
                self = .replicaRemoved(tablet, replica)
                return
            }
            let configuration = try reader.identifier(Generation.self)
            self =
                kind == 8
                ? .removeReplica(tablet, replica, by: configuration)
                : .isMember(tablet, replica, newest: configuration)
        case 12:
            self = .locality(
                try reader.lengthPrefixedText("locality", atMost: Limits.localityBytesMax))
        case 40: self = .splitTablet(try TabletSplit(from: &reader))
        case 41:
            self = .wantSplit(
                SplitWish(
                    tablet: try reader.identifier(TabletID.self),
                    generation: try reader.identifier(Generation.self), at: try reader.key(),
                    bytesBelow: try reader.uint64(), bytesFrom: try reader.uint64()))
        case 11: self = .haveDirectory(try reader.identifier(Timestamp.self))
        default: throw .unknownKind(field: "cluster message", value: UInt64(kind))
        }
    }
}
