import TenonCore
import TenonLog
import TenonSimulator
import Testing

@Suite struct `A log under random records` {
    static let configurations = [
        smallConfiguration(),
        smallConfiguration(segmentBytes: 64 << 10, segmentsReserved: 5),
        smallConfiguration(segmentsReserved: 12, compressionThresholdBytes: 64),
        // One of the largest batches fills a segment.
        smallConfiguration(segmentBytes: 16 << 10, segmentsReserved: 5),
        smallConfiguration(segmentBytes: 12 << 10, segmentsReserved: 7),
    ]

    /// Trims every tablet of which the oldest segment holds entries, as a node would that
    /// flushes when room runs low.
    private func trimOldest(_ log: Log, _ reference: inout ReferenceLog) throws {
        for tablet in log.status.oldestSegmentTablets {
            guard let state = reference.tablets[tablet] else { continue }
            let record = LogRecord.trim(
                tablet: tablet, replica: state.replica, through: state.lastIndex, term: Term(9))
            try log.append([record])
            reference.apply(record)
        }
    }

    @Test(arguments: configurations, 0..<4 as Range<UInt64>)
    func `holds what a dumb reference holds, over restarts and crashes`(
        _ configuration: LogConfiguration, _ seed: UInt64
    ) throws {
        let disk = try makeDisk(seed: seed)
        var source = RecordSource(seed: seed)
        var reference = ReferenceLog()
        var log = try openLog(disk, configuration).log
        for step in 0..<400 {
            let records = source.nextAppend(reference)
            do throws(LogError) {
                try log.append(records)
                reference.apply(records)
            } catch {
                #expect(error == .full)
                try trimOldest(log, &reference)
            }
            if step % 5 == 0 { try log.sealIfNeeded() }
            if step % 7 == 0 { _ = try log.prepareAhead() }
            guard source.generator.below(25) == 0 else { continue }
            if source.generator.below(2) == 0 { disk.cutPower() } else { disk.crashProcess() }
            let (reopened, recovery) = try openLog(disk, configuration)
            #expect(ReferenceLog(recovery) == reference)
            #expect(recovery.tablets.allSatisfy { $0.verdict == .whole })
            #expect(recovery.report.damagedBatches == 0)
            log = reopened
        }
        #expect(disk.usedBytes <= configuration.segmentBytes * configuration.segmentsReserved)
        #expect(ReferenceLog(try recover(disk, configuration)) == reference)
    }
}
