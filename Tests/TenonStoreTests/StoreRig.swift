import TenonCore
import TenonSimulator
import Testing

@testable import TenonStore

/// A store on a simulated disk, with its loop and its job thread in one.
final class StoreRig {
    let disk: SimulatedDisk
    let directory: String
    var configuration: StoreConfiguration
    var cacheBytes: Int
    var store: Store
    /// How many times a read had to ask for blocks.
    var rounds = 0

    init(
        _ disk: SimulatedDisk, _ configuration: StoreConfiguration = .small,
        directory: String = "/data/t", cacheBytes: Int = 4 << 10
    ) throws(StoreError) {
        self.disk = disk
        self.directory = directory
        self.configuration = configuration
        self.cacheBytes = cacheBytes
        // The node makes the folder above all tablets, and syncs its name.
        do throws(FileError) {
            try disk.createDirectory("/data")
            try disk.syncDirectory("/")
        } catch {
            throw .file(error)
        }
        store = try StoreRig.open(disk, configuration, directory, cacheBytes)
    }

    private static func open(
        _ disk: SimulatedDisk, _ configuration: StoreConfiguration, _ directory: String,
        _ cacheBytes: Int
    ) throws(StoreError) -> Store {
        try Store.open(
            fileSystem: disk, directory: directory, configuration: configuration,
            cache: BlockCache(bytesMax: cacheBytes))
    }

    func reopen() throws(StoreError) {
        store = try StoreRig.open(disk, configuration, directory, cacheBytes)
    }

    /// Runs one job to its end, if there is any; tells the store when it throws.
    @discardableResult
    func runJob(_ job: (any StoreJob)?) throws(StoreError) -> StoreJobResult? {
        guard let job else { return nil }
        do throws(StoreError) {
            while true {
                if case .finished(let result) = try job.runSlice() {
                    store.install(result)
                    return result
                }
            }
        } catch {
            store.abandonJob()
            throw error
        }
    }

    /// Reads every table as the scrubber does.
    func scrub() throws(StoreError) {
        var last: UInt64 = 0
        while let table = store.scrub(after: last) {
            last = table.number
            while try table.runSlice(bytes: 8 << 10) > 0 {}
        }
    }

    /// Freezes the memtable and runs the flush.
    func flush(index: UInt64, payload: Bytes = "") throws(StoreError) {
        store.freezeMemtable(
            flush: FlushRecord(index: LogIndex(index), term: Term(1), payload: payload))
        try runJob(store.nextJob())
    }

    /// Runs jobs until there are none.
    func settle() throws(StoreError) {
        while try runJob(store.nextJob()) != nil {}
    }

    /// Calls a read until it has its blocks.
    func finish<Value>(
        _ read: (PinnedBlocks) -> StoreRead<Value>
    ) throws(StoreError) -> Value {
        let blocks = PinnedBlocks()
        for _ in 0..<10_000 {
            switch read(blocks) {
            case .ready(let value): return value
            case .needs(let order):
                precondition(!order.isEmpty, "an order for nothing")
                rounds += 1
                blocks.add(try order.run())
            }
        }
        preconditionFailure("a read that never ends")
    }

    func get(_ key: StoreKey, at time: Timestamp = .newest) throws(StoreError) -> StoredValue? {
        try finish { store.get(key, at: time, blocks: $0) }
    }

    /// All of a range, page by page.
    func scan(
        _ range: ScanRange, at time: Timestamp = .newest
    ) throws(StoreError) -> [ScanItem] {
        var items: [ScanItem] = []
        var rest: ScanRange? = range
        while let next = rest {
            let page = try finish { store.scan(next, at: time, blocks: $0) }
            items += page.items
            rest = page.rest
        }
        return items
    }
}

extension StoreConfiguration {
    /// Sizes so small that a few hundred writes fill several levels.
    static var small: StoreConfiguration {
        var configuration = StoreConfiguration()
        configuration.memtableBytesMax = 4 << 10
        configuration.blockBytes = 256
        configuration.tableBytesMax = 4 << 10
        configuration.levelZeroTablesMax = 3
        configuration.levelBytesBase = 8 << 10
        configuration.levelFactor = 2
        configuration.sliceBytes = 1 << 10
        return configuration
    }
}
