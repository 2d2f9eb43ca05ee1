import ArgumentParser
import TenonClient
import TenonCore
import TenonWire

struct ClockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clock",
        abstract: "Look at the cluster's agreed clock, and accept a step of it.",
        subcommands: [ClockShow.self, ClockAccept.self], defaultSubcommand: ClockShow.self)
}

struct ClockShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show what each node takes for the time.",
        discussion: """
            The agreed clock is the median of the nodes' clocks. A node whose own clock is more \
            than 500 ms from it leads nothing. Exits with 1 when a clock is wrong or time stands \
            still, with 2 when no node answers.

            EXAMPLE
              tenon clock show --json
            """)

    @OptionGroup var connection: ConnectionOptions
    @Flag(help: "Print it as JSON.")
    var json = false

    func run() async throws {
        try await connection.withClient(defaultTimeout: .seconds(2)) { client in
            let report = try await StatusReport(asking: client)
            print(json ? report.clockJSON.text : report.clockTable)
            let clocks = report.nodes.compactMap(\.status?.clock)
            guard !clocks.isEmpty else { throw Exit.notApplied }
            guard clocks.allSatisfy({ $0.state == "agreed" }) else { throw Exit.negative }
        }
    }
}

struct ClockAccept: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept",
        abstract: "Accept the time that the clocks show after a step of more than 10 s.",
        discussion: """
            After such a step the cluster's time stands still: versions go on, nothing expires. \
            Look at the clocks first: when they are wrong, set them right instead, and time goes \
            on by itself. When the new time is accepted, sessions and history that are old by it \
            end at once. Every node that can be reached is told, the others follow.

            EXAMPLE
              tenon clock show; tenon clock accept
            """)

    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        try await connection.withClient(defaultTimeout: .seconds(2)) { client in
            let directory = try await client.describe()
            var told = 0
            for node in directory.nodes {
                do throws(TenonError) {
                    try await client.acceptClock(of: node.id)
                    told += 1
                } catch {
                    Console.error("\(node.name): \(error.message)")
                }
            }
            guard told > 0 else {
                Console.error("no node answers: start the nodes, or correct --endpoints")
                throw Exit.notApplied
            }
            print("accepted at \(told) of \(directory.nodes.count) nodes")
        }
    }
}

extension StatusReport {
    /// The clocks for scripts.
    var clockJSON: JSON {
        .array(
            nodes.map { node in
                .object([
                    .init("name", .string(node.node.name)),
                    .init("reachable", .bool(node.status != nil)),
                    .init("clock", node.status?.clock.json ?? .null),
                ])
            })
    }

    /// The clocks for a person: one row a node.
    var clockTable: String {
        let rows = nodes.map { node -> [String] in
            guard let clock = node.status?.clock else {
                return [node.node.name, "-", "-", "-", "unreachable"]
            }
            return [
                node.node.name, "\(clock.time.milliseconds)", "\(clock.errorMilliseconds) ms",
                "\(clock.known) of \(clock.members)", clock.state,
            ]
        }
        return TextTable(
            header: ["node", "agreed time (ms)", "own clock ahead", "known", "state"], rows: rows
        ).description
    }
}

extension NodeStatus.Clock {
    /// For scripts.
    var json: JSON {
        [
            "state": .string(state), "timeMs": .integer(time.milliseconds),
            "errorMs": .integer(errorMilliseconds), "stepMs": .integer(stepMilliseconds),
            "known": .integer(known), "members": .integer(members),
        ]
    }
}
