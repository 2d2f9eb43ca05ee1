package import TenonCore
package import TenonLog
package import TenonStore
package import TenonWire

/// What a turn of the node asks of the outside. The node forgets it once it is handed over; the
/// answers come back as events.
package struct Effects: Sendable {
    /// Whole frames for a client, in order.
    package var clientOutput: [(connection: ConnectionID, bytes: [UInt8])] = []
    /// Whole frames for a peer, in order. What a link cannot take is dropped: peers send again.
    package var peerOutput: [(node: NodeID, stream: PeerStream, bytes: [UInt8])] = []
    /// At most one is under way at a time; answered by ``Node/logFinished(_:now:)``.
    package var logWork: LogWork?
    /// Blocking work; each is answered by ``Node/jobFinished(_:_:now:)``.
    package var jobs: [BackgroundJob] = []
    package var clientsToClose: [(connection: ConnectionID, reason: String)] = []
    package var peersToClose: [(node: NodeID, reason: String)] = []
    /// Set when the cluster's nodes are other ones, or elsewhere: the others to keep links to.
    package var peersWanted: [(node: NodeID, address: String)]?
    /// What an operator's log should say.
    package var notices: [Notice] = []
    /// Set when the process must end: a broken promise of the disk, a refused folder.
    package var halt: String?

    package init() {}
}

/// What the log thread is to do.
package enum LogWork: Sendable {
    /// `Log.append`: durable when it comes back.
    case append([LogRecord])
    /// `Log.sealIfNeeded`.
    case seal
}

/// How a piece of log work ended.
package struct LogResult: Sendable {
    package var failure: LogError?
    package var status: LogStatus
    package var needsSeal: Bool

    package init(failure: LogError?, status: LogStatus, needsSeal: Bool) {
        self.failure = failure
        self.status = status
        self.needsSeal = needsSeal
    }
}

/// Names a job of this process.
package struct JobID: NumericIdentifier {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// Blocking work as a value: the edge performs it on a thread of the lane and hands back what it
/// gives; the simulator performs it as one step.
package struct BackgroundJob: Sendable {
    /// The jobs of one lane run one after another, in the order in which they were ordered.
    package enum Lane: Sendable, Hashable {
        /// Short reads that a client or an apply waits for.
        case read
        /// Flushes, compactions, checkpoints, snapshots.
        case bulk
    }

    package var id: JobID
    package var lane: Lane
    package var perform: @Sendable () -> JobOutcome

    package init(id: JobID, lane: Lane, perform: @escaping @Sendable () -> JobOutcome) {
        self.id = id
        self.lane = lane
        self.perform = perform
    }
}

/// What a job gave.
package enum JobOutcome: Sendable {
    case blocks(LoadedBlocks)
    case storeSlice(StoreJobProgress)
    case snapshotChunk(SnapshotChunk, next: SnapshotPosition?)
    case snapshotWritten(SnapshotReceiver)
    case replicaOpened(OpenedReplica)
    /// Bytes of a table that are as they were written; 0 at its end.
    case scrubbed(bytes: Int)
    case done
    case storeFailure(StoreError)
    case fileFailure(FileError)
}

/// A line for the operator's log. Never holds a key or a value.
package struct Notice: Sendable, Hashable {
    package enum Level: Sendable, Hashable {
        case info
        case warning
        case error
    }

    package var level: Level
    package var text: String

    package init(_ level: Level, _ text: String) {
        self.level = level
        self.text = text
    }
}
