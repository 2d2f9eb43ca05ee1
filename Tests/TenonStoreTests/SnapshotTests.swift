import TenonCore
import TenonSimulator
import Testing

@testable import TenonStore

extension StoreRig {
    /// Makes a checkpoint and returns what it consists of.
    func checkpoint(to directory: String) throws -> SnapshotManifest {
        try #require(try runJob(store.checkpointJob(to: directory))?.snapshot)
    }

    /// Sends a snapshot to this store, through bytes as a link does, and installs it.
    func receive(_ reader: SnapshotReader) throws {
        let receiver = try SnapshotReceiver(
            reader.manifest, fileSystem: disk, storeDirectory: directory)
        var position = SnapshotPosition?.some(.start)
        while let next = position {
            let (sent, after) = try reader.chunk(at: next)
            var writer = ByteWriter()
            sent.encode(to: &writer)
            var bytes = ByteReader(writer.take())
            try receiver.receive(SnapshotChunk(from: &bytes))
            position = after
            #expect(receiver.expected == position)
        }
        try runJob(store.installSnapshotJob(receiver))
    }

    /// Writes so many keys and flushes them now and then.
    func fill(_ count: Int, from first: UInt64 = 1) throws(StoreError) {
        for step in 0..<UInt64(count) {
            let key = Bytes("key-" + hexadecimal(step * 7919 % 1_000, digits: 4))
            store.put(.user(key), Bytes("value \(step)"), at: Timestamp(first + step))
            if step % 100 == 99 { try flush(index: first + step) }
            if step % 50 == 0 { try runJob(store.nextJob()) }
        }
        try flush(index: first + UInt64(count))
    }

    /// Everything that users put, at the newest version.
    func content() throws(StoreError) -> [ScanItem] { try scan(ScanRange(from: .user(""))) }
}

@Suite("Checkpoint and snapshot")
struct SnapshotTests {
    @Test("a checkpoint is a store, and later writes do not reach it")
    func checkpoint() throws {
        let rig = try StoreRig(SimulatedDisk(seed: 1))
        try rig.fill(400)
        let content = try rig.content()
        let manifest = try rig.checkpoint(to: "/data/checkpoint")
        try rig.fill(400, from: 1_000)
        try rig.settle()
        let copy = try StoreRig(rig.disk, directory: "/data/checkpoint")
        #expect(try copy.content() == content)
        #expect(copy.store.flushed == manifest.flush)
        #expect(manifest.flush.index == LogIndex(401))
    }

    @Test("a snapshot replaces the receiver's content, memtable included")
    func transfer() throws {
        let sender = try StoreRig(SimulatedDisk(seed: 1))
        try sender.fill(500)
        let manifest = try sender.checkpoint(to: "/data/checkpoint")
        let receiver = try StoreRig(SimulatedDisk(seed: 2))
        try receiver.fill(150)
        receiver.store.put(.user("mine"), "1", at: Timestamp(500))
        let reader = SnapshotReader(
            fileSystem: sender.disk, directory: "/data/checkpoint", manifest: manifest)
        try receiver.receive(reader)
        #expect(try receiver.content() == sender.content())
        #expect(receiver.store.flushed == manifest.flush)
        #expect(receiver.store.memtable.isEmpty)
        receiver.disk.cutPower(keeping: .nothing)
        try receiver.reopen()
        #expect(try receiver.content() == sender.content())
        let tables = try receiver.disk.list("/data/t").filter { $0.hasSuffix(".table") }
        #expect(tables.count == manifest.files.count - 1)
    }

    @Test("a large table travels in chunks of at most a mebibyte")
    func chunks() throws {
        var configuration = StoreConfiguration()
        configuration.blockBytes = 4 << 10
        let sender = try StoreRig(SimulatedDisk(seed: 1), configuration)
        var generator = SeededGenerator(seed: 4)
        let value = Bytes((0..<3 << 20).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
        sender.store.put(.user("large"), value, at: Timestamp(1))
        try sender.flush(index: 1)
        let manifest = try sender.checkpoint(to: "/c")
        let reader = SnapshotReader(fileSystem: sender.disk, directory: "/c", manifest: manifest)
        #expect(try reader.chunk(at: .start).chunk.bytes.count == SnapshotChunk.bytesMax)
        let receiver = try StoreRig(SimulatedDisk(seed: 2), configuration)
        try receiver.receive(reader)
        #expect(try receiver.get(.user("large"))?.bytes == value)
    }

    @Test(
        "a sender whose table is not what was written finds it itself",
        arguments: [DiskFault.Kind.flipRead, .failRead])
    func damagedSource(kind: DiskFault.Kind) throws {
        let sender = try StoreRig(SimulatedDisk(seed: 1))
        try sender.fill(200)
        let manifest = try sender.checkpoint(to: "/c")
        let table = try #require(manifest.files.first?.name)
        #expect(sender.store.hasTable(named: table))
        #expect(!sender.store.hasTable(named: "MANIFEST"))
        let reader = SnapshotReader(fileSystem: sender.disk, directory: "/c", manifest: manifest)
        sender.disk.inject(DiskFault(kind, on: table))
        let found = #expect(throws: StoreError.self) { try reader.chunk(at: .start) }
        #expect(found?.description.hasPrefix("/c/\(table) is damaged") == true)
        #expect(try reader.chunk(at: .start).chunk.file == 0)
    }

    @Test("a chunk that is not the next, or not whole, is refused")
    func badChunks() throws {
        let sender = try StoreRig(SimulatedDisk(seed: 1))
        try sender.fill(200)
        let manifest = try sender.checkpoint(to: "/c")
        let reader = SnapshotReader(fileSystem: sender.disk, directory: "/c", manifest: manifest)
        let (first, next) = try reader.chunk(at: .start)
        let receiver = try SnapshotReceiver(
            manifest, fileSystem: SimulatedDisk(seed: 3), storeDirectory: "/data/t")
        let second = try reader.chunk(at: try #require(next)).chunk
        #expect(throws: StoreError.self) { try receiver.receive(second) }
        var changed = first
        changed.bytes = first.bytes.successor
        #expect(throws: StoreError.self) { try receiver.receive(changed) }
        var wrong = first.bytes.array
        wrong[7] ^= 1
        // Whole by its own checksum: the file's finds it.
        #expect(throws: StoreError.self) {
            try receiver.receive(SnapshotChunk(file: 0, offset: 0, bytes: Bytes(wrong)))
        }
        #expect(!receiver.isComplete)
    }

    @Test("a snapshot's manifest names files of a store only")
    func names() throws {
        let flush = FlushRecord(index: LogIndex(1), term: Term(1), payload: "")
        let table = SnapshotFile(
            name: TableNumber(4).fileName, bytes: 1, checksum: CRC32C(rawValue: 0))
        let manifest = SnapshotFile(name: "MANIFEST", bytes: 1, checksum: CRC32C(rawValue: 0))
        func decoded(_ files: [SnapshotFile]) throws(DecodingError) -> SnapshotManifest {
            var writer = ByteWriter()
            SnapshotManifest(files: files, flush: flush).encode(to: &writer)
            var reader = ByteReader(writer.take())
            return try SnapshotManifest(from: &reader)
        }
        #expect(try decoded([table, manifest]).files == [table, manifest])
        var escaped = table
        escaped.name = "../" + table.name
        #expect(throws: DecodingError.self) { try decoded([escaped, manifest]) }
        #expect(throws: DecodingError.self) { try decoded([table, table, manifest]) }
        #expect(throws: DecodingError.self) { try decoded([table]) }
        #expect(throws: DecodingError.self) { try decoded([manifest, table]) }
    }
}
