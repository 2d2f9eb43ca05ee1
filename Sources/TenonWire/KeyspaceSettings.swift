package import TenonCore

/// What an operator says of a keyspace; nil is what was not said.
package struct KeyspaceSettings: Hashable, Sendable {
    package var replicas: Int?
    package var retention: TimeSpan?
    package var survive: FailureLevel?
    package var homes: [PlacementPolicy.Home]?
    package var failover: [String]?
    package var reads: PlacementPolicy.ReadMode?

    package init(
        replicas: Int? = nil, retention: TimeSpan? = nil, survive: FailureLevel? = nil,
        homes: [PlacementPolicy.Home]? = nil, failover: [String]? = nil,
        reads: PlacementPolicy.ReadMode? = nil
    ) {
        self.replicas = replicas
        self.retention = retention
        self.survive = survive
        self.homes = homes
        self.failover = failover
        self.reads = reads
    }

    /// `policy` with what was said in place.
    package func applied(to policy: PlacementPolicy) -> PlacementPolicy {
        PlacementPolicy(
            survive: survive ?? policy.survive, homes: homes ?? policy.homes,
            failover: failover ?? policy.failover, reads: reads ?? policy.reads)
    }

    /// Layout: what is said 1 (bit 0 replicas, 1 retention, 2 survive, 3 homes, 4 failover, 5 reads) ·
    /// replicas 1 · retention in nanoseconds 8 · policy; zeros and nothing for what is not said.
    package func encode(to writer: inout ByteWriter) {
        let said = [
            replicas != nil, retention != nil, survive != nil, homes != nil, failover != nil,
            reads != nil,
        ]
        writer.uint8(said.reversed().reduce(0) { $0 << 1 | ($1 ? 1 : 0) })
        writer.uint8(UInt8(clamping: replicas ?? 0))
        writer.uint64((retention ?? .zero).nanoseconds)
        applied(to: PlacementPolicy()).encode(to: &writer)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let said = try reader.uint8()
        guard said < 1 << 6 else {
            throw .unknownKind(field: "settings of a keyspace", value: UInt64(said))
        }
        let replicas = Int(try reader.uint8())
        let retention = TimeSpan(nanoseconds: try reader.uint64())
        let policy = try PlacementPolicy(from: &reader)
        self.init(
            replicas: said & 1 == 0 ? nil : replicas,
            retention: said & 2 == 0 ? nil : retention,
            survive: said & 4 == 0 ? nil : policy.survive,
            homes: said & 8 == 0 ? nil : policy.homes,
            failover: said & 16 == 0 ? nil : policy.failover,
            reads: said & 32 == 0 ? nil : policy.reads)
    }
}
