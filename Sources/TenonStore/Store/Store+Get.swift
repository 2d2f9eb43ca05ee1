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
        return lookUp(key.prefixed, at: time, blocks: blocks)
    }

    /// Traps on a read below the floor: what it would see may be gone.
    func checkReadTime(_ time: Timestamp) {
        precondition(time >= historyFloor, "a read at \(time), below the floor \(historyFloor)")
    }

    /// ``get(_:at:blocks:)`` by prefixed key.
    func lookUp(
        _ key: [UInt8], at time: Timestamp, blocks: PinnedBlocks
    ) -> StoreRead<StoredValue?> {
        let deletion = newestDeletion(of: key, at: time)
        for memtable in memtables {
            guard let node = memtable.firstNode(atOrAfter: key, time), memtable.hasKey(node, key)
            else { continue }
            let version = memtable.version(of: node)
            if memtable.isTombstone(node) || deletion.map({ $0 >= version }) == true {
                return .ready(nil)
            }
            return .ready(StoredValue(memtable.value(of: node), at: version))
        }
        return .ready(nil)
    }

    /// The memtables, newest first.
    var memtables: [Memtable] {
        guard let frozen else { return [memtable] }
        return [memtable, frozen.memtable]
    }

    /// The newest range tombstone over `key` that a read at `time` sees, in any source.
    func newestDeletion(of key: [UInt8], at time: Timestamp) -> Timestamp? {
        var newest: Timestamp?
        for memtable in memtables {
            guard let deletion = memtable.tombstones.newest(covering: key, atOrBelow: time) else {
                continue
            }
            newest = max(newest ?? deletion, deletion)
        }
        return newest
    }
}
