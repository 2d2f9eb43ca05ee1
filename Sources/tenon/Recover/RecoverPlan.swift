import ArgumentParser
import TenonNode

struct RecoverPlan: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Say what a recovery from these reports would do. Changes nothing.",
        discussion: """
            Give the report of every survivor: one that is neither reported nor lost is named, and
            what it alone holds is not taken into account.

            EXAMPLE
              tenon recover plan n2.json n5.json --lost n1,n3,n4 --out plan.json
              tenon recover plan all.json --lost n1,n3 --lost-at 2026-01-31T08:15:00Z --json
            """)

    @Argument(help: "Files that `tenon recover inspect` wrote.")
    var reports: [String]

    @OptionGroup var loss: LossOptions

    @Option(help: "Write the plan to this file.")
    var out: String?

    @Flag(help: "Print the plan as JSON instead of text.")
    var json = false

    func run() async throws {
        try await reportingRecoveryErrors {
            let plan = try await loss.plan(try reports.flatMap(RecoveryFile.reports))
            if let out { try RecoveryFile.write(plan, to: out) }
            print(json ? plan.json.text : plan.text)
            if !json {
                print(
                    "", "To carry it out, with every survivor stopped, on each of them:",
                    "  tenon recover apply \(out ?? "PLAN") --data DIR "
                        + "--confirm '\(plan.confirmation)'", separator: "\n")
            }
        }
    }
}
