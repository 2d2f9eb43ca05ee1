import TenonCore

extension NodeStatus {
    private static let textBytesMax = 1_024
    private static let listMax = 100_000

    /// Layout: node 4 · name · cluster 16 · boot 8 · epoch 8 · uptime 8 · state · security ·
    /// counters (count 4, 8 each) · peers (count 4) · tablets (count 4) · clock.
    func encode(to writer: inout ByteWriter) {
        writer.identifier(node)
        writer.lengthPrefixed(name)
        writer.identifier(cluster)
        writer.identifier(boot)
        writer.identifier(epoch)
        writer.uint64(uptimeMilliseconds)
        writer.lengthPrefixed(state)
        writer.lengthPrefixed(security)
        writer.uint32(UInt32(Counters.fields.count))
        for field in Counters.fields { writer.uint64(counters[keyPath: field]) }
        writer.uint32(UInt32(peers.count))
        for peer in peers { peer.encode(to: &writer) }
        writer.uint32(UInt32(tablets.count))
        for tablet in tablets { tablet.encode(to: &writer) }
        clock.encode(to: &writer)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        node = try reader.identifier(NodeID.self)
        name = try reader.lengthPrefixedText("name", atMost: Limits.nameBytesMax)
        cluster = try reader.identifier(ClusterID.self)
        boot = try reader.identifier(BootNumber.self)
        epoch = try reader.identifier(Epoch.self)
        uptimeMilliseconds = try reader.uint64()
        state = try reader.lengthPrefixedText("state", atMost: NodeStatus.textBytesMax)
        security = try reader.lengthPrefixedText("security", atMost: NodeStatus.textBytesMax)
        let counterCount = try reader.count("counters", itemBytes: 8, atMost: 1_000)
        for place in 0..<counterCount {
            let value = try reader.uint64()
            if place < Counters.fields.count { counters[keyPath: Counters.fields[place]] = value }
        }
        for _ in 0..<(try reader.count("peers", itemBytes: 17, atMost: NodeStatus.listMax)) {
            peers.append(try Peer(from: &reader))
        }
        for _ in 0..<(try reader.count("tablets", itemBytes: 100, atMost: NodeStatus.listMax)) {
            tablets.append(try Tablet(from: &reader))
        }
        clock = try Clock(from: &reader)
    }
}

extension NodeStatus.Clock {
    /// Layout: state · time 8 · error 8 · step 8 · known 4 · members 4.
    func encode(to writer: inout ByteWriter) {
        writer.lengthPrefixed(state)
        writer.uint64(time.milliseconds)
        writer.integer(errorMilliseconds)
        writer.integer(stepMilliseconds)
        writer.uint32(known)
        writer.uint32(members)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        state = try reader.lengthPrefixedText("clock", atMost: 256)
        time = WallTime(milliseconds: try reader.uint64())
        errorMilliseconds = try reader.integer(Int64.self)
        stepMilliseconds = try reader.integer(Int64.self)
        known = try reader.uint32()
        members = try reader.uint32()
    }
}

extension NodeStatus.Peer {
    /// Layout: node 4 · connected 1 · round trip 8 · problem.
    func encode(to writer: inout ByteWriter) {
        writer.identifier(node)
        writer.flag(isConnected)
        writer.uint64(roundTripMicroseconds)
        writer.lengthPrefixed(String(problem.prefix(200)))
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        node = try reader.identifier(NodeID.self)
        isConnected = try reader.flag("connected")
        roundTripMicroseconds = try reader.uint64()
        problem = try reader.lengthPrefixedText("problem", atMost: 1_024)
    }
}

extension NodeStatus.Tablet {
    /// Layout: tablet 8 · role · leader 4 · thirteen numbers of 8 · health.
    func encode(to writer: inout ByteWriter) {
        writer.identifier(tablet)
        writer.lengthPrefixed(role)
        writer.identifier(leader)
        for number in [
            term, first, last, commit, applied, flushed, lastVersion.rawValue,
            historyFloor.rawValue, logDigest, contentDigest, contentDigestVersion.rawValue,
            bytesOnDisk, sessions,
        ] {
            writer.uint64(number)
        }
        writer.lengthPrefixed(String(health.prefix(200)))
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        tablet = try reader.identifier(TabletID.self)
        role = try reader.lengthPrefixedText("role", atMost: 64)
        leader = try reader.identifier(NodeID.self)
        term = try reader.uint64()
        first = try reader.uint64()
        last = try reader.uint64()
        commit = try reader.uint64()
        applied = try reader.uint64()
        flushed = try reader.uint64()
        lastVersion = try reader.identifier(Timestamp.self)
        historyFloor = try reader.identifier(Timestamp.self)
        logDigest = try reader.uint64()
        contentDigest = try reader.uint64()
        contentDigestVersion = try reader.identifier(Timestamp.self)
        bytesOnDisk = try reader.uint64()
        sessions = try reader.uint64()
        health = try reader.lengthPrefixedText("health", atMost: 1_024)
    }
}
