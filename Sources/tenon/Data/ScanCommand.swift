import ArgumentParser
import TenonClient
import TenonCore

struct ScanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan",
        abstract: "Print keys and values in the order of keys.",
        discussion: """
            One line a key: the key, a tab, the value; tabs, line feeds and backslashes in them \
            stand as \\t, \\n and \\\\.

            EXAMPLES
              tenon scan --prefix user/
              tenon scan --from a --to m --limit 10 --reverse
              tenon scan --prefix user/ --stale-within 2s --locality city=shanghai
            """)

    @OptionGroup var options: KeyspaceOptions
    @OptionGroup var form: ByteForm
    @OptionGroup var age: StaleOptions
    @Option(help: "Only keys that begin so.")
    var prefix: String?
    @Option(help: "The first key.")
    var from: String?
    @Option(help: "The key to stop before.")
    var to: String?
    @Option(help: "The most keys to print.")
    var limit = 1_000
    @Flag(help: "The last key comes first.")
    var reverse = false
    @Option(help: ArgumentHelp("Read as of this version.", valueName: "version"))
    var at: UInt64?
    @Option(help: ArgumentHelp("Go on with the page that --json gave.", valueName: "token"))
    var page: String?
    @Flag(help: "Print one page as JSON.")
    var json = false

    func validate() throws {
        guard prefix == nil || (from == nil && to == nil) else {
            throw ValidationError("Give either --prefix or --from and --to.")
        }
        guard limit > 0 else { throw ValidationError("--limit is at least 1.") }
        guard page == nil || json else { throw ValidationError("--page goes with --json.") }
    }

    func run() async throws {
        let range = try range()
        try await options.withKeyspace(locality: age.place.text) { keyspace in
            if json {
                try await printPage(keyspace, range)
            } else {
                try await printLines(keyspace, range)
            }
        }
    }

    private func range() throws -> ScanRange {
        if let prefix {
            return ScanRange(prefix: try form.bytes(of: prefix, "prefix"), isReversed: reverse)
        }
        return ScanRange(
            from: try from.map { try form.bytes(of: $0, "--from") } ?? Bytes(),
            to: try to.map { try form.bytes(of: $0, "--to") }, isReversed: reverse)
    }

    private func printPage(_ keyspace: Keyspace, _ range: ScanRange) async throws {
        try await printing(json: true) {
            let token = try page.map { try AnswerJSON.token($0) }
            let page = try await keyspace.scanPage(
                range, limit: min(limit, Limits.scanItemsMax), at: at.map { Version($0) },
                staleness: age.staleness, page: token)
            return (AnswerJSON.page(page), nil)
        }
    }

    private func printLines(_ keyspace: Keyspace, _ range: ScanRange) async throws {
        let output = OutputStream()
        var left = limit
        let pages = keyspace.scan(
            range, pageLimit: min(limit, Keyspace.pageLimit), at: at.map { Version($0) },
            staleness: age.staleness
        ).pages
        var oldest: (age: ReadAge, at: Point)?
        for try await page in pages {
            var lines: [UInt8] = []
            for item in page.items.prefix(left) {
                let key = try form.text(of: item.key, "key \(item.key)")
                let value = try form.text(of: item.value.bytes, "value of \(item.key)")
                TabSeparated.write(key: Bytes(key), value: Bytes(value), to: &lines)
            }
            left -= page.items.count
            let worst = ReadAge.oldest([page.age, oldest?.age ?? .newest])
            if oldest?.age != worst { oldest = (worst, page.at) }
            try await output.write(lines)
            if left <= 0 { break }
        }
        try await output.flush()
        if let oldest { StaleOptions.note(oldest.age, at: oldest.at) }
    }
}
