package import TenonCore

/// What every request carries, whatever it asks (Rule F).
///
/// Layout (60 bytes): epoch 8 · milliseconds until the deadline 4 · tenant 4 · principal 8 ·
/// trace 16 · keyspace 4 · tablet 8 · generation 8.
package struct RequestHeader: Hashable, Sendable {
    package var epoch: Epoch
    /// How long the client still waits, counted from when the node reads the request.
    package var timeoutMilliseconds: UInt32
    /// 0 = none.
    package var tenant: UInt32
    /// 0 = none.
    package var principal: UInt64
    /// 0 = none.
    package var traceHigh: UInt64
    package var traceLow: UInt64
    package var keyspace: KeyspaceID
    package var tablet: TabletID
    package var generation: Generation

    /// How long it is when encoded.
    package static let byteCount = 60

    package init(
        epoch: Epoch, timeoutMilliseconds: UInt32, keyspace: KeyspaceID = .default,
        tablet: TabletID, generation: Generation
    ) {
        self.epoch = epoch
        self.timeoutMilliseconds = timeoutMilliseconds
        tenant = 0
        principal = 0
        traceHigh = 0
        traceLow = 0
        self.keyspace = keyspace
        self.tablet = tablet
        self.generation = generation
    }

    package func encode(to writer: inout ByteWriter) {
        writer.identifier(epoch)
        writer.uint32(timeoutMilliseconds)
        writer.uint32(tenant)
        writer.uint64(principal)
        writer.uint64(traceHigh)
        writer.uint64(traceLow)
        writer.identifier(keyspace)
        writer.identifier(tablet)
        writer.identifier(generation)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        epoch = try reader.identifier(Epoch.self)
        timeoutMilliseconds = try reader.uint32()
        tenant = try reader.uint32()
        principal = try reader.uint64()
        traceHigh = try reader.uint64()
        traceLow = try reader.uint64()
        keyspace = try reader.identifier(KeyspaceID.self)
        tablet = try reader.identifier(TabletID.self)
        generation = try reader.identifier(Generation.self)
    }
}

/// What a request asks.
package enum RequestBody: Hashable, Sendable {
    /// An encoded ``Command``; its bytes go into the entry as they are.
    case write(command: Bytes)
    /// The value of a key, the newest or as of a version.
    case get(key: Bytes, at: Timestamp?, staleness: Staleness = .none)
    case getMany(keys: [Bytes], at: Timestamp?, staleness: Staleness = .none)
    /// Indirect, because it is three times as large as the others.
    indirect case scan(ScanRequest)
    /// Nodes, keyspaces and tablets, from any node.
    case describe
    /// ``NodeStatus`` of this very node.
    case status
    /// Hands the leadership of the header's tablet to a node.
    case transferLeadership(to: NodeID)
    /// Every replica computes its content digest at one version (Rule S5); see status for it.
    case contentDigest
    /// A change of the cluster, to the leader of the directory. Answered with the outcome of its
    /// transaction, or ``Answer/done`` when everything is so already.
    indirect case direct(DirectoryOrder)
    /// Asks this very node to be faulty. Only the edge of a node that was started with
    /// `--enable-fault-injection` does it; every other refuses it as `denied`.
    indirect case injectFault(FaultOrder)
    /// Ends all faults that this very node was ordered to have.
    case clearFaults

    /// Whether it orders faults, by the first bytes of the encoded request.
    package static func ordersFaults(_ request: Bytes) -> Bool {
        guard request.count > RequestHeader.byteCount else { return false }
        let kind = request[RequestHeader.byteCount]
        return kind == injectFaultKind || kind == clearFaultsKind
    }

    fileprivate static let injectFaultKind: UInt8 = 20
    fileprivate static let clearFaultsKind: UInt8 = 21
    /// An operator takes the time that the clocks show for right, after a step (Rule S2). Said to
    /// one node; the others learn it from there.
    case acceptClock
}

extension RequestBody {
    /// How old the content may be that a read is answered from.
    package var staleness: Staleness {
        switch self {
        case .get(_, _, let staleness), .getMany(_, _, let staleness): staleness
        case .scan(let scan): scan.staleness
        default: .none
        }
    }
}

/// A page of keys in order.
package struct ScanRequest: Hashable, Sendable {
    package var from: Bytes
    /// Nil for the end of the tablet.
    package var to: Bytes?
    package var limit: Int
    package var isReversed: Bool
    package var at: Timestamp?
    package var staleness: Staleness
    /// What the page before gave; nil for the first page.
    package var page: Bytes?

    package static let pageTokenBytesMax = Limits.keyBytesMax + 64

    package init(
        from: Bytes, to: Bytes?, limit: Int, isReversed: Bool = false, at: Timestamp? = nil,
        staleness: Staleness = .none, page: Bytes? = nil
    ) {
        self.from = from
        self.to = to
        self.limit = limit
        self.isReversed = isReversed
        self.at = at
        self.staleness = staleness
        self.page = page
    }
}

/// A request: header, kind 1, body.
package struct Request: Hashable, Sendable {
    package var header: RequestHeader
    package var body: RequestBody

    package init(header: RequestHeader, body: RequestBody) {
        self.header = header
        self.body = body
    }

    /// Appends a request to write `command`, which needs no buffer of its own.
    package static func encode(
        write command: Command, header: RequestHeader, to writer: inout ByteWriter
    ) {
        header.encode(to: &writer)
        writer.uint8(Request.writeKind)
        command.encode(to: &writer)
    }

    private static let writeKind: UInt8 = 1

    package func encode(to writer: inout ByteWriter) {
        header.encode(to: &writer)
        switch body {
        case .write(let command):
            writer.uint8(Request.writeKind)
            writer.raw(command)
        case .get(let key, let at, let staleness):
            writer.uint8(2)
            writer.optional(at)
            staleness.encode(to: &writer)
            writer.lengthPrefixed(key)
        case .getMany(let keys, let at, let staleness):
            writer.uint8(3)
            writer.optional(at)
            staleness.encode(to: &writer)
            writer.uint32(UInt32(keys.count))
            for key in keys { writer.lengthPrefixed(key) }
        case .scan(let scan):
            writer.uint8(4)
            scan.encode(to: &writer)
        case .describe: writer.uint8(5)
        case .status: writer.uint8(6)
        case .transferLeadership(let node):
            writer.uint8(7)
            writer.identifier(node)
        case .contentDigest: writer.uint8(8)
        case .direct(let order):
            writer.uint8(10)
            order.encode(to: &writer)
        case .injectFault(let order):
            writer.uint8(RequestBody.injectFaultKind)
            order.encode(to: &writer)
        case .clearFaults: writer.uint8(RequestBody.clearFaultsKind)
        case .acceptClock: writer.uint8(30)
        }
    }

    package init(from body: Bytes) throws(DecodingError) {
        var reader = ByteReader(body)
        header = try RequestHeader(from: &reader)
        let kind = try reader.uint8()
        switch kind {
        case Request.writeKind: self.body = .write(command: reader.rest())
        case 2:
            let at = try reader.optionalTimestamp()
            let staleness = try Staleness(from: &reader)
            self.body = .get(key: try reader.key(), at: at, staleness: staleness)
        case 3:
            let at = try reader.optionalTimestamp()
            let staleness = try Staleness(from: &reader)
            let count = try reader.count("keys", itemBytes: 4, atMost: Limits.getManyKeysMax)
            var keys: [Bytes] = []
            keys.reserveCapacity(count)
            for _ in 0..<count { keys.append(try reader.key()) }
            self.body = .getMany(keys: keys, at: at, staleness: staleness)
        case 4: self.body = .scan(try ScanRequest(from: &reader))
        case 5: self.body = .describe
        case 6: self.body = .status
        case 7: self.body = .transferLeadership(to: try reader.identifier(NodeID.self))
        case 8: self.body = .contentDigest
        case 10: self.body = .direct(try DirectoryOrder(from: &reader))
        case RequestBody.injectFaultKind:
            self.body = .injectFault(try FaultOrder(from: &reader))
        case RequestBody.clearFaultsKind: self.body = .clearFaults
        case 30: self.body = .acceptClock
        default: throw .unknownKind(field: "request", value: UInt64(kind))
        }
        try reader.finish()
    }
}

extension ScanRequest {
    /// Layout: reversed 1 · version (flag 1, 8) · staleness · limit 4 · from · (flag 1, to) ·
    /// (flag 1, page).
    func encode(to writer: inout ByteWriter) {
        writer.flag(isReversed)
        writer.optional(at)
        staleness.encode(to: &writer)
        writer.uint32(UInt32(limit))
        writer.lengthPrefixed(from)
        writer.optional(to)
        writer.optional(page)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        isReversed = try reader.flag("reversed")
        at = try reader.optionalTimestamp()
        staleness = try Staleness(from: &reader)
        limit = Int(try reader.uint32())
        guard limit > 0, limit <= Limits.scanItemsMax else {
            throw .tooLong(field: "limit", count: limit, bound: Limits.scanItemsMax)
        }
        from = try reader.key()
        to = try reader.flag("to") ? reader.key() : nil
        page =
            try reader.flag("page")
            ? reader.lengthPrefixedBytes("page", atMost: ScanRequest.pageTokenBytesMax) : nil
    }
}

extension ByteWriter {
    /// Layout: flag 1 · timestamp 8 when flagged.
    mutating func optional(_ timestamp: Timestamp?) {
        flag(timestamp != nil)
        if let timestamp { identifier(timestamp) }
    }

    /// Layout: flag 1 · length 4 and bytes when flagged.
    mutating func optional(_ value: Bytes?) {
        flag(value != nil)
        if let value { lengthPrefixed(value) }
    }
}

extension ByteReader {
    mutating func optionalTimestamp() throws(DecodingError) -> Timestamp? {
        try flag("version") ? identifier(Timestamp.self) : nil
    }
}
