internal import TenonCore

/// What a job knows of its store: all of it immutable, so that the loop goes on meanwhile.
struct JobContext: Sendable {
    let folder: StoreFolder
    let configuration: StoreConfiguration
    /// What is on disk when the job begins, and until it changes it.
    private(set) var manifest: Manifest
    let levels: Levels
    /// No read below this comes any more.
    let floor: Timestamp
    /// The prefixed keys of users that belong to the tablet; nil for all.
    let userRange: (lower: [UInt8], upper: [UInt8]?)?
    /// Tables whose files are removed: the job lets go of them in its first slice.
    var retired: [Table]

    init(
        folder: StoreFolder, configuration: StoreConfiguration, manifest: Manifest,
        levels: Levels, floor: Timestamp,
        userRange: (lower: [UInt8], upper: [UInt8]?)?, retired: [Table]
    ) {
        self.folder = folder
        self.configuration = configuration
        self.manifest = manifest
        self.levels = levels
        self.floor = floor
        self.userRange = userRange
        self.retired = retired
    }

    /// Writes the store's first manifest when there is none, and makes the folder's name durable:
    /// tables without a manifest are taken for ones that lost it.
    mutating func found() throws(StoreError) {
        guard !manifest.isFounded else { return }
        let parent = folder.parentPath
        try folder.unreferenced { fileSystem throws(FileError) in
            try fileSystem.syncDirectory(parent)
        }
        var first = manifest
        first.number = 1
        try first.write(to: folder)
        manifest = first
    }

    /// Whether a key belongs to another tablet: what a split left behind.
    func isForeign(_ key: [UInt8]) -> Bool {
        guard let userRange, key.first == KeySpaceTag.user.rawValue else { return false }
        return compareKeys(key, userRange.lower) < 0
            || userRange.upper.map { compareKeys(key, $0) >= 0 } ?? false
    }
}

/// What a merge takes in, and where it puts what comes out.
protocol MergePlan: Sendable {
    var kind: StoreJobKind { get }
    var outputLevel: Int { get }
    /// What a flush records with its data; nil for a compaction.
    var record: FlushRecord? { get }
    /// The memtable that goes into tables; nil for a compaction.
    var memtable: Memtable? { get }
    /// The runs of tables that are replaced, newest first.
    var runs: [[Table]] { get }
}

/// Writes a frozen memtable into a table of level 0.
struct FlushPlan: MergePlan {
    let frozen: Memtable
    let flushRecord: FlushRecord

    init(memtable: Memtable, record: FlushRecord) {
        frozen = memtable
        flushRecord = record
    }

    var kind: StoreJobKind { .flush }
    var outputLevel: Int { 0 }
    var record: FlushRecord? { flushRecord }
    var memtable: Memtable? { frozen }
    var runs: [[Table]] { [] }
}

/// Merges tables of a level into the next one.
struct CompactionPlan: MergePlan {
    let level: Int
    let runs: [[Table]]
    let outputLevel: Int

    var kind: StoreJobKind { .compaction(fromLevel: level) }
    var record: FlushRecord? { nil }
    var memtable: Memtable? { nil }
}
