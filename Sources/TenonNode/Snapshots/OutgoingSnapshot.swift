import TenonCore
import TenonRaft
import TenonStore

/// A snapshot that this node sends, as a state machine.
///
/// ```
/// checkpoint ──▶ sending: at most `window` chunks loaded or unacknowledged ──▶ over
/// ```
/// Memory is bounded by the window on both ends.
struct OutgoingSnapshot {
    enum Phase {
        /// Waits for the store to make a checkpoint.
        case checkpoint
        case sending
        case over
    }

    /// Chunks of ``SnapshotChunk/bytesMax`` bytes that are loaded or not acknowledged.
    static let window: UInt64 = 4
    /// A transfer that makes no progress for so long is given up.
    static let patience = TimeSpan.seconds(20)

    let key: SnapshotKey
    let follower: ReplicaID
    let directory: String
    private(set) var phase = Phase.checkpoint
    private(set) var reader: SnapshotReader?
    private(set) var lastProgress: Instant
    private var next: SnapshotPosition?
    private var loaded: UInt64 = 0
    private var acknowledged: UInt64 = 0
    private var isLoading = false

    init(key: SnapshotKey, follower: ReplicaID, directory: String, now: Instant) {
        self.key = key
        self.follower = follower
        self.directory = directory
        lastProgress = now
    }

    /// Up to where in the log the snapshot goes, once it is made.
    var index: LogIndex? { reader?.manifest.flush.index }

    mutating func begin(_ reader: SnapshotReader, now: Instant) {
        self.reader = reader
        phase = .sending
        // What a witness gets is all in the beginning.
        next = reader.manifest.files.isEmpty ? nil : .start
        lastProgress = now
    }

    /// Where the next chunk to load begins; nil when the window is full or all are loaded.
    mutating func takeLoad() -> SnapshotPosition? {
        guard phase == .sending, !isLoading, loaded - acknowledged < OutgoingSnapshot.window,
            let position = next
        else { return nil }
        isLoading = true
        return position
    }

    /// A chunk was loaded, and `next` comes after it: its number.
    mutating func didLoad(next: SnapshotPosition?) -> UInt64 {
        precondition(isLoading, "a chunk of transfer \(key.transfer) that nobody loads")
        isLoading = false
        self.next = next
        loaded += 1
        return loaded
    }

    /// A chunk could not be loaded: the name of the file.
    mutating func didFailToLoad() -> String? {
        precondition(isLoading, "a chunk of transfer \(key.transfer) that nobody loads")
        isLoading = false
        return next.flatMap { reader?.manifest.files[$0.file].name }
    }

    mutating func acknowledge(_ chunks: UInt64, now: Instant) {
        guard chunks > acknowledged, chunks <= loaded else { return }
        acknowledged = chunks
        lastProgress = now
    }

    mutating func end() { phase = .over }

    /// The tablet is gone, and so is whatever was being loaded.
    mutating func didEnd() {
        phase = .over
        isLoading = false
    }
    /// Whether a job still reads from the checkpoint.
    var isBusy: Bool { isLoading }
    var heldBytes: Int { Int(loaded - acknowledged) * SnapshotChunk.bytesMax }
}

/// A snapshot that this node receives.
struct IncomingSnapshot {
    enum Phase {
        case receiving
        /// All is there; waits for the store's turn, or the store takes it up.
        case installing
    }

    /// More chunks than the sender's window cannot wait here.
    static let chunksMax = Int(OutgoingSnapshot.window) + 1

    let key: SnapshotKey
    let manifest: SnapshotManifest
    var phase = Phase.receiving
    /// Made by the first job: it touches the disk.
    var receiver: SnapshotReceiver?
    var waiting = FIFO<SnapshotChunk>()
    var written: UInt64 = 0
    var isWriting = false
    var isInstallStarted = false
    var lastProgress: Instant
}
