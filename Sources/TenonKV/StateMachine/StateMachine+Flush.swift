package import TenonCore
package import TenonStore

/// The payload of a tablet's flush record (Rule L5):
/// ```
/// format 2 · reserved 2 · tablet 8 · last version 8 · history floor 8 · session floor 8
/// · log digest 8 · configuration length 4 · configuration (opaque here)
/// ```
private struct FlushedState {
    var tablet: TabletID
    var lastVersion: Timestamp
    var historyFloor: Timestamp
    var sessionFloor: Timestamp
    var logDigest: Digest
    var configuration: Bytes

    private static let format: UInt16 = 1

    func encoded() -> Bytes {
        var writer = ByteWriter(capacity: 48 + configuration.count)
        writer.uint16(FlushedState.format)
        writer.uint16(0)
        writer.identifier(tablet)
        writer.identifier(lastVersion)
        writer.identifier(historyFloor)
        writer.identifier(sessionFloor)
        writer.uint64(logDigest.value)
        writer.lengthPrefixed(configuration)
        return Bytes(writer.take())
    }

    init(_ state: StateMachine, configuration: Bytes) {
        tablet = state.tablet
        lastVersion = state.lastVersion
        historyFloor = state.historyFloor
        sessionFloor = state.sessionFloor
        logDigest = state.logDigest
        self.configuration = configuration
    }

    init(_ payload: Bytes) throws(DecodingError) {
        var reader = ByteReader(payload)
        let format = try reader.uint16()
        guard format == FlushedState.format else {
            throw .unknownKind(field: "flush record format", value: UInt64(format))
        }
        guard try reader.uint16() == 0 else { throw .malformed("reserved bytes of a flush record") }
        tablet = try reader.identifier(TabletID.self)
        lastVersion = try reader.identifier(Timestamp.self)
        historyFloor = try reader.identifier(Timestamp.self)
        sessionFloor = try reader.identifier(Timestamp.self)
        logDigest = Digest(value: try reader.uint64())
        configuration = try reader.lengthPrefixedBytes(
            "configuration", atMost: FlushRecord.payloadBytesMax)
        try reader.finish()
    }
}

extension StateMachine {
    /// How many rows of sessions ``prepareFlush(configuration:)`` would write at most: too many
    /// for one turn of the loop are staged before. - Complexity: O(1).
    package var unwrittenSessionRows: Int { sessions.changesMax }

    /// Writes about `rowsMax` rows of what changed of the sessions into the memtable, ahead of a
    /// flush. Nothing rests on them before the flush, which writes the rest, and anew what
    /// changed since.
    package func stageFlush(atMost rowsMax: Int) {
        guard failure == nil else { return }
        sessions.writeChanges(to: store, at: lastVersion, atMost: rowsMax)
    }

    /// Writes what changed of the state machine's own into the memtable, and gives the record
    /// that goes with it. The caller freezes the memtable by it in the same turn, before another
    /// entry is applied, so that data, sessions, floors and digest are of one moment (Rules S3,
    /// L5). The caller has checked that the log is durable up to ``appliedIndex``.
    ///
    /// - Parameter configuration: the group's membership at ``appliedIndex``, opaque here.
    /// - Throws: what stopped the tablet: half an entry must not become durable.
    package func prepareFlush(configuration: Bytes) throws(KVError) -> FlushRecord {
        if let failure { throw failure }
        sessions.writeChanges(to: store, at: lastVersion)
        flushedConfiguration = configuration
        return FlushRecord(
            index: appliedIndex, term: appliedTerm,
            payload: FlushedState(self, configuration: configuration).encoded())
    }

    /// What ``PlantedFault/sessionsLostInSnapshot`` does.
    package func loseSessions() {
        sessions = SessionTable(bounds: configuration, floor: sessions.floor)
    }

    /// Takes back what the store's newest flush recorded beside its data.
    ///
    /// - Returns: whether there was a flush; then the sessions are to be restored too.
    func restoreRecord() throws(KVError) -> Bool {
        guard let record = store.flushed else { return false }
        do throws(DecodingError) {
            let flushed = try FlushedState(record.payload)
            guard flushed.tablet == tablet else {
                throw .malformed("of tablet \(flushed.tablet), in the folder of \(tablet)")
            }
            appliedIndex = record.index
            appliedTerm = record.term
            lastVersion = flushed.lastVersion
            historyFloor = flushed.historyFloor
            logDigest = flushed.logDigest
            flushedConfiguration = flushed.configuration.compacted()
            sessions = SessionTable(bounds: configuration, floor: flushed.sessionFloor)
        } catch {
            throw .damagedState("flush record: \(error)")
        }
        store.raiseHistoryFloor(to: historyFloor)
        return true
    }

    func restoreSessions(from page: ScanPage) throws(KVError) {
        for item in page.items {
            do throws(DecodingError) {
                try sessions.restore(key: item.key.bytes, value: item.stored.bytes)
            } catch {
                throw .damagedState("session: \(error)")
            }
        }
    }
}
