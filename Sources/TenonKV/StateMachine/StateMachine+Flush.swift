package import TenonCore
package import TenonStore

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
        flushedBounds = bounds
        return FlushRecord(
            index: appliedIndex, term: appliedTerm,
            payload: FlushedState(self, configuration: configuration).encoded())
    }

    /// The flush that ``prepareFlush(configuration:)`` prepared is durable: nobody comes back to
    /// bounds before it, so what lies outside those that it recorded may go.
    package func flushFinished() {
        // Only splits leave keys behind.
        guard let flushedBounds, generation > .first else { return }
        store.restrict(toUserKeysFrom: flushedBounds.lower, upTo: flushedBounds.upper)
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
            if let extent = flushed.extent {
                bounds = extent.bounds
                generation = extent.generation
                lastSplit = extent.lastSplit
            }
            flushedConfiguration = flushed.configuration.compacted()
            sessions = SessionTable(bounds: configuration, floor: flushed.sessionFloor)
        } catch {
            throw .damagedState("flush record: \(error)")
        }
        store.raiseHistoryFloor(to: historyFloor)
        flushedBounds = bounds
        flushFinished()
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
