internal import TenonCore

/// What a finished job hands back to the loop.
package struct StoreJobResult: Sendable {
    package var kind: StoreJobKind
}

/// Why writes should wait. What is already committed can still be applied.
package enum WriteStall: Hashable, Sendable {
    /// The frozen memtable is not flushed yet and the next one is full.
    case memtables(bytes: Int)
    /// Compaction is behind.
    case levelZero(tables: Int)
}

extension Store {
    /// The next piece of background work, flush before compaction; nil when there is none or one
    /// is out already.
    package func nextJob() -> (any StoreJob)? { nil }

    /// Takes over what a job made.
    package func install(_ result: StoreJobResult) {}

    /// Says that the job that was out threw. It can be made again by ``nextJob()``.
    package func abandonJob() {}

    /// Why writes should wait; nil when they need not.
    package var writeStall: WriteStall? {
        if frozen != nil, memtable.bytes >= configuration.memtableBytesMax {
            return .memtables(bytes: memtableBytes)
        }
        return nil
    }
}
