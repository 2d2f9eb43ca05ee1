package import TenonCore

/// Where a range of keys has about half of its bytes.
package struct MiddleKey: Hashable, Sendable {
    /// A user's key that lies inside the range, not at its beginning.
    package var key: Bytes
    /// Bytes on disk of the keys below it, and from it on.
    package var bytesBelow: Int
    package var bytesFrom: Int
}

/// How large a part of a store is, by the indexes of its tables, which are in memory: nothing is
/// read from the disk, and no table is walked through (Rule S9).
///
/// What is counted are compressed data blocks. A block that straddles an end of the range counts
/// to the part its last key lies in; what is in the memtable, old versions' worth and what
/// compaction has yet to drop are counted as they lie there. An estimate is all that a split by
/// size needs.
extension Store {
    /// Bytes on disk of the users' keys from `lower` up to `upper`; nil for the end of all keys.
    /// - Complexity: O(tables · log blocks).
    package func bytesOnDisk(from lower: Bytes, upTo upper: Bytes?) -> Int {
        let (first, end) = Store.bounds(lower, upper)
        return levels.tables.joined().reduce(0) { $0 + $1.bytes(from: first, upTo: end) }
    }

    /// A key that cuts the range in two halves of about the same size; nil when no key does, as
    /// where all bytes are versions of one.
    ///
    /// Of the middle blocks of all tables the weighted median halves the range well enough: at
    /// least a quarter of the bytes lies on either side of it. A few such steps come to within an
    /// eighth of the middle.
    ///
    /// - Complexity: O(tables · (log tables + log blocks)) for each of ``middleStepsMax`` steps.
    package func middleKey(from lower: Bytes, upTo upper: Bytes?) -> MiddleKey? {
        let tables = Array(levels.tables.joined())
        let (first, end) = Store.bounds(lower, upper)
        let total = tables.reduce(0) { $0 + $1.bytes(from: first, upTo: end) }
        var (low, high) = (first, end)
        var best: MiddleKey?
        for _ in 0..<Store.middleStepsMax {
            guard let pivot = Store.medianOfMiddles(tables, low, high) else { break }
            let below = tables.reduce(0) { $0 + $1.bytes(from: first, upTo: pivot) }
            let found = MiddleKey(
                key: StoreKey(prefixed: pivot).bytes, bytesBelow: below, bytesFrom: total - below)
            if best.map({ found.imbalance < $0.imbalance }) ?? true { best = found }
            if found.imbalance <= total / 8 { break }
            if below * 2 < total { low = pivot } else { high = pivot }
        }
        return best
    }

    /// Each step leaves at most three quarters of what is left: sixteen come from a gibibyte to
    /// single blocks, and most searches need two.
    private static let middleStepsMax = 16

    /// The prefixed keys between which the users' keys of a range lie.
    private static func bounds(_ lower: Bytes, _ upper: Bytes?) -> ([UInt8], [UInt8]) {
        (
            StoreKey.user(lower).prefixed,
            upper.map { StoreKey.user($0).prefixed } ?? [KeySpaceTag.user.rawValue + 1]
        )
    }

    /// The median, by bytes, of the keys at which the middle block of each table's part of the
    /// range ends. Nil when no table has a block that ends inside.
    private static func medianOfMiddles(
        _ tables: [Table], _ low: [UInt8], _ high: [UInt8]
    ) -> [UInt8]? {
        var middles = tables.compactMap { $0.middle(between: low, and: high) }
        middles.sort { compareKeys($0.key, $1.key) < 0 }
        let half = middles.reduce(0) { $0 + $1.bytes } / 2
        var sum = 0
        for middle in middles {
            sum += middle.bytes
            if sum >= half { return middle.key }
        }
        return nil
    }
}

extension MiddleKey {
    /// How far apart the halves are.
    fileprivate var imbalance: Int { abs(bytesBelow - bytesFrom) }
}

extension Table {
    /// Bytes of the blocks with the entries of a half-open range of prefixed keys.
    /// - Complexity: O(log blocks).
    fileprivate func bytes(from lower: [UInt8], upTo upper: [UInt8]) -> Int {
        max(0, bytes(before: upper) - bytes(before: lower))
    }

    /// Bytes of the blocks that end before the first entry of a key: blocks lie one behind the
    /// other from the beginning of the file.
    private func bytes(before key: [UInt8]) -> Int {
        let block = index.firstBlock(atOrAfter: key, .newest)
        if block < index.count { return index.places[block].offset }
        return index.places.last.map { $0.offset + $0.bytes } ?? 0
    }

    /// The last key of the middle block of those that end strictly between two prefixed keys, and
    /// the bytes of these; nil when none does.
    fileprivate func middle(
        between low: [UInt8], and high: [UInt8]
    ) -> (key: [UInt8], bytes: Int)? {
        // At `.zero` the search passes all versions of the key itself.
        let first = index.firstBlock(atOrAfter: low, .zero)
        let end = index.firstBlock(atOrAfter: high, .newest)
        var lowest = first
        while lowest < end, compareKeys(index.lastKey(of: lowest), low) <= 0 { lowest += 1 }
        guard lowest < end else { return nil }
        let middle = lowest + (end - lowest) / 2
        return (index.lastKey(of: middle), bytes(of: lowest..<end))
    }
}
