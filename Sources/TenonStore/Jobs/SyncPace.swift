/// When a long file is synced while it is written.
///
/// Synced as one, tens of megabytes keep the disk busy for so long that the log's syncs, which
/// writes wait for, stand behind them.
struct SyncPace {
    /// How much is written before it is synced. Larger: the log waits longer. Smaller: on a disk
    /// whose syncs are slow whatever they write, a flush takes too long.
    private static let bytes = 4 << 20

    private var unsynced = 0

    /// Notes that so many bytes were written.
    /// - Returns: whether the file is to be synced now.
    mutating func isDue(after bytes: Int) -> Bool {
        unsynced += bytes
        guard unsynced >= SyncPace.bytes else { return false }
        unsynced = 0
        return true
    }
}
