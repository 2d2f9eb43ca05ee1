import ArgumentParser
import TenonNode
import TenonServer

struct RecoverApply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Carry a plan out on survivors' data folders.",
        discussion: """
            Every survivor's folder is needed, also of those that no tablet goes on from: all of
            them begin the new epoch. When it is cut short, the folder's node does not start; the
            same command again finishes it. A second time is no harm.

            EXAMPLE
              tenon recover apply plan.json --data /var/lib/tenon \\
                --confirm 'recover 0123456789abcdef0123456789abcdef losing n1,n3,n4'
            """)

    @Argument(help: "The plan: what `tenon recover plan` wrote, or DIR/recovery of a folder.")
    var plan: String

    @Option(parsing: .singleValue, help: "A survivor's data folder; may be repeated.")
    var data: [String]

    @OptionGroup var confirmation: ConfirmationOptions

    @Flag(help: "Print what was done as JSON.")
    var json = false

    func validate() throws {
        guard !data.isEmpty else { throw ValidationError("give --data DIR") }
    }

    func run() async throws {
        try await reportingRecoveryErrors {
            let plan = try RecoveryFile.plan(at: plan)
            try confirmation.require(plan)
            try await plan.requireSilence()
            var lines: [JSON] = []
            for folder in data {
                let folder = LocalFile.absolute(folder)
                let outcome = try FolderRecovery.apply(
                    plan, to: folder, fileSystem: PosixFileSystem())
                lines.append(outcome.json(folder))
                if !json { print("\(folder): \(outcome.text)") }
            }
            if json { print(JSON.array(lines).text) }
        }
    }
}

/// The text by which an operator says that he means it.
struct ConfirmationOptions: ParsableArguments {
    @Option(help: "The text that the plan asks for; without it you are asked at the terminal.")
    var confirm: String?

    /// - Throws: ``InputError`` when the text is another one; nothing was done then.
    func require(_ plan: RecoveryPlan) throws {
        var typed = confirm
        if typed == nil, Console.isTerminal {
            Console.note(plan.text)
            Console.note("\nType this to go on: \(plan.confirmation)")
            typed = readLine()
        }
        guard let typed else {
            throw InputError("nothing was done: give --confirm '\(plan.confirmation)'")
        }
        guard typed == plan.confirmation else {
            throw InputError(
                "nothing was done: \"\(typed)\" is not what the plan asks for: "
                    + "\"\(plan.confirmation)\"")
        }
    }
}

extension FolderRecovery.Outcome {
    var text: String {
        switch self {
        case .applied(let tablets): "the new epoch has begun; \(tablets) tablets go on from here"
        case .alreadyApplied: "already applied"
        }
    }

    func json(_ folder: String) -> JSON {
        switch self {
        case .applied(let tablets):
            ["folder": .string(folder), "outcome": "applied", "tablets": .integer(tablets)]
        case .alreadyApplied: ["folder": .string(folder), "outcome": "alreadyApplied"]
        }
    }
}
