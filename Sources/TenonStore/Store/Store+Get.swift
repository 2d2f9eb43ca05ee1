package import TenonCore

extension Store {
    /// The value of `key` that a read at `time` sees; nil when there is none or it was deleted.
    ///
    /// `time` is at or above ``historyFloor``; the caller refuses reads below it (Rule S4).
    /// - Complexity: O(log n) in each source that may hold the key: memtables, tables of level 0
    ///   and one table of each deeper level, most of which their bloom filters rule out.
    package func get(
        _ key: StoreKey, at time: Timestamp, blocks: PinnedBlocks
    ) -> StoreRead<StoredValue?> {
        checkReadTime(time)
        let supply = MemorySupply(store: number, pinned: blocks, cache: cache)
        return lookUp(key.prefixed, at: time, supply)
    }

    /// Traps on a read below the floor: what it would see may be gone.
    func checkReadTime(_ time: Timestamp) {
        precondition(time >= historyFloor, "a read at \(time), below the floor \(historyFloor)")
    }

    /// ``get(_:at:blocks:)`` by prefixed key.
    func lookUp(
        _ key: [UInt8], at time: Timestamp, _ supply: MemorySupply
    ) -> StoreRead<StoredValue?> {
        switch newestEntry(of: key, at: time, supply) {
        case .needs(let read): return .needs(read)
        case .ready(let found):
            guard let found, let value = found.value else { return .ready(nil) }
            let isDeleted = newestDeletion(of: key, at: time).map { $0 >= found.version } ?? false
            return .ready(isDeleted ? nil : StoredValue(bytes: value, version: found.version))
        }
    }

    /// An entry of some source: a value, or with nil the tombstone of a key.
    private typealias FoundEntry = (version: Timestamp, value: Bytes?)

    /// The newest entry of `key` at or below `time`. Sources are asked from the newest on, so the
    /// first one that has any has the newest.
    private func newestEntry(
        of key: [UInt8], at time: Timestamp, _ supply: MemorySupply
    ) -> StoreRead<FoundEntry?> {
        for memtable in memtables {
            guard let node = memtable.firstNode(atOrAfter: key, time), memtable.hasKey(node, key)
            else { continue }
            let value = memtable.isTombstone(node) ? nil : memtable.value(of: node)
            return .ready((memtable.version(of: node), value))
        }
        let hash = BloomFilter.hash(of: key)
        var result = StoreRead<FoundEntry?>.ready(nil)
        levels.forEachTable(covering: key) { table in
            guard table.filter.mayContain(hash) else { return true }
            result = Store.newestEntry(of: key, at: time, in: table, supply)
            if case .ready(nil) = result { return true }
            return false
        }
        return result
    }

    private static func newestEntry(
        of key: [UInt8], at time: Timestamp, in table: Table, _ supply: MemorySupply
    ) -> StoreRead<FoundEntry?> {
        let index = table.index.firstBlock(atOrAfter: key, time)
        guard index < table.index.count else { return .ready(nil) }
        guard let block = supply.block(index, of: table) else { return .needs(supply.missing) }
        guard let entry = block.newestEntry(of: key, at: time) else { return .ready(nil) }
        let value = entry.isTombstone ? nil : Bytes(sharing: block.bytes, in: entry.value)
        return .ready((entry.version, value))
    }

    /// The memtables, newest first.
    var memtables: [Memtable] {
        guard let frozen else { return [memtable] }
        return [memtable, frozen.memtable]
    }

    /// The newest range tombstone over `key` that a read at `time` sees, in any source.
    func newestDeletion(of key: [UInt8], at time: Timestamp) -> Timestamp? {
        var newest: Timestamp?
        func include(_ tombstones: RangeTombstones) {
            guard let deletion = tombstones.newest(covering: key, atOrBelow: time) else { return }
            newest = max(newest ?? deletion, deletion)
        }
        include(memtable.tombstones)
        if let frozen { include(frozen.memtable.tombstones) }
        for table in levels.tablesWithTombstones { include(table.tombstones) }
        return newest
    }
}
