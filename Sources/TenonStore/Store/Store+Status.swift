/// What a store holds and has done, for operators and drills.
package struct StoreStatus: Hashable, Sendable {
    /// Bytes of all table files.
    package var diskBytes: Int
    /// Tables of each level, from 0 to the deepest that has any.
    package var tablesPerLevel: [Int]
    package var memtableBytes: Int
    /// Memory of the indexes, filters and range tombstones of open tables.
    package var pinnedBytes: Int
    /// Bytes in the block cache, which all tablets of the node share.
    package var cacheBytes: Int
    package var counters: StoreCounters
}

/// What the jobs of a store did since it was opened.
package struct StoreCounters: Hashable, Sendable {
    package var flushes = 0
    package var compactions = 0
    package var abandonedJobs = 0
    /// Bytes of tables that jobs wrote.
    package var bytesWritten = 0
    /// Bytes of tables that compaction took in.
    package var bytesRead = 0
    /// Files that could not be removed; the next open does it.
    package var filesLeft = 0

    mutating func add(_ result: StoreJobResult) {
        switch result.kind {
        case .flush: flushes += 1
        case .compaction: compactions += 1
        case .checkpoint, .split, .snapshotInstall: break
        }
        bytesWritten += result.bytesWritten
        bytesRead += result.bytesRead
        filesLeft += result.filesLeft
    }
}

extension Store {
    /// How the store stands now. - Complexity: O(tables).
    package var status: StoreStatus {
        let deepest = levels.deepest ?? 0
        return StoreStatus(
            diskBytes: manifest.tables.reduce(0) { $0 + $1.bytes },
            tablesPerLevel: levels.tables[...deepest].map(\.count),
            memtableBytes: memtableBytes, pinnedBytes: levels.pinnedBytes,
            cacheBytes: cache.bytes, counters: counters)
    }
}
