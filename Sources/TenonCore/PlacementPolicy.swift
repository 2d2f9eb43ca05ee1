/// What a keyspace must survive, and from where it is led: kept and given back as it was typed.
package struct PlacementPolicy: Hashable, Sendable {
    /// The keys that begin with `prefix` are led from `city`.
    package struct Home: Hashable, Sendable {
        package var prefix: Bytes
        package var city: String

        package init(prefix: Bytes, city: String) {
            self.prefix = prefix
            self.city = city
        }
    }

    /// The largest loss that must take away neither data nor service.
    package var survive: FailureLevel
    package var homes: [Home]
    /// The cities that lead in place of a home that is lost, in this order; then any other.
    package var failover: [String]
    package var reads: ReadMode
    /// Where a write must be durable before it is acknowledged (Rule C6).
    package var acknowledgement: AcknowledgementRule
    /// How old a read may be that every city with nodes is to serve from a copy of its own: where no
    /// voter stands, a learner does. Nil when copies are where voters are and nowhere else.
    package var localReadsWithin: TimeSpan?

    /// How the leader makes sure that what it reads is the newest.
    package enum ReadMode: UInt8, CaseIterable, Sendable {
        /// A quorum is asked, once for many reads (Rule C2).
        case quorum = 0
        /// Nobody is asked while the voters' promises hold (Rule C3).
        case lease = 1

        package var name: String {
            switch self {
            case .quorum: "quorum"
            case .lease: "lease"
            }
        }
    }

    /// Homes and cities that a policy may name.
    package static let homesMax = 256
    /// What ``localReadsWithin`` may be. Below a millisecond no copy can know itself so new, and what
    /// may be more than a day old is better read from a backup.
    package static let localReadsBounds = TimeSpan.milliseconds(1)...TimeSpan.seconds(86_400)

    package init(
        survive: FailureLevel = .node, homes: [Home] = [], failover: [String] = [],
        reads: ReadMode = .quorum, acknowledgement: AcknowledgementRule = .majority,
        localReadsWithin: TimeSpan? = nil
    ) {
        self.survive = survive
        self.homes = homes
        self.failover = failover
        self.reads = reads
        self.acknowledgement = acknowledgement
        self.localReadsWithin = localReadsWithin
    }

    /// The keys at which a home begins or ends: a tablet lies between two of them, so that all its
    /// keys have the same home. In rising order.
    package var borders: [Bytes] {
        let all = homes.flatMap { [$0.prefix, $0.prefix.prefixSuccessor] }
        return Set(all.compactMap { $0 }.filter { !$0.isEmpty }).sorted()
    }

    /// The home of all keys from `lower` up to `upper` (nil: to the end); nil when they have none,
    /// or not the same.
    package func home(from lower: Bytes, to upper: Bytes?) -> Home? {
        homes.first { home in
            guard lower.starts(with: home.prefix) else { return false }
            guard let end = home.prefix.prefixSuccessor else { return true }
            return upper.map { $0 <= end } ?? false
        }
    }

    /// Layout: survive 1 · reads 1 · acknowledgement 1 · home count 4 · (prefix, city) … ·
    /// failover count 4 · cities … · age of local reads in nanoseconds 8, 0 for none.
    package func encode(to writer: inout ByteWriter) {
        writer.uint8(survive.rawValue)
        writer.uint8(reads.rawValue)
        writer.uint8(acknowledgement.rawValue)
        writer.uint32(UInt32(homes.count))
        for home in homes {
            writer.lengthPrefixed(home.prefix)
            writer.lengthPrefixed(home.city)
        }
        writer.uint32(UInt32(failover.count))
        for city in failover { writer.lengthPrefixed(city) }
        writer.uint64(localReadsWithin?.nanoseconds ?? 0)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        let byte = try reader.uint8()
        guard let survive = FailureLevel(rawValue: byte) else {
            throw .unknownKind(field: "survive", value: UInt64(byte))
        }
        self.survive = survive
        let mode = try reader.uint8()
        guard let reads = ReadMode(rawValue: mode) else {
            throw .unknownKind(field: "reads", value: UInt64(mode))
        }
        self.reads = reads
        acknowledgement = try AcknowledgementRule(from: &reader)
        homes = []
        failover = []
        let most = PlacementPolicy.homesMax
        for _ in 0..<(try reader.count("homes", itemBytes: 8, atMost: most)) {
            homes.append(
                Home(prefix: try reader.key(), city: try PlacementPolicy.city(from: &reader)))
        }
        for _ in 0..<(try reader.count("cities", itemBytes: 4, atMost: most)) {
            failover.append(try PlacementPolicy.city(from: &reader))
        }
        localReadsWithin = try PlacementPolicy.localReads(from: &reader)
    }

    private static func localReads(from reader: inout ByteReader) throws(DecodingError) -> TimeSpan?
    {
        let age = TimeSpan(nanoseconds: try reader.uint64())
        guard age != .zero else { return nil }
        guard localReadsBounds.contains(age) else { throw .malformed("the age of local reads") }
        return age
    }

    private static func city(from reader: inout ByteReader) throws(DecodingError) -> String {
        try reader.lengthPrefixedText("city", atMost: Limits.nameBytesMax)
    }
}
