internal import TenonCore

/// One entry of a data block, as it lies there.
struct BlockEntry {
    var version: Timestamp
    var isTombstone: Bool
    /// Where the value lies in the block.
    var value: Range<Int>
    /// Where the next entry begins.
    var next: Int
}

/// The content of a data block: sorted entries whose keys leave out what they share with the key
/// before, little-endian:
///
/// ```
/// entry, again and again:
///   varint  bytes shared with the key of the entry before (0 at a restart)
///   varint  bytes of the rest of the key
///   varint  value bytes × 2, + 1 for a tombstone
///   8       version
///   …       rest of the key (prefixed with its space's tag)
///   …       value
/// 4 × n   offsets of the entries at which a key stands whole, the first entry's included
/// 4       n
/// ```
///
/// A varint has seven bits a byte, lowest first, bit 7 set in all bytes but the last, at most
/// five bytes. Every structure is checked when the block is made, so reading it later needs no
/// error path.
final class Block: Sendable {
    /// How many entries apart whole keys stand.
    static let restartInterval = 16

    let bytes: [UInt8]
    private let entriesEnd: Int
    private let restartCount: Int

    /// Takes in the content of a data block that was checked by its checksum.
    /// - Throws: `malformed` or `truncated` when an entry reaches past the end, keys are out of
    ///   order or a restart is not one. - Complexity: O(bytes).
    init(_ content: [UInt8]) throws(DecodingError) {
        guard content.count >= 8 else { throw .truncated }
        var reader = ByteReader(content, in: content.count - 4..<content.count)
        restartCount = Int(try reader.uint32())
        guard restartCount > 0, restartCount <= (content.count - 4) / 4 else {
            throw .malformed("\(restartCount) restarts in \(content.count) B")
        }
        bytes = content
        entriesEnd = content.count - 4 - 4 * restartCount
        try check()
    }

    private func check() throws(DecodingError) {
        var key: [UInt8] = []
        var before: [UInt8] = []
        var versionBefore = Timestamp.newest
        var offset = 0
        var restart = 0
        while offset < entriesEnd {
            let isRestart = restart < restartCount && self.restart(restart) == offset
            if isRestart { restart += 1 }
            before.removeAll(keepingCapacity: true)
            before.append(contentsOf: key)
            guard let entry = parse(at: offset, key: &key, isRestart: isRestart),
                StoreKey.isPrefixedKey(key)
            else { throw .malformed("entry at \(offset)") }
            guard compareEntries(before, versionBefore, key, entry.version) < 0 || offset == 0
            else { throw .malformed("entry at \(offset) out of order") }
            versionBefore = entry.version
            offset = entry.next
        }
        guard restart == restartCount, self.restart(0) == 0, offset == entriesEnd else {
            throw .malformed("restarts")
        }
    }

    private func restart(_ index: Int) -> Int {
        Int(UInt32(littleEndian: load(at: entriesEnd + 4 * index)))
    }

    // MARK: Reading

    /// Whether `offset` is behind the last entry.
    func isEnd(_ offset: Int) -> Bool { offset >= entriesEnd }

    /// The entry at `offset`; `key` is that of the entry before and becomes this one's.
    func entry(at offset: Int, key: inout [UInt8]) -> BlockEntry {
        guard let entry = parse(at: offset, key: &key, isRestart: false) else {
            preconditionFailure("an entry at \(offset) of \(entriesEnd) that was checked")
        }
        return entry
    }

    /// The first entry at or after (`key`, `version`), whose key replaces `found`; nil when all
    /// are before it. - Complexity: O(log restarts + restart interval).
    func firstEntry(
        atOrAfter key: [UInt8], _ version: Timestamp, key found: inout [UInt8]
    ) -> BlockEntry? {
        var offset = lastRestart(before: key, version)
        while offset < entriesEnd {
            let entry = entry(at: offset, key: &found)
            if compareEntries(found, entry.version, key, version) >= 0 { return entry }
            offset = entry.next
        }
        return nil
    }

    /// The newest entry of `key` at or below `version`; nil when the block has none.
    ///
    /// Puts no keys together: it follows how many first bytes the entry before shares with `key`.
    /// An entry that shares more than that with the one before is below `key` like that one.
    /// - Complexity: O(log restarts + restart interval).
    func newestEntry(of key: [UInt8], at version: Timestamp) -> BlockEntry? {
        var offset = lastRestart(before: key, version)
        var matched = 0
        while offset < entriesEnd {
            guard let header = header(at: offset) else {
                preconditionFailure("an entry at \(offset) of \(entriesEnd) that was checked")
            }
            if header.shared <= matched {
                matched = header.shared + matchCount(header.rest, key, from: header.shared)
                let length = header.shared + header.rest.count
                if matched == key.count, matched == length {
                    if header.version <= version { return BlockEntry(header) }
                } else if matched == key.count || isAbove(header, key, at: matched) {
                    return nil
                }
            }
            offset = header.value.upperBound
        }
        return nil
    }

    /// How many first bytes of `rest` are those of `key` from `start` on.
    private func matchCount(_ rest: Range<Int>, _ key: [UInt8], from start: Int) -> Int {
        let limit = min(rest.count, key.count - start)
        var count = 0
        while count < limit, bytes[rest.lowerBound + count] == key[start + count] { count += 1 }
        return count
    }

    /// Whether the key of an entry is above `key`, of which it has exactly the first `matched`
    /// bytes, fewer than all.
    private func isAbove(_ header: Header, _ key: [UInt8], at matched: Int) -> Bool {
        let place = header.rest.lowerBound + matched - header.shared
        return place < header.rest.upperBound && bytes[place] > key[matched]
    }

    /// The last key below `bound`; nil when there is none.
    func lastKey(below bound: [UInt8]) -> [UInt8]? {
        var offset = lastRestart(before: bound, .newest)
        var key: [UInt8] = []
        var last: [UInt8]?
        while offset < entriesEnd {
            let entry = entry(at: offset, key: &key)
            guard compareKeys(key, bound) < 0 else { break }
            last = key
            offset = entry.next
        }
        return last
    }

    /// The offset of the last restart before (`key`, `version`); of the first when none is.
    private func lastRestart(before key: [UInt8], _ version: Timestamp) -> Int {
        var low = 0
        var high = restartCount
        while high - low > 1 {
            let middle = (low + high) / 2
            if isRestart(middle, before: key, version) { low = middle } else { high = middle }
        }
        return restart(low)
    }

    /// Whether a restart is before (`key`, `version`): its key stands whole, so it is compared
    /// where it lies.
    private func isRestart(
        _ index: Int, before key: [UInt8], _ version: Timestamp
    ) -> Bool {
        guard let header = header(at: restart(index)) else {
            preconditionFailure("restart \(index) of \(restartCount) that was checked")
        }
        let order = unsafe bytes.withUnsafeBytes { all in
            unsafe key.withUnsafeBytes { probe in
                unsafe compareBytes(UnsafeRawBufferPointer(rebasing: all[header.rest]), probe)
            }
        }
        return order < 0 || (order == 0 && header.version > version)
    }

    // MARK: Parsing

    /// The number whose bytes lie at `offset`, wherever that is.
    private func load<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Number {
        precondition(offset >= 0 && offset + MemoryLayout<Number>.size <= bytes.count)
        return unsafe bytes.withUnsafeBytes {
            unsafe $0.loadUnaligned(fromByteOffset: offset, as: Number.self)
        }
    }

    /// The fields of an entry before its key and value, and where these lie.
    fileprivate struct Header {
        var shared: Int
        var version: Timestamp
        var isTombstone: Bool
        var rest: Range<Int>
        var value: Range<Int>
    }

    /// Reads an entry's fields; nil when one reaches past the last entry.
    private func header(at offset: Int) -> Header? {
        var place = offset
        guard let shared = varint(&place), let restCount = varint(&place),
            let valueMark = varint(&place)
        else { return nil }
        let valueCount = valueMark >> 1
        guard place + 8 + restCount + valueCount <= entriesEnd else { return nil }
        let version = UInt64(littleEndian: load(at: place))
        let rest = place + 8..<place + 8 + restCount
        return Header(
            shared: shared, version: Timestamp(version),
            isTombstone: valueMark & 1 == 1,
            rest: rest, value: rest.upperBound..<rest.upperBound + valueCount)
    }

    private func parse(at offset: Int, key: inout [UInt8], isRestart: Bool) -> BlockEntry? {
        guard let header = header(at: offset), header.shared <= key.count,
            !isRestart || header.shared == 0
        else { return nil }
        key.removeSubrange(header.shared...)
        key.append(contentsOf: bytes[header.rest])
        return BlockEntry(header)
    }

    /// At most five bytes, so at most 35 bits: sums of a few cannot overflow.
    private func varint(_ place: inout Int) -> Int? {
        var value = 0
        var shift = 0
        while shift < 35, place < entriesEnd {
            let byte = bytes[place]
            place += 1
            value |= Int(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}

extension BlockEntry {
    fileprivate init(_ header: Block.Header) {
        version = header.version
        isTombstone = header.isTombstone
        value = header.value
        next = header.value.upperBound
    }
}

/// Builds the content of a data block.
struct BlockBuilder {
    private var writer = ByteWriter()
    private var restarts: [UInt32] = []
    private var lastKey: [UInt8] = []
    private(set) var entryCount = 0

    var isEmpty: Bool { entryCount == 0 }
    /// The size of the content so far.
    var bytes: Int { writer.count + 4 * restarts.count + 4 }

    /// Adds an entry that comes after all added before.
    mutating func add(_ key: [UInt8], _ version: Timestamp, isTombstone: Bool, _ value: Bytes) {
        var shared = 0
        if entryCount % Block.restartInterval == 0 {
            restarts.append(UInt32(writer.count))
        } else {
            let limit = min(key.count, lastKey.count)
            while shared < limit, key[shared] == lastKey[shared] { shared += 1 }
        }
        varint(shared)
        varint(key.count - shared)
        varint(value.count << 1 | (isTombstone ? 1 : 0))
        writer.uint64(version.rawValue)
        writer.raw(Bytes(sharing: key, in: shared..<key.count))
        writer.raw(value)
        lastKey.removeAll(keepingCapacity: true)
        lastKey.append(contentsOf: key)
        entryCount += 1
    }

    /// The content, and an empty builder for the next block.
    mutating func take() -> [UInt8] {
        for restart in restarts { writer.uint32(restart) }
        writer.uint32(UInt32(restarts.count))
        restarts.removeAll(keepingCapacity: true)
        lastKey.removeAll(keepingCapacity: true)
        entryCount = 0
        return writer.take()
    }

    private mutating func varint(_ value: Int) {
        var rest = value
        while rest >= 0x80 {
            writer.uint8(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        writer.uint8(UInt8(truncatingIfNeeded: rest))
    }
}
