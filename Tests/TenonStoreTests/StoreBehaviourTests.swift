import TenonCore
import TenonSimulator
import Testing

@testable import TenonStore

@Suite("Store")
struct StoreBehaviourTests {
    @Test("overwrites of a few keys take bounded space while the floor follows")
    func boundedSpace() throws {
        let rig = try StoreRig(SimulatedDisk(seed: 1))
        var most = 0
        for step in 1...UInt64(20_000) {
            let key = Bytes("key-\(step % 20)")
            rig.store.put(.user(key), Bytes("some value number \(step)"), at: Timestamp(step))
            if rig.store.wantsFlush {
                rig.store.raiseHistoryFloor(to: Timestamp(step - 50))
                try rig.flush(index: step)
                try rig.settle()
                most = max(most, rig.disk.usedBytes)
            }
        }
        // 20 keys and 50 versions are about 4 KiB; three tables may wait in level 0.
        #expect(most < 32 << 10, "\(most) B on disk")
        #expect(rig.store.status.counters.compactions > 50)
    }

    @Test("a range deletion gives its space back once it lies below the floor")
    func deletedSpace() throws {
        let rig = try StoreRig(SimulatedDisk(seed: 1))
        try rig.fill(300)
        rig.store.deleteRange(from: .user(""), to: .user("z"), at: Timestamp(2_000))
        try rig.flush(index: 2_000)
        rig.store.raiseHistoryFloor(to: Timestamp(2_000))
        rig.configuration.levelZeroTablesMax = 1
        rig.store.put(.user("a"), "1", at: Timestamp(2_001))
        try rig.flush(index: 2_001)
        try rig.reopen()
        rig.store.raiseHistoryFloor(to: Timestamp(2_000))
        try rig.settle()
        #expect(try rig.content().map(\.key.bytes) == ["a"])
        #expect(rig.store.status.diskBytes < 1_000)
        #expect(rig.store.levels.tablesWithTombstones.isEmpty)
    }

    @Test("a page ends at its items, at its bytes, and short after too many steps")
    func pages() throws {
        var configuration = StoreConfiguration.small
        configuration.scanStepsMax = 10
        let rig = try StoreRig(SimulatedDisk(seed: 1), configuration)
        for step in 0..<100 {
            rig.store.put(.user(Bytes("key-\(100 + step)")), "0123456789", at: Timestamp(1))
        }
        for step in 10..<90 {
            rig.store.delete(.user(Bytes("key-\(100 + step)")), at: Timestamp(2))
        }
        try rig.flush(index: 1)
        for isReversed in [false, true] {
            var range = ScanRange(from: .user(""), reversed: isReversed)
            range.itemsMax = 3
            #expect(
                try rig.finish { rig.store.scan(range, at: .newest, blocks: $0) }.items.count == 3)
            range.itemsMax = 1_000
            range.bytesMax = 35
            // A key and its value are 17 bytes.
            #expect(
                try rig.finish { rig.store.scan(range, at: .newest, blocks: $0) }.items.count == 2)
            range.bytesMax = 0
            #expect(
                try rig.finish { rig.store.scan(range, at: .newest, blocks: $0) }.items.count == 1)
            range.bytesMax = .max
            let page = try rig.finish { rig.store.scan(range, at: .newest, blocks: $0) }
            #expect(page.items.count < 20 && page.rest != nil)
            #expect(try rig.scan(range).count == 20)
            let empty = ScanRange(from: .user("x"), to: .user("b"), reversed: isReversed)
            #expect(try rig.scan(empty).isEmpty)
        }
    }

    @Test("a long scan needs few rounds, and a get one")
    func rounds() throws {
        var configuration = StoreConfiguration()
        configuration.blockBytes = 256
        let rig = try StoreRig(SimulatedDisk(seed: 1), configuration, cacheBytes: 0)
        for step in 0..<5_000 {
            rig.store.put(.user(Bytes("key-\(10_000 + step)")), "0123456789", at: Timestamp(1))
        }
        try rig.flush(index: 1)
        #expect(try rig.get(.user("key-12345")) != nil)
        #expect(rig.rounds == 1)
        #expect(try rig.get(.user("key-12345-")) == nil)
        #expect(rig.rounds <= 2)
        for isReversed in [false, true] {
            rig.rounds = 0
            let range = ScanRange(from: .user(""), reversed: isReversed)
            #expect(try rig.scan(range).count == 5_000)
            // Some 600 blocks.
            #expect(rig.rounds < 25)
        }
    }

    @Test("an empty memtable's flush moves the record and writes no table")
    func emptyFlush() throws {
        let rig = try StoreRig(SimulatedDisk(seed: 1))
        try rig.flush(index: 5, payload: "p")
        rig.disk.cutPower(keeping: .nothing)
        try rig.reopen()
        #expect(rig.store.flushed == FlushRecord(index: LogIndex(5), term: Term(1), payload: "p"))
        #expect(try rig.disk.list(rig.directory) == ["MANIFEST"])
    }

    @Test("one job is out at a time, a flush before a compaction")
    func jobs() throws {
        let rig = try StoreRig(SimulatedDisk(seed: 1))
        rig.configuration.levelZeroTablesMax = 1
        try rig.reopen()
        #expect(rig.store.nextJob() == nil)
        #expect(rig.store.checkpointJob(to: "/c") == nil, "before the first flush")
        rig.store.put(.user("a"), "1", at: Timestamp(1))
        try rig.fill(1)
        rig.store.put(.user("b"), "1", at: Timestamp(3))
        rig.store.freezeMemtable(
            flush: FlushRecord(index: LogIndex(3), term: Term(1), payload: ""))
        let job = rig.store.nextJob()
        #expect(job?.kind == .flush)
        #expect(rig.store.nextJob() == nil)
        #expect(rig.store.checkpointJob(to: "/c") == nil)
        try rig.runJob(job)
        #expect(rig.store.nextJob()?.kind == .compaction(fromLevel: 0))
    }

    @Test("writes stall when the next memtable is full, and when level 0 is")
    func stalls() throws {
        var configuration = StoreConfiguration.small
        configuration.levelZeroTablesStall = configuration.levelZeroTablesMax + 1
        let rig = try StoreRig(SimulatedDisk(seed: 1), configuration)
        let value = Bytes([UInt8](repeating: 1, count: 5_000))
        rig.store.put(.user("a"), value, at: Timestamp(1))
        #expect(rig.store.wantsFlush && rig.store.writeStall == nil)
        rig.store.freezeMemtable(
            flush: FlushRecord(index: LogIndex(1), term: Term(1), payload: ""))
        rig.store.put(.user("a"), value, at: Timestamp(2))
        #expect(!rig.store.wantsFlush)
        guard case .memtables = rig.store.writeStall else {
            Issue.record("no stall for memtables")
            return
        }
        try rig.runJob(rig.store.nextJob())
        #expect(rig.store.writeStall == nil)
        for index in 2..<5 {
            rig.store.put(.user("a"), "1", at: Timestamp(UInt64(index)))
            try rig.flush(index: UInt64(index))
        }
        #expect(rig.store.writeStall == .levelZero(tables: 4))
        try rig.settle()
        #expect(rig.store.writeStall == nil)
    }

    @Test("reads that wait for blocks go on while a compaction replaces their tables")
    func readAcrossCompaction() throws {
        let rig = try StoreRig(SimulatedDisk(seed: 1), cacheBytes: 0)
        try rig.fill(200)
        let content = try rig.content()
        let blocks = PinnedBlocks()
        let range = ScanRange(from: .user(""))
        guard case .needs(let order) = rig.store.scan(range, at: .newest, blocks: blocks) else {
            Issue.record("nothing to wait for")
            return
        }
        rig.store.put(.user("zzz"), "later", at: Timestamp(5_000))
        for index in 0..<3 { try rig.flush(index: 300 + UInt64(index)) }
        try rig.settle()
        blocks.add(try order.run())
        var found: [ScanItem] = []
        while found.isEmpty {
            switch rig.store.scan(range, at: Timestamp(4_000), blocks: blocks) {
            case .needs(let next): blocks.add(try next.run())
            case .ready(let page): found = page.items
            }
        }
        #expect(found == content)
    }

    @Test("a read below the floor traps")
    func belowFloor() async {
        await #expect(processExitsWith: .failure) {
            let rig = try StoreRig(SimulatedDisk(seed: 1))
            rig.store.raiseHistoryFloor(to: Timestamp(10))
            _ = rig.store.get(.user("k"), at: Timestamp(9), blocks: PinnedBlocks())
        }
    }

    @Test("a configuration out of its bounds is refused by name")
    func configuration() throws {
        var configuration = StoreConfiguration()
        try configuration.validate()
        configuration.levelZeroTablesStall = configuration.levelZeroTablesMax
        #expect(throws: StoreError.self) { try configuration.validate() }
        configuration = StoreConfiguration()
        configuration.blockBytes = 0
        #expect(throws: StoreError.self) { try configuration.validate() }
    }
}

@Suite("Manifest and footer")
struct ManifestTests {
    private var manifest: Manifest {
        var manifest = Manifest()
        manifest.number = 3
        manifest.cell = 2
        manifest.historyFloor = Timestamp(9)
        manifest.nextTable = TableNumber(8)
        manifest.flush = FlushRecord(index: LogIndex(5), term: Term(4), payload: "p")
        manifest.levels[1] = [
            TableEntry(
                number: TableNumber(7), bytes: 300, checksum: CRC32C(rawValue: 0x0403_0201),
                footerChecksum: CRC32C(rawValue: 0x0807_0605))
        ]
        return manifest
    }

    @Test("a manifest gives back what went in, and its bytes never change")
    func golden() throws {
        let encoded = manifest.encoded
        #expect(try Manifest(encoded) == manifest)
        let body: [UInt8] =
            [9, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]
            + [5, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x70]
            + [7, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 44, 1, 0, 0, 0, 0, 0, 0]
            + [1, 2, 3, 4, 5, 6, 7, 8] + [UInt8](repeating: 0, count: 20)
        #expect(Array(encoded[32...]) == body)
        let header = Array("TENONMAN".utf8) + [1, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0]
        #expect(Array(encoded[..<24]) == header)
        #expect(encoded[24] == UInt8(body.count))
    }

    @Test("a footer gives back what went in, and its bytes never change")
    func footer() throws {
        func place(_ offset: Int) -> BlockPlace {
            BlockPlace(offset: offset, bytes: 20 + offset, checksum: CRC32C(rawValue: 6))
        }
        let footer = TableFooter(
            cell: 1, index: place(1), filter: place(2), tombstones: place(3),
            properties: place(4))
        let encoded = footer.encoded
        #expect(encoded.count == TableFooter.encodedBytes)
        #expect(try TableFooter(encoded, fileBytes: 200) == footer)
        #expect(throws: DecodingError.self) { try TableFooter(encoded, fileBytes: 20) }
        #expect(Array(encoded[..<12]) == Array("TENONTAB".utf8) + [1, 0, 1, 0])
        #expect(
            Array(encoded[12..<28]) == [1, 0, 0, 0, 0, 0, 0, 0, 21, 0, 0, 0, 6, 0, 0, 0])
    }

    @Test("random bytes with a valid checksum never trap")
    func garbage() {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<3_000 {
            var bytes = manifest.encoded
            for _ in 0...generator.below(3) {
                let place = 32 + Int(generator.below(UInt64(bytes.count - 32)))
                bytes[place] = UInt8(generator.below(256))
            }
            var writer = ByteWriter(appendingTo: bytes)
            let crc = CRC32C(bytes, in: 32..<bytes.count, continuing: CRC32C(bytes, in: 0..<28))
            writer.patch(uint32: crc.rawValue, at: 28)
            if let decoded = try? Manifest(writer.take()) {
                #expect(decoded.tables.allSatisfy { $0.number < decoded.nextTable })
            }
        }
    }
}
