import TenonCore
import Testing

@testable import TenonLog

@Suite struct `The log's format` {
    /// `bytes` in hexadecimal, the zeros at the end left out.
    private func text(_ bytes: [UInt8]) -> String {
        let used = bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
        return bytes[..<used].map { hexadecimal(UInt64($0), digits: 2) }.joined()
    }

    private func writer() -> LogWriter {
        var configuration = smallConfiguration()
        configuration.cell = 2
        return LogWriter(configuration, use: SegmentUse(6))
    }

    private let record = BatchRecord.given(
        .hardState(
            tablet: TabletID(0x11), replica: ReplicaID(0x22),
            HardState(term: Term(0x33), vote: ReplicaID(0x44), commit: LogIndex(0x55))))

    @Test func `of a segment header is the one of version 1`() {
        var writer = writer()
        let planned = writer.startSegment(
            use: SegmentUse(7), previousUse: SegmentUse(5), oldestUse: SegmentUse(3))
        #expect(planned.offset == 0)
        #expect(planned.bytes.count == 4096)
        let fields =
            "54454e4f4e534547" + "0100" + "0200" + "00000000" + "0700000000000000"
            + "0500000000000000" + "0300000000000000" + "0100000000000000" + "0080000000000000"
        #expect(text(planned.bytes).hasPrefix(fields))
        #expect(text(planned.bytes) == fields + "3d1ad6f5")
    }

    @Test func `of a batch and its successor is the one of version 1`() {
        var writer = writer()
        _ = writer.startSegment(use: SegmentUse(7), previousUse: .none, oldestUse: .none)
        let batch = writer.plan([record])
        #expect(batch.offset == 4096)
        #expect(batch.bytes.count == 4096)
        let fixed =
            "54454e4f4e424154" + "0100" + "0200" + "00" + "000000" + "00000000" + "44000000"
            + "0700000000000000" + "0100000000000000" + "29000000" + "29000000" + "01000000"
            + "00000000" + "00000000"
        let body =
            "02" + "1100000000000000" + "2200000000000000" + "3300000000000000"
            + "4400000000000000" + "55"
        #expect(text(batch.bytes) == fixed + "4cc1eb8a" + "990d9acd" + body)
        let seal = writer.plan([])
        #expect(seal.offset == 8192)
        let line =
            "02" + "1100000000000000" + "2200000000000000" + "0000000000000000"
            + "5500000000000000" + "3300000000000000" + "4400000000000000" + "29000000"
        #expect(text(seal.bytes).contains("990d9acd" + "01000000" + "00000000" + line))
    }

    @Test func `gives back every record that it takes`() throws {
        let records: [BatchRecord] = [
            record, .given(entries(1, 3...6, term: 2, bytes: 50)), .given(trim(1, through: 2)),
            .given(reset(2, at: 9)), .given(.remove(tablet: TabletID(3), replica: ReplicaID(8))),
            .given(.metadata(key: 7, value: "value")),
            .forwardedEntries(tablet: TabletID(4), replica: ReplicaID(1), entries: [entry(1)]),
            .damagedEntries(
                tablet: TabletID(4), replica: ReplicaID(1), first: LogIndex(2), last: LogIndex(4),
                term: Term(1)),
            .suspicion(tablet: TabletID(5), replica: ReplicaID(1)),
        ]
        for threshold in [0, 1 << 20] {
            let configuration = smallConfiguration(compressionThresholdBytes: threshold)
            var writer = LogWriter(configuration)
            _ = writer.startSegment(use: SegmentUse(1), previousUse: .none, oldestUse: .none)
            let planned = writer.plan(records)
            let header = try #require(BatchHeader(decoding: planned.bytes, at: 0))
            #expect(header.algorithm == (threshold == 0 ? .lz4 : .none))
            let stored = Bytes(
                sharing: planned.bytes, in: header.bytes..<header.bytes + header.storedBytes)
            #expect(try header.records(inStored: stored) == records)
            let next = try #require(BatchHeader(decoding: writer.plan([]).bytes, at: 0))
            #expect(
                try RecordSummary.directory(next.previousDirectory) == records.map(\.summary))
            #expect(next.previousChecksum == header.checksum)
        }
    }

    @Test func `is refused at every truncation of a body`() {
        var body = ByteWriter()
        let records = [record, .given(entries(1, 3...4)), .given(.metadata(key: 1, value: "v"))]
        for record in records { record.encode(to: &body) }
        #expect(body.count == records.reduce(0) { $0 + $1.encodedBytes })
        for count in 0..<body.count {
            #expect(throws: DecodingError.self) {
                try BatchRecord.records(in: Bytes(Array(body.bytes[..<count])), count: 3)
            }
        }
    }

    @Test func `is never believed when the bytes are random`() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<300 {
            var bytes = (0..<600).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            #expect((try? BatchRecord.records(in: Bytes(bytes), count: 5)) == nil)
            // A right magic and version, and nothing else right.
            bytes.replaceSubrange(0..<8, with: "TENONBAT".utf8)
            bytes.replaceSubrange(8..<10, with: [1, 0])
            bytes[12] = 0
            #expect(BatchHeader(decoding: bytes, at: 0) == nil)
            bytes.replaceSubrange(0..<8, with: "TENONSEG".utf8)
            #expect((try? SegmentHeader(decoding: bytes)) == .some(nil))
        }
    }
}
