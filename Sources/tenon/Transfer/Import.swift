import ArgumentParser
import TenonClient
import TenonCore

struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put the records of a file or of standard input.",
        discussion: """
            Of lines with the same key the last one wins. Counts come at the end on standard \
            error. A leader that dies on the way is waited for, up to --timeout a record.

            EXAMPLES
              tenon import accounts.tsv --format tsv
              tenon export --format ndjson | tenon import - --format ndjson --endpoints other:7501
            """)

    @OptionGroup var options: KeyspaceOptions
    @Option(help: "tsv: key<TAB>value. ndjson: {\"key\":…,\"value\":…} (or key64, value64).")
    var format: TransferFormat
    @Flag(help: "Leave out lines that are no record or over a bound, and go on.")
    var skipBad = false
    @Option(help: "Puts under way at once.")
    var inFlight = 256
    @Argument(help: ArgumentHelp("The file; - is standard input.", valueName: "file"))
    var file: String

    func validate() throws {
        guard (1...10_000).contains(inFlight) else {
            throw ValidationError("--in-flight is 1 to 10000.")
        }
    }

    func run() async throws {
        try await options.withKeyspace(defaultTimeout: .seconds(30)) { keyspace in
            var job = ImportJob(
                keyspace: keyspace, format: format, skipsBad: skipBad, inFlightMax: inFlight)
            let lines = try InputLines(path: file)
            let watch = Stopwatch()
            do {
                try await job.run(lines)
                ImportJob.report(job.counts, seconds: watch.seconds)
            } catch {
                ImportJob.report(job.counts, seconds: watch.seconds)
                throw error
            }
        }
    }
}

/// An import under way: a window of puts over the lines of a file.
struct ImportJob {
    /// What came of the lines. `read` = written + skipped + refused + what an error left behind.
    struct Counts: Sendable {
        var read = 0
        var written = 0
        var skipped = 0
        var refused = 0
    }

    /// Bytes of keys and values under way at once.
    private static let bytesInFlightMax = 32 << 20

    let keyspace: Keyspace
    let format: TransferFormat
    let skipsBad: Bool
    let inFlightMax: Int
    private(set) var counts = Counts()
    /// Keys under way: a second put of one waits for the first, so that the last line wins.
    private var keysInFlight: Set<Bytes> = []
    private var bytesInFlight = 0

    /// A put that has ended.
    private struct Ended: Sendable {
        let key: Bytes
        let byteCount: Int
        let line: Int
        let error: TenonError?
    }

    init(keyspace: Keyspace, format: TransferFormat, skipsBad: Bool, inFlightMax: Int) {
        self.keyspace = keyspace
        self.format = format
        self.skipsBad = skipsBad
        self.inFlightMax = inFlightMax
    }

    /// Puts every record. Ends at the first error that is not to be skipped, after the puts
    /// under way have ended.
    mutating func run(_ lines: consuming InputLines) async throws {
        var lines = lines
        let watch = Stopwatch()
        let puts = await withTaskGroup(of: Ended.self) { group -> Result<Void, any Error> in
            do {
                while let line = try await lines.next() {
                    counts.read += 1
                    guard let record = try record(of: line, lines.lineNumber) else { continue }
                    try await makeRoom(for: record, &group)
                    start(record, line: lines.lineNumber, &group)
                    if counts.read % 1_024 == 0 { show(watch) }
                }
                try await drain(&group)
                return .success(())
            } catch {
                // Whatever failed, what is under way is counted before it is told.
                while let ended = await group.next() { try? take(ended) }
                return .failure(error)
            }
        }
        Console.progressEnded()
        try puts.get()
    }

    private mutating func record(
        of line: ArraySlice<UInt8>, _ number: Int
    ) throws(InputError) -> (key: Bytes, value: Bytes)? {
        do throws(InputError) {
            return try format.record(of: line)
        } catch {
            guard skipsBad else {
                throw InputError("line \(number): \(error); --skip-bad leaves such lines out")
            }
            Console.note("line \(number) skipped: \(error)")
            counts.skipped += 1
            return nil
        }
    }

    private mutating func makeRoom(
        for record: (key: Bytes, value: Bytes), _ group: inout TaskGroup<Ended>
    ) async throws {
        let byteCount = record.key.count + record.value.count
        while keysInFlight.count >= inFlightMax || keysInFlight.contains(record.key)
            || (bytesInFlight > 0 && bytesInFlight + byteCount > ImportJob.bytesInFlightMax)
        {
            guard let ended = await group.next() else { return }
            try take(ended)
        }
    }

    private mutating func start(
        _ record: (key: Bytes, value: Bytes), line: Int, _ group: inout TaskGroup<Ended>
    ) {
        let keyspace = self.keyspace
        let byteCount = record.key.count + record.value.count
        keysInFlight.insert(record.key)
        bytesInFlight += byteCount
        group.addTask {
            var failure: TenonError?
            do throws(TenonError) {
                try await keyspace.put(record.key, record.value)
            } catch {
                failure = error
            }
            return Ended(key: record.key, byteCount: byteCount, line: line, error: failure)
        }
    }

    private mutating func take(_ ended: Ended) throws {
        keysInFlight.remove(ended.key)
        bytesInFlight -= ended.byteCount
        guard let error = ended.error else {
            counts.written += 1
            return
        }
        counts.refused += 1
        let isBadRecord = error.kind == .tooLarge || error.kind == .invalid
        guard skipsBad, isBadRecord else {
            throw TenonError(
                error.kind, error.outcome, "line \(ended.line): \(error.message)",
                retryAfter: error.retryAfter)
        }
        Console.note("line \(ended.line) refused: \(error.message)")
    }

    private mutating func drain(_ group: inout TaskGroup<Ended>) async throws {
        while let ended = await group.next() { try take(ended) }
    }

    private func show(_ watch: Stopwatch) {
        let rate = Int(Double(counts.read) / max(watch.seconds, 0.001))
        Console.progress("\(counts.read) read, \(counts.written) written, \(rate)/s")
    }

    /// The last line of an import.
    static func report(_ counts: Counts, seconds: Double) {
        Console.note(
            "read \(counts.read) written \(counts.written) skipped \(counts.skipped) "
                + "refused \(counts.refused) seconds \(JSON.decimal(seconds, digits: 3).text)")
    }
}
