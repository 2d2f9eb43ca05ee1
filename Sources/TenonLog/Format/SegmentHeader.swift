internal import TenonCore

/// One use of a segment file. Fresh each time a file is used, never repeated in a folder: what
/// carries another one is left over from an earlier use (Rule L2).
struct SegmentUse: NumericIdentifier {
    let rawValue: UInt64
    init(_ rawValue: UInt64) { self.rawValue = rawValue }
    /// Before the first use.
    static let none = SegmentUse(0)
}

/// A batch, counted over the whole log from 1.
struct BatchNumber: NumericIdentifier {
    let rawValue: UInt64
    init(_ rawValue: UInt64) { self.rawValue = rawValue }
    static let first = BatchNumber(1)

    /// How many batches from this to `other`.
    func distance(to other: BatchNumber) -> Int { Int(other.rawValue) - Int(rawValue) }
}

/// The first block of a segment file. Synced before the first batch of its use (Rule L1).
///
/// A batch with a number not below the first batch of the *next* use is void: recovery writes the
/// last batch anew into a fresh segment (Rule L3), and a torn one after it stays behind.
///
/// ```text
///  0  8  magic "TENONSEG"
///  8  2  format version (1)
/// 10  2  cell
/// 12  4  key id (0: not encrypted)
/// 16  8  use number
/// 24  8  use number of the segment before this one in the log (0: none; its own: a recovery began
///        it that found batches lost which nothing names)
/// 32  8  use number of the oldest segment that was still needed
/// 40  8  number of the first batch
/// 48  8  bytes of the segment file
/// 56  4  CRC-32C of the 56 bytes before
/// 60     zeros up to 4,096
/// ```
/// All integers are little-endian.
struct SegmentHeader: Hashable, Sendable {
    var cell: UInt16
    var use: SegmentUse
    var previousUse: SegmentUse
    var oldestUse: SegmentUse
    var firstBatch: BatchNumber
    var segmentBytes: Int

    /// Whether the recovery that began it found a loss that nothing names: every replica whose
    /// records lie before is suspect (Rule L2), also when that was written down nowhere else yet.
    var isAfterLoss: Bool { previousUse == use }

    static let magic: UInt64 = 0x4745_534E_4F4E_4554  // "TENONSEG" in byte order
    static let formatVersion: UInt16 = 1
    /// Bytes before the zeros.
    static let bytes = 60

    /// The whole first block.
    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: Block.bytes)
        writer.uint64(SegmentHeader.magic)
        writer.uint16(SegmentHeader.formatVersion)
        writer.uint16(cell)
        writer.uint32(0)
        writer.identifier(use)
        writer.identifier(previousUse)
        writer.identifier(oldestUse)
        writer.identifier(firstBatch)
        writer.uint64(UInt64(segmentBytes))
        writer.uint32(CRC32C(writer.bytes).rawValue)
        writer.raw(Bytes(sharing: Block.zeros, in: 0..<Block.bytes - writer.count))
        return writer.bytes
    }
}

extension SegmentHeader {
    /// The header that `block` begins with; nil when there is none, or a damaged one.
    ///
    /// - Throws: `unsupportedFormat` when it is whole and of another version.
    init?(decoding block: [UInt8]) throws(LogError) {
        guard block.count >= SegmentHeader.bytes,
            let decoded = try? SegmentHeader.fields(of: block)
        else { return nil }
        guard decoded.version == SegmentHeader.formatVersion else {
            throw .unsupportedFormat(version: decoded.version)
        }
        self = decoded.header
    }

    private init(from reader: inout ByteReader) throws(DecodingError) {
        cell = try reader.uint16()
        try reader.skip(4)
        use = try reader.identifier(SegmentUse.self)
        previousUse = try reader.identifier(SegmentUse.self)
        oldestUse = try reader.identifier(SegmentUse.self)
        firstBatch = try reader.identifier(BatchNumber.self)
        segmentBytes = Int(clamping: try reader.uint64())
    }

    private static func fields(
        of block: [UInt8]
    ) throws(DecodingError) -> (version: UInt16, header: SegmentHeader) {
        var reader = ByteReader(block, in: 0..<bytes)
        guard try reader.uint64() == magic else { throw .malformed("magic") }
        let version = try reader.uint16()
        let header = try SegmentHeader(from: &reader)
        guard try reader.uint32() == CRC32C(block, in: 0..<bytes - 4).rawValue else {
            throw .malformed("checksum")
        }
        return (version, header)
    }
}
