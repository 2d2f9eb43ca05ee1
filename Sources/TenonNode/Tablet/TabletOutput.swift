import TenonCore
import TenonLog
import TenonRaft
import TenonStore

/// What a tablet asks of its node in a turn.
struct TabletOutput {
    var records: [LogRecord] = []
    /// Completed when the log batch that holds ``records`` is durable (Rule L4).
    var tickets: [(tablet: TabletID, ticket: WriteTicket)] = []
    var messages: [RaftMessage] = []
    typealias Job = (
        purpose: TabletJob, lane: BackgroundJob.Lane, perform: @Sendable () -> JobOutcome
    )
    var jobs: [Job] = []
    /// Connections that got their first output of this turn.
    var touched: [ClientConnection] = []
    var nodeMessages: [(to: NodeID, message: NodeMessage)] = []
    var snapshotsWanted: [(tablet: TabletID, follower: ReplicaID)] = []
    /// A checkpoint job ended; nil when it failed and may be ordered again.
    var checkpoint: (key: SnapshotKey, manifest: SnapshotManifest?)?
    var isContentDigestDone = false
    /// Members, bounds or leadership changed: the directory is to know.
    var isReportDue = false
    /// Members that the committed configurations of these numbers have no more.
    var departed: [(member: Member, by: Generation)] = []
    /// A split is the next entry to apply, or a step of it is done: see ``SplitState/Half``.
    var isHalfDue = false
    /// The tablet has the lower keys only, from this turn on.
    var isSplitDone = false
    var isSnapshotInstalled = false
    var isSnapshotInstallFailed = false
    var notices: [Notice] = []
    /// Work was left over: the node wants another turn at once.
    var wantsTurn = false
    var halt: String?
}

/// What a tablet's background job is for.
enum TabletJob: Sendable, Hashable {
    /// Blocks for a client's read, by its number.
    case readBlocks(UInt64)
    /// Blocks for a write that is not proposed yet, by its number.
    case writeBlocks(UInt64)
    /// Blocks for an entry that will be applied.
    case entryBlocks(LogIndex, Term)
    /// Blocks for the state machine's restore.
    case restoreBlocks
    /// Blocks for the content digest that is being computed.
    case digestBlocks
    /// Blocks for the scan of the directory.
    case directoryBlocks
    /// A slice of the store's job.
    case storeSlice
    /// A slice of a table that is verified.
    case scrubSlice
}

/// A request that waits for its entry to be applied.
struct WriteWaiter {
    var connection: ClientConnection
    var request: RequestID
}

/// The writes of one entry, in the order of its commands.
struct Proposal {
    var index: LogIndex
    var term: Term
    var waiters: [WriteWaiter]
}
