import TenonCore
import TenonLog
import TenonSimulator
import Testing

@Suite struct `A log's reserve` {
    private let configuration = smallConfiguration()

    private var reserveBytes: Int {
        configuration.segmentBytes * configuration.segmentsReserved
    }

    @Test func `is recycled for ever while one tablet lags behind`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        var reference = ReferenceLog()
        let lagging = [
            entries(2, 1...3, bytes: 700), hardState(2, term: 4, vote: 2),
            .metadata(key: 5, value: "kept"), reset(3, at: 12, term: 3),
            .remove(tablet: TabletID(4), replica: ReplicaID(6)),
        ]
        try log.append(lagging)
        reference.apply(lagging)
        var index: UInt64 = 1
        while log.status.bytesWritten < 50 * reserveBytes {
            var records = [entries(1, index...index + 1, bytes: 1_000)]
            if index % 8 == 7 { records.append(trim(1, through: index)) }
            try log.append(records)
            reference.apply(records)
            index += 2
        }
        #expect(disk.usedBytes <= reserveBytes)
        #expect(log.status.damagedTablets.isEmpty)
        disk.cutPower()
        let recovery = try openLog(disk).recovery
        #expect(ReferenceLog(recovery) == reference)
        #expect(recovery.tablets.allSatisfy { $0.verdict == .whole })
    }

    @Test func `never gives back the stale batches of an earlier use`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        var index: UInt64 = 1
        // Two laps: every file has batches of its first use behind those of its second.
        while log.status.bytesWritten < 2 * reserveBytes {
            try log.append([entries(1, index...index, bytes: 100), trim(1, through: index)])
            index += 1
        }
        try log.append([entries(1, index...index, term: 9)])
        var reference = ReferenceLog(try recover(disk))
        #expect(reference.tablets[TabletID(1)]?.lastIndex == LogIndex(index))
        // Without its last batch, a stale one stands where the log ends.
        reference.tablets[TabletID(1)]?.entries = []
        for name in try disk.list(directory) {
            let path = "\(directory)/\(name)"
            let bytes = try #require(disk.contents(of: path))
            for block in 1..<bytes.count / 4096
            where bytes[block * 4096..<(block + 1) * 4096]
                .containsLast(term: 9, index: index)
            {
                disk.overwrite([UInt8](repeating: 0, count: 64), at: block * 4096, of: path)
            }
        }
        let recovery = try recover(disk)
        #expect(ReferenceLog(recovery) == reference)
        #expect(recovery.report.damagedBatches == 0)
    }

    @Test func `refuses entries when it is used up, and takes them again after a trim`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        var reference = ReferenceLog()
        for round in 1...3 as ClosedRange<UInt64> {
            var index = (reference.tablets[TabletID(1)]?.lastIndex.rawValue ?? 0) + 1
            var isFull = false
            while !isFull {
                let records = [entries(1, index...index, bytes: 2_000)]
                do throws(LogError) {
                    try log.append(records)
                    reference.apply(records)
                    index += 1
                } catch {
                    #expect(error == .full)
                    isFull = true
                }
            }
            #expect(!log.admits(bytes: 2_000))
            #expect(ReferenceLog(try recover(disk)) == reference)
            // Small records have a part of the reserve of their own.
            for term in 1...50 as ClosedRange<UInt64> {
                let records = [hardState(2, term: round * 100 + term)]
                try log.append(records)
                reference.apply(records)
            }
            #expect(log.status.oldestSegmentTablets == [TabletID(1)])
            let records = [trim(1, through: index - 1)]
            try log.append(records)
            reference.apply(records)
            #expect(log.admits(bytes: 2_000))
            #expect(log.status.oldestSegmentTablets.isEmpty)
        }
        #expect(disk.usedBytes <= reserveBytes)
        #expect(ReferenceLog(try recover(disk)) == reference)
    }

    @Test func `is full when the disk is, with nothing lost, and goes on when it is not`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        try log.append([entries(1, 1...1)])
        disk.capacityBytes = disk.usedBytes
        var reference = ReferenceLog()
        reference.apply([entries(1, 1...1)])
        #expect(throws: LogError.full) {
            for index in 2...100 as ClosedRange<UInt64> {
                let records = [entries(1, index...index, bytes: 1_000)]
                try log.append(records)
                reference.apply(records)
            }
        }
        #expect(throws: LogError.full) { while try log.prepareAhead() {} }
        disk.capacityBytes = nil
        let next = (reference.tablets[TabletID(1)]?.lastIndex.rawValue ?? 0) + 1
        let records = [entries(1, next...next, bytes: 1_000)]
        try log.append(records)
        reference.apply(records)
        #expect(ReferenceLog(try recover(disk)) == reference)
    }

    @Test func `is not read at a start where it waits for its next use`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        while try log.prepareAhead() {}
        var index: UInt64 = 1
        while log.status.bytesWritten < 2 * reserveBytes {
            try log.append([entries(1, index...index, bytes: 1_000), trim(1, through: index)])
            index += 1
        }
        disk.crashProcess()
        let before = disk.counters.bytesRead
        let recovery = try openLog(disk).recovery
        #expect(recovery.tablets[0].baseIndex == LogIndex(index - 1))
        // Two or three segments are of the log, and every file's first block is looked at.
        #expect(disk.counters.bytesRead - before < reserveBytes * 2 / 3)
    }

    @Test func `once prepared takes no more space from the disk`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        while try log.prepareAhead() {}
        #expect(disk.usedBytes == reserveBytes)
        disk.capacityBytes = 0
        for index in 1...300 as ClosedRange<UInt64> {
            try log.append([entries(1, index...index, bytes: 1_000), trim(1, through: index)])
        }
        disk.crashProcess()
        let recovery = try openLog(disk).recovery
        #expect(recovery.tablets[0].baseIndex == LogIndex(300))
    }
}

extension ArraySlice<UInt8> {
    /// Whether these bytes hold the encoded index and term of an entry.
    fileprivate func containsLast(term: UInt64, index: UInt64) -> Bool {
        var writer = ByteWriter()
        writer.uint64(index)
        writer.uint64(term)
        let pattern = writer.bytes
        return indices.dropLast(pattern.count).contains {
            self[$0..<$0 + pattern.count] == pattern[...]
        }
    }
}
