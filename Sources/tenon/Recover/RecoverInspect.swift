import ArgumentParser
import TenonNode
import TenonServer

struct RecoverInspect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Read what the data folders of stopped survivors hold.",
        discussion: """
            Changes nothing that is promised: no boot number rises, nothing is repaired. The node
            must not run. Writes one report, or several, as JSON.

            EXAMPLE
              tenon recover inspect --data /var/lib/tenon --out n2.json
              tenon recover inspect --data ./n2/data --data ./n5/data --json
            """)

    @Option(parsing: .singleValue, help: "A survivor's data folder; may be repeated.")
    var data: [String]

    @Option(help: "Write the reports to this file.")
    var out: String?

    @Flag(help: "Print the reports as JSON instead of a table.")
    var json = false

    func validate() throws {
        guard !data.isEmpty else { throw ValidationError("give --data DIR") }
    }

    func run() async throws {
        try await reportingRecoveryErrors {
            var reports: [SurvivorReport] = []
            for folder in data {
                reports.append(
                    try SurvivorReport.read(
                        LocalFile.absolute(folder), fileSystem: PosixFileSystem()))
            }
            if let out { try RecoveryFile.write(reports, to: out) }
            print(json ? RecoveryFile.json(of: reports).text : reports.text)
        }
    }
}

extension [SurvivorReport] {
    /// The replicas of all of them as a table.
    fileprivate var text: String {
        let header = [
            "node", "tablet", "replica", "verdict", "term", "commit", "last entry", "newest write",
        ]
        let rows = flatMap { report in
            report.tablets.map { tablet in
                [
                    report.name, "\(tablet.tablet)", "\(tablet.replica)", tablet.verdict.name,
                    "\(tablet.term)", "\(tablet.commit)",
                    "\(tablet.lastIndex) of term \(tablet.lastTerm)",
                    tablet.lastVersion.text,
                ]
            }
        }
        let nodes = map { "\($0.name): cluster \($0.cluster), epoch \($0.epoch), \($0.folder)" }
        let wrong = flatMap { report in
            report.tablets.filter { !$0.verdict.isWhole }.map {
                "\(report.name): tablet \($0.tablet) is \($0.verdict.name): \($0.verdict.reason)"
            }
        }
        return (nodes + ["", TextTable(header: header, rows: rows).description] + wrong)
            .joined(separator: "\n")
    }
}
