internal import TenonCore

/// What a finished job hands back to the loop.
package struct StoreJobResult: Sendable {
    package var kind: StoreJobKind
    /// The snapshot that a checkpoint job made; nil for other jobs.
    package var snapshot: SnapshotManifest?

    /// What the store consists of from now on; nil when the job changed nothing.
    var content: (manifest: Manifest, levels: Levels)?
    /// The memtable whose entries are in the tables now.
    var flushedMemtable: Memtable?
    /// Tables that are not part of the store any more.
    var replaced: [Table] = []
    var bytesWritten = 0
    var bytesRead = 0
    /// Files that should have been removed and are still there, until the next open.
    var filesLeft = 0
}

/// Why writes should wait. What is already committed can still be applied.
package enum WriteStall: Hashable, Sendable {
    /// The frozen memtable is not flushed yet and the next one is full.
    case memtables(bytes: Int)
    /// Compaction is behind.
    case levelZero(tables: Int)
}

extension Store {
    /// The next piece of background work, flush before compaction; nil when there is none or one
    /// is out already. At most one job is out at a time: it ends by ``install(_:)`` or
    /// ``abandonJob()``.
    package func nextJob() -> (any StoreJob)? {
        guard !isJobOut else { return nil }
        if let frozen {
            return start(FlushPlan(memtable: frozen.memtable, record: frozen.record))
        }
        if let plan = picker.pick(levels, floor: historyFloor, configuration) {
            return start(plan)
        }
        return nil
    }

    private func start(_ plan: any MergePlan) -> MergeJob {
        MergeJob(plan, makeContext())
    }

    /// What every job gets. Marks a job as out.
    func makeContext() -> JobContext {
        precondition(!isJobOut, "a second job of the store in \(directory)")
        isJobOut = true
        defer { retired = [] }
        return JobContext(
            folder: folder, configuration: configuration, manifest: manifest, levels: levels,
            floor: historyFloor, userRange: userRange, retired: retired)
    }

    /// Takes over what a job made. Everything of it is durable already. - Complexity: O(tables).
    package func install(_ result: StoreJobResult) {
        precondition(isJobOut, "a result of \(result.kind) without a job")
        isJobOut = false
        if let content = result.content {
            contentGeneration += 1
            manifest = content.manifest
            levels = content.levels
        }
        if let flushed = result.flushedMemtable {
            precondition(frozen?.memtable === flushed, "a flush of another memtable")
            frozen = nil
        }
        if result.kind == .snapshotInstall { beginAfterSnapshot() }
        retired += result.replaced
        counters.add(result)
    }

    /// Writes that the snapshot holds already, or that it does away with, are forgotten.
    private func beginAfterSnapshot() {
        frozen = nil
        memtable = Memtable(after: levels.newestVersion)
        historyFloor = max(historyFloor, manifest.historyFloor)
    }

    /// Says that the job that was out threw. The store is as it was, and ``nextJob()`` makes the
    /// job again. (A job that has not thrown is run to its end: its manifest may be in place.)
    package func abandonJob() {
        precondition(isJobOut, "no job is out")
        isJobOut = false
        counters.abandonedJobs += 1
    }

    /// Why writes should wait; nil when they need not.
    package var writeStall: WriteStall? {
        if frozen != nil, memtable.bytes >= configuration.memtableBytesMax {
            return .memtables(bytes: memtableBytes)
        }
        let tables = levels.tables[0].count
        if tables >= configuration.levelZeroTablesStall { return .levelZero(tables: tables) }
        return nil
    }
}
