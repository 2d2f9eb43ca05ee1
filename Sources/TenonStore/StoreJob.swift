package import TenonCore

/// What a flush records in the same atomic step as its data (Rule L5).
package struct FlushRecord: Hashable, Sendable {
    /// The last log entry whose effects the flushed data holds.
    package var index: LogIndex
    /// The term of that entry.
    package var term: Term
    /// What the caller wants to find again beside it: configuration, digests, last timestamp.
    package var payload: Bytes

    package init(index: LogIndex, term: Term, payload: Bytes) {
        self.index = index
        self.term = term
        self.payload = payload
    }

    /// The longest payload, in bytes.
    package static let payloadBytesMax = 1 << 20
}

/// What a job does.
package enum StoreJobKind: Sendable, Hashable {
    case flush
    case compaction(fromLevel: Int)
    case checkpoint
    /// A checkpoint that becomes the store of another tablet.
    case split
    case snapshotInstall
}

/// Blocking work of one store, done off the loop in slices.
///
/// A job is run by one thread at a time; consecutive slices may run on different threads. When a
/// slice throws, the job is over, its half-made files are removed, and the caller tells the store
/// by ``Store/abandonJob()``.
package protocol StoreJob: AnyObject, Sendable {
    var kind: StoreJobKind { get }
    /// Does a few milliseconds of work.
    /// - Throws: `noSpace` and `file` when a file could not be made: the store is as it was and
    ///   the job can be made again; `damaged` when an input is; `manifestFailed` ends the process.
    func runSlice() throws(StoreError) -> StoreJobProgress
}

/// How far a job is.
package enum StoreJobProgress: Sendable {
    /// Call `runSlice` again.
    case more
    /// Everything is durable. Hand the result to ``Store/install(_:)`` on the loop.
    case finished(StoreJobResult)
}
