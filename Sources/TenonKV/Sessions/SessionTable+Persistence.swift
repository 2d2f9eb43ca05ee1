internal import TenonCore
internal import TenonStore

/// Sessions as system keys of the tablet's store (Rules S3, F). Numbers in keys are big-endian,
/// so that the store's order is theirs; numbers in values are little-endian.
/// ```
/// key   1 · client 16 · sequence 8      value  first issue 8 · version 8 · outcome
/// key   2 · client 16                   value  mark 8 · latest issue 8
/// ```
/// A flush writes what changed since the one before, in the same atomic step as the data; a
/// restart reads all of them, and replays the log from there.
extension SessionTable {
    private static let recordTag: UInt8 = 1
    private static let clientTag: UInt8 = 2

    /// How many rows ``writeChanges(to:at:atMost:)`` would write at most.
    /// - Complexity: O(1).
    var changesMax: Int { removals.count + changed.count + unstoredCount }

    /// Writes what changed since the last call, about `rowsMax` rows of it. What is left over, and
    /// what changes meanwhile, is written by the next calls, so that no call takes long.
    mutating func writeChanges(to store: Store, at version: Timestamp, atMost rowsMax: Int = .max) {
        var rows = 0
        // Removals first: what came back since is written over them at the same version.
        while rows < rowsMax, let removal = removals.popLast() {
            switch removal {
            case .record(let client, let sequence):
                store.delete(SessionTable.key(client, sequence), at: version)
            case .client(let client):
                store.delete(SessionTable.key(client, nil), at: version)
            }
            rows += 1
        }
        while rows < rowsMax, let slot = changed.last {
            if clients[slot].isLiving && clients[slot].isChanged {
                let isWhole = writeClient(slot, to: store, at: version, &rows, atMost: rowsMax)
                guard isWhole else { return }
            }
            clients[slot].isListed = false
            changed.removeLast()
        }
    }

    /// Returns whether all of the client is written now.
    private mutating func writeClient(
        _ slot: Int, to store: Store, at version: Timestamp, _ rows: inout Int, atMost rowsMax: Int
    ) -> Bool {
        var writer = ByteWriter(capacity: 64)
        writer.identifier(clients[slot].mark)
        writer.identifier(clients[slot].latestIssue)
        let id = clients[slot].id
        store.put(SessionTable.key(id, nil), Bytes(writer.take()), at: version)
        clients[slot].isStored = true
        rows += 1
        for place in clients[slot].head..<clients[slot].records.count
        where !clients[slot].records[place].isStored {
            guard rows < rowsMax else { return false }
            let record = clients[slot].records[place]
            writer.identifier(record.firstIssue)
            writer.identifier(record.version)
            record.outcome.encode(to: &writer)
            let key = SessionTable.key(id, record.sequence)
            store.put(key, Bytes(writer.take()), at: version)
            clients[slot].records[place].isStored = true
            unstoredCount -= 1
            rows += 1
        }
        clients[slot].isChanged = false
        return true
    }

    private static func key(_ client: ClientID, _ sequence: SequenceNumber?) -> StoreKey {
        var writer = ByteWriter(capacity: 25)
        writer.uint8(sequence == nil ? clientTag : recordTag)
        writer.uint64(client.high.byteSwapped)
        writer.uint64(client.low.byteSwapped)
        if let sequence { writer.uint64(sequence.rawValue.byteSwapped) }
        return .system(Bytes(writer.take()))
    }

    // MARK: reading back

    /// The system keys that hold clients, and those that hold records: clients come first.
    static func storedRanges(itemsMax: Int) -> [ScanRange] {
        [clientTag, recordTag].map {
            ScanRange(from: .system([$0]), to: .system([$0 + 1]), itemsMax: itemsMax)
        }
    }

    /// Takes one stored key back, as ``writeChanges(to:at:)`` wrote it.
    mutating func restore(key: Bytes, value: Bytes) throws(DecodingError) {
        var keyReader = ByteReader(key)
        let tag = try keyReader.uint8()
        let high = try keyReader.uint64().byteSwapped
        let id = ClientID(high: high, low: try keyReader.uint64().byteSwapped)
        var reader = ByteReader(value)
        if tag == SessionTable.clientTag {
            let mark = try reader.identifier(SequenceNumber.self)
            var client = Client(
                id: id, mark: mark, latestIssue: try reader.identifier(Timestamp.self))
            client.isStored = true
            guard slot(of: id) == nil else { throw .malformed("client \(id) twice") }
            _ = addClient(client)
        } else {
            let sequence = SequenceNumber(try keyReader.uint64().byteSwapped)
            try restoreRecord(of: id, sequence, from: &reader)
        }
        try keyReader.finish()
        try reader.finish()
    }

    private mutating func restoreRecord(
        of id: ClientID, _ sequence: SequenceNumber, from reader: inout ByteReader
    ) throws(DecodingError) {
        guard let slot = slot(of: id) else { throw .malformed("a record of no client") }
        let firstIssue = try reader.identifier(Timestamp.self)
        let version = try reader.identifier(Timestamp.self)
        let start = reader.remaining
        let outcome = try Outcome(from: &reader)
        insert(
            Record(
                sequence: sequence, firstIssue: firstIssue, version: version,
                outcome: outcome.compacted(),
                bytes: start - reader.remaining + SessionTable.recordOverheadBytes,
                isStored: true),
            client: slot)
    }
}

extension Outcome {
    /// The same, holding on to no buffer that is larger than its values: what a table keeps for
    /// minutes must not keep a whole block or entry alive.
    func compacted() -> Outcome {
        switch self {
        case .conditionFailed(let current?): .conditionFailed(current: current.compacted())
        case .transaction(let version, let succeeded, let results):
            .transaction(
                version: version, succeeded: succeeded, results: results.map { $0.compacted() })
        case .written, .deleted, .conditionFailed, .sessionExpired, .duplicate, .upkeep, .refused:
            self
        }
    }
}

extension OperationResult {
    fileprivate func compacted() -> OperationResult {
        switch self {
        case .value(let value?): .value(value.compacted())
        case .conditionFailed(let current?): .conditionFailed(current: current.compacted())
        case .written, .deleted, .value, .conditionFailed: self
        }
    }
}

extension StoredValue {
    fileprivate func compacted() -> StoredValue {
        StoredValue(bytes: bytes.compacted(), version: version)
    }
}
