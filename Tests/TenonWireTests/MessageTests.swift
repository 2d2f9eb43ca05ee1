import TenonCore
import Testing

@testable import TenonWire

/// Every message of the protocol, with each of its branches.
private enum Samples {
    static let header = RequestHeader(
        epoch: Epoch(3), timeoutMilliseconds: 5_000, tablet: TabletID(2), generation: .first)
    static let point = ReadPoint(tablet: TabletID(2), version: Timestamp(77))
    static let old = ReadPoint(
        tablet: TabletID(2), version: Timestamp(77), age: .within(milliseconds: 120))
    static let ancient = ReadPoint(tablet: TabletID(2), version: Timestamp(77), age: .unknown)
    static let value = StoredValue(bytes: "value", version: Timestamp(9))

    static let requests: [Request] = [
        .write(command: "not looked into"), .get(key: "k", at: nil),
        .get(key: "k", at: Timestamp(5)), .getMany(keys: ["a", "b", ""], at: nil),
        .get(key: "k", at: nil, staleness: .any),
        .get(key: "k", at: nil, staleness: .within(milliseconds: 2_000)),
        .getMany(keys: ["a"], at: nil, staleness: .within(milliseconds: 0)),
        .scan(ScanRequest(from: "a", to: nil, limit: 10, staleness: .any)),
        .scan(ScanRequest(from: "a", to: nil, limit: 10)),
        .scan(
            ScanRequest(
                from: "a", to: "b", limit: 1, isReversed: true, at: Timestamp(8), page: "token")),
        .describe, .status, .transferLeadership(to: NodeID(2)), .contentDigest,
        .injectFault(FaultOrder(.link(link), milliseconds: 30_000)),
        .injectFault(FaultOrder(.clientsCut)),
        .injectFault(FaultOrder(.disk(DiskDisorder(.stall(milliseconds: 100), isLogOnly: true)))),
        .injectFault(FaultOrder(.disk(DiskDisorder(.hang)))),
        .injectFault(FaultOrder(.disk(DiskDisorder(.fail)))),
        .injectFault(FaultOrder(.disk(DiskDisorder(.fill)))),
        .injectFault(
            FaultOrder(
                .clock(ClockDisorder(shiftMilliseconds: -3_600_000, driftPartsPerMillion: -500)))),
        .clearFaults,
        .direct(
            .join(name: "n4", address: "[::1]:7504", locality: "city=sh", folder: folder)),
        .direct(.join(name: "n5", address: "a:1", locality: "", folder: folder, isWitness: true)),
        .direct(.drain(node: "n1")), .direct(.undrain(node: "n1")),
        .direct(.remove(node: "n1", replacement: "n4")),
        .direct(.remove(node: "n1", replacement: nil)),
        .direct(
            .createKeyspace(
                name: "accounts",
                KeyspaceSettings(
                    replicas: 3, retention: .seconds(60), splitAboveBytes: 1 << 30))),
        .direct(
            .createKeyspace(
                name: "orders",
                KeyspaceSettings(
                    survive: .city, homes: [.init(prefix: "sh/", city: "shanghai")],
                    failover: ["beijing"], acknowledgement: .city,
                    localReadsWithin: .seconds(2)))),
        .direct(.alterKeyspace(name: "orders", KeyspaceSettings(localReadsWithin: .zero))),
        .direct(.alterKeyspace(name: "orders", KeyspaceSettings(homes: []))),
        .direct(.dropKeyspace(name: "accounts")),
        .direct(.moveReplica(TabletID(2), from: "n1", to: "n4")),
        .direct(.splitTablet(TabletID(2), at: "m")),
        .acceptClock,
    ].map { Request(header: header, body: $0) }

    static let folder = FolderID(high: 7, low: 8)

    /// A directory in the middle of a change.
    static var changing: Directory {
        let members = (1...3).map { Member(replica: ReplicaID($0), node: NodeID(UInt32($0))) }
        var directory = Directory(
            version: Timestamp(9),
            nodes: [
                Directory.Node(
                    id: NodeID(4), name: "n4", address: "a:1", locality: "", state: .leaving,
                    folder: folder, replacement: NodeID(5)),
                Directory.Node(
                    id: NodeID(6), name: "n6", address: "a:2", locality: "city=c", isWitness: true),
            ],
            keyspaces: [
                Directory.Keyspace(
                    id: KeyspaceID(2), name: "k", replicas: 5, retention: .seconds(3),
                    isDropped: true, splitAboveBytes: 1 << 20)
            ],
            tablets: [
                TabletDescriptor(
                    id: TabletID(3), keyspace: KeyspaceID(2), generation: Generation(2),
                    lower: "a", upper: "b", leader: NodeID(1), configuration: Generation(4),
                    voters: members,
                    learners: [Member(replica: ReplicaID(9), node: NodeID(4), isWitness: true)],
                    isJoint: true, target: Array(members.dropFirst()),
                    targetLearners: [Member(replica: ReplicaID(8), node: NodeID(5))],
                    acknowledgement: Acknowledgement(.dc, places: ["a", nil, "b"]),
                    targetAcknowledgement: Acknowledgement(.city, places: ["a", "b"]),
                    nextReplica: ReplicaID(10))
            ])
        directory.cluster = ClusterID(high: 1, low: 2)
        directory.epoch = Epoch(3)
        directory.memberListDigest = 4
        return directory
    }

    static var link: LinkDisorder {
        var link = LinkDisorder(peer: NodeID(3))
        link.delayMilliseconds = 200
        link.jitterMilliseconds = 500
        link.lossPerMille = 50
        link.bytesPerSecond = 125_000
        link.isCut = true
        return link
    }

    static let directory = Directory(
        nodes: [.init(id: NodeID(1), name: "n1", address: "[::1]:7501", locality: "city=sh")],
        keyspaces: [.init(id: .default, name: "default")],
        tablets: [
            TabletDescriptor(
                id: TabletID(2), keyspace: .default, generation: .first, lower: Bytes(),
                upper: "m", leader: NodeID(1)),
            TabletDescriptor(
                id: TabletID(3), keyspace: .default, generation: .first, lower: "m", upper: nil,
                leader: NodeID(0)),
        ])

    static var status: NodeStatus {
        var status = NodeStatus(
            node: NodeID(1), name: "n1", cluster: ClusterID(high: 1, low: 2),
            boot: BootNumber(4), epoch: .first, state: "serving")
        status.counters.logSyncs = 12
        status.counters.damagedEntries = 1
        status.peers = [
            .init(node: NodeID(2), isConnected: false, roundTripMicroseconds: 3, problem: "gone")
        ]
        var tablet = NodeStatus.Tablet(tablet: TabletID(2), role: "leader")
        tablet.logDigest = 5
        tablet.sessions = 6
        status.tablets = [tablet]
        status.clock = .init(
            state: "agreed", time: WallTime(milliseconds: 9), errorMilliseconds: -3,
            stepMilliseconds: 4, known: 2, members: 3)
        return status
    }

    static let answers: [Answer] = [
        .outcome(.written(version: Timestamp(1)), at: point),
        .outcome(.conditionFailed(current: value), at: point), .value(nil, at: point),
        .value(value, at: point), .values([nil, value], at: point),
        .value(value, at: old), .page([], next: nil, at: ancient),
        .page([ScanItem(key: "k", value: value)], next: "token", at: point),
        .page([], next: nil, at: point), .directory(directory), .directory(changing),
        .status(status), .done,
        .refusal(
            Refusal(
                .notLeader, "ask node 2", isOutcomeUnknown: true, retryAfterMilliseconds: 5,
                leader: NodeID(2))),
    ]

    static let peerHello = PeerHello(
        stream: .bulk, receiver: NodeID(2),
        identity: PeerIdentity(
            cluster: ClusterID(high: 1, low: 2), node: NodeID(1),
            folder: FolderID(high: 3, low: 4), boot: BootNumber(5), nonce: 6, epoch: .first,
            hasEntries: true, logPosition: 7, memberListDigest: 8))
}

private func encoded(_ write: (inout ByteWriter) -> Void) -> [UInt8] {
    var writer = ByteWriter()
    write(&writer)
    return writer.take()
}

/// Each truncation must throw; a flipped bit must throw or give another value, and never trap.
private func expectRobust<Message: Equatable>(
    _ bytes: [UInt8], _ message: Message, mayEndEarly: Bool = false,
    _ decode: (Bytes) throws -> Message
) throws {
    #expect(try decode(Bytes(bytes)) == message)
    for count in 0..<bytes.count where !mayEndEarly {
        #expect(throws: DecodingError.self) { try decode(Bytes(Array(bytes[..<count]))) }
    }
    for place in bytes.indices {
        for bit in 0..<8 {
            var flipped = bytes
            flipped[place] ^= 1 << UInt8(bit)
            if let other = try? decode(Bytes(flipped)) { #expect(other != message) }
        }
    }
}

@Suite("Messages")
struct MessageTests {
    @Test(arguments: Samples.requests)
    func `a request survives its encoding and no mutilation passes for it`(
        _ request: Request
    ) throws {
        // A write's command is what is left: the state machine's own check finds a short one.
        let isWrite = if case .write = request.body { true } else { false }
        try expectRobust(
            encoded { request.encode(to: &$0) }, request, mayEndEarly: isWrite
        ) { try Request(from: $0) }
    }

    @Test func `orders to be faulty are known by their first bytes`() {
        for request in Samples.requests {
            let isOrder =
                switch request.body {
                case .injectFault, .clearFaults: true
                default: false
                }
            let bytes = encoded { request.encode(to: &$0) }
            #expect(RequestBody.ordersFaults(Bytes(bytes)) == isOrder)
            #expect(!RequestBody.ordersFaults(Bytes(Array(bytes.prefix(60)))))
        }
    }

    @Test func `an order beyond its bounds is refused`() {
        var link = LinkDisorder(peer: NodeID(1))
        link.delayMilliseconds = LinkDisorder.millisecondsMax + 1
        let shift = ClockDisorder.shiftMillisecondsMax + 1
        let orders: [FaultOrder.Fault] = [
            .link(link), .disk(DiskDisorder(.stall(milliseconds: 60_001))),
            .clock(ClockDisorder(shiftMilliseconds: shift)),
            .clock(ClockDisorder(shiftMilliseconds: -shift)),
            .clock(ClockDisorder(shiftMilliseconds: 0, driftPartsPerMillion: 100_001)),
        ]
        for fault in orders {
            let request = Request(header: Samples.header, body: .injectFault(FaultOrder(fault)))
            let bytes = Bytes(encoded { request.encode(to: &$0) })
            #expect(throws: DecodingError.self) { try Request(from: bytes) }
        }
    }

    @Test(arguments: Samples.answers)
    func `an answer survives its encoding and no mutilation passes for it`(
        _ answer: Answer
    ) throws {
        try expectRobust(encoded { answer.encode(to: &$0) }, answer) { try Answer(from: $0) }
    }

    @Test func `hellos survive their encoding`() throws {
        let client = ClientHello(cluster: ClusterID(high: 9, low: 8), epoch: Epoch(2))
        try expectRobust(encoded { client.encode(to: &$0) }, client) { try ClientHello(from: $0) }
        let welcome = ServerWelcome(
            version: 1, cluster: ClusterID(high: 9, low: 8), node: NodeID(3), epoch: .first,
            clusterTime: Timestamp(123))
        try expectRobust(encoded { welcome.encode(to: &$0) }, welcome) {
            try ServerWelcome(from: $0)
        }
        let peer = Samples.peerHello
        try expectRobust(encoded { peer.encode(to: &$0) }, peer) { try PeerHello(from: $0) }
    }

    @Test func `the hellos' bytes are those of the first version`() {
        let client = ClientHello(cluster: ClusterID(high: 1, low: 2), epoch: Epoch(3))
        #expect(
            encoded { client.encode(to: &$0) }
                == [1, 0, 1, 0] + [1, 0, 0, 0, 0, 0, 0, 0] + [2, 0, 0, 0, 0, 0, 0, 0]
                + [3, 0, 0, 0, 0, 0, 0, 0])
        let peer = encoded { Samples.peerHello.encode(to: &$0) }
        #expect(peer.count == 4 + 2 + 1 + 4 + 16 + 4 + 16 + 8 + 8 + 8 + 1 + 8 + 8)
        #expect(Array(peer[0..<11]) == [1, 0, 1, 0, 1, 0, 2, 2, 0, 0, 0])
    }

    @Test func `a request's header has sixty bytes in the order of the design`() {
        var header = Samples.header
        header.tenant = 0xAABB
        header.traceLow = 0xCC
        let bytes = encoded { header.encode(to: &$0) }
        #expect(bytes.count == 60)
        #expect(Array(bytes[0..<8]) == [3, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[8..<12]) == [0x88, 0x13, 0, 0])
        #expect(Array(bytes[12..<16]) == [0xBB, 0xAA, 0, 0])
        #expect(bytes[32] == 0xCC)
        #expect(Array(bytes[44..<52]) == [2, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func `random garbage is refused without a trap`() {
        var random = SeededGenerator(seed: 41)
        for _ in 0..<20_000 {
            let count = Int(random.below(200))
            let bytes = Bytes((0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            _ = try? Request(from: bytes)
            _ = try? Answer(from: bytes)
            _ = try? PeerHello(from: bytes)
            _ = try? ClientHello(from: bytes)
            _ = try? Goodbye(from: bytes)
        }
    }

    @Test func `protocol versions agree on the highest that both speak`() {
        let old = ProtocolRange(oldest: 1, newest: 2)
        #expect(old.agreed(with: ProtocolRange(oldest: 2, newest: 5)) == 2)
        #expect(old.agreed(with: ProtocolRange(oldest: 1, newest: 1)) == 1)
        #expect(old.agreed(with: ProtocolRange(oldest: 3, newest: 5)) == nil)
    }

    @Test func `a status from newer software is read without its new counters`() throws {
        var bytes = encoded { Samples.status.encode(to: &$0) }
        // One more counter than this software knows, at the end of the list.
        let offset = 4 + 4 + 2 + 16 + 8 + 8 + 8 + 4 + 7 + 4 + 4
        let count = NodeStatus.Counters.fields.count
        #expect(bytes[offset] == UInt8(count))
        bytes[offset] += 1
        bytes.insert(contentsOf: [1, 2, 3, 4, 5, 6, 7, 8], at: offset + 4 + count * 8)
        var reader = ByteReader(bytes)
        #expect(try NodeStatus(from: &reader) == Samples.status)
    }
}

@Suite("Directory")
struct DirectoryTests {
    @Test func `a key is found in the tablet that holds it`() {
        let directory = Samples.directory
        #expect(directory.tablet(of: .default, holding: "")?.id == TabletID(2))
        #expect(directory.tablet(of: .default, holding: "lzz")?.id == TabletID(2))
        #expect(directory.tablet(of: .default, holding: "m")?.id == TabletID(3))
        #expect(directory.tablet(of: .default, holding: "zz")?.id == TabletID(3))
        #expect(directory.tablet(of: KeyspaceID(9), holding: "m") == nil)
    }
}
