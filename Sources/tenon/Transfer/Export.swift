import ArgumentParser
import TenonClient
import TenonCore

struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write all records of a keyspace to standard output.",
        discussion: """
            All records are of one version (--at, or the newest at the start), in the order of \
            keys. A version must be above the history floor until the end: serve with a longer \
            --retention when an export takes longer than that.

            EXAMPLE
              tenon export --format tsv > accounts.tsv
            """)

    @OptionGroup var options: KeyspaceOptions
    @Option(help: "tsv: key<TAB>value. ndjson: {\"key\":…,\"value\":…} (or key64, value64).")
    var format: TransferFormat
    @Option(help: "Only keys that begin so.")
    var prefix: String?
    @Option(help: ArgumentHelp("Export as of this version.", valueName: "version"))
    var at: UInt64?

    func run() async throws {
        try await options.withKeyspace(defaultTimeout: .seconds(30)) { keyspace in
            let watch = Stopwatch()
            let output = OutputStream()
            let range = prefix.map { ScanRange(prefix: Bytes($0)) } ?? ScanRange()
            let version: Version
            if let at {
                version = Version(at)
            } else {
                version = try await newestVersion(keyspace, range)
            }
            var read = 0
            defer {
                Console.progressEnded()
                let seconds = JSON.decimal(watch.seconds, digits: 3).text
                Console.note("read \(read) written \(read) skipped 0 refused 0 seconds \(seconds)")
            }
            for try await page in keyspace.scan(range, at: version).pages {
                var lines: [UInt8] = []
                for item in page.items {
                    try format.write(key: item.key, value: item.value.bytes, to: &lines)
                }
                try await output.write(lines)
                read += page.items.count
                Console.progress("\(read) records")
            }
            try await output.flush()
        }
    }

    /// A version at or above everything that was acknowledged before: the highest of all tablets.
    private func newestVersion(
        _ keyspace: Keyspace, _ range: ScanRange
    ) async throws(TenonError) -> Version {
        var newest = Version.zero
        for point in try await keyspace.points(of: range) { newest = max(newest, point.version) }
        return newest
    }
}
