package import TenonCore

/// Ordered, versioned storage of one tablet: a log-structured merge tree in one folder.
///
/// Writes go to a memtable in memory; the Raft log is the only write-ahead log, and a flush
/// records the log index up to which its data goes (``FlushRecord``). Nothing here waits for the
/// disk but ``open(fileSystem:directory:configuration:cache:)``: reads say which blocks they need
/// and blocking work is handed out as jobs (Rule S9).
///
/// Owned by the node's loop, which is the only one to write and to read.
package final class Store {
    /// The folder of this store.
    package let directory: String
    package let configuration: StoreConfiguration
    let fileSystem: any FileSystem
    let cache: BlockCache

    /// Takes the writes.
    var memtable = Memtable()
    /// Full, and being written to a table by a flush job.
    var frozen: (memtable: Memtable, record: FlushRecord)?
    /// What the newest flush recorded; nil before the first.
    package internal(set) var flushed: FlushRecord?
    /// No read is below this; compaction drops what no read at or above it sees (Rule S4).
    package internal(set) var historyFloor = Timestamp.zero

    private init(
        fileSystem: any FileSystem, directory: String, configuration: StoreConfiguration,
        cache: BlockCache
    ) {
        self.fileSystem = fileSystem
        self.directory = directory
        self.configuration = configuration
        self.cache = cache
    }

    /// Opens the store in `directory`, or makes an empty one when there is none. Blocks: for
    /// start-up only.
    ///
    /// When it returns, a fresh manifest and the folder are durable (Rule L3), files that no
    /// manifest names are gone, and indexes and filters of all tables are in memory.
    /// - Throws: `damaged` when a file of the manifest is missing or wrong, `unknownFormat`,
    ///   `noSpace`, `file`, `manifestFailed`, `invalidConfiguration`.
    package static func open(
        fileSystem: any FileSystem, directory: String, configuration: StoreConfiguration,
        cache: BlockCache
    ) throws(StoreError) -> Store {
        try configuration.validate()
        return Store(
            fileSystem: fileSystem, directory: directory, configuration: configuration,
            cache: cache)
    }

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
    /// range tombstone. What is put afterwards at the same version is there.
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
    /// record's index (Rule L5). - Complexity: O(1).
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
        memtable = Memtable()
    }

    /// Allows compaction to drop what no read at or above `floor` sees. Never goes down.
    package func raiseHistoryFloor(to floor: Timestamp) {
        historyFloor = max(historyFloor, floor)
    }
}
