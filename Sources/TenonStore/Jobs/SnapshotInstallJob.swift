internal import TenonCore

extension Store {
    /// A job that makes what `receiver` received the content of this store, in one atomic step.
    /// Nil while another job is out. The receiver is complete.
    ///
    /// When its result is installed the memtables are empty and ``flushed`` is the snapshot's: the
    /// caller resets its log to there, and drops writes that it made meanwhile. Until then, and
    /// when the job throws, the store is what it was.
    package func installSnapshotJob(_ receiver: SnapshotReceiver) -> (any StoreJob)? {
        precondition(
            receiver.isComplete && receiver.folder.path == folder.incoming.path,
            "a snapshot in \(receiver.folder.path) that is not complete, or not of \(directory)")
        guard !isJobOut else { return nil }
        return SnapshotInstallJob(receiver.manifest, makeContext())
    }
}

/// Gives received tables numbers of the store and makes a manifest that names only them.
///
/// The files get second names instead of new ones, so a crash at any point leaves either the
/// old content or the new one, and names that the next open removes.
///
/// Unchecked: one thread at a time runs it (``StoreJob``).
final class SnapshotInstallJob: StoreJob, @unchecked Sendable {
    private enum Phase {
        case begin
        case link
        case switchManifest
        case removeReplaced
        case over
    }

    private var context: JobContext
    private let snapshot: SnapshotManifest
    private var phase = Phase.begin
    /// What the sender's manifest says; its table numbers are the sender's.
    private var received = Manifest()
    /// Tables to link, by level, and those that are.
    private var waiting: [(level: Int, entry: TableEntry)] = []
    private var opened: [[Table]] = Array(repeating: [], count: StoreConfiguration.levelsMax)
    private var nextTable: TableNumber
    private var result = StoreJobResult(kind: .snapshotInstall)

    let kind = StoreJobKind.snapshotInstall

    init(_ snapshot: SnapshotManifest, _ context: JobContext) {
        self.snapshot = snapshot
        self.context = context
        nextTable = context.manifest.nextTable
    }

    func runSlice() throws(StoreError) -> StoreJobProgress {
        do throws(StoreError) {
            return try step()
        } catch {
            phase = .over
            if case .manifestFailed = error { throw error }
            let numbers = context.manifest.nextTable.rawValue..<nextTable.rawValue
            context.folder.discard(numbers.map { TableNumber($0).fileName })
            throw error
        }
    }

    private func step() throws(StoreError) -> StoreJobProgress {
        switch phase {
        case .begin:
            try begin()
            phase = .link
        case .link:
            // One table a slice: opening it reads and decodes its index and filter.
            if let next = waiting.popLast() {
                try link(next.entry, level: next.level)
            } else {
                phase = .switchManifest
            }
        case .switchManifest:
            try switchManifest()
            phase = .removeReplaced
        case .removeReplaced:
            removeReplaced()
            phase = .over
            return .finished(result)
        case .over: preconditionFailure("a slice of a snapshot's installation that is over")
        }
        return .more
    }

    private func begin() throws(StoreError) {
        context.retired = []
        try context.found()
        let folder = context.folder.incoming
        let path = folder.path(of: Manifest.fileName)
        guard let manifest = try Manifest.read(from: folder) else {
            throw .damaged(file: path, reason: "missing")
        }
        let files = manifest.tables.sorted { $0.number < $1.number }.map {
            SnapshotFile(name: $0.number.fileName, bytes: $0.bytes, checksum: $0.checksum)
        }
        guard files == Array(snapshot.files.dropLast()), manifest.flush == snapshot.flush else {
            throw .damaged(file: path, reason: "names other files than the snapshot has")
        }
        received = manifest
        for (level, entries) in manifest.levels.enumerated() {
            // Taken from the end: so in order.
            for entry in entries { waiting.append((level, entry)) }
        }
        waiting.reverse()
    }

    private func link(_ entry: TableEntry, level: Int) throws(StoreError) {
        var own = entry
        own.number = nextTable
        nextTable = nextTable.next
        let source = context.folder.incoming.path(of: entry.number.fileName)
        let target = context.folder.path(of: own.number.fileName)
        try context.folder.unreferenced { fileSystem throws(FileError) in
            if try fileSystem.exists(target) { try fileSystem.remove(target) }
            try fileSystem.link(source, to: target)
        }
        opened[level].append(try Table(own, in: context.folder))
    }

    private func switchManifest() throws(StoreError) {
        for run in opened.dropFirst() {
            for index in run.indices.dropFirst()
            where compareKeys(run[index - 1].upper, run[index].lower) > 0 {
                throw .damaged(
                    file: context.folder.incoming.path, reason: "tables of a level overlap")
            }
        }
        let levels = Levels(opened)
        var manifest = context.manifest
        manifest.number += 1
        manifest.nextTable = nextTable
        manifest.levels = levels.entries
        manifest.flush = received.flush
        manifest.historyFloor = max(received.historyFloor, context.floor)
        try manifest.write(to: context.folder)
        result.content = (manifest, levels)
        result.replaced = Array(context.levels.tables.joined())
    }

    private func removeReplaced() {
        let names = result.replaced.map(\.number.fileName)
        result.filesLeft = context.folder.removeUnreferenced(names)
        if !context.folder.incoming.removeUnreferencedTree() { result.filesLeft += 1 }
    }
}
