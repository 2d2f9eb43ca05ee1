import TenonCore
import TenonLog
import TenonSimulator
import Testing

@Suite struct `A log that crashes` {
    enum Crash: CaseIterable {
        case process, power, powerLosingAll
    }

    /// Runs a script of appends until the disk dies; returns the states that the log may be in:
    /// what was acknowledged, and that with the append that was under way.
    private func run(
        _ disk: SimulatedDisk, _ configuration: LogConfiguration, seed: UInt64
    ) -> (acknowledged: ReferenceLog, attempted: [LogRecord]) {
        var source = RecordSource(seed: seed)
        var reference = ReferenceLog()
        guard let opened = try? openLog(disk, configuration) else { return (reference, []) }
        for step in 0..<24 {
            let records = source.nextAppend(reference)
            do throws(LogError) {
                try opened.log.append(records)
                reference.apply(records)
                if step % 4 == 3 { try opened.log.sealIfNeeded() }
            } catch {
                return (reference, disk.isCrashed ? records : [])
            }
        }
        return (reference, [])
    }

    @Test(arguments: Crash.allCases, 1..<3 as Range<UInt64>)
    func `at any operation loses nothing that it acknowledged`(
        _ crash: Crash, _ seed: UInt64
    ) throws {
        let configuration = smallConfiguration()
        var operation = 0
        while true {
            let disk = try makeDisk(seed: seed &* 1_000 &+ UInt64(operation))
            disk.crashAfter(operations: operation)
            let (acknowledged, attempted) = run(disk, configuration, seed: seed)
            let isOver = !disk.isCrashed
            end(disk, crash)
            var possible = [acknowledged]
            for count in 0..<attempted.count {
                var state = acknowledged
                state.apply(Array(attempted[...count]))
                possible.append(state)
            }
            try expectStable(disk, configuration, possible)
            if isOver { break }
            operation += 1
        }
        #expect(operation > 50)
    }

    /// A recovery finds one of the `possible` states, with nothing damaged; it is durable at once
    /// (Rule L3), also when the recovery itself is cut off at any operation; and it lasts.
    private func expectStable(
        _ disk: SimulatedDisk, _ configuration: LogConfiguration, _ possible: [ReferenceLog]
    ) throws {
        let before = disk.copy(seed: 7)
        let recovery = try openLog(disk, configuration).recovery
        let found = ReferenceLog(recovery)
        #expect(possible.contains(found))
        #expect(recovery.report.damagedBatches == 0)
        #expect(recovery.tablets.allSatisfy { $0.verdict == .whole })
        disk.cutPower(keeping: .nothing)
        #expect(ReferenceLog(try recover(disk, configuration)) == found)
        for operation in 1..<4 {
            let copy = before.copy(seed: UInt64(operation))
            copy.crashAfter(operations: operation)
            _ = try? openLog(copy, configuration)
            copy.cutPower()
            // Before the first recovery ended, power may take what was not yet durable.
            #expect(possible.contains(ReferenceLog(try recover(copy, configuration))))
        }
    }

    private func end(_ disk: SimulatedDisk, _ crash: Crash) {
        switch crash {
        case .process: disk.crashProcess()
        case .power: disk.cutPower()
        case .powerLosingAll: disk.cutPower(keeping: .nothing)
        }
    }

    @Test func `makes durable what it recovered before anything is promised on it`() throws {
        let disk = try makeDisk()
        let log = try openLog(disk).log
        try log.append([hardState(1, term: 1)])
        while try log.prepareAhead() {}
        try log.append([hardState(1, term: 1)])
        // Written, not synced: the sync fails, and the page cache still shows the batch.
        disk.inject(DiskFault(.failSync, on: "segment"))
        #expect(throws: LogError.self) {
            try log.append([hardState(1, term: 2, vote: 3)])
        }
        disk.crashProcess()
        let recovery = try openLog(disk).recovery
        #expect(recovery.tablets[0].hardState?.vote == ReplicaID(3))
        disk.cutPower(keeping: .nothing)
        #expect(try recover(disk).tablets[0].hardState?.vote == ReplicaID(3))
    }

    /// Seed 300491 of the simulator's `tablets`: a process made a segment file and ended before the
    /// folder was synced; the next one found the file, used it, and a power cut took it away.
    @Test func `keeps what it writes into a file that an earlier process made`() throws {
        let configuration = smallConfiguration()
        for operation in 0..<400 {
            let disk = try makeDisk(seed: UInt64(operation))
            disk.crashAfter(operations: operation)
            _ = run(disk, configuration, seed: 1)
            let isOver = !disk.isCrashed
            disk.crashProcess()
            let (log, recovery) = try openLog(disk, configuration)
            var reference = ReferenceLog(recovery)
            var index: UInt64 = 1
            while log.status.segmentsUsed < 4 {
                let records = [entries(90, index...index, bytes: 1_500)]
                try log.append(records)
                reference.apply(records)
                index += 1
            }
            disk.cutPower(keeping: .nothing)
            let found = try recover(disk, configuration)
            #expect(ReferenceLog(found) == reference, "after \(operation) operations")
            if isOver { break }
        }
    }

    @Test func `can crash after every start without running out of segments`() throws {
        let configuration = smallConfiguration()
        let disk = try makeDisk()
        var reference = ReferenceLog()
        for round in 1...40 as ClosedRange<UInt64> {
            let (log, recovery) = try openLog(disk, configuration)
            #expect(ReferenceLog(recovery) == reference)
            let records = [entries(1, round...round), hardState(2, term: round)]
            try log.append(records)
            reference.apply(records)
            disk.crashProcess()
        }
        #expect(disk.usedBytes <= configuration.segmentBytes * configuration.segmentsReserved)
    }
}
