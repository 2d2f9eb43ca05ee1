import TenonCore
import TenonLog
import TenonSimulator
import Testing

/// A start reads segments a piece of 1 MiB at a time; these are of several, and batches lie across
/// the borders.
@Suite struct `A log of large segments` {
    private let largestBatch = 1_600 << 10

    private var configuration: LogConfiguration {
        var configuration = smallConfiguration(
            segmentBytes: 4 << 20, segmentsReserved: 10, compressionThresholdBytes: 64 << 20)
        configuration.batchBytesMax = largestBatch
        configuration.zeroingStepBytes = 1 << 20
        return configuration
    }

    /// Some 14 MiB in batches of up to 1.5 MiB.
    private func makeLog(
        seed: UInt64
    ) throws -> (disk: SimulatedDisk, reference: ReferenceLog) {
        let disk = try makeDisk(seed: seed)
        let log = try openLog(disk, configuration).log
        var generator = SeededGenerator(seed: seed)
        var reference = ReferenceLog()
        for index in 1...40 as ClosedRange<UInt64> {
            let most: UInt64 = index % 5 == 0 ? 1_500 << 10 : 200 << 10
            let bytes = Int(generator.below(most))
            let records = [entries(1 + index % 3, (index + 2) / 3...(index + 2) / 3, bytes: bytes)]
            try log.append(records)
            reference.apply(records)
        }
        return (disk, reference)
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `holds what was appended`(seed: UInt64) throws {
        let (disk, reference) = try makeLog(seed: seed)
        #expect(ReferenceLog(try recover(disk, configuration)) == reference)
        disk.cutPower()
        #expect(ReferenceLog(try recover(disk, configuration)) == reference)
    }

    @Test func `is opened without the memory of a segment`() throws {
        let (disk, _) = try makeLog(seed: 1)
        _ = try openLog(disk, configuration)
        #expect(disk.counters.largestRead > 1 << 20)
        #expect(disk.counters.largestRead <= largestBatch + (64 << 10))
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `is read by its batches where a segment's header is damaged`(seed: UInt64) throws {
        let (disk, reference) = try makeLog(seed: seed)
        let names = ["segment-0000", "segment-0001", "segment-0002"]
        disk.flipBit(0, at: 9, of: "\(directory)/\(names[Int(seed % 3)])")
        #expect(ReferenceLog(try recover(disk, configuration)) == reference)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `loses what one damaged block held, and nothing else`(seed: UInt64) throws {
        let (disk, reference) = try makeLog(seed: seed)
        var generator = SeededGenerator(seed: seed)
        let segment = "\(directory)/segment-0001"
        // A byte of a body is never zero, nor is one of a header whose flip is to be seen.
        let content = try #require(disk.contents(of: segment))
        let offset = try #require(
            (0..<1_000).lazy.map { _ in 4096 + Int(generator.below(UInt64(content.count - 4096))) }
                .first { content[$0] != 0 })
        disk.flipBit(2, at: offset, of: segment)
        let recovery = try recover(disk, configuration)
        #expect(recovery.report.damagedBatches == 1)
        let lost = recovery.tablets.filter { $0.verdict != .whole }
        #expect(lost.count == 1 && !recovery.report.isNodeSuspect)
        var whole = ReferenceLog(recovery)
        var expected = reference
        for tablet in lost.map(\.tablet) {
            let entries = whole.tablets[tablet]?.entries ?? []
            #expect(entries.count + 1 == expected.tablets[tablet]?.entries.count)
            whole.tablets[tablet]?.entries = []
            expected.tablets[tablet]?.entries = []
        }
        #expect(whole == expected)
    }
}
