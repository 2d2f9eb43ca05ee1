import PosixFiles
import TenonCore
import TenonLog
import TenonStore

/// What is measured.
enum Catalogue {
    /// A copy of 4 KiB: the measure that the others are ratios of.
    static var copy: Benchmark {
        let block = [UInt8](repeating: 7, count: 4_096)
        var target = [UInt8](repeating: 0, count: 4_096)
        return Benchmark(name: "copy of 4 KiB", itemsPerRun: 1_000) {
            for round in 0..<1_000 {
                target.replaceSubrange(0..<4_096, with: block)
                target[round] = 1
            }
            return Int(target[17])
        }
    }

    static func all(folder: String) throws -> [Benchmark] {
        [encode, decode, checksum, memtable, try logAppend(in: folder)]
    }

    private static let command = Command(
        operation: .put(
            key: "account-00000042", value: Bytes([UInt8](repeating: 65, count: 100)),
            condition: .none),
        session: Session(
            client: ClientID(high: 1, low: 2), sequence: SequenceNumber(3),
            firstIssue: Timestamp(4), lowWaterMark: SequenceNumber(1)))

    private static var encode: Benchmark {
        Benchmark(name: "encode a put of 100 B", itemsPerRun: 1_000) {
            var writer = ByteWriter()
            for _ in 0..<1_000 { command.encode(to: &writer) }
            return writer.count
        }
    }

    private static var decode: Benchmark {
        var writer = ByteWriter()
        command.encode(to: &writer)
        let bytes = Bytes(writer.bytes)
        return Benchmark(name: "decode a put of 100 B", itemsPerRun: 1_000) {
            var count = 0
            for _ in 0..<1_000 {
                var reader = ByteReader(bytes)
                if try Command(from: &reader).session != nil { count += 1 }
            }
            return count
        }
    }

    private static var checksum: Benchmark {
        let block = [UInt8](repeating: 7, count: 4_096)
        return Benchmark(name: "CRC-32C of 4 KiB", itemsPerRun: 1_000) {
            var sum: UInt32 = 0
            for _ in 0..<1_000 { sum ^= CRC32C(block).rawValue }
            return Int(sum)
        }
    }

    /// Ten thousand keys in random order into a fresh store's memtable, of 100 bytes each.
    private static var memtable: Benchmark {
        var random = SeededGenerator(seed: 1)
        let keys = (0..<10_000).map { _ in
            StoreKey.user(Bytes(hexadecimal(random.next(), digits: 16)))
        }
        let value = Bytes([UInt8](repeating: 65, count: 100))
        let folder = "/tmp/tenon-benchmarks-store"
        return Benchmark(name: "memtable: put of 100 B", itemsPerRun: keys.count) {
            let files = PosixFileSystem()
            try files.removeTree(folder)
            let store = try Store.open(
                fileSystem: files, directory: folder, configuration: StoreConfiguration(),
                cache: BlockCache(bytesMax: 1 << 20))
            for (place, key) in keys.enumerated() {
                store.put(key, value, at: Timestamp(UInt64(place + 1)))
            }
            return store.memtableBytes
        }
    }

    /// Batches of one entry of 16 KiB, each with its sync: what one turn of a busy node costs.
    private static func logAppend(in folder: String) throws -> Benchmark {
        let files = PosixFileSystem()
        try files.removeTree(folder)
        let configuration = LogConfiguration()
        let (log, _) = try Log.open(
            fileSystem: files, directory: folder, configuration: configuration)
        let payload = [UInt8](repeating: 65, count: 16 << 10)
        var index = LogIndex.zero
        return Benchmark(name: "log: append and sync 16 KiB", itemsPerRun: 20) {
            for _ in 0..<20 {
                index = index.next
                let entry = Entry(index: index, term: Term(1), kind: .commands, payload: payload)
                let tablet = TabletID(2)
                let replica = ReplicaID(1)
                try log.append([
                    .entries(tablet: tablet, replica: replica, entries: [entry])
                ])
                if index.rawValue.isMultiple(of: 100) {
                    try log.append([
                        .trim(
                            tablet: tablet, replica: replica, through: index, term: Term(1))
                    ])
                }
            }
            return Int(index.rawValue)
        }
    }
}
