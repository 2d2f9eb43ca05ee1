internal import TenonCore

extension Store {
    /// A job that reads every byte of every table and compares it with its checksums, a part a
    /// slice. Nil while another job is out.
    ///
    /// It throws `damaged` for the first file that is wrong, and changes nothing.
    package func scrubJob() -> (any StoreJob)? {
        guard !isJobOut else { return nil }
        return ScrubJob(makeContext())
    }
}

/// Verifies the table files of a store.
///
/// Unchecked: one thread at a time runs it (``StoreJob``).
final class ScrubJob: StoreJob, @unchecked Sendable {
    private var context: JobContext
    private var waiting: [TableEntry]
    private var current: (file: any File, entry: TableEntry)?
    private var offset = 0
    private var checksum = CRC32C([])
    private var result = StoreJobResult(kind: .scrub)

    let kind = StoreJobKind.scrub

    init(_ context: JobContext) {
        self.context = context
        waiting = context.manifest.tables
    }

    func runSlice() throws(StoreError) -> StoreJobProgress {
        context.retired = []
        guard let (file, entry) = current else {
            guard let next = waiting.popLast() else { return .finished(result) }
            current = (try context.folder.openForReading(next.number.fileName), next)
            offset = 0
            checksum = CRC32C([])
            return .more
        }
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try file.read(at: offset, count: context.configuration.sliceBytes)
        } catch {
            throw .file(error)
        }
        checksum = CRC32C(bytes, continuing: checksum)
        offset += bytes.count
        result.bytesRead += bytes.count
        if bytes.isEmpty || offset > entry.bytes {
            guard offset == entry.bytes, checksum == entry.checksum else {
                throw .damaged(file: file.path, reason: "checksum of the file")
            }
            current = nil
        }
        return .more
    }
}
