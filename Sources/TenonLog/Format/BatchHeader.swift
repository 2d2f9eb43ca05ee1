internal import TenonCore

/// What stands before a batch's body (Rule L1). A batch is one write: header, body, and zeros up
/// to the end of its last 4 KiB block.
///
/// ```text
///  0  8  magic "TENONBAT"
///  8  2  format version (1)
/// 10  2  cell
/// 12  1  algorithm of the body (0: as it is, 1: an LZ4 block)
/// 13  3  zeros
/// 16  4  key id (0: not encrypted)
/// 20  4  bytes of this header: 68 + 53 x lines of the directory
/// 24  8  use number of the segment
/// 32  8  batch number
/// 40  4  bytes of the body as stored
/// 44  4  bytes of the body before compression
/// 48  4  records in the body (0: a seal)
/// 52  4  header checksum of the batch before (0: of the first batch)
/// 56  4  lines in the directory of the batch before
/// 60  4  CRC-32C of the body as stored
/// 64     directory of the batch before (RecordSummary, 53 bytes a line)
///  …  4  CRC-32C of all bytes of the header before it
/// ```
/// All integers are little-endian. A new version of this header raises the segment header's too:
/// that one is refused by software that does not know it, this one would look torn.
struct BatchHeader: Hashable, Sendable {
    /// How the body is stored.
    enum Algorithm: UInt8, Sendable {
        case none = 0
        case lz4 = 1
    }

    var cell: UInt16
    var algorithm: Algorithm
    var use: SegmentUse
    var number: BatchNumber
    var storedBytes: Int
    var bodyBytes: Int
    var recordCount: Int
    var previousChecksum: UInt32
    var bodyChecksum: UInt32
    /// The directory of the batch before, encoded.
    var previousDirectory: Bytes
    /// CRC-32C of this header; the next one repeats it.
    var checksum: UInt32

    static let magic: UInt64 = 0x5441_424E_4F4E_4554  // "TENONBAT" in byte order
    static let formatVersion: UInt16 = 1
    static let fixedBytes = 64
    /// No body is longer, whatever a header says. The largest ``LogConfiguration/batchBytesMax``.
    static let bodyBytesMax = Limits.frameBytesMax * 2

    /// Bytes of a header whose directory has so many lines.
    static func bytes(directoryCount: Int) -> Int {
        fixedBytes + RecordSummary.encodedBytes * directoryCount + 4
    }

    /// Bytes of this header.
    var bytes: Int { BatchHeader.fixedBytes + previousDirectory.count + 4 }
    /// Bytes of the batch on disk.
    var batchBytes: Int { Block.roundedUp(bytes + storedBytes) }

    /// Fills the room that `writer` begins with, the directory excepted, which is there already,
    /// and returns the header's checksum.
    func stamp(_ writer: inout ByteWriter) -> UInt32 {
        writer.replace(from: 0, with: fixedFields())
        let checksum = CRC32C(writer.bytes, in: 0..<bytes - 4).rawValue
        writer.patch(uint32: checksum, at: bytes - 4)
        return checksum
    }

    private func fixedFields() -> [UInt8] {
        var writer = ByteWriter(capacity: BatchHeader.fixedBytes)
        writer.uint64(BatchHeader.magic)
        writer.uint16(BatchHeader.formatVersion)
        writer.uint16(cell)
        writer.uint8(algorithm.rawValue)
        writer.zeros(3)
        writer.uint32(0)
        writer.uint32(UInt32(bytes))
        writer.identifier(use)
        writer.identifier(number)
        writer.uint32(UInt32(storedBytes))
        writer.uint32(UInt32(bodyBytes))
        writer.uint32(UInt32(recordCount))
        writer.uint32(previousChecksum)
        writer.uint32(UInt32(previousDirectory.count / RecordSummary.encodedBytes))
        writer.uint32(bodyChecksum)
        return writer.bytes
    }

    /// Whether `bytes` hold at `offset` the beginning of a header of `use`, whole or not: what a
    /// torn write leaves.
    static func begins(in bytes: [UInt8], at offset: Int, use: SegmentUse) -> Bool {
        var reader = ByteReader(bytes, in: offset..<bytes.count)
        return (try? reader.uint64()) == magic && (try? reader.skip(16)) != nil
            && (try? reader.uint64()) == use.rawValue
    }

    private static func decoded(
        _ start: ByteReader
    ) throws(DecodingError) -> BatchHeader {
        var reader = start
        guard try reader.uint64() == magic else { throw .malformed("magic") }
        guard try reader.uint16() == formatVersion else { throw .malformed("version") }
        let cell = try reader.uint16()
        let algorithmByte = try reader.uint8()
        guard let algorithm = Algorithm(rawValue: algorithmByte) else {
            throw .unknownKind(field: "algorithm", value: UInt64(algorithmByte))
        }
        try reader.skip(3 + 4)
        let headerBytes = Int(try reader.uint32())
        let use = try reader.identifier(SegmentUse.self)
        let number = try reader.identifier(BatchNumber.self)
        let storedBytes = Int(try reader.uint32())
        let bodyBytes = Int(try reader.uint32())
        let recordCount = Int(try reader.uint32())
        let previousChecksum = try reader.uint32()
        let directoryCount = Int(try reader.uint32())
        let bodyChecksum = try reader.uint32()
        guard headerBytes == bytes(directoryCount: directoryCount), bodyBytes <= bodyBytesMax,
            storedBytes <= bodyBytes
        else { throw .malformed("lengths") }
        let directory = try reader.bytes(directoryCount * RecordSummary.encodedBytes)
        let checksum = try reader.uint32()
        var checked = start
        guard CRC32C(try checked.bytes(headerBytes - 4)).rawValue == checksum else {
            throw .malformed("checksum")
        }
        return BatchHeader(
            cell: cell, algorithm: algorithm, use: use, number: number, storedBytes: storedBytes,
            bodyBytes: bodyBytes, recordCount: recordCount, previousChecksum: previousChecksum,
            bodyChecksum: bodyChecksum, previousDirectory: directory.compacted(),
            checksum: checksum)
    }

    /// The records of the batch whose stored body is `stored`.
    ///
    /// - Throws: when its checksum, its compression or a record is not right.
    func records(inStored stored: Bytes) throws(DecodingError) -> [BatchRecord] {
        let isWhole = CRC32C(stored).rawValue == bodyChecksum || isPlanted(.tornTailAccepted)
        guard stored.count == storedBytes, isWhole else { throw .malformed("body checksum") }
        let body =
            switch algorithm {
            case .none: stored
            case .lz4: Bytes(try LZ4.decompress(stored, size: bodyBytes))
            }
        return try BatchRecord.records(in: body, count: recordCount)
    }
}

extension BatchHeader {
    /// The header at `offset` of `bytes`, when there is a whole one and its batch ends within
    /// `bytes`; its body may still be damaged.
    init?(decoding bytes: [UInt8], at offset: Int) {
        guard
            let decoded = try? BatchHeader.decoded(ByteReader(bytes, in: offset..<bytes.count)),
            offset + decoded.batchBytes <= bytes.count
        else { return nil }
        self = decoded
    }
}

extension BatchHeader {
    /// How long the batch is whose first block lies at `offset` of `bytes`, going by fields that are
    /// not checked yet; nil when they cannot be right.
    static func batchBytes(announcedIn bytes: [UInt8], at offset: Int = 0) -> Int? {
        var reader = ByteReader(bytes, in: offset..<bytes.count)
        guard (try? reader.uint64()) == magic, (try? reader.skip(12)) != nil,
            let headerBytes = try? reader.uint32(), (try? reader.skip(16)) != nil,
            let storedBytes = try? reader.uint32()
        else { return nil }
        guard storedBytes <= bodyBytesMax, headerBytes <= bodyBytesMax else { return nil }
        return Block.roundedUp(Int(headerBytes) + Int(storedBytes))
    }
}
