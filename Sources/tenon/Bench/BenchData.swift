import TenonClient
import TenonCore
import TenonWire

/// What a benchmark does before and after the time that counts: filling in keys, reading back.
struct BenchData: Sendable {
    let client: TenonClient
    let keyspace: Keyspace
    let keys: BenchKeys

    private static let putsOfBatch = 256
    private static let batchesInFlight = 16
    private static let keysOfRead = 512
    private static let readsInFlight = 8

    /// Puts all keys when some of a sample are missing.
    func fillIn() async throws {
        guard try await isAnyMissing() else { return }
        let directory = try await client.describe()
        let id = directory.keyspace(named: keyspace.name)?.id ?? .default
        var batches: [TabletID: [Operation]] = [:]
        var filled: UInt64 = 0
        try await withThrowingTaskGroup(of: Void.self) { group in
            var running = 0
            func start(_ puts: [Operation]) async throws {
                if running == BenchData.batchesInFlight {
                    try await group.next()
                    running -= 1
                }
                running += 1
                filled += UInt64(puts.count)
                Console.progress("filling in: \(filled) of \(keys.count) keys")
                group.addTask {
                    _ = try await keyspace.transaction(
                        if: [], then: puts, timeout: .seconds(60))
                }
            }
            for place in 0..<keys.count {
                let key = keys.key(place)
                let tablet = directory.tablet(of: id, holding: key)?.id ?? .directory
                batches[tablet, default: []].append(
                    .put(key: key, value: keys.value(place, sequence: 0), condition: .none))
                if let puts = batches[tablet], puts.count == BenchData.putsOfBatch {
                    batches[tablet] = []
                    try await start(puts)
                }
            }
            for tablet in batches.keys.sorted() {
                if let puts = batches[tablet], !puts.isEmpty { try await start(puts) }
            }
            try await group.waitForAll()
        }
        Console.progressEnded()
    }

    private func isAnyMissing() async throws(TenonError) -> Bool {
        let step = max(1, keys.count / UInt64(BenchData.keysOfRead))
        let sample = stride(from: 0, to: keys.count, by: Int(step)).map { $0 } + [keys.count - 1]
        for value in try await keyspace.getMany(sample.map(keys.key)) where value == nil {
            return true
        }
        return false
    }

    /// What reading back has found.
    struct Comparison: Sendable {
        var compared = 0
        /// Values that no write of ours gave, or that are older than an acknowledged write.
        var mismatches = 0
    }

    /// Reads back every key that was written, and compares: the value has to be one of ours for
    /// that key, and not older than the newest acknowledged write to it.
    func compare(_ written: [BenchWorker.Written]) async throws -> Comparison {
        var newest: [UInt64: Version] = [:]
        for write in written {
            newest[write.place] = max(newest[write.place] ?? .zero, write.version)
        }
        let places = newest.keys.sorted()
        return try await withThrowingTaskGroup(of: Comparison.self) { group in
            var sum = Comparison()
            var running = 0
            for start in stride(from: 0, to: places.count, by: BenchData.keysOfRead) {
                let part = places[start..<min(places.count, start + BenchData.keysOfRead)]
                let expected = part.map { ($0, newest[$0] ?? .zero) }
                if running == BenchData.readsInFlight, let found = try await group.next() {
                    running -= 1
                    sum.add(found)
                    Console.progress("compared: \(sum.compared) of \(places.count) keys")
                }
                running += 1
                group.addTask { try await compare(part: expected) }
            }
            for try await found in group { sum.add(found) }
            Console.progressEnded()
            return sum
        }
    }

    private func compare(
        part: [(place: UInt64, version: Version)]
    ) async throws(TenonError) -> Comparison {
        let values = try await keyspace.getMany(
            part.map { keys.key($0.place) }, timeout: .seconds(60))
        var found = Comparison()
        for (expected, value) in zip(part, values) {
            found.compared += 1
            guard let value, value.version >= expected.version,
                keys.isOurs(value.bytes, at: expected.place)
            else {
                found.mismatches += 1
                continue
            }
        }
        return found
    }
}

extension BenchData.Comparison {
    fileprivate mutating func add(_ other: BenchData.Comparison) {
        compared += other.compared
        mismatches += other.mismatches
    }
}
