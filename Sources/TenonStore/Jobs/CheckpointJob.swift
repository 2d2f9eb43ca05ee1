internal import TenonCore

extension Store {
    /// A job that makes a checkpoint of what is flushed in the new folder `directory`: hard links
    /// of all tables, and a manifest. Nil while another job is out, and before the first flush.
    ///
    /// The caller has flushed what the checkpoint is to hold; its result's snapshot says up to
    /// where in the log it goes. The folder is a store's: it can be opened, sent by a
    /// ``SnapshotReader``, and is removed by whoever ordered it. What is there under the name
    /// already is removed first. Durable when the job is finished, but for the folder's own name.
    package func checkpointJob(to directory: String) -> (any StoreJob)? {
        guard !isJobOut, flushed != nil else { return nil }
        return CheckpointJob(to: directory, makeContext())
    }

    /// The same as a store of its own: with `record` in the place of the flush's. Durable with the
    /// folder's name when the job is finished. Nothing of the folder is believed before.
    package func splitJob(to directory: String, record: FlushRecord) -> (any StoreJob)? {
        guard !isJobOut, flushed != nil else { return nil }
        return CheckpointJob(to: directory, makeContext(), record: record)
    }
}

/// Links the tables of a store into another folder. Each slice makes some links.
///
/// Unchecked: one thread at a time runs it (``StoreJob``).
final class CheckpointJob: StoreJob, @unchecked Sendable {
    private enum Phase {
        case begin
        case link
        case over
    }

    private var context: JobContext
    private let target: StoreFolder
    private let tables: [TableEntry]
    /// What another tablet's store begins with; nil for a copy of this one.
    private let record: FlushRecord?
    private var phase = Phase.begin
    private var linked = 0

    var kind: StoreJobKind { record == nil ? .checkpoint : .split }

    /// How many links a slice makes.
    private static let linksPerSlice = 64

    init(to directory: String, _ context: JobContext, record: FlushRecord? = nil) {
        self.context = context
        self.record = record
        target = StoreFolder(fileSystem: context.folder.fileSystem, path: directory)
        tables = context.manifest.tables.sorted { $0.number < $1.number }
    }

    func runSlice() throws(StoreError) -> StoreJobProgress {
        do throws(StoreError) {
            return try step()
        } catch {
            phase = .over
            // What cannot be removed now is removed by the next checkpoint to the same folder.
            _ = target.removeUnreferencedTree()
            // No manifest of the store was touched: that of a checkpoint is a file like others.
            if case .manifestFailed(let cause) = error { throw StoreError(unreferenced: cause) }
            throw error
        }
    }

    private func step() throws(StoreError) -> StoreJobProgress {
        switch phase {
        case .begin:
            context.retired = []
            try target.unreferenced { fileSystem throws(FileError) in
                try fileSystem.removeTree(target.path)
                try fileSystem.createDirectory(target.path)
            }
            phase = .link
        case .link:
            guard linked < tables.count else {
                phase = .over
                return .finished(try finish())
            }
            try linkSome()
        case .over: preconditionFailure("a slice of a checkpoint that is over")
        }
        return .more
    }

    private func linkSome() throws(StoreError) {
        let end = min(tables.count, linked + CheckpointJob.linksPerSlice)
        for table in tables[linked..<end] {
            let name = table.number.fileName
            try target.unreferenced { fileSystem throws(FileError) in
                try fileSystem.link(context.folder.path(of: name), to: target.path(of: name))
            }
        }
        linked = end
    }

    private func finish() throws(StoreError) -> StoreJobResult {
        guard let flushed = context.manifest.flush else {
            preconditionFailure("a checkpoint of a store that never flushed")
        }
        var copy = context.manifest
        copy.flush = record ?? flushed
        try copy.write(to: target)
        if record != nil {
            try target.unreferenced { fileSystem throws(FileError) in
                try fileSystem.syncDirectory(target.parentPath)
            }
            return StoreJobResult(kind: .split)
        }
        let manifest = copy.encoded
        var files = tables.map {
            SnapshotFile(name: $0.number.fileName, bytes: $0.bytes, checksum: $0.checksum)
        }
        files.append(
            SnapshotFile(
                name: Manifest.fileName, bytes: manifest.count, checksum: CRC32C(manifest)))
        var result = StoreJobResult(kind: .checkpoint)
        result.snapshot = SnapshotManifest(files: files, flush: flushed)
        return result
    }
}
