import TenonCore
import TenonRaft
import TenonWire
import Testing

@testable import TenonNode

/// The bytes of what a node keeps on disk and says to peers of itself.
@Suite struct IdentityFormatTests {
    private var identity: FolderIdentity {
        var identity = FolderIdentity(
            name: "n1", node: NodeID(1),
            folder: FolderID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10),
            nonce: 0x1122_3344_5566_7788, memberListDigest: 0xAABB)
        identity.cluster = ClusterID(high: 7, low: 8)
        identity.fencedBy = Epoch(9)
        identity.lost = [NodeID(2), NodeID(3)]
        return identity
    }

    private static let golden =
        "31544e4e01000000020000006e310100000008070605040302011"
        + "00f0e0d0c0b0a0907000000000000000800000000000000"
        + "01000000000000008877665544332211"
        + "0100000000000000bbaa000000000000"
        + "0900000000000000" + "02000000" + "02000000" + "03000000"

    @Test func `the identity's bytes are those of format 1`() {
        let bytes = identity.encoded()
        let text = bytes.dropLast(4).map { hexadecimal($0) }.joined()
        #expect(text == IdentityFormatTests.golden)
    }

    @Test func `an identity is read back`() throws {
        #expect(try FolderIdentity(decoding: identity.encoded()) == identity)
    }

    @Test func `no truncated and no changed identity is taken`() {
        let bytes = identity.encoded()
        for count in bytes.indices {
            #expect(throws: DecodingError.self) {
                try FolderIdentity(decoding: Array(bytes[..<count]))
            }
        }
        for place in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[place] ^= 1 << UInt8(bit)
                #expect(throws: DecodingError.self) { try FolderIdentity(decoding: changed) }
            }
        }
    }

    @Test func `the bytes of what is remembered of a peer are those of format 1`() throws {
        let memory = PeerMemory(
            PeerIdentity(
                cluster: .none, node: NodeID(2), folder: FolderID(high: 1, low: 2),
                boot: BootNumber(3), nonce: 4, epoch: .first, hasEntries: true, logPosition: 5,
                memberListDigest: 0))
        let bytes = memory.encoded()
        let words = [UInt64(1), 2, 3, 4, 5].map { word in
            (0..<8).map { hexadecimal(UInt8(word >> (8 * UInt64($0)) & 0xFF)) }.joined()
        }
        #expect(bytes.array.map { hexadecimal($0) }.joined() == "01" + words.joined())
        #expect(try PeerMemory(decoding: bytes) == memory)
        for count in 0..<bytes.count {
            #expect(throws: DecodingError.self) {
                try PeerMemory(decoding: Bytes(Array(bytes.array[..<count])))
            }
        }
        #expect(throws: DecodingError.self) {
            try PeerMemory(decoding: Bytes([2] + bytes.array.dropFirst()))
        }
    }

    private func hexadecimal(_ byte: UInt8) -> String {
        let digits = Array("0123456789abcdef")
        return String([digits[Int(byte >> 4)], digits[Int(byte & 15)]])
    }
}

/// What nodes say to each other: every kind there and back, and no garbage taken.
@Suite struct NodeMessageTests {
    private var messages: [NodeMessage] {
        let cluster = ClusterID(high: 1, low: 2)
        let report = DigestReport(tablet: TabletID(2), index: LogIndex(9), digest: 77)
        let raft = RaftMessage(
            tablet: TabletID(2), from: ReplicaID(1), to: ReplicaID(2), epoch: .first,
            term: Term(4), body: .preVoteAnswer(granted: true))
        return [
            .raft(raft), .proposeCluster(cluster), .acknowledgeCluster(cluster),
            .announceCluster(cluster), .logDigest(report, isQuestion: true),
            .logDigest(report, isQuestion: false),
            .contentDigest(tablet: TabletID(2), version: Timestamp(5), digest: 6),
            .diverged(tablet: TabletID(2), index: LogIndex(3)),
            .snapshotProgress(
                SnapshotProgress(tablet: TabletID(2), transfer: 1, chunk: 2, state: .failed)),
        ]
    }

    private func encoded(_ message: NodeMessage) -> [UInt8] {
        var writer = ByteWriter()
        message.encode(to: &writer)
        return writer.take()
    }

    private func decoded(_ bytes: [UInt8]) throws(DecodingError) -> NodeMessage {
        var reader = ByteReader(bytes, in: 0..<bytes.count)
        let message = try NodeMessage(from: &reader)
        try reader.finish()
        return message
    }

    @Test func `every kind is read back`() throws {
        for message in messages {
            #expect("\(try decoded(encoded(message)))" == "\(message)")
        }
    }

    @Test func `no truncated message is taken`() {
        for message in messages {
            let bytes = encoded(message)
            for count in bytes.indices {
                #expect(throws: DecodingError.self) { try decoded(Array(bytes[..<count])) }
            }
        }
    }

    @Test func `random bytes are refused or read, and never trap`() {
        var generator = SeededGenerator(seed: 3)
        var refused = 0
        for _ in 0..<2_000 {
            let count = Int(generator.below(80))
            let bytes = (0..<count).map { _ in UInt8(generator.below(256)) }
            do throws(DecodingError) { _ = try decoded(bytes) } catch { refused += 1 }
        }
        #expect(refused > 1_900)
    }
}

/// One comparison of digests, counted (Rule S5).
@Suite struct DigestRoundTests {
    private func round(_ voters: Int = 3) -> DigestRound {
        DigestRound(index: LogIndex(5), digest: 1, voters: voters)
    }

    @Test func `all equal is said when all have answered`() {
        var round = round()
        #expect(round.verdict == .undecided)
        round.answer(1, from: NodeID(2))
        #expect(round.verdict == .undecided)
        round.answer(1, from: NodeID(2))
        #expect(round.verdict == .undecided, "one answer a node")
        round.answer(1, from: NodeID(3))
        #expect(round.verdict == .allEqual)
    }

    @Test func `a minority is named once a majority agrees against it`() {
        var round = round()
        round.answer(2, from: NodeID(3))
        #expect(round.verdict == .undecided)
        round.answer(1, from: NodeID(2))
        #expect(round.verdict == .minority([NodeID(3)]))
    }

    @Test func `a leader that differs from a majority is the diverged one`() {
        var round = round()
        round.answer(2, from: NodeID(3))
        round.answer(2, from: NodeID(2))
        #expect(round.verdict == .leaderDiverged)
    }

    @Test func `three that all differ leave nobody to believe`() {
        var round = round()
        round.answer(2, from: NodeID(3))
        round.answer(3, from: NodeID(2))
        #expect(round.verdict == .noMajority)
    }

    @Test func `one voter alone agrees with itself`() {
        #expect(round(1).verdict == .allEqual)
    }
}
