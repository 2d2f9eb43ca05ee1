import TenonCore
import TenonLog
import TenonSimulator
import Testing

@Suite struct `A log that rots` {
    /// A sealed log that has recycled some of its segments, and what it holds.
    private func makeLog(seed: UInt64) throws -> (disk: SimulatedDisk, reference: ReferenceLog) {
        let disk = try makeDisk(seed: seed)
        let log = try openLog(disk).log
        var source = RecordSource(seed: seed)
        var reference = ReferenceLog()
        while log.status.bytesWritten < 400 << 10 {
            let records = source.nextAppend(reference)
            do throws(LogError) {
                try log.append(records)
                reference.apply(records)
            } catch {
                for (tablet, state) in reference.tablets.sorted(by: { $0.key < $1.key }) {
                    let record = LogRecord.trim(
                        tablet: tablet, replica: state.replica, through: state.lastIndex,
                        term: Term(9))
                    try log.append([record])
                    reference.apply(record)
                }
            }
        }
        try log.append([hardState(9, term: 1)])
        reference.apply(hardState(9, term: 1))
        try log.sealIfNeeded()
        return (disk, reference)
    }

    /// What calls itself whole is what was written; what is not there at all was not silently
    /// dropped.
    private func expectHonest(_ recovery: LogRecovery, _ reference: ReferenceLog) {
        let found = ReferenceLog(recovery)
        for (tablet, state) in reference.tablets {
            let verdict = recovery.tablets.first { $0.tablet == tablet }?.verdict
            if verdict == .whole { #expect(found.tablets[tablet] == state) }
            if verdict == nil { #expect(recovery.report.isNodeSuspect) }
            if case .damaged = verdict {
                #expect(found.tablets[tablet]?.hardState == state.hardState)
                #expect(found.tablets[tablet]?.baseIndex == state.baseIndex)
            }
        }
        for (key, value) in reference.metadata where found.metadata[key] != value {
            #expect(
                recovery.report.damagedMetadata.contains(key) || recovery.report.isNodeSuspect)
        }
    }

    @Test(arguments: 1..<4 as Range<UInt64>)
    func `in any one bit says so`(_ seed: UInt64) throws {
        let (disk, reference) = try makeLog(seed: seed)
        #expect(ReferenceLog(try recover(disk)) == reference)
        var generator = SeededGenerator(seed: seed)
        var damagedCount = 0
        for name in try disk.list(directory) {
            let path = "\(directory)/\(name)"
            let bytes = try #require(disk.contents(of: path))
            for block in 0..<bytes.count / 4096 {
                // Three bits a block; most bytes that are used stand at its beginning.
                for span in [60, 300, 4096] as [UInt64] {
                    let copy = disk.copy(seed: 0)
                    let offset = block * 4096 + Int(generator.below(span))
                    copy.flipBit(Int(generator.below(8)), at: offset, of: path)
                    let recovery = try recover(copy)
                    expectHonest(recovery, reference)
                    damagedCount += recovery.report.damagedBatches
                }
            }
        }
        #expect(damagedCount > 20)
    }

    @Test func `in a whole block says so`() throws {
        let (disk, reference) = try makeLog(seed: 9)
        var generator = SeededGenerator(seed: 9)
        for name in try disk.list(directory) {
            let path = "\(directory)/\(name)"
            for block in 0..<(disk.contents(of: path)?.count ?? 0) / 4096 {
                let copy = disk.copy(seed: 0)
                let noise = (0..<4096).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                copy.overwrite(noise, at: block * 4096, of: path)
                expectHonest(try recover(copy), reference)
            }
        }
    }
}
