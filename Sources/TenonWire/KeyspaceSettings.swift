package import TenonCore

/// What an operator says of a keyspace; nil is what was not said.
package struct KeyspaceSettings: Hashable, Sendable {
    package var replicas: Int?
    package var retention: TimeSpan?
    package var survive: FailureLevel?
    package var homes: [PlacementPolicy.Home]?
    package var failover: [String]?
    package var reads: PlacementPolicy.ReadMode?
    package var acknowledgement: AcknowledgementRule?
    /// Zero takes them back.
    package var localReadsWithin: TimeSpan?
    /// Bytes on disk above which a tablet becomes two; 0 for never.
    package var splitAboveBytes: UInt64?

    package init(
        replicas: Int? = nil, retention: TimeSpan? = nil, survive: FailureLevel? = nil,
        homes: [PlacementPolicy.Home]? = nil, failover: [String]? = nil,
        reads: PlacementPolicy.ReadMode? = nil, acknowledgement: AcknowledgementRule? = nil,
        localReadsWithin: TimeSpan? = nil, splitAboveBytes: UInt64? = nil
    ) {
        self.replicas = replicas
        self.retention = retention
        self.survive = survive
        self.homes = homes
        self.failover = failover
        self.reads = reads
        self.acknowledgement = acknowledgement
        self.localReadsWithin = localReadsWithin
        self.splitAboveBytes = splitAboveBytes
    }

    /// `policy` with what was said in place.
    package func applied(to policy: PlacementPolicy) -> PlacementPolicy {
        PlacementPolicy(
            survive: survive ?? policy.survive, homes: homes ?? policy.homes,
            failover: failover ?? policy.failover, reads: reads ?? policy.reads,
            acknowledgement: acknowledgement ?? policy.acknowledgement,
            localReadsWithin: localReadsWithin.map { $0 == .zero ? nil : $0 }
                ?? policy.localReadsWithin)
    }

    /// Layout: what is said 2 (bit 0 replicas, 1 retention, 2 survive, 3 homes, 4 failover,
    /// 5 reads, 6 acknowledgement, 7 local reads, 8 split above) · replicas 1 · retention in
    /// nanoseconds 8 · split above 8 · policy; zeros and nothing for what is not said.
    package func encode(to writer: inout ByteWriter) {
        let said = [
            replicas != nil, retention != nil, survive != nil, homes != nil, failover != nil,
            reads != nil, acknowledgement != nil, localReadsWithin != nil,
            splitAboveBytes != nil,
        ]
        writer.uint16(said.reversed().reduce(0) { $0 << 1 | ($1 ? 1 : 0) })
        writer.uint8(UInt8(clamping: replicas ?? 0))
        writer.uint64((retention ?? .zero).nanoseconds)
        writer.uint64(splitAboveBytes ?? 0)
        applied(to: PlacementPolicy()).encode(to: &writer)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let said = try reader.uint16()
        guard said < 1 << 9 else {
            throw .unknownKind(field: "settings of a keyspace", value: UInt64(said))
        }
        let replicas = Int(try reader.uint8())
        let retention = TimeSpan(nanoseconds: try reader.uint64())
        let splitAbove = try reader.uint64()
        let policy = try PlacementPolicy(from: &reader)
        func ifSaid<Value: Equatable>(
            _ bit: UInt16, _ value: Value, else unsaid: Value
        ) throws(DecodingError) -> Value? {
            if said & bit != 0 { return value }
            guard value == unsaid else { throw .malformed("a setting that is not said") }
            return nil
        }
        let plain = PlacementPolicy()
        self.init(
            replicas: try ifSaid(1, replicas, else: 0),
            retention: try ifSaid(2, retention, else: .zero),
            survive: try ifSaid(4, policy.survive, else: plain.survive),
            homes: try ifSaid(8, policy.homes, else: plain.homes),
            failover: try ifSaid(16, policy.failover, else: plain.failover),
            reads: try ifSaid(32, policy.reads, else: plain.reads),
            acknowledgement: try ifSaid(64, policy.acknowledgement, else: plain.acknowledgement),
            localReadsWithin: try ifSaid(128, policy.localReadsWithin ?? .zero, else: .zero),
            splitAboveBytes: try ifSaid(256, splitAbove, else: 0))
    }
}
