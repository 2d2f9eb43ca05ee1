import ArgumentParser
import TenonClient
import TenonCore
import TenonWire

/// `tenon tablet`: the pieces of the keyspaces.
struct TabletCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tablet",
        abstract: "List, split and move tablets, and hand their leadership over.",
        discussion: """
            EXAMPLES
              tenon tablet list
              tenon tablet split accounts --at m
              tenon tablet move 2 --from n1 --to n4
              tenon tablet transfer 2 --to n3
            """,
        subcommands: [List.self, Split.self, Move.self, Transfer.self])
}

extension TabletCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the tablets, their keys, their replicas and their leaders.",
            discussion: "EXAMPLE\n  tenon tablet list --keyspace accounts --json")

        @OptionGroup var connection: ConnectionOptions
        @Option(help: "Only those of this keyspace.")
        var keyspace: String?
        @Flag(help: "Print it as JSON.")
        var json = false

        func run() async throws {
            try await connection.withClient { client in
                let directory = try await client.describe()
                let rows = directory.tablets.map { TabletRow($0, in: directory) }
                    .filter { keyspace == nil || $0.keyspace == keyspace }
                if json { return print(JSON.array(rows.map(\.json)).text) }
                print(TextTable(header: TabletRow.header, rows: rows.map(\.cells)))
            }
        }
    }

    struct Move: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Move a tablet's replica from one node to another.",
            discussion: """
                The new replica is complete before the old one goes. Returns when that is so.

                EXAMPLE
                  tenon tablet move 2 --from n1 --to n4
                """)

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var wait: WaitOptions
        @Option(help: "The node that has it.")
        var from: String
        @Option(help: "The node that is to have it.")
        var to: String
        @Argument(help: "The tablet's number.")
        var tablet: UInt64

        func run() async throws {
            let id = TabletID(tablet)
            try await connection.withClient { client in
                try await client.direct(.moveReplica(id, from: from, to: to))
                try await wait.wait("tablet \(tablet) is on its way", client) { directory in
                    guard let own = directory.tablets.first(where: { $0.id == id }),
                        let node = directory.node(named: to)
                    else { return "tablet \(tablet) is not to be seen" }
                    let isThere = own.voters.contains { $0.node == node.id } && !own.isJoint
                    return isThere && own.target.isEmpty ? nil : "copying and changing voters"
                }
            }
        }
    }

    struct Transfer: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Hand the leadership of a tablet to a node that has a voter of it.",
            discussion: "EXAMPLE\n  tenon tablet transfer 2 --to n3")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var wait: WaitOptions
        @Option(help: "The node that is to lead.")
        var to: String
        @Argument(help: "The tablet's number.")
        var tablet: UInt64

        func run() async throws {
            let id = TabletID(tablet)
            try await connection.withClient { client in
                let directory = try await client.describe()
                guard let node = directory.node(named: to) else {
                    let names = directory.nodes.map(\.name).joined(separator: ", ")
                    throw TenonError(
                        .invalid, .notApplied, "there is no node \(to); there are \(names)")
                }
                if directory.tablets.first(where: { $0.id == id })?.leader == node.id { return }
                try await client.transferLeadership(of: id, to: node.id)
                try await wait.wait("tablet \(tablet) is led by another", client) { directory in
                    let own = directory.tablets.first { $0.id == id }
                    return own?.leader == node.id ? nil : "waiting for \(to) to lead"
                }
            }
        }
    }
}

/// A tablet as a row of a list.
struct TabletRow {
    let tablet: TabletDescriptor
    let keyspace: String
    private let directory: Directory

    init(_ tablet: TabletDescriptor, in directory: Directory) {
        self.tablet = tablet
        self.directory = directory
        keyspace =
            tablet.keyspace == .directory
            ? "(directory)" : directory.keyspace(tablet.keyspace)?.name ?? "?"
    }

    static let header = [
        "tablet", "keyspace", "from", "to", "generation", "voters", "learners", "leader",
        "state",
    ]

    private func name(of node: NodeID) -> String {
        if node == NodeID(0) { return "-" }
        return directory.node(node)?.name ?? "node \(node)"
    }

    private func names(of members: [Member]) -> [String] { members.map { name(of: $0.node) } }

    private var state: String {
        if !tablet.target.isEmpty {
            return "moving to " + names(of: tablet.target).joined(separator: ",")
        }
        let isSettled = !tablet.isJoint && tablet.learners == tablet.targetLearners
        return isSettled ? "settled" : "changing"
    }

    private static func text(of key: Bytes?) -> String {
        guard let key, !key.isEmpty else { return "-" }
        return String(decoding: key.array, as: UTF8.self)
    }

    var cells: [String] {
        [
            "\(tablet.id)", keyspace, TabletRow.text(of: tablet.lower),
            TabletRow.text(of: tablet.upper), "\(tablet.generation)",
            names(of: tablet.voters).joined(separator: ","),
            tablet.learners.isEmpty ? "-" : names(of: tablet.learners).joined(separator: ","),
            name(of: tablet.leader), state,
        ]
    }

    var json: JSON {
        [
            "id": .integer(tablet.id.rawValue), "keyspace": .string(keyspace),
            "from": .string(TabletRow.text(of: tablet.lower)),
            "to": tablet.upper.map { .string(TabletRow.text(of: $0)) } ?? .null,
            "generation": .integer(tablet.generation.rawValue),
            "configuration": .integer(tablet.configuration.rawValue),
            "voters": .array(names(of: tablet.voters).map { .string($0) }),
            "learners": .array(names(of: tablet.learners).map { .string($0) }),
            "leader": tablet.leader == NodeID(0) ? .null : .string(name(of: tablet.leader)),
            "state": .string(state),
        ]
    }
}
