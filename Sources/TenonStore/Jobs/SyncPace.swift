/// When a long file is synced while it is written.
///
/// Synced as one, tens of megabytes keep the disk busy for so long that the log's syncs, which
/// writes wait for, stand behind them.
struct SyncPace {
    /// How much is written before it is synced: a few milliseconds of a slow disk's time.
    private static let bytes = 1 << 20

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
