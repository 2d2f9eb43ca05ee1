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
    private var phase = Phase.begin
    private var linked = 0

    let kind = StoreJobKind.checkpoint

    /// How many links a slice makes.
    private static let linksPerSlice = 64

    init(to directory: String, _ context: JobContext) {
        self.context = context
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
        guard let record = context.manifest.flush else {
            preconditionFailure("a checkpoint of a store that never flushed")
        }
        try context.manifest.write(to: target)
        let manifest = context.manifest.encoded
        var files = tables.map {
            SnapshotFile(name: $0.number.fileName, bytes: $0.bytes, checksum: $0.checksum)
        }
        files.append(
            SnapshotFile(
                name: Manifest.fileName, bytes: manifest.count, checksum: CRC32C(manifest)))
        var result = StoreJobResult(kind: .checkpoint)
        result.snapshot = SnapshotManifest(files: files, flush: record)
        return result
    }
}
