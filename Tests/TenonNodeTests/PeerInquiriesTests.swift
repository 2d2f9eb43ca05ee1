import TenonCore
import TenonNode
import TenonWire
import Testing

/// Whom a node asks about a peer in a new life, and how long it waits (Rule I2).
@Suite struct PeerInquiriesTests {
    private let soon = Instant.zero + .milliseconds(500)

    private func hello(of node: UInt32 = 2, nonce: UInt64 = 9) -> PeerHello {
        PeerHello(
            stream: .consensus, receiver: NodeID(1),
            identity: PeerIdentity(
                cluster: ClusterID(high: 1, low: 2), node: NodeID(node),
                folder: FolderID(high: 5, low: 6), boot: BootNumber(3), nonce: nonce,
                epoch: .first, hasEntries: true, logPosition: 100, memberListDigest: 77))
    }

    private func frame(_ bytes: Int) -> Frame {
        Frame(kind: .peerMessages, body: Bytes([UInt8](repeating: 0, count: bytes)))
    }

    @Test func `a peer is heard once all others have answered`() {
        var inquiries = PeerInquiries()
        #expect(inquiries.begin(hello(), asking: [NodeID(3), NodeID(4)], until: soon) == true)
        #expect(inquiries.isOpen(about: NodeID(2)))
        #expect(inquiries.hold(frame(10), .consensus, of: NodeID(2)) == true)
        inquiries.answered(by: NodeID(3), of: NodeID(2), nonce: 9)
        #expect(inquiries.takeFinished(now: .zero).isEmpty)
        inquiries.answered(by: NodeID(4), of: NodeID(2), nonce: 8)
        #expect(inquiries.takeFinished(now: .zero).isEmpty, "an answer about another life")
        inquiries.answered(by: NodeID(4), of: NodeID(2), nonce: 9)
        let finished = inquiries.takeFinished(now: .zero)
        #expect(finished.map(\.held.count) == [1])
        #expect(inquiries.isEmpty)
    }

    @Test func `nobody waits for who is gone, nor for ever`() {
        var inquiries = PeerInquiries()
        #expect(inquiries.begin(hello(), asking: [], until: soon) == false, "nobody to ask")
        #expect(inquiries.begin(hello(), asking: [NodeID(3)], until: soon) == true)
        inquiries.gone(NodeID(3))
        #expect(inquiries.takeFinished(now: .zero).count == 1)

        #expect(inquiries.begin(hello(), asking: [NodeID(3)], until: soon) == true)
        #expect(inquiries.takeFinished(now: .zero + .milliseconds(499)).isEmpty)
        #expect(inquiries.takeFinished(now: soon).count == 1)

        #expect(inquiries.begin(hello(), asking: [NodeID(3)], until: soon) == true)
        inquiries.setOthers([NodeID(2)])
        #expect(inquiries.takeFinished(now: .zero).count == 1, "removed from the cluster")
    }

    @Test func `a still newer life begins anew, and what the earlier one sent is dropped`() {
        var inquiries = PeerInquiries()
        #expect(inquiries.begin(hello(), asking: [NodeID(3)], until: soon) == true)
        #expect(inquiries.hold(frame(10), .consensus, of: NodeID(2)) == true)
        #expect(
            inquiries.begin(hello(), asking: [NodeID(3)], until: soon) == true, "its second link")
        #expect(inquiries.begin(hello(nonce: 10), asking: [NodeID(3)], until: soon) == true)
        inquiries.answered(by: NodeID(3), of: NodeID(2), nonce: 10)
        #expect(inquiries.takeFinished(now: .zero).map(\.held.count) == [0])
    }

    @Test func `what is held is bounded`() {
        var inquiries = PeerInquiries()
        #expect(inquiries.begin(hello(), asking: [NodeID(3)], until: soon) == true)
        #expect(
            inquiries.hold(frame(PeerInquiries.heldBytesMax - 100), .bulk, of: NodeID(2)) == true)
        #expect(inquiries.hold(frame(100), .bulk, of: NodeID(2)) == false)
        #expect(inquiries.hold(frame(100), .bulk, of: NodeID(5)) == true, "not asked about")
    }
}
