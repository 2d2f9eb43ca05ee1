import TenonCore
import TenonKV
import TenonSimulator
import TenonStore

/// One tablet over a simulated disk, driven as a node drives it.
final class TabletHarness {
    static let tablet = TabletID(2)
    let disk: SimulatedDisk
    let bounds: KeyInterval
    let configuration: StateMachine.Configuration
    private(set) var store: Store
    private(set) var state: StateMachine
    /// Every entry applied, for replays after a restart and for other replicas.
    private(set) var log: [Entry] = []
    var term = Term(1)
    /// Milliseconds of the wall clock that versions come from.
    var wallMilliseconds: UInt64 = 1_000_000

    init(
        bounds: KeyInterval = .everything,
        configuration: StateMachine.Configuration = StateMachine.Configuration(),
        disk: SimulatedDisk = SimulatedDisk(seed: 1)
    ) throws {
        self.disk = disk
        self.bounds = bounds
        self.configuration = configuration
        (store, state) = try TabletHarness.open(disk, bounds, configuration)
    }

    private static func open(
        _ disk: SimulatedDisk, _ bounds: KeyInterval, _ configuration: StateMachine.Configuration
    ) throws -> (Store, StateMachine) {
        var storeConfiguration = StoreConfiguration()
        // Small blocks, so that a few keys spread over several and reads have to ask for them.
        storeConfiguration.blockBytes = 256
        let store = try Store.open(
            fileSystem: disk, directory: "/data/tablet", configuration: storeConfiguration,
            cache: BlockCache(bytesMax: 1 << 10))
        let state = try StateMachine(
            store: store, tablet: tablet, bounds: bounds, configuration: configuration)
        return (store, state)
    }

    // MARK: writing

    /// The next version that the leader's clock would give.
    var nextVersion: Timestamp {
        max(state.lastVersion.next, Timestamp(WallTime(milliseconds: wallMilliseconds)))
    }

    /// Proposes one entry of these commands and applies it.
    @discardableResult
    func apply(_ commands: [Command]) throws -> [Outcome] {
        var builder = CommandBatchBuilder()
        for command in commands { builder.append(Bytes(command.encoded())) }
        return try apply(payload: builder.finish(base: nextVersion))
    }

    @discardableResult
    func apply(_ operations: Operation...) throws -> [Outcome] {
        try apply(operations.map { Command(operation: $0) })
    }

    @discardableResult
    func apply(
        payload: [UInt8], kind: EntryKind = .commands
    ) throws -> [Outcome] {
        let entry = Entry(
            index: state.appliedIndex.next, term: term, kind: kind, payload: payload)
        log.append(entry)
        return try TabletHarness.apply(entry, to: state)
    }

    /// Applies as a node does: the blocks first, then the entry.
    @discardableResult
    static func apply(_ entry: Entry, to state: StateMachine) throws -> [Outcome] {
        let blocks = PinnedBlocks()
        try load(blocks) { state.prepare(entry, blocks: blocks) }
        return try state.apply(entry, blocks: blocks)
    }

    @discardableResult
    static func load<Value>(
        _ blocks: PinnedBlocks, _ read: () -> StoreRead<Value>
    ) throws -> Value {
        while true {
            switch read() {
            case .ready(let value): return value
            case .needs(let missing): blocks.add(try missing.run())
            }
        }
    }

    // MARK: reading

    func get(_ key: Bytes, at version: Timestamp? = nil) throws -> Result<ReadAnswer, ReadError> {
        let blocks = PinnedBlocks()
        return try TabletHarness.load(blocks) { state.get(key, at: version, blocks: blocks) }
    }

    func value(_ key: Bytes, at version: Timestamp? = nil) throws -> Bytes? {
        try get(key, at: version).get().value?.bytes
    }

    func getMany(
        _ keys: [Bytes], at version: Timestamp? = nil
    ) throws -> Result<ReadManyAnswer, ReadError> {
        let blocks = PinnedBlocks()
        return try TabletHarness.load(blocks) { state.getMany(keys, at: version, blocks: blocks) }
    }

    func scan(_ request: ScanRequest) throws -> Result<ScanAnswer, ReadError> {
        let blocks = PinnedBlocks()
        return try TabletHarness.load(blocks) { state.scan(request, blocks: blocks) }
    }

    /// All pages of a scan within the tablet, one after the other.
    func scanAll(_ request: ScanRequest) throws -> [ScanAnswer.Item] {
        var request = request
        var items: [ScanAnswer.Item] = []
        while true {
            let page = try scan(request).get()
            items += page.items
            // A token without a version leads over the tablet's border.
            guard let token = page.pageToken, try PageToken(token).version != nil else {
                return items
            }
            request.pageToken = token
        }
    }

    func contentDigest(
        _ interval: KeyInterval = .everything, at version: Timestamp? = nil
    ) throws -> Digest? {
        var digest = ContentDigestScan(
            of: state, interval: interval, at: version ?? state.lastVersion)
        let blocks = PinnedBlocks()
        while true {
            switch digest.step(state, blocks: blocks) {
            case .needs(let missing): blocks.add(try missing.run())
            case .more: continue
            case .done(let digest): return digest
            case .historyGone: return nil
            }
        }
    }

    // MARK: flushes and restarts

    /// Flushes everything applied, and compacts what wants compaction.
    func flush(configuration: Bytes = "members") throws {
        store.freezeMemtable(flush: try state.prepareFlush(configuration: configuration))
        try runJobs()
        state.flushFinished()
    }

    func runJobs() throws {
        while let job = store.nextJob() {
            while true {
                guard case .finished(let result) = try job.runSlice() else { continue }
                store.install(result)
                break
            }
        }
    }

    /// Loses what is in memory, opens the folder again and replays the log from the last flush.
    func restart() throws {
        (store, state) = try TabletHarness.open(disk, bounds, configuration)
        for entry in log where entry.index > state.appliedIndex {
            try TabletHarness.apply(entry, to: state)
        }
    }
}

extension Session {
    /// The session of client `client`'s write number `sequence`.
    static func of(
        client: UInt64 = 1, _ sequence: UInt64, firstIssue: Timestamp,
        answeredBelow mark: UInt64 = 0
    ) -> Session {
        Session(
            client: ClientID(high: 0, low: client), sequence: SequenceNumber(sequence),
            firstIssue: firstIssue, lowWaterMark: SequenceNumber(mark))
    }
}

extension Operation {
    static func put(_ key: Bytes, _ value: Bytes, if condition: Condition = .none) -> Operation {
        .put(key: key, value: value, condition: condition)
    }
    static func delete(_ key: Bytes, if condition: Condition = .none) -> Operation {
        .delete(key: key, condition: condition)
    }
}
