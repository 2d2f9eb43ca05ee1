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
    /// A slice later than the one before it by what it may cost.
    var nextSliceAt = Instant.zero
    var bytesRead: UInt64 = 0
}

/// Damage that nobody reads is found too, before the last whole copy of a block goes: now and
/// then every table is read from end to end, slowly.
extension Tablet {
    /// Bytes that the scrubber reads of this tablet in a second: its share of the node's.
    private var scrubRate: Int { configuration.scrubBytesPerSecond / configuration.tabletCount }

    /// When the next slice, or the next pass, is due.
    var scrubDeadline: Instant {
        guard scrubRate > 0, problem == nil, !scrub.isReading else { return .distantFuture }
        guard let pass = scrub.nextPassAt else { return .zero }
        return max(pass, scrub.nextSliceAt)
    }

    /// Bytes of a slice at least: less is not worth a job.
    private static let scrubSliceBytesMin = 4_096

    /// Orders the next slice when it is due. A pass begins ``NodeConfiguration/scrubInterval``
    /// after the one before, the first one so long after the start.
    func scrubNext(now: Instant, into output: inout TabletOutput) {
        guard now >= scrubDeadline else { return }
        guard scrub.nextPassAt != nil else {
            return scrub.nextPassAt = now + configuration.scrubInterval
        }
        if scrub.table == nil { scrub.table = store.scrub(after: scrub.lastNumber) }
        guard let table = scrub.table else {
            scrub.lastNumber = 0
            return scrub.nextPassAt = now + configuration.scrubInterval
        }
        scrub.isReading = true
        let bytes = max(
            Tablet.scrubSliceBytesMin,
            scrubRate * Node.upkeepInterval.wholeMilliseconds / 1_000)
        scrub.nextSliceAt = now + .milliseconds(bytes * 1_000 / scrubRate)
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
