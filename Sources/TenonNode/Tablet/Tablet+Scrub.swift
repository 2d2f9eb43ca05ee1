import TenonCore
import TenonStore
import TenonWire

/// How far the scrubber of a tablet's tables is.
struct ScrubState {
    var table: TableScrub?
    /// The table that was verified last in this pass.
    var lastNumber: UInt64 = 0
    /// Whether a slice is being read.
    var isReading = false
    var nextPassAt: Instant?
    var bytesRead: UInt64 = 0
}

/// Damage that nobody reads is found too, before the last whole copy of a block goes: now and
/// then every table is read from end to end, slowly.
extension Tablet {
    /// Orders the next slice, once an upkeep. A pass begins ``NodeConfiguration/scrubInterval``
    /// after the one before, the first one so long after the start.
    func scrubNext(now: Instant, into output: inout TabletOutput) {
        let rate = configuration.scrubBytesPerSecond / configuration.tabletCount
        guard rate > 0, problem == nil, !scrub.isReading else { return }
        guard let due = scrub.nextPassAt else {
            return scrub.nextPassAt = now + configuration.scrubInterval
        }
        guard now >= due else { return }
        if scrub.table == nil { scrub.table = store.scrub(after: scrub.lastNumber) }
        guard let table = scrub.table else {
            scrub.lastNumber = 0
            return scrub.nextPassAt = now + configuration.scrubInterval
        }
        scrub.isReading = true
        let bytes = max(
            4_096, rate * Node.upkeepInterval.wholeMilliseconds / 1_000)
        output.jobs.append(
            (
                .scrubSlice, .bulk,
                {
                    do throws(StoreError) {
                        return .scrubbed(bytes: try table.runSlice(bytes: bytes))
                    } catch {
                        return .storeFailure(error)
                    }
                }
            ))
    }

    /// A slice was as it was written; 0 bytes are the end of the table.
    func scrubbed(bytes: Int) {
        scrub.isReading = false
        scrub.bytesRead += UInt64(bytes)
        if bytes == 0 { endTable() }
    }

    /// A slice could not be read, or is not what was written: damage like any that a read finds,
    /// but for a table that a compaction has replaced meanwhile.
    func scrubFailed(_ error: StoreError, into output: inout TabletOutput) {
        scrub.isReading = false
        guard let table = scrub.table, store.hasTable(table.number) else { return endTable() }
        endTable()
        rebuild(because: "the scrubber found \(error)", into: &output)
    }

    private func endTable() {
        scrub.lastNumber = scrub.table?.number ?? scrub.lastNumber
        scrub.table = nil
    }
}
