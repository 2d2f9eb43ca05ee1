import ArgumentParser

/// `tenon drill`: faults under load, measured.
struct Drill: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Inject a fault into a cluster under load and measure what is lost, and how long.",
        discussion: """
            EXAMPLE
              tenon drill list
              tenon drill run leader-kill --rounds 10 --report leader-kill.json
            """,
        subcommands: [DrillList.self, DrillRun.self, DrillInject.self, DrillClear.self])
}

struct DrillList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the drills.",
        discussion: """
            EXAMPLE
              tenon drill list
            """)

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        if json {
            let drills = Scenario.all.map { ["name": $0.name, "summary": $0.summary] }
            print(try JSONText.encode(["drills": drills], pretty: false))
        } else {
            let rows = Scenario.all.map { [$0.name, $0.summary] }
            print(TextTable(header: ["drill", "what it does"], rows: rows))
        }
    }
}
