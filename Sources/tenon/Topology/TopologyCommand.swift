import ArgumentParser
import TenonClient
import TenonCore
import TenonPlacement
import TenonWire

/// `tenon topology`: where the nodes stand, and what that survives.
struct TopologyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topology",
        abstract: "Say what the loss of a node, a room or a city would do.",
        discussion: "EXAMPLE\n  tenon topology check",
        subcommands: [Check.self])
}

extension TopologyCommand {
    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "For each keyspace: what it survives by itself, by operator command, or not.",
            discussion: """
                Computed from where the voters of each tablet stand now (serve --locality) and from
                which nodes answer; nodes that do not answer count as lost already. The worst
                tablet and the worst loss of a level speak for all.

                  by itself            a majority is left: nothing is lost, it serves on
                  by operator command  copies are left, and no majority: entries may be lost
                  not                  no copy is left
                  ?                    some node's locality does not name its room or city

                Exits with 1 when a keyspace is AT RISK: a tablet has fewer voters than it is to
                have, or would not survive by itself a loss that it is to survive.

                EXAMPLE
                  tenon topology check --json
                """)

        @OptionGroup var connection: ConnectionOptions
        @Flag(help: "Print it as JSON.")
        var json = false

        func run() async throws {
            try await connection.withClient(defaultTimeout: .seconds(2)) { client in
                let directory = try await client.describe()
                let report = try await StatusReport(asking: client)
                let down = report.nodes.filter { $0.status == nil }.map(\.node.id)
                let missing = MissingReplicas(directory, report.nodes.compactMap(\.status))
                let check = TopologyCheck(directory, down: Set(down), missing: missing)
                print(json ? check.json.text : check.text)
                if !check.risks.isEmpty { throw Exit.negative }
            }
        }
    }
}
