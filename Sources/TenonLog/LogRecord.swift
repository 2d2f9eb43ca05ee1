package import TenonCore

/// One thing to make durable. Records of one append are replayed in the order given.
package enum LogRecord: Hashable, Sendable {
    /// Contiguous entries, at least one. They replace everything of the replica's log from the
    /// first one's index on.
    case entries(tablet: TabletID, replica: ReplicaID, entries: [Entry])
    /// Contiguous entries that were lost here and come from another node (Rule L7). They go where
    /// they were; nothing behind them is replaced.
    case repaired(tablet: TabletID, replica: ReplicaID, entries: [Entry])
    /// The newest term, vote and commit index.
    case hardState(tablet: TabletID, replica: ReplicaID, HardState)
    /// Entries up to `through` are not needed any more (flushed): the replica's log begins after
    /// it. Nothing when the log begins later already.
    case trim(tablet: TabletID, replica: ReplicaID, through: LogIndex, term: Term)
    /// A snapshot was installed: all entries go, and the replica's log begins after `at`.
    case reset(tablet: TabletID, replica: ReplicaID, at: LogIndex, term: Term)
    /// The replica is gone. What is left is its tombstone: the tablet takes only replicas of a
    /// higher number on this node (Rule I3).
    case remove(tablet: TabletID, replica: ReplicaID)
    /// A small value of the node itself; the newest one of a key wins.
    case metadata(key: UInt64, value: Bytes)
}

/// What a folder held when it was opened.
package struct LogRecovery: Sendable {
    /// Every living replica, by tablet.
    package var tablets: [RecoveredTablet]
    /// The newest value of each key, by key.
    package var metadata: [(key: UInt64, value: Bytes)]
    /// For each tablet that lost a replica here: the lowest number still allowed (Rule I3).
    package var tombstones: [(tablet: TabletID, lowestAllowed: ReplicaID)]
    /// What was found broken.
    package var report: LogRecoveryReport
}

/// One replica's log as it was found.
package struct RecoveredTablet: Sendable {
    package var tablet: TabletID
    package var replica: ReplicaID
    package var verdict: LogVerdict
    package var hardState: HardState?
    /// Where the log begins: the entry at this place and all before it were trimmed.
    package var baseIndex: LogIndex
    package var baseTerm: Term
    /// The entries after the base, by index: contiguous when the verdict is whole, otherwise
    /// without those that the verdict names.
    package var entries: [Entry]
    /// The last entry that the log had, lost or not; the base when it had none.
    package var last: LogIndex
    /// The term of the last entry, as its write named it.
    package var lastTerm: Term

    package init(
        tablet: TabletID, replica: ReplicaID, verdict: LogVerdict, hardState: HardState?,
        baseIndex: LogIndex, baseTerm: Term, entries: [Entry], last: LogIndex, lastTerm: Term
    ) {
        self.tablet = tablet
        self.replica = replica
        self.verdict = verdict
        self.hardState = hardState
        self.baseIndex = baseIndex
        self.baseTerm = baseTerm
        self.entries = entries
        self.last = last
        self.lastTerm = lastTerm
    }
}

/// Whether a replica's log is what the replica promised it to be (Rule L2).
package enum LogVerdict: Hashable, Sendable {
    /// All of it is there.
    case whole
    /// Entries at these places were durable and are lost. Term, vote and base are right.
    case damaged([ClosedRange<LogIndex>])
    /// Anything may be missing, a vote included: records were lost that nothing names.
    case suspect
}

/// What was found broken in a folder, for the operator.
package struct LogRecoveryReport: Hashable, Sendable {
    /// An unfinished batch at the end, never acknowledged, that was cut off.
    package struct TornTail: Hashable, Sendable {
        package var segment: String
        package var offset: Int
        package var bytes: Int
    }

    package var tornTail: TornTail?
    /// Batches that were durable once and are lost or damaged.
    package var damagedBatches = 0
    /// Whether records were lost that nothing names: every tablet is ``LogVerdict/suspect``.
    package var isNodeSuspect = false
    /// Keys whose newest value is lost.
    package var damagedMetadata: [UInt64] = []
    /// Batches read and found whole.
    package var wholeBatches = 0

    package init() {}
}

/// Figures and needs of an open log.
package struct LogStatus: Hashable, Sendable {
    /// Segment files that the reserve allows.
    package var segmentsReserved: Int
    /// Segments that hold something, the active one included.
    package var segmentsUsed: Int
    /// Bytes of entries that will be admitted; other records have a part of the reserve of their
    /// own.
    package var freeBytes: Int
    /// Bytes of records that are still needed.
    package var liveBytes: Int
    /// Bytes of entries that the reserve admits when nothing else is needed.
    package var capacityBytes: Int
    /// Bytes of the segment files that are there, used or free.
    package var fileBytes: Int
    /// The number of the last batch written: it only rises, over restarts too (Rule I2).
    package var lastBatch: UInt64
    /// fdatasyncs since the log was opened.
    package var syncs: Int
    /// Bytes written since the log was opened.
    package var bytesWritten: Int
    /// Tablets with entries in the oldest segment: who must flush and trim to have it recycled.
    package var oldestSegmentTablets: [TabletID]
    /// Tablets in which damage was found since the log was opened.
    package var damagedTablets: [TabletID]
}
