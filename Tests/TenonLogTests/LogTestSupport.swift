import TenonCore
import TenonLog
import TenonSimulator
import Testing

let directory = "/node/log"

/// Small segments and batches, so that a few appends go through every state of the log.
func smallConfiguration(
    segmentBytes: Int = 32 << 10, segmentsReserved: Int = 6,
    compressionThresholdBytes: Int = 1 << 20
) -> LogConfiguration {
    var configuration = LogConfiguration()
    configuration.segmentBytes = segmentBytes
    configuration.segmentsReserved = segmentsReserved
    configuration.compressionThresholdBytes = compressionThresholdBytes
    configuration.batchBytesMax = 6 << 10
    configuration.batchRecordsMax = 32
    configuration.zeroingStepBytes = 8 << 10
    configuration.forwardingStepBytes = 4 << 10
    return configuration
}

/// A disk with the folder above the log's own.
func makeDisk(seed: UInt64 = 1) throws -> SimulatedDisk {
    let disk = SimulatedDisk(seed: seed)
    try disk.createDirectory("/node")
    try disk.syncDirectory("/")
    return disk
}

func openLog(
    _ disk: SimulatedDisk, _ configuration: LogConfiguration = smallConfiguration()
) throws(LogError) -> (log: Log, recovery: LogRecovery) {
    try Log.open(fileSystem: disk, directory: directory, configuration: configuration)
}

/// What a log holds, by opening a copy of its disk: the disk itself stays as it is.
func recover(
    _ disk: SimulatedDisk, _ configuration: LogConfiguration = smallConfiguration()
) throws(LogError) -> LogRecovery {
    try openLog(disk.copy(seed: 0), configuration).recovery
}

func entry(_ index: UInt64, term: UInt64 = 1, bytes: Int = 20) -> Entry {
    Entry(
        index: LogIndex(index), term: Term(term), kind: .commands,
        payload: [UInt8](repeating: UInt8(truncatingIfNeeded: index &* 7 &+ term), count: bytes))
}

/// Entries of replica 1 of `tablet`.
func entries(
    _ tablet: UInt64, _ indexes: ClosedRange<UInt64>, term: UInt64 = 1, bytes: Int = 20
) -> LogRecord {
    .entries(
        tablet: TabletID(tablet), replica: ReplicaID(1),
        entries: indexes.map { entry($0, term: term, bytes: bytes) })
}

func hardState(_ tablet: UInt64, term: UInt64, vote: UInt64 = 0, commit: UInt64 = 0) -> LogRecord {
    .hardState(
        tablet: TabletID(tablet), replica: ReplicaID(1),
        HardState(term: Term(term), vote: ReplicaID(vote), commit: LogIndex(commit)))
}

func trim(_ tablet: UInt64, through index: UInt64, term: UInt64 = 1) -> LogRecord {
    .trim(
        tablet: TabletID(tablet), replica: ReplicaID(1), through: LogIndex(index),
        term: Term(term))
}

func reset(_ tablet: UInt64, at index: UInt64, term: UInt64 = 1) -> LogRecord {
    .reset(
        tablet: TabletID(tablet), replica: ReplicaID(1), at: LogIndex(index), term: Term(term))
}

/// Random appends that fit what the log holds: what a node would send.
struct RecordSource {
    var generator: SeededGenerator
    var tabletCount: UInt64 = 3
    var entryBytesMax: UInt64 = 600

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func nextAppend(_ reference: ReferenceLog) -> [LogRecord] {
        var after = reference
        var records: [LogRecord] = []
        for _ in 0...generator.below(3) {
            let record = nextRecord(after)
            after.apply(record)
            records.append(record)
        }
        return records
    }

    private mutating func nextRecord(_ reference: ReferenceLog) -> LogRecord {
        let tablet = TabletID(1 + generator.below(tabletCount))
        let state = reference.tablets[tablet]
        let replica = state?.replica ?? reference.lowestAllowed[tablet] ?? ReplicaID(1)
        let base = state?.baseIndex ?? .zero
        let last = state?.lastIndex ?? .zero
        let term = Term(1 + generator.below(5))
        switch generator.below(20) {
        case 0..<11:
            // One time in four the new entries replace some of the old.
            let isReplacing = last > base && generator.below(4) == 0
            let length = UInt64(base.distance(to: last))
            let first =
                isReplacing ? base.rawValue + 1 + generator.below(length) : last.rawValue + 1
            let entries = (0...generator.below(4)).map { step in
                entry(
                    first + step, term: term.rawValue, bytes: Int(generator.below(entryBytesMax)))
            }
            return .entries(tablet: tablet, replica: replica, entries: entries)
        case 11..<14:
            return .hardState(
                tablet: tablet, replica: replica,
                HardState(term: term, vote: ReplicaID(generator.below(4)), commit: last))
        case 14..<17:
            let length = UInt64(base.distance(to: last))
            let through = LogIndex(base.rawValue + generator.below(length + 1))
            return .trim(tablet: tablet, replica: replica, through: through, term: term)
        case 17:
            return .reset(
                tablet: tablet, replica: replica,
                at: LogIndex(last.rawValue + generator.below(10)), term: term)
        case 18:
            guard generator.below(4) == 0 else { fallthrough }
            return .remove(tablet: tablet, replica: replica)
        default:
            let value = Bytes((0..<generator.below(50)).map { UInt8(truncatingIfNeeded: $0) })
            return .metadata(key: generator.below(4), value: value)
        }
    }
}
