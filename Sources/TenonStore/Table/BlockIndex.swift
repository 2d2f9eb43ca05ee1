internal import TenonCore

/// The last entry of every data block of a table, in memory as long as the table is open.
///
/// Content of an index block, little-endian: count 4, then for each block its place (16), the
/// version of its last entry (8), the bytes of that entry's prefixed key (4) and the key. In
/// memory the keys lie one behind the other in one array.
struct BlockIndex: Sendable {
    private var keys: [UInt8] = []
    private var keyEnds: [Int] = []
    private var versions: [Timestamp] = []
    private(set) var places: [BlockPlace] = []

    init() {}

    /// How many data blocks there are.
    var count: Int { places.count }
    /// Memory in use.
    var bytes: Int { keys.count + count * (8 + 8 + 24) }

    /// Adds a block behind the others.
    mutating func append(_ place: BlockPlace, lastKey: [UInt8], lastVersion: Timestamp) {
        keys.append(contentsOf: lastKey)
        keyEnds.append(keys.count)
        versions.append(lastVersion)
        places.append(place)
    }

    /// Reads the content of an index block, whose blocks lie in a file of `fileBytes`, one behind
    /// the other and in order.
    init(_ content: [UInt8], fileBytes: Int) throws(DecodingError) {
        var reader = ByteReader(content)
        let count = try reader.count("blocks", itemBytes: BlockPlace.encodedBytes + 12)
        var end = 0
        for block in 0..<count {
            let place = try BlockPlace(from: &reader, fileBytes: fileBytes)
            let version = try reader.identifier(Timestamp.self)
            let key = try reader.lengthPrefixedBytes("key", atMost: StoreKey.prefixedBytesMax)
                .array
            guard place.offset == end, StoreKey.isPrefixedKey(key) else {
                throw .malformed("block \(block) at \(place.offset), not at \(end)")
            }
            if block > 0, order(of: block - 1, to: key, version) >= 0 {
                throw .malformed("block \(block) out of order")
            }
            end = place.offset + place.bytes
            append(place, lastKey: key, lastVersion: version)
        }
        try reader.finish()
    }

    /// The content of an index block.
    var content: [UInt8] {
        var writer = ByteWriter()
        writer.uint32(UInt32(count))
        for block in 0..<count {
            places[block].encode(to: &writer)
            writer.identifier(versions[block])
            writer.lengthPrefixed(lastKey(of: block))
        }
        return writer.take()
    }

    /// The last key of a block.
    func lastKey(of block: Int) -> [UInt8] { Array(keys[keyRange(block)]) }

    /// The first block with an entry at or after (`key`, `version`); ``count`` when there is none.
    /// - Complexity: O(log blocks).
    func firstBlock(atOrAfter key: [UInt8], _ version: Timestamp) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if order(of: middle, to: key, version) >= 0 { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// How the last entry of a block compares with (`key`, `version`).
    private func order(of block: Int, to key: [UInt8], _ version: Timestamp) -> Int {
        let range = keyRange(block)
        let order = unsafe keys.withUnsafeBytes { all in
            unsafe key.withUnsafeBytes { probe in
                unsafe compareBytes(UnsafeRawBufferPointer(rebasing: all[range]), probe)
            }
        }
        if order != 0 { return order }
        if versions[block] == version { return 0 }
        return versions[block] > version ? -1 : 1
    }

    private func keyRange(_ block: Int) -> Range<Int> {
        (block == 0 ? 0 : keyEnds[block - 1])..<keyEnds[block]
    }
}
