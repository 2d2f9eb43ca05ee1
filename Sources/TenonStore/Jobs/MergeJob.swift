internal import TenonCore

/// A flush or a compaction: merges its inputs into new tables, makes the manifest that names
/// them the store's, and removes the tables that it replaced.
///
/// A crash before the manifest is in place leaves tables that nobody names, which the next open
/// removes; a crash after it leaves the replaced ones, which the next open removes as well.
///
/// Unchecked: one thread at a time runs it (``StoreJob``).
final class MergeJob: StoreJob, @unchecked Sendable {
    private enum Phase {
        case begin
        case merge
        case switchManifest
        case removeReplaced
        case over
    }

    private let plan: any MergePlan
    private var context: JobContext
    private var phase = Phase.begin

    private var supplies: [FileSupply] = []
    private var merge = MergeCursor([])
    private var filter: HistoryFilter
    /// The range tombstones that go on, not yet cut to the tables of the output.
    private let tombstones: RangeTombstones
    private let output: MergeOutput
    private var result: StoreJobResult

    var kind: StoreJobKind { plan.kind }

    init(_ plan: any MergePlan, _ context: JobContext) {
        self.plan = plan
        self.context = context
        var all = plan.memtable?.tombstones ?? RangeTombstones()
        for table in plan.runs.joined() { all.merge(table.tombstones) }
        filter = HistoryFilter(floor: context.floor, tombstones: all)
        let level = plan.outputLevel
        tombstones = all.pruned(floor: context.floor) { lower, upper in
            MergeJob.isLast(context.levels, outputLevel: level, lower, upper)
        }
        output = MergeOutput(context, isSplit: level > 0)
        result = StoreJobResult(kind: plan.kind)
    }

    /// Whether nothing of the range lies deeper than the output. What a flush writes lies above
    /// every table, level 0 included.
    private static func isLast(
        _ levels: Levels, outputLevel: Int, _ lower: [UInt8], _ upper: [UInt8]
    ) -> Bool {
        levels.isEmpty(from: outputLevel == 0 ? 0 : outputLevel + 1, lower, upper)
    }

    func runSlice() throws(StoreError) -> StoreJobProgress {
        do throws(StoreError) {
            return try step()
        } catch {
            phase = .over
            // Once the new manifest may be in place its tables must stay.
            if case .manifestFailed = error { throw error }
            output.removeFiles()
            throw error
        }
    }

    private func step() throws(StoreError) -> StoreJobProgress {
        switch phase {
        case .begin:
            try beginMerge()
            phase = .merge
        case .merge:
            if try mergeSlice() { phase = .switchManifest }
        case .switchManifest:
            try switchManifest()
            phase = .removeReplaced
        case .removeReplaced:
            let names = plan.runs.joined().map(\.number.fileName)
            result.filesLeft = context.folder.removeUnreferenced(names)
            phase = .over
            return .finished(result)
        case .over:
            preconditionFailure("a slice of a \(kind) that is over")
        }
        return .more
    }

    private func beginMerge() throws(StoreError) {
        context.retired = []
        try context.found()
        if isPlanted(.appliedIndexApartFromData), let record = plan.record {
            var early = context.manifest
            early.flush = record
            try early.write(to: context.folder)
        }
        var cursors: [EntryCursor] = []
        if let memtable = plan.memtable { cursors.append(MemtableCursor(memtable)) }
        for run in plan.runs {
            let supply = FileSupply()
            supplies.append(supply)
            cursors.append(RunCursor(run, supply))
            result.bytesRead += run.reduce(0) { $0 + $1.entry.bytes }
        }
        merge = MergeCursor(cursors)
        merge.seek(to: [], .newest)
    }

    /// Merges until the slice's share of input is used up; true at the end of the input.
    private func mergeSlice() throws(StoreError) -> Bool {
        var bytes = 0
        while let cursor = merge.current {
            guard bytes < context.configuration.sliceBytes else { return false }
            // An entry costs something beside its bytes, a small one most.
            bytes += 32 + cursor.key.count + cursor.valueCount
            try take(cursor)
            merge.advance()
        }
        for supply in supplies {
            if let failure = supply.failure { throw failure }
        }
        precondition(!merge.isBlocked, "a merge that is blocked without a failure")
        try output.finish(tombstones)
        return true
    }

    private func take(_ cursor: EntryCursor) throws(StoreError) {
        if context.isForeign(cursor.key) { return }
        let isNewKey = filter.isNewKey(cursor.key)
        let keeps = filter.keeps(
            cursor.key, cursor.version, isTombstone: cursor.isTombstone
        ) {
            MergeJob.isLast(
                context.levels, outputLevel: plan.outputLevel, cursor.key, cursor.key + [0])
        }
        guard keeps else { return }
        // Versions of a key stay in one table, so that tables of a level are disjoint by key.
        if isNewKey { try output.endTableIfFull(before: cursor.key, tombstones) }
        try output.add(cursor)
    }

    private func switchManifest() throws(StoreError) {
        let tables = try output.openTables()
        let levels = context.levels.replacing(
            Array(plan.runs.joined()), by: tables, in: plan.outputLevel)
        var manifest = context.manifest
        manifest.number += 1
        manifest.historyFloor = context.floor
        manifest.nextTable = output.nextTable
        manifest.levels = levels.entries
        if let record = plan.record { manifest.flush = record }
        try manifest.write(to: context.folder)
        result.content = (manifest, levels)
        result.flushedMemtable = plan.memtable
        result.replaced = Array(plan.runs.joined())
        result.bytesWritten = tables.reduce(0) { $0 + $1.entry.bytes }
    }
}

/// The tables that a merge writes, one after the other.
final class MergeOutput {
    private let context: JobContext
    /// Whether the output may be several tables.
    private let isSplit: Bool
    private var writer: TableWriter?
    private var entries: [TableEntry] = []
    /// Where the key range of the table under construction begins; nil is at the beginning.
    private var lower: [UInt8]?
    /// The first number that is not taken.
    private(set) var nextTable: TableNumber

    init(_ context: JobContext, isSplit: Bool) {
        self.context = context
        self.isSplit = isSplit
        nextTable = context.manifest.nextTable
    }

    /// Adds the cursor's entry.
    func add(_ cursor: EntryCursor) throws(StoreError) {
        if writer == nil { writer = try makeWriter() }
        try writer?.add(
            cursor.key, cursor.version, isTombstone: cursor.isTombstone, cursor.value)
    }

    /// Ends the table when it is large enough, with the range tombstones up to `key`, with which
    /// the next one begins.
    func endTableIfFull(before key: [UInt8], _ tombstones: RangeTombstones) throws(StoreError) {
        guard isSplit, let writer, writer.bytes >= context.configuration.tableBytesMax else {
            return
        }
        try endTable(tombstones.clipped(from: lower, to: key))
        lower = key
    }

    /// Ends the last table.
    func finish(_ tombstones: RangeTombstones) throws(StoreError) {
        let rest = tombstones.clipped(from: lower, to: nil)
        if writer == nil, !rest.isEmpty { writer = try makeWriter() }
        try endTable(rest)
    }

    private func makeWriter() throws(StoreError) -> TableWriter {
        let number = nextTable
        nextTable = nextTable.next
        return try TableWriter(
            number, in: context.folder, configuration: context.configuration)
    }

    private func endTable(_ tombstones: RangeTombstones) throws(StoreError) {
        guard var writer else { return }
        self.writer = nil
        entries.append(try writer.finish(tombstones))
    }

    /// Opens what was written, from the files: what cannot be read back is never installed.
    func openTables() throws(StoreError) -> [Table] {
        var tables: [Table] = []
        for entry in entries { tables.append(try Table(entry, in: context.folder)) }
        return tables
    }

    /// Removes everything that was written.
    func removeFiles() {
        writer = nil
        let numbers = context.manifest.nextTable.rawValue..<nextTable.rawValue
        context.folder.discard(numbers.map { TableNumber($0).fileName })
    }
}
