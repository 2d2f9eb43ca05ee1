import TenonCore
import TenonPlacement
import TenonRaft
import TenonWire
import Testing

@testable import TenonNode

/// What nodes say of the cluster itself, and what the log keeps of replicas.
@Suite struct ClusterMessages {
    private static let record = ReplicaRecord(
        tablet: TabletID(2), replica: ReplicaID(7), keyspace: KeyspaceID(3),
        generation: Generation(4), lower: "a", upper: "b",
        birth: LogPosition(index: LogIndex(5), term: Term(6)), parent: TabletID(8),
        membership: try! Membership(incoming: [Member(replica: ReplicaID(7), node: NodeID(1))]))

    private static let messages: [ClusterMessage] = [
        .directoryVersion(Timestamp(1)), .haveDirectory(Timestamp(2)), .wantDirectory,
        .directory(Directory(version: Timestamp(3), nodes: [], keyspaces: [], tablets: [])),
        .report([StaticDirectory.directory], knowing: Timestamp(4)),
        .setMembers(
            TabletID(2), target: [Member(replica: ReplicaID(7), node: NodeID(1))],
            learners: [Member(replica: ReplicaID(8), node: NodeID(2))],
            Acknowledgement(.city, sites: [SiteID(1)])),
        .setLeader(TabletID(2), NodeID(3)), .createReplica(record, by: Generation(3)),
        .removeReplica(TabletID(2), ReplicaID(7), by: Generation(5)),
        .replicaRemoved(TabletID(2), ReplicaID(7)),
        .isMember(TabletID(2), ReplicaID(7), newest: Generation(6)), .splitTablet(split),
        .locality("city=sh"),
        .wantSplit(
            SplitWish(
                tablet: TabletID(2), generation: Generation(4), at: "m", bytesBelow: 5,
                bytesFrom: 6)),
    ]

    private static let split = TabletSplit(
        tablet: TabletID(2), generation: Generation(4), configuration: Generation(5), at: "m",
        half: TabletID(9), members: [Member(replica: ReplicaID(1), node: NodeID(1))],
        acknowledgement: Acknowledgement(.dc, sites: [SiteID(1)]))

    private func encoded(_ message: ClusterMessage) -> [UInt8] {
        var writer = ByteWriter()
        message.encode(to: &writer)
        return writer.take()
    }

    @Test(arguments: messages.indices)
    func `a message survives its encoding, and no part of it is one`(place: Int) throws {
        let bytes = encoded(ClusterMessages.messages[place])
        var reader = ByteReader(bytes)
        let decoded = try ClusterMessage(from: &reader)
        #expect(reader.isAtEnd)
        #expect(encoded(decoded) == bytes)
        for count in bytes.indices {
            #expect(throws: DecodingError.self) {
                var reader = ByteReader(Array(bytes[..<count]))
                _ = try ClusterMessage(from: &reader)
            }
        }
    }

    @Test func `every kind of message begins with a byte of its own`() {
        let kinds = ClusterMessages.messages.map { encoded($0)[0] }
        #expect(Set(kinds).count == kinds.count, "\(kinds)")
    }

    @Test func `a replica's record is read as it was written`() throws {
        let record = ClusterMessages.record
        #expect(try ReplicaRecord(decoding: record.encoded()) == record)
        #expect(ReplicaRecord.isMetadataKey(ReplicaRecord.metadataKey(of: record.tablet)))
        #expect(!ReplicaRecord.isMetadataKey(7))
    }

    @Test func `a replica's record of the first version has no parent`() throws {
        var record = ClusterMessages.record
        record.parent = TabletID(0)
        var bytes = record.encoded().array
        // Version 1 · tablet, replica 16 · keyspace 4 · generation 8 · birth 16, then the parent.
        bytes[0] = 1
        bytes.removeSubrange(45..<53)
        #expect(try ReplicaRecord(decoding: Bytes(bytes)) == record)
        bytes[0] = 3
        #expect(throws: DecodingError.self) { try ReplicaRecord(decoding: Bytes(bytes)) }
    }
}
