import ArgumentParser
import TenonClient
import TenonCore
import TenonWire

/// `tenon node`: the machines of the cluster.
struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "List, drain, remove and replace nodes.",
        discussion: """
            A node is added by starting it: tenon serve --join HOST:PORT …
            With --witness its replicas vote and keep the log, and have no data.

            EXAMPLES
              tenon node list
              tenon node drain n2       # before maintenance: it leads nothing from now on
              tenon node undrain n2
              tenon node replace n1 n4  # n1's replicas are made again on n4, then n1 is no member
            """,
        subcommands: [List.self, Drain.self, Undrain.self, Remove.self, Replace.self])
}

extension NodeCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the nodes, what they hold and what they lead.",
            discussion: "EXAMPLE\n  tenon node list --json")

        @OptionGroup var connection: ConnectionOptions
        @Flag(help: "Print it as JSON.")
        var json = false

        func run() async throws {
            try await connection.withClient { client in
                let directory = try await client.describe()
                let rows = directory.nodes.map { NodeRow($0, in: directory) }
                if json {
                    print(JSON.array(rows.map(\.json)).text)
                } else {
                    print(
                        TextTable(
                            header: [
                                "id", "node", "address", "locality", "state", "replicas",
                                "leads",
                            ], rows: rows.map(\.cells)))
                }
            }
        }
    }

    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Have a node lead nothing, until it is undrained.",
            discussion: """
                Returns when every leadership is elsewhere. Its replicas stay.

                EXAMPLE
                  tenon node drain n2
                """)

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var wait: WaitOptions
        @Argument(help: "The node's name.")
        var node: String

        func run() async throws {
            try await connection.withClient { client in
                try await client.direct(.drain(node: node))
                try await wait.wait("\(node) still leads tablets", client) { directory in
                    guard let own = directory.node(named: node) else { return nil }
                    let led = directory.tablets.count { $0.leader == own.id }
                    return led == 0 ? nil : "\(led) tablets to hand over"
                }
            }
        }
    }

    struct Undrain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a node lead again; also stops a removal that is not complete.",
            discussion: "EXAMPLE\n  tenon node undrain n2")

        @OptionGroup var connection: ConnectionOptions
        @Argument(help: "The node's name.")
        var node: String

        func run() async throws {
            try await connection.withClient { try await $0.direct(.undrain(node: node)) }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a node's replicas again elsewhere, and take it out of the cluster.",
            discussion: """
                The node may be up or gone for good. No tablet has fewer copies than before at any \
                time. Returns when the node is no member any more.

                EXAMPLE
                  tenon node remove n3
                """)

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var wait: WaitOptions
        @Argument(help: "The node's name.")
        var node: String

        func run() async throws {
            try await connection.withClient {
                try await NodeCommand.remove(node, replacement: nil, $0, wait)
            }
        }
    }

    struct Replace: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a node's replicas again on another, and take it out of the cluster.",
            discussion: """
                The other node has joined before: tenon serve --join …

                EXAMPLE
                  tenon node replace n1 n4
                """)

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var wait: WaitOptions
        @Argument(help: "The node that goes.")
        var node: String
        @Argument(help: "The node that takes its place.")
        var replacement: String

        func run() async throws {
            try await connection.withClient {
                try await NodeCommand.remove(node, replacement: replacement, $0, wait)
            }
        }
    }

    private static func remove(
        _ node: String, replacement: String?, _ client: TenonClient, _ wait: WaitOptions
    ) async throws {
        try await client.direct(.remove(node: node, replacement: replacement))
        try await wait.wait("\(node) is still a member", client) { rest(of: node, in: $0) }
    }

    /// What a removal waits for; nil when the node is no member any more.
    static func rest(of node: String, in directory: Directory) -> String? {
        guard let own = directory.node(named: node) else { return nil }
        let left = directory.tablets.count { $0.hasReplica(on: own.id) }
        if left > 0 { return "\(left) replicas to make again elsewhere" }
        return "nothing is left on it by what is written; every tablet's leader has to confirm it "
            + "(tenon tablet list shows them, tenon status which node does not answer)"
    }
}

/// A node as a row of the list.
private struct NodeRow {
    let node: Directory.Node
    let replicas: Int
    let leads: Int

    init(_ node: Directory.Node, in directory: Directory) {
        self.node = node
        replicas = directory.tablets.count { $0.hasReplica(on: node.id) }
        leads = directory.tablets.count { $0.leader == node.id }
    }

    var cells: [String] {
        [
            "\(node.id)", node.name, node.address, node.locality.isEmpty ? "-" : node.locality,
            node.isWitness ? "\(node.state.name), witness" : node.state.name, "\(replicas)",
            "\(leads)",
        ]
    }

    var json: JSON {
        [
            "id": .integer(node.id.rawValue), "name": .string(node.name),
            "address": .string(node.address), "locality": .string(node.locality),
            "state": .string(node.state.name), "witness": .bool(node.isWitness),
            "replicas": .integer(replicas),
            "leads": .integer(leads),
        ]
    }
}

extension TabletDescriptor {
    /// Whether a voter or a learner of it is on the node.
    func hasReplica(on node: NodeID) -> Bool {
        voters.contains { $0.node == node } || learners.contains { $0.node == node }
    }
}

/// How long a command waits for what it ordered.
struct WaitOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How long to wait for it (default 10m).", valueName: "time"))
    var wait: TimeOption?
    @Flag(help: "Return once the order is given.")
    var noWait = false

    private static let pace = Duration.milliseconds(100)

    /// Waits until `pending` finds nothing left to do in the directory, and says meanwhile what is.
    ///
    /// - Parameter failure: what is wrong when it takes too long.
    func wait(
        _ failure: String, _ client: TenonClient, _ pending: (Directory) -> String?
    ) async throws {
        guard !noWait else { return }
        let watch = Stopwatch()
        let limit = Double((wait?.duration ?? .seconds(600)).components.seconds)
        var rest = "no node answers"
        while watch.seconds < limit {
            if let directory = try? await client.describe() {
                guard let left = pending(directory) else { return Console.progressEnded() }
                rest = left
                Console.progress(rest)
            }
            // The directory is asked again and again: there is nothing to wait on.
            try await Task.sleep(for: WaitOptions.pace)
        }
        Console.progressEnded()
        Console.error("\(failure) after \(Int(limit)) s: \(rest); it goes on by itself")
        throw Exit.negative
    }
}
