import TenonCore
import TenonLog
import TenonSimulator
import Testing

@Suite struct `An append to the log` {
    @Test func `is one write and one sync for all tablets`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        while try log.prepareAhead() {}
        let before = disk.counters
        try log.append([entries(1, 1...2), entries(2, 1...3), hardState(3, term: 1)])
        #expect(disk.counters.syncs - before.syncs == 1)
        #expect(disk.counters.operations - before.operations == 2)
        #expect(disk.counters.bytesWritten - before.bytesWritten == 4096)
    }

    @Test func `is durable when it returns`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        var reference = ReferenceLog()
        for index in 1...20 as ClosedRange<UInt64> {
            let records = [entries(1, index...index, bytes: 1_000)]
            try log.append(records)
            reference.apply(records)
            let copy = disk.copy(seed: index)
            copy.cutPower(keeping: .nothing)
            #expect(ReferenceLog(try recover(copy)) == reference)
        }
    }

    @Test func `larger than a batch becomes several`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        let records = [entries(1, 1...40, bytes: 500), entries(2, 1...1, bytes: 5_000)]
        try log.append(records)
        var reference = ReferenceLog()
        reference.apply(records)
        #expect(ReferenceLog(try recover(disk)) == reference)
    }

    @Test func `of an entry that no batch can hold is refused with nothing changed`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        #expect(throws: LogError.self) {
            try log.append([hardState(1, term: 1), entries(1, 1...1, bytes: 7_000)])
        }
        #expect(try recover(disk).tablets.isEmpty)
        try log.append([hardState(1, term: 1)])
    }

    @Test func `of entries that were written before replaces all from the first on`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        try log.append([entries(1, 1...9)])
        try log.append([entries(1, 4...5, term: 2)])
        let tablet = try recover(disk).tablets[0]
        #expect(tablet.entries.map(\.term.rawValue) == [1, 1, 1, 2, 2])
    }

    @Test func `of a removal leaves a tombstone and a place for the next replica`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        try log.append([entries(1, 1...2), hardState(1, term: 7, vote: 1)])
        try log.append([.remove(tablet: TabletID(1), replica: ReplicaID(1))])
        let recovery = try recover(disk)
        #expect(recovery.tablets.isEmpty)
        #expect(recovery.tombstones.map(\.lowestAllowed) == [ReplicaID(2)])
        try log.append([
            .entries(tablet: TabletID(1), replica: ReplicaID(2), entries: [entry(1)])
        ])
        let tablet = try recover(disk).tablets[0]
        #expect(tablet.replica == ReplicaID(2))
        #expect(tablet.hardState == nil)
    }

    @Test func `that leaves a gap is a programmer's error`() async throws {
        await #expect(processExitsWith: .failure) {
            let log = try openLog(try makeDisk()).log
            try log.append([entries(1, 1...2), entries(1, 4...4)])
        }
    }

    @Test(arguments: [DiskFault.Kind.failSync, .failWrite, .shortWrite])
    func `that the disk fails ends the log`(_ fault: DiskFault.Kind) throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        while try log.prepareAhead() {}
        try log.append([entries(1, 1...2)])
        disk.inject(DiskFault(fault, on: "segment"))
        let failure = try #require(
            #expect(throws: LogError.self) { try log.append([entries(1, 3...3)]) })
        guard case .failed = failure else {
            Issue.record("\(failure) is no failure")
            return
        }
        #expect(throws: failure) { try log.append([hardState(1, term: 1)]) }
        #expect(throws: failure) { try log.sealIfNeeded() }
        #expect(throws: failure) { try log.prepareAhead() }
        #expect(!log.needsSeal)
        #expect(!log.admits(bytes: 1))
        disk.crashProcess()
        #expect(try openLog(disk).recovery.tablets[0].entries.count >= 2)
    }
}

@Suite struct `A log's folder` {
    @Test func `is made when it is not there and comes up at once`() throws {
        let disk = try makeDisk()
        let (log, recovery) = try openLog(disk, LogConfiguration())
        #expect(recovery.tablets.isEmpty)
        #expect(recovery.report == LogRecoveryReport())
        // One step of zeros, not the whole reserve.
        #expect(disk.usedBytes == LogConfiguration().zeroingStepBytes)
        #expect(log.status.segmentsUsed == 1)
        #expect(!log.needsSeal)
    }

    @Test func `of another cell or segment size is refused untouched`() throws {
        let disk = try makeDisk()
        try openLog(disk).log.append([hardState(1, term: 1)])
        var configuration = smallConfiguration()
        configuration.cell = 1
        let operations = disk.counters.bytesWritten
        #expect(throws: LogError.self) { try openLog(disk, configuration) }
        #expect(throws: LogError.self) {
            try openLog(disk, smallConfiguration(segmentBytes: 64 << 10))
        }
        #expect(disk.counters.bytesWritten == operations)
    }

    @Test func `of a later format is refused`() throws {
        let disk = try makeDisk()
        try openLog(disk).log.append([hardState(1, term: 1)])
        let path = "/node/log/segment-0000"
        let header = try #require(disk.contents(of: path)?.prefix(56))
        var writer = ByteWriter(appendingTo: Array(header))
        writer.replace(from: 8, with: [2, 0])
        writer.uint32(CRC32C(writer.bytes).rawValue)
        disk.overwrite(writer.bytes, at: 0, of: path)
        #expect(throws: LogError.unsupportedFormat(version: 2)) { try openLog(disk) }
    }

    @Test func `is not opened with settings out of bounds`() throws {
        let changes: [(inout LogConfiguration) -> Void] = [
            { $0.segmentBytes = 4_097 }, { $0.segmentBytes = 8_192 }, { $0.segmentsReserved = 4 },
            { $0.batchBytesMax = 0 }, { $0.batchBytesMax = 40 << 20 }, { $0.batchRecordsMax = 0 },
            { $0.zeroingStepBytes = 100 }, { $0.forwardingStepBytes = 0 },
            { $0.compressionThresholdBytes = -1 },
        ]
        try LogConfiguration().validate()
        for change in changes {
            var configuration = LogConfiguration()
            change(&configuration)
            #expect(throws: LogError.self) { try configuration.validate() }
        }
    }

    @Test func `takes the largest entry in every segment size that a server may have`() throws {
        let smallest = LogConfiguration.smallestServingSegmentBytes
        for segmentBytes in [smallest, smallest + 4_096, 16 << 20, 20 << 20, 64 << 20, 1 << 30] {
            let configuration = LogConfiguration(segmentBytes: segmentBytes)
            try configuration.validate()
            #expect(configuration.batchBytesMax > Limits.commandBytesMax)
            #expect(configuration.batchBytesMax <= LogConfiguration().batchBytesMax)
        }
        let disk = try makeDisk()
        var configuration = LogConfiguration(segmentBytes: smallest)
        configuration.segmentsReserved = 5
        // LZ4 would make nothing of it.
        configuration.compressionThresholdBytes = 1 << 30
        let log = try openLog(disk, configuration).log
        for index in 1...12 as ClosedRange<UInt64> {
            try log.append([
                entries(1, index...index, bytes: Limits.commandBytesMax + 20),
                entries(2, index...index),
            ])
            try log.append([trim(1, through: index)])
        }
        let recovery = try openLog(disk, configuration).recovery
        #expect(recovery.tablets.map(\.entries.count) == [0, 12])
        #expect(disk.usedBytes <= 5 * smallest)
    }
}
