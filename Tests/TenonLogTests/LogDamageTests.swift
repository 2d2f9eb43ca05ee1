import TenonCore
import TenonLog
import TenonSimulator
import Testing

@Suite struct `A damaged log` {
    /// The first segment of a fresh log; its batches of one block each lie at 1, 2, 3, … blocks.
    private let segment = "/node/log/segment-0000"

    /// What each batch holds.
    private let script: [[LogRecord]] = [
        [entries(1, 1...3), hardState(1, term: 1, vote: 1)],
        [entries(2, 1...2), hardState(1, term: 2, vote: 3, commit: 2), reset(4, at: 7, term: 2)],
        [entries(3, 1...1)],
        [entries(1, 4...4)],
    ]

    private func makeLog() throws -> (disk: SimulatedDisk, reference: ReferenceLog) {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        var reference = ReferenceLog()
        for records in script {
            try log.append(records)
            reference.apply(records)
        }
        return (disk, reference)
    }

    /// Where the used bytes of batch `number` lie, padding excluded.
    private func range(of number: Int, _ disk: SimulatedDisk) throws -> Range<Int> {
        let bytes = try #require(disk.contents(of: segment))
        let block = bytes[number * 4096..<(number + 1) * 4096]
        let end = try #require(block.lastIndex { $0 != 0 })
        return number * 4096..<end + 1
    }

    @Test func `cut at any byte of its last batch has a torn tail and keeps the rest`() throws {
        let (disk, reference) = try makeLog()
        var before = ReferenceLog()
        for records in script.dropLast() { before.apply(records) }
        let last = try range(of: 4, disk)
        for cut in last {
            let copy = disk.copy(seed: 0)
            copy.overwrite(
                [UInt8](repeating: 0, count: last.upperBound - cut), at: cut, of: segment)
            let recovery = try recover(copy)
            #expect(ReferenceLog(recovery) == before)
            #expect(recovery.report.damagedBatches == 0)
            // A few bytes do not tell what they were to be.
            if cut >= last.lowerBound + 32 {
                #expect(recovery.report.tornTail?.offset == last.lowerBound)
                #expect(recovery.report.tornTail?.segment == "segment-0000")
            }
        }
        #expect(ReferenceLog(try recover(disk)) == reference)
    }

    @Test func `with any flipped byte in the middle is damaged in those tablets alone`() throws {
        let (disk, reference) = try makeLog()
        var expected = reference
        expected.tablets[TabletID(2)]?.entries = []
        for offset in try range(of: 2, disk) {
            let copy = disk.copy(seed: 0)
            copy.flipBit(offset % 8, at: offset, of: segment)
            let recovery = try recover(copy)
            // Vote, commit and base come from the directory; only the entries are lost.
            #expect(ReferenceLog(recovery) == expected)
            #expect(recovery.report.damagedBatches == 1)
            #expect(recovery.report.tornTail == nil)
            for tablet in recovery.tablets {
                let isHit = tablet.tablet == TabletID(2)
                #expect(
                    tablet.verdict == (isHit ? .damaged([LogIndex(1)...LogIndex(2)]) : .whole))
            }
        }
    }

    @Test func `with its last batch hit behind a seal is damaged, not torn`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        try log.append([entries(1, 1...2)])
        #expect(log.needsSeal)
        try log.sealIfNeeded()
        #expect(!log.needsSeal)
        for offset in try range(of: 1, disk) {
            let copy = disk.copy(seed: 0)
            copy.flipBit(0, at: offset, of: segment)
            let recovery = try recover(copy)
            #expect(recovery.tablets.map(\.verdict) == [.damaged([LogIndex(1)...LogIndex(2)])])
            #expect(recovery.report.tornTail == nil)
        }
    }

    @Test func `with two adjacent batches lost makes every tablet suspect`() throws {
        let (disk, _) = try makeLog()
        for blocks in [2...3, 1...2, 1...3] {
            let copy = disk.copy(seed: 0)
            for block in blocks { copy.flipBit(0, at: block * 4096 + 30, of: segment) }
            let recovery = try recover(copy)
            #expect(recovery.report.isNodeSuspect)
            #expect(recovery.report.damagedBatches == blocks.count)
            #expect(recovery.tablets.count >= 2)
            #expect(recovery.tablets.allSatisfy { $0.verdict == .suspect })
        }
    }

    @Test func `with two adjacent bodies hit still knows which entries are lost`() throws {
        let (disk, _) = try makeLog()
        for number in 2...3 {
            let end = try range(of: number, disk).upperBound
            disk.flipBit(3, at: end - 1, of: segment)
        }
        let recovery = try recover(disk)
        #expect(!recovery.report.isNodeSuspect)
        #expect(
            recovery.tablets.map(\.verdict) == [
                .whole, .damaged([LogIndex(1)...LogIndex(2)]),
                .damaged([LogIndex(1)...LogIndex(1)]), .whole,
            ])
    }

    @Test func `in which a write went astray is damaged where it should have been`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        while try log.prepareAhead() {}
        try log.append(script[0])
        disk.inject(DiskFault(.misdirect(byBytes: 5 * 4096)))
        try log.append(script[1])
        try log.append(script[2])
        let recovery = try recover(disk)
        #expect(recovery.report.damagedBatches == 1)
        #expect(
            recovery.tablets.map(\.verdict) == [
                .whole, .damaged([LogIndex(1)...LogIndex(2)]), .whole, .whole,
            ])
    }

    @Test func `says so at every restart and after its segments were recycled`() throws {
        let (disk, _) = try makeLog()
        disk.flipBit(1, at: 2 * 4096 + 100, of: segment)
        for _ in 0..<3 {
            let (log, recovery) = try openLog(disk)
            #expect(recovery.tablets[1].verdict == .damaged([LogIndex(1)...LogIndex(2)]))
            var index: UInt64 = 100
            try log.append([reset(9, at: index - 1)])
            for _ in 0..<100 {
                try log.append([entries(9, index...index, bytes: 3_000), trim(9, through: index)])
                index += 1
            }
            disk.cutPower()
        }
    }

    @Test func `of unknown content makes replicas suspect until they are replaced`() throws {
        let (disk, _) = try makeLog()
        for block in 2...3 { disk.flipBit(0, at: block * 4096 + 30, of: segment) }
        let log = try openLog(disk).log
        try log.append([
            .remove(tablet: TabletID(1), replica: ReplicaID(1)),
            .entries(tablet: TabletID(1), replica: ReplicaID(2), entries: [entry(1)]),
            reset(3, at: 50, term: 3),
        ])
        #expect(try recover(disk).tablets.first?.verdict == .whole)
        var index: UInt64 = 1
        for _ in 0..<100 {
            try log.append([entries(9, index...index, bytes: 3_000), trim(9, through: index)])
            index += 1
        }
        let verdicts = try recover(disk).tablets.filter { $0.tablet <= TabletID(4) }
        #expect(verdicts.first?.verdict == .whole)
        #expect(verdicts.count == 2 && verdicts.dropFirst().allSatisfy { $0.verdict == .suspect })
    }

    @Test func `is whole again where lost entries were written anew`() throws {
        let (disk, reference) = try makeLog()
        disk.flipBit(1, at: 2 * 4096 + 100, of: segment)
        let log = try openLog(disk).log
        try log.append([entries(2, 1...2)])
        let recovery = try recover(disk)
        #expect(ReferenceLog(recovery) == reference)
        #expect(recovery.tablets.allSatisfy { $0.verdict == .whole })
    }

    @Test func `names the metadata whose newest value is lost`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        try log.append([.metadata(key: 1, value: "a"), .metadata(key: 2, value: "b")])
        try log.append([.metadata(key: 2, value: "c")])
        try log.sealIfNeeded()
        disk.flipBit(0, at: 2 * 4096 + 90, of: segment)
        let recovery = try recover(disk)
        #expect(recovery.metadata.map(\.key) == [1])
        #expect(recovery.report.damagedMetadata == [2])
    }

    @Test func `with a damaged segment header is read by what its batches say`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        var reference = ReferenceLog()
        var index: UInt64 = 1
        while log.status.segmentsUsed < 3 {
            let records = [entries(1, index...index, bytes: 1_500)]
            try log.append(records)
            reference.apply(records)
            index += 1
        }
        for number in 0..<3 {
            for offset in [0, 8, 20, 33, 59] {
                let copy = disk.copy(seed: 0)
                copy.flipBit(2, at: offset, of: "/node/log/segment-000\(number)")
                let recovery = try recover(copy)
                #expect(ReferenceLog(recovery) == reference)
            }
        }
        for number in 0..<3 { disk.flipBit(2, at: 20, of: "/node/log/segment-000\(number)") }
        #expect(try recover(disk).report.isNodeSuspect)
    }

    @Test func `that lost a whole segment file is suspect`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        var index: UInt64 = 1
        while log.status.segmentsUsed < 4 {
            try log.append([entries(1, index...index, bytes: 1_500)])
            index += 1
        }
        for number in 0..<3 {
            let copy = disk.copy(seed: 0)
            try copy.remove("/node/log/segment-000\(number)")
            try copy.syncDirectory("/node/log")
            try expectSuspectForEver(copy)
        }
    }

    /// Seed 497 of the simulator's `headers`: the segments around the gap were recycled, and with
    /// them all that showed it.
    @Test func `that showed only as a gap stays known`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        var index: UInt64 = 1
        while log.status.segmentsUsed < 3 {
            try log.append([entries(1, index...index, bytes: 1_500)])
            index += 1
        }
        // Needed is only what follows.
        try log.append([trim(1, through: index - 1), entries(1, index...index)])
        for segment in 0..<2 {
            for block in 1...3 {
                let copy = disk.copy(seed: 0)
                for hit in block...block + 1 {
                    copy.flipBit(0, at: hit * 4096 + 30, of: "/node/log/segment-000\(segment)")
                }
                guard try recover(copy).report.isNodeSuspect else { continue }
                try expectSuspectForEver(copy)
            }
        }
    }

    /// Crashes at every step of the first open after the damage, and opens again.
    private func expectSuspectForEver(_ disk: SimulatedDisk) throws {
        for operations in 0..<60 {
            let copy = disk.copy(seed: UInt64(operations))
            copy.crashAfter(operations: operations)
            let isOpened = (try? openLog(copy)) != nil
            copy.crashAfter(operations: nil)
            copy.cutPower(keeping: operations % 2 == 0 ? .nothing : .random)
            for _ in 0..<3 {
                let recovery = try openLog(copy).recovery
                #expect(!recovery.tablets.isEmpty)
                #expect(
                    recovery.tablets.allSatisfy { $0.verdict == .suspect },
                    "after \(operations) operations")
                copy.cutPower(keeping: .nothing)
            }
            if isOpened { return }
        }
        Issue.record("the log was never opened")
    }
}
