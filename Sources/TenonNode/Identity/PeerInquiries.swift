package import TenonCore
package import TenonWire

/// Peers in lives that are new to this node, and what it waits for before it listens to them
/// (Rule I2).
///
/// A folder that was rolled back is refused by those who remember its later life. A node that was
/// away in that life does not, and the two could elect a leader that lacks what was acknowledged.
/// So a node that meets a peer with another boot number or nonce than it remembers asks all others
/// what they remember, and listens to the peer once they have answered. It does not wait for nodes
/// that refuse the connection, nor for longer than the shortest election timeout: two of three
/// nodes start when the third is dead. What such a third alone remembers, nobody can know
/// (Docs/Consistency.md).
package struct PeerInquiries: Sendable {
    /// Bounds what a peer sends while it is asked about.
    package static let heldBytesMax = 8 << 20

    /// What a peer sent before it was known whether it is to be heard.
    package struct HeldFrame: Sendable {
        package var frame: Frame
        package var stream: PeerStream
    }

    package struct Inquiry: Sendable {
        /// As the peer last said it, on whichever of its links.
        package fileprivate(set) var hello: PeerHello
        /// Who has not answered yet.
        fileprivate var waitingFor: Set<NodeID>
        fileprivate let until: Instant
        package fileprivate(set) var held: [HeldFrame] = []
        fileprivate var heldBytes = 0
    }

    private var inquiries: [NodeID: Inquiry] = [:]

    package init() {}

    package var isEmpty: Bool { inquiries.isEmpty }
    /// The peers that are asked about, with who is to be asked, in a fixed order.
    package var questions: [(peer: PeerIdentity, to: [NodeID])] {
        inquiries.values.map { ($0.hello.identity, $0.waitingFor.sorted()) }
            .sorted { $0.0.node < $1.0.node }
    }

    /// Whether `node` is not listened to yet.
    package func isOpen(about node: NodeID) -> Bool { inquiries[node] != nil }

    /// A peer came in a life that is new here. One inquiry is made of a life, whatever number of
    /// links it is told on; a still newer life ends the inquiry of the one before.
    ///
    /// - Returns: whether there is anybody to wait for.
    package mutating func begin(
        _ hello: PeerHello, asking others: Set<NodeID>, until: Instant
    ) -> Bool {
        let peer = hello.identity
        if let old = inquiries[peer.node]?.hello.identity, old.nonce == peer.nonce {
            inquiries[peer.node]?.hello = hello
            return true
        }
        inquiries[peer.node] = nil
        guard !others.isEmpty else { return false }
        inquiries[peer.node] = Inquiry(
            hello: hello, waitingFor: others, until: until)
        return true
    }

    /// Keeps what a peer sends until it is known whether it is to be heard.
    ///
    /// - Returns: false when it sent more than is kept: its links are to be closed.
    package mutating func hold(_ frame: Frame, _ stream: PeerStream, of node: NodeID) -> Bool {
        guard var inquiry = inquiries.removeValue(forKey: node) else { return true }
        inquiry.heldBytes += frame.body.count + Frame.headerBytes
        let fits = inquiry.heldBytes <= PeerInquiries.heldBytesMax
        if fits { inquiry.held.append(HeldFrame(frame: frame, stream: stream)) }
        inquiries[node] = inquiry
        return fits
    }

    /// `node` has said what it remembers of the life `nonce` of `peer`.
    package mutating func answered(by node: NodeID, of peer: NodeID, nonce: UInt64) {
        guard inquiries[peer]?.hello.identity.nonce == nonce else { return }
        inquiries[peer]?.waitingFor.remove(node)
    }

    /// Nobody answers at the address of `node`: it is not waited for.
    package mutating func gone(_ node: NodeID) { waitOnly { $0 != node } }

    private mutating func waitOnly(for isThere: (NodeID) -> Bool) {
        inquiries = inquiries.mapValues { inquiry in
            var inquiry = inquiry
            inquiry.waitingFor = inquiry.waitingFor.filter(isThere)
            return inquiry
        }
    }

    /// Takes out the inquiries that are over: all have answered, or it took too long.
    package mutating func takeFinished(now: Instant) -> [Inquiry] {
        let finished = inquiries.values
            .filter { $0.waitingFor.isEmpty || $0.until <= now }
            .sorted { $0.hello.identity.node < $1.hello.identity.node }
        for inquiry in finished { inquiries[inquiry.hello.identity.node] = nil }
        return finished
    }

    /// The nodes that there are: inquiries about others end, and others are not waited for.
    package mutating func setOthers(_ others: [NodeID]) {
        let others = Set(others)
        inquiries = inquiries.filter { others.contains($0.key) }
        waitOnly(for: others.contains)
    }
}

/// What a node remembers of a peer, when another asks: the life that the question was about, and
/// the memory; nil when it has none.
package struct PeerMemoryAnswer: Sendable {
    package var node: NodeID
    package var nonce: UInt64
    package var memory: PeerMemory?

    package init(node: NodeID, nonce: UInt64, memory: PeerMemory?) {
        self.node = node
        self.nonce = nonce
        self.memory = memory
    }

    /// Layout: node 4 · nonce 8 · memory, with its length 4 (0 without one).
    func encode(to writer: inout ByteWriter) {
        writer.identifier(node)
        writer.uint64(nonce)
        writer.lengthPrefixed(memory?.encoded() ?? Bytes())
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        node = try reader.identifier(NodeID.self)
        nonce = try reader.uint64()
        let bytes = try reader.lengthPrefixedBytes("peer memory", atMost: PeerMemory.encodedBytes)
        memory = bytes.isEmpty ? nil : try PeerMemory(decoding: bytes)
    }
}
