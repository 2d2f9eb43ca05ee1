import TenonCore
import Testing

@testable import TenonRaft

@Suite struct RaftMessages {
    /// One message of each kind, with its body's golden bytes.
    static let samples: [(body: RaftMessage.Body, kind: UInt8, bytes: [UInt8])] = [
        (.preVoteRequest(last: position(2, 1)), 1, word(2) + word(1)),
        (.preVoteAnswer(granted: true), 2, [1]),
        (.voteRequest(last: position(2, 1), isTransfer: true), 3, word(2) + word(1) + [1]),
        (.voteAnswer(granted: false), 4, [0]),
        (
            .append(
                .init(
                    previous: position(2, 1), commit: 1,
                    entries: [Entry(index: 3, term: 4, kind: .commands, payload: [0xAA, 0xBB])])),
            5,
            word(2) + word(1) + word(1) + [1, 0, 0, 0]
                + word(3) + word(4) + [2] + [2, 0, 0, 0, 0xAA, 0xBB]
        ),
        (.appendAccepted(match: 5), 6, word(5)),
        (.appendRejected(previous: 9, hint: position(7, 3)), 7, word(9) + word(7) + word(3)),
        (
            .heartbeat(
                .init(
                    round: 1, sentAt: Instant(nanoseconds: 2), wallTime: WallTime(milliseconds: 3),
                    commit: 4, sentThrough: 5, wantsPromise: true)), 8,
            word(1) + word(2) + word(3) + word(4) + word(5) + [1, 0]
        ),
        (
            .heartbeat(
                .init(
                    round: 1, sentAt: Instant(nanoseconds: 2), wallTime: WallTime(milliseconds: 3),
                    commit: 4, sentThrough: 5,
                    closed: ClosedAnswer(
                        question: question, index: 6, age: TimeSpan(nanoseconds: 9)))), 8,
            word(1) + word(2) + word(3) + word(4) + word(5) + [0, 1] + word(7) + word(8) + word(6)
                + word(9)
        ),
        (
            .heartbeat(
                .init(
                    round: 1, sentAt: Instant(nanoseconds: 2), wallTime: WallTime(milliseconds: 3),
                    commit: 4, sentThrough: 5, wantsPromise: true, heldElsewhere: 6)), 8,
            word(1) + word(2) + word(3) + word(4) + word(5) + [3, 0] + word(6)
        ),
        (
            .heartbeatAnswer(
                .init(
                    round: 1, sentAt: Instant(nanoseconds: 2), sentThrough: 3,
                    wallTime: WallTime(milliseconds: 4), received: 5, durable: 6,
                    applied: 9, isLogFull: true, isPromised: false, question: question)), 9,
            word(1) + word(2) + word(3) + word(4) + word(5) + word(6) + word(9) + [1, 0]
                + word(7) + word(8)
        ),
        (.timeoutNow, 10, []),
        (.readRequest(batch: 8), 11, word(8)),
        (.readAnswer(batch: 8, index: 9), 12, word(8) + [1] + word(9)),
        (.readAnswer(batch: 8, index: nil), 12, word(8) + [0] + word(0)),
        (.newerTerm, 13, []),
        (.lostEntries(after: LogIndex(0x0102)), 30, [2, 1, 0, 0, 0, 0, 0, 0]),
    ]

    private static func position(_ index: UInt64, _ term: UInt64) -> LogPosition {
        LogPosition(index: LogIndex(index), term: Term(term))
    }
    private static let question = ClosedQuestion(life: 7, askedAt: Instant(nanoseconds: 8))
    private static func word(_ value: UInt8) -> [UInt8] { [value, 0, 0, 0, 0, 0, 0, 0] }

    private func message(_ body: RaftMessage.Body) -> RaftMessage {
        RaftMessage(
            tablet: TabletID(7), from: 1, to: 2, epoch: Epoch(3), term: 4, body: body)
    }

    private func decode(_ bytes: [UInt8]) throws(DecodingError) -> RaftMessage {
        var reader = ByteReader(bytes)
        let decoded = try RaftMessage(from: &reader)
        try reader.finish()
        return decoded
    }

    @Test(arguments: RaftMessages.samples.indices)
    func `every message has the documented bytes and comes back from them`(sample: Int) throws {
        let (body, kind, bytes) = RaftMessages.samples[sample]
        let word = RaftMessages.word
        let golden: [UInt8] = [1, kind] + word(7) + word(1) + word(2) + word(3) + word(4) + bytes
        #expect(message(body).encoded() == golden)
        #expect(try decode(golden) == message(body))
        #expect(message(body).encodedBytesEstimate >= golden.count)
    }

    @Test(arguments: RaftMessages.samples.indices)
    func `every truncation is refused`(sample: Int) {
        let bytes = message(RaftMessages.samples[sample].body).encoded()
        for count in bytes.indices {
            #expect(throws: DecodingError.self) { try decode(Array(bytes[..<count])) }
        }
    }

    @Test(arguments: RaftMessages.samples.indices)
    func `every flipped bit is refused or gives another message`(sample: Int) {
        let original = message(RaftMessages.samples[sample].body)
        let bytes = original.encoded()
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            if let other = try? decode(flipped) {
                #expect(other != original)
                #expect(other.encoded() == flipped)
            }
        }
    }

    @Test func `a count of entries makes no room that the bytes do not fill`() {
        var bytes = message(.append(.init(previous: .zero, commit: 0, entries: []))).encoded()
        for offset in 1...4 { bytes[bytes.count - offset] = 0xFF }
        #expect(throws: DecodingError.truncated) { try decode(bytes) }
    }

    @Test func `indexes and terms from which counting on would overflow are refused`() {
        let bodies: [RaftMessage.Body] = [
            .appendAccepted(match: LogIndex(1 << 62)),
            .preVoteRequest(last: LogPosition(index: 0, term: Term(.max))),
            .append(
                .init(previous: LogPosition(index: LogIndex(.max), term: 0), commit: 0, entries: [])
            ),
            .appendRejected(previous: 0, hint: LogPosition(index: LogIndex(.max), term: 0)),
        ]
        for body in bodies {
            #expect(throws: DecodingError.malformed("an index or term out of range")) {
                try decode(message(body).encoded())
            }
        }
        var term = message(.newerTerm)
        term.term = Term(.max)
        #expect(throws: DecodingError.malformed("an index or term out of range")) {
            try decode(term.encoded())
        }
    }

    /// Whatever arrives, decoded or not, a replica goes on.
    @Test(arguments: 0..<50)
    func `a replica survives any message that decodes`(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var group = TestGroup(3)
        group.elect(1)
        for _ in 0..<200 {
            let sample = RaftMessages.samples[Int(random.below(UInt64(RaftMessages.samples.count)))]
            var bytes = message(sample.body).encoded()
            for _ in 0..<random.below(4) {
                // Past the header: another tablet or receiver is dropped anyway.
                let offset = 34 + Int(random.below(UInt64(bytes.count - 34)))
                bytes[offset] ^= 1 << UInt8(random.below(8))
            }
            guard var message = try? decode(bytes) else { continue }
            message.epoch = .first
            message.to = 2
            // A second leader of one term is the one thing that ends the process.
            if message.term == group[2].term, group[2].leader != message.from {
                message.term = group[2].term.next
            }
            group[2].step(message, now: group.now)
            _ = group.replicas[1].drain()
        }
    }
}
