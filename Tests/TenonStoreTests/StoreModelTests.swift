import TenonCore
import TenonSimulator
import Testing

@testable import TenonStore

/// The same random operations under many configurations, against ``ReferenceStore``.
@Suite("Store against a dumb reference")
struct StoreModelTests {
    /// One configuration to run the list under.
    struct Variant: Sendable, CustomTestStringConvertible {
        var name: String
        var change: @Sendable (inout StoreConfiguration) -> Void
        var cacheBytes = 4 << 10
        var testDescription: String { name }
    }

    static let variants: [Variant] = [
        Variant(name: "small") { _ in },
        Variant(name: "tiny blocks", change: { $0.blockBytes = 64 }, cacheBytes: 0),
        Variant(name: "large blocks", change: { $0.blockBytes = 64 << 10 }, cacheBytes: 1 << 20),
        Variant(name: "no filter") { $0.bloomBitsPerKey = 0 },
        Variant(name: "one table starts a compaction") { $0.levelZeroTablesMax = 1 },
        Variant(name: "never compacts") {
            $0.levelZeroTablesMax = 64
            $0.levelZeroTablesStall = 100
        },
        Variant(name: "short pages") {
            $0.scanStepsMax = 3
            $0.scanPinnedBytesMax = 0
        },
    ]

    @Test("reads agree at every version from the floor on", arguments: variants, [1, 2, 3])
    func random(variant: Variant, seed: UInt64) throws {
        var configuration = StoreConfiguration.small
        variant.change(&configuration)
        var run = try ModelRun(seed: seed, configuration, cacheBytes: variant.cacheBytes)
        for _ in 0..<600 { try run.step() }
        try run.compareEverything()
    }
}

/// One run of the model test.
private struct ModelRun {
    private var generator: SeededGenerator
    private var reference = ReferenceStore()
    private let rig: StoreRig
    private var clock: UInt64 = 100
    private var index: UInt64 = 0
    /// Writes of the reference that the newest flush holds; a reopen applies the others again.
    private var flushedWrites = 0
    /// The job that is out, some slices of it done.
    private var job: (any StoreJob)?
    /// Writes of the reference that the frozen memtable holds at most.
    private var frozenWrites = 0

    init(seed: UInt64, _ configuration: StoreConfiguration, cacheBytes: Int) throws {
        generator = SeededGenerator(seed: seed)
        rig = try StoreRig(SimulatedDisk(seed: seed), configuration, cacheBytes: cacheBytes)
    }

    mutating func step() throws {
        switch generator.below(100) {
        case 0..<55: write(.put(key(), value(), nextVersion()))
        case 55..<65: write(.delete(key(), nextVersion()))
        case 65..<68: writeRange()
        case 68..<71: try flush()
        case 71..<76: try runSlices(1 + generator.below(6))
        case 76..<78: try reopen()
        case 78..<81: raiseFloor()
        case 81..<92: try compareGet()
        default: try compareScan()
        }
    }

    private mutating func key() -> StoreKey {
        let space: KeySpaceTag = generator.below(8) == 0 ? .system : .user
        let text = "key-" + String(generator.below(60))
        return StoreKey(space, generator.below(20) == 0 ? "" : Bytes(text))
    }

    private mutating func value() -> Bytes {
        let count = generator.below(30) == 0 ? 1_000 : Int(generator.below(60))
        return Bytes((0..<count).map { _ in UInt8(truncatingIfNeeded: generator.below(4)) })
    }

    /// Sometimes the same version again, as the writes of one transaction have.
    private mutating func nextVersion() -> Timestamp {
        clock += generator.below(4)
        return Timestamp(clock)
    }

    private mutating func write(_ write: ReferenceStore.Write) {
        reference.apply(write)
        ReferenceStore.apply(write, to: rig.store)
    }

    private mutating func writeRange() {
        let (one, other) = (key(), key())
        write(.deleteRange(min(one, other), max(one, other), nextVersion()))
    }

    /// Ends the memtable; its flush is done slice by slice, between writes and reads.
    private mutating func flush() throws {
        while !rig.store.canFreeze { try runSlices(1) }
        // A memtable ends between two versions, as it ends between two log entries.
        clock += 1
        index += 1
        frozenWrites = reference.writes.count
        let payload = Bytes(String(frozenWrites))
        rig.store.freezeMemtable(
            flush: FlushRecord(index: LogIndex(index), term: Term(1), payload: payload))
    }

    private mutating func runSlices(_ count: UInt64) throws {
        for _ in 0..<count {
            if job == nil { job = rig.store.nextJob() }
            guard let running = job else { return }
            if case .finished(let result) = try running.runSlice() {
                rig.store.install(result)
                job = nil
                if result.kind == .flush { flushedWrites = frozenWrites }
            }
        }
    }

    /// The process ends in the middle of whatever job is out, and starts again.
    private mutating func reopen() throws {
        job = nil
        rig.disk.crashProcess()
        try rig.reopen()
        let record = rig.store.flushed
        // A flush whose manifest was in place before the end counts, installed or not.
        if let record, record.payload == Bytes(String(frozenWrites)) {
            flushedWrites = frozenWrites
        }
        let expected = flushedWrites == 0 && record == nil ? nil : Bytes(String(flushedWrites))
        #expect(record?.payload == expected)
        for write in reference.writes[flushedWrites...] {
            ReferenceStore.apply(write, to: rig.store)
        }
    }

    private mutating func raiseFloor() {
        let target = Timestamp(clock > 40 ? clock - generator.below(40) : clock)
        rig.store.raiseHistoryFloor(to: target)
    }

    private mutating func readTime() -> Timestamp {
        let floor = rig.store.historyFloor.rawValue
        guard generator.below(3) > 0, clock > floor else { return .newest }
        return Timestamp(floor + generator.below(clock - floor + 1))
    }

    private mutating func compareGet() throws {
        let (key, time) = (key(), readTime())
        let expected = reference.content(at: time).first { $0.key == key }?.stored
        #expect(try rig.get(key, at: time) == expected)
    }

    private mutating func compareScan() throws {
        let (one, other, time) = (key(), key(), readTime())
        let lower = min(one, other)
        let upper = lower.space == max(one, other).space ? max(one, other) : nil
        var range = ScanRange(from: lower, to: upper, reversed: generator.below(2) == 0)
        range.itemsMax = 1 + Int(generator.below(20))
        range.bytesMax = 1 + Int(generator.below(2_000))
        var expected = reference.content(at: time).filter { item in
            item.key >= lower && item.key.space == lower.space
                && (upper.map { item.key < $0 } ?? true)
        }
        if range.isReversed { expected.reverse() }
        #expect(try rig.scan(range, at: time) == expected)
    }

    mutating func compareEverything() throws {
        while job != nil { try runSlices(1) }
        try rig.settle()
        rig.store.cache.checkInvariants()
        let floor = rig.store.historyFloor.rawValue
        for time in stride(from: floor, through: max(clock, floor), by: 11) {
            let expected = reference.content(at: Timestamp(time))
            var found: [ScanItem] = []
            for space in KeySpaceTag.allCases {
                found += try rig.scan(
                    ScanRange(from: StoreKey(space, "")), at: Timestamp(time))
            }
            #expect(found == expected)
        }
    }
}
