package import TenonCore

/// The first eight bytes of a connection, which tell who connects. No HTTP method begins so.
package enum Preface {
    package static let client: [UInt8] = Array("TNNCLNT\n".utf8)
    package static let peer: [UInt8] = Array("TNNPEER\n".utf8)
    package static let byteCount = 8
}

/// The versions of the protocol that an end speaks. The highest that both speak is used.
package struct ProtocolRange: Hashable, Sendable {
    package var oldest: UInt16
    package var newest: UInt16

    package init(oldest: UInt16, newest: UInt16) {
        self.oldest = oldest
        self.newest = newest
    }

    /// What this code speaks.
    package static let current = ProtocolRange(oldest: 1, newest: 1)

    /// The version to use with `other`; nil when there is none.
    package func agreed(with other: ProtocolRange) -> UInt16? {
        let version = min(newest, other.newest)
        return version >= max(oldest, other.oldest) ? version : nil
    }

    func encode(to writer: inout ByteWriter) {
        writer.uint16(oldest)
        writer.uint16(newest)
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        oldest = try reader.uint16()
        newest = try reader.uint16()
    }
}

/// What a client says first.
///
/// Layout: versions 4 · cluster id 16 (0 = any) · highest epoch seen 8.
package struct ClientHello: Hashable, Sendable {
    package var versions: ProtocolRange
    package var cluster: ClusterID
    package var epoch: Epoch

    package init(versions: ProtocolRange = .current, cluster: ClusterID, epoch: Epoch) {
        self.versions = versions
        self.cluster = cluster
        self.epoch = epoch
    }

    package func encode(to writer: inout ByteWriter) {
        versions.encode(to: &writer)
        writer.identifier(cluster)
        writer.identifier(epoch)
    }

    package init(from body: Bytes) throws(DecodingError) {
        var reader = ByteReader(body)
        versions = try ProtocolRange(from: &reader)
        cluster = try reader.identifier(ClusterID.self)
        epoch = try reader.identifier(Epoch.self)
        try reader.finish()
    }
}

/// What a node answers a client's hello.
///
/// Layout: version 2 · cluster id 16 · node 4 · epoch 8 · cluster time 8.
package struct ServerWelcome: Hashable, Sendable {
    package var version: UInt16
    package var cluster: ClusterID
    package var node: NodeID
    package var epoch: Epoch
    /// The node's cluster time, from which the client reckons first-issue times (Rule S3).
    package var clusterTime: Timestamp

    package init(
        version: UInt16, cluster: ClusterID, node: NodeID, epoch: Epoch, clusterTime: Timestamp
    ) {
        self.version = version
        self.cluster = cluster
        self.node = node
        self.epoch = epoch
        self.clusterTime = clusterTime
    }

    package func encode(to writer: inout ByteWriter) {
        writer.uint16(version)
        writer.identifier(cluster)
        writer.identifier(node)
        writer.identifier(epoch)
        writer.identifier(clusterTime)
    }

    package init(from body: Bytes) throws(DecodingError) {
        var reader = ByteReader(body)
        version = try reader.uint16()
        cluster = try reader.identifier(ClusterID.self)
        node = try reader.identifier(NodeID.self)
        epoch = try reader.identifier(Epoch.self)
        clusterTime = try reader.identifier(Timestamp.self)
        try reader.finish()
    }
}

/// Why an end closes a connection, for the other end's log.
///
/// Layout: length 4 · text.
package struct Goodbye: Hashable, Sendable {
    package var reason: String
    private static let reasonBytesMax = 1_024

    package init(reason: String) { self.reason = reason }

    package func encode(to writer: inout ByteWriter) {
        writer.lengthPrefixed(String(reason.prefix(Goodbye.reasonBytesMax / 4)))
    }

    package init(from body: Bytes) throws(DecodingError) {
        var reader = ByteReader(body)
        reason = try reader.lengthPrefixedText("reason", atMost: Goodbye.reasonBytesMax)
        try reader.finish()
    }
}
