package import TenonCore

/// Ordered, versioned storage of one tablet: a log-structured merge tree in one folder.
///
/// Writes go to a memtable in memory; the Raft log is the only write-ahead log, and a flush
/// records the log index up to which its data goes (``FlushRecord``). Nothing here waits for the
/// disk but ``open(fileSystem:directory:configuration:cache:)``: reads say which blocks they need
/// and blocking work is handed out as jobs (Rule S9).
///
/// Owned by the node's loop, which is the only one to write and to read.
///
/// The folder:
///
/// ```
/// MANIFEST                      what the store consists of (Manifest)
/// 00000000000000000007.table    a sorted table (TableFooter)
/// incoming/                     a snapshot that is being received
/// ```
package final class Store {
    /// The bounds that this store keeps.
    package let configuration: StoreConfiguration
    let folder: StoreFolder
    let cache: BlockCache
    /// What the cache knows this store by.
    let number: UInt32

    /// Takes the writes.
    var memtable: Memtable
    /// Full, and being written to a table by a flush job.
    var frozen: (memtable: Memtable, record: FlushRecord)?
    /// The open tables.
    var levels: Levels
    /// What is on disk: the levels, the flush record and the floor at the time.
    var manifest: Manifest
    /// No read is below this; compaction drops what no read at or above it sees (Rule S4).
    package internal(set) var historyFloor: Timestamp

    /// The prefixed keys of users that belong to the tablet; nil for all. The others may be in
    /// tables yet: nobody reads them, and merges drop them.
    var userRange: (lower: [UInt8], upper: [UInt8]?)?

    /// Rises whenever reads may have to look at other blocks than before. While it stays, a read
    /// whose blocks are pinned misses none, whatever is written meanwhile.
    package internal(set) var contentGeneration: UInt64 = 0
    /// Whether a job is out.
    var isJobOut = false
    var picker = CompactionPicker()
    /// Tables that were replaced: the next job lets go of them, since closing a removed file
    /// frees its space, which takes time that the loop has not got.
    var retired: [Table] = []
    /// What the jobs so far did.
    var counters = StoreCounters()

    init(
        folder: StoreFolder, configuration: StoreConfiguration, cache: BlockCache,
        manifest: Manifest, levels: Levels
    ) {
        self.folder = folder
        self.configuration = configuration
        self.cache = cache
        self.manifest = manifest
        self.levels = levels
        number = cache.makeStoreNumber()
        historyFloor = manifest.historyFloor
        memtable = Memtable(after: levels.newestVersion)
    }

    /// The folder of this store.
    package var directory: String { folder.path }
    /// What the newest flush recorded; nil before the first. The log is needed from there on.
    package var flushed: FlushRecord? { manifest.flush }

    // MARK: Writing

    /// Writes a value. Versions never decrease from call to call; of two writes of one key at
    /// one version (a transaction's) the later one wins.
    package func put(_ key: StoreKey, _ value: Bytes, at version: Timestamp) {
        memtable.insert(key, value, at: version)
    }

    /// Deletes a key, whether it is there or not.
    package func delete(_ key: StoreKey, at version: Timestamp) {
        memtable.insert(key, nil, at: version)
    }

    /// Deletes all keys from `lower` up to and without `upper` that were written until now, by one
    /// range tombstone. What is put afterwards at the same version is there, as long as the
    /// memtable was not frozen in between. An empty range deletes nothing.
    package func deleteRange(from lower: StoreKey, to upper: StoreKey, at version: Timestamp) {
        memtable.insertTombstone(from: lower.prefixed, to: upper.prefixed, at: version)
    }

    // MARK: Flush and history

    /// Bytes of memory that the memtables take, the frozen one included.
    package var memtableBytes: Int { memtable.bytes + (frozen?.memtable.bytes ?? 0) }

    /// Whether the memtable is full and can be frozen now.
    package var wantsFlush: Bool {
        memtable.bytes >= configuration.memtableBytesMax && canFreeze
    }

    /// Whether no frozen memtable is waiting to be flushed.
    package var canFreeze: Bool { frozen == nil }

    /// Ends the memtable, which is flushed by the next job and recorded as `record` together with
    /// its data. The caller has checked ``canFreeze``, and that the log is durable up to the
    /// record's index (Rule L5). An empty one may be frozen too: its flush moves the record.
    /// - Complexity: O(1).
    package func freezeMemtable(flush record: FlushRecord) {
        precondition(canFreeze, "a second frozen memtable, at log index \(record.index)")
        precondition(
            record.payload.count <= FlushRecord.payloadBytesMax,
            "a flush record of \(record.payload.count) B")
        if let flushed {
            precondition(
                record.index >= flushed.index,
                "a flush at \(record.index) after one at \(flushed.index)")
        }
        memtable.freeze()
        frozen = (memtable, record)
        memtable = Memtable(after: memtable.lastVersion)
    }

    /// Allows merges to drop users' keys outside [`lower`, `upper`): no read of them comes any more,
    /// not even after a restart, which begins at what the newest flush recorded.
    package func restrict(toUserKeysFrom lower: Bytes, upTo upper: Bytes?) {
        userRange = (StoreKey.user(lower).prefixed, upper.map { StoreKey.user($0).prefixed })
    }

    /// Allows compaction to drop what no read at or above `floor` sees. Never goes down.
    package func raiseHistoryFloor(to floor: Timestamp) {
        historyFloor = max(historyFloor, floor)
    }
}
