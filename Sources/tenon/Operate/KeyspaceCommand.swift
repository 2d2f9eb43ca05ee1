import ArgumentParser
import TenonClient
import TenonCore
import TenonWire

/// `tenon keyspace`: the maps of keys.
struct KeyspaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keyspace", abstract: "Create, alter, list, describe and drop keyspaces.",
        discussion: """
            EXAMPLES
              tenon keyspace create accounts --replicas 3 --retention 1h
              tenon keyspace create orders --survive city --home 'sh/=shanghai' \\
                  --home 'bj/=beijing' --then shenzhen
              tenon keyspace alter orders --survive dc
              tenon put --keyspace accounts alice 100
              tenon keyspace describe accounts
              tenon keyspace drop accounts --yes
            """,
        subcommands: [Create.self, Alter.self, List.self, Describe.self, Drop.self])
}

extension KeyspaceCommand {
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new, empty keyspace.",
            discussion: """
                Refused when its policy cannot be kept by the nodes that there are, with a loss that
                no placement survives. A prefix with a home gets a tablet of its own.

                EXAMPLES
                  tenon keyspace create accounts --replicas 3 --retention 1h
                  tenon keyspace create orders --survive city --home 'sh/=shanghai'
                  tenon keyspace create ledger --survive city --ack city
                  tenon keyspace create prices --survive dc --local-reads-within 2s
                """)

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var options: PolicyOptions
        @Argument(help: "Its name: letters, digits, - and _.")
        var name: String

        func run() async throws {
            try await connection.withClient { client in
                try await client.direct(.createKeyspace(name: name, options.settings))
                let wait = WaitOptions.short
                try await wait.wait("\(name) is not served", client) { directory in
                    guard let own = directory.keyspace(named: name) else { return "not there yet" }
                    let tablets = directory.tablets.filter { $0.keyspace == own.id }
                    let isServed = !tablets.isEmpty && tablets.allSatisfy { $0.leader != NodeID(0) }
                    return isServed ? nil : "its tablets are being made"
                }
            }
        }
    }

    struct Alter: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change what a keyspace must survive and where it is led.",
            discussion: """
                What is not said stays as it is; --home and --then replace all homes or cities of
                before. Copies then move by themselves, one at a time, and are never fewer than they
                were: `tenon explain` shows how far it is.

                EXAMPLES
                  tenon keyspace alter accounts --survive city
                  tenon keyspace alter accounts --no-homes
                """)

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var options: PolicyOptions
        @Flag(help: "Forget all homes.")
        var noHomes = false
        @Flag(help: "Forget the order of cities.")
        var noThen = false
        @Flag(help: "Keep copies where voters are and nowhere else.")
        var noLocalReads = false
        @Argument(help: "Its name.")
        var name: String

        func validate() throws {
            guard settings != KeyspaceSettings() else {
                throw ValidationError("Say what to change, as in --survive city.")
            }
            guard !noHomes || options.home.isEmpty, !noThen || options.failover == nil,
                !noLocalReads || options.localReadsWithin == nil
            else {
                throw ValidationError("Give either new ones or none.")
            }
        }

        private var settings: KeyspaceSettings {
            var settings = options.settings
            if noHomes { settings.homes = [] }
            if noThen { settings.failover = [] }
            if noLocalReads { settings.localReadsWithin = .zero }
            return settings
        }

        func run() async throws {
            try await connection.withClient { client in
                try await client.direct(.alterKeyspace(name: name, settings))
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the keyspaces.", discussion: "EXAMPLE\n  tenon keyspace list --json")

        @OptionGroup var connection: ConnectionOptions
        @Flag(help: "Print it as JSON.")
        var json = false

        func run() async throws {
            try await connection.withClient { client in
                let directory = try await client.describe()
                let rows = directory.keyspaces.map { KeyspaceRow($0, in: directory) }
                if json { return print(JSON.array(rows.map(\.json)).text) }
                print(
                    TextTable(
                        header: [
                            "keyspace", "survives", "replicas", "retention", "tablets", "state",
                        ],
                        rows: rows.map(\.cells)))
            }
        }
    }

    struct Describe: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a keyspace and where its tablets are.",
            discussion: "EXAMPLE\n  tenon keyspace describe default")

        @OptionGroup var connection: ConnectionOptions
        @Flag(help: "Print it as JSON.")
        var json = false
        @Argument(help: "Its name.")
        var name: String

        func run() async throws {
            try await connection.withClient { client in
                let directory = try await client.describe()
                guard let keyspace = directory.keyspace(named: name) else {
                    let names = directory.keyspaces.map(\.name).joined(separator: ", ")
                    throw TenonError(
                        .invalid, .notApplied, "there is no keyspace \(name); there are \(names)")
                }
                let tablets = directory.tablets.filter { $0.keyspace == keyspace.id }
                    .map { TabletRow($0, in: directory) }
                let row = KeyspaceRow(keyspace, in: directory)
                if json {
                    print(row.json(with: tablets).text)
                } else {
                    print(
                        "\(keyspace.name): \(keyspace.replicas) replicas, retention "
                            + "\(row.retention), split above \(row.splitAbove), \(row.state)\n"
                            + keyspace.policy.text)
                    print(TextTable(header: TabletRow.header, rows: tablets.map(\.cells)))
                }
            }
        }
    }

    struct Drop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a keyspace and everything in it.",
            discussion: "EXAMPLE\n  tenon keyspace drop accounts --yes")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var wait: WaitOptions
        @Flag(help: "Yes, remove all its data.")
        var yes = false
        @Argument(help: "Its name.")
        var name: String

        func validate() throws {
            guard yes else {
                throw ValidationError("This removes all data of \(name). Give --yes to do it.")
            }
        }

        func run() async throws {
            try await connection.withClient { client in
                try await client.direct(.dropKeyspace(name: name))
                try await wait.wait("\(name) is not gone", client) { directory in
                    guard let own = directory.keyspace(named: name) else { return nil }
                    let left = directory.tablets.count { $0.keyspace == own.id }
                    return "\(left) tablets to remove"
                }
            }
        }
    }
}

/// A keyspace as a row of the list.
private struct KeyspaceRow {
    let keyspace: Directory.Keyspace
    let tablets: Int

    init(_ keyspace: Directory.Keyspace, in directory: Directory) {
        self.keyspace = keyspace
        tablets = directory.tablets.count { $0.keyspace == keyspace.id }
    }

    var state: String { keyspace.isDropped ? "being dropped" : "serving" }
    var retention: String {
        keyspace.retention == .zero
            ? "as its nodes say" : "\(keyspace.retention.wholeMilliseconds) ms"
    }

    var splitAbove: String { SizeOption(bytes: keyspace.splitAboveBytes).text }

    var cells: [String] {
        [
            keyspace.name, keyspace.policy.survive.name, "\(keyspace.replicas)", retention,
            "\(tablets)", state,
        ]
    }

    var json: JSON {
        .object(
            [
                .init("id", .integer(keyspace.id.rawValue)), .init("name", .string(keyspace.name)),
                .init("replicas", .integer(keyspace.replicas)),
                .init(
                    "retentionMs",
                    keyspace.retention == .zero
                        ? .null : .integer(keyspace.retention.wholeMilliseconds)),
                .init("splitAboveBytes", .integer(keyspace.splitAboveBytes)),
            ] + keyspace.policy.json + [
                .init("state", .string(state)), .init("tablets", .integer(tablets)),
            ])
    }

    func json(with rows: [TabletRow]) -> JSON {
        guard case .object(let members) = json else { return json }
        let others = members.filter { $0.name != "tablets" }
        return .object(others + [JSON.Member("tablets", .array(rows.map(\.json)))])
    }
}

extension WaitOptions {
    /// For what should be done in a moment.
    static var short: WaitOptions {
        var options = WaitOptions()
        options.wait = TimeOption(argument: "30s")
        options.noWait = false
        return options
    }
}

extension TimeSpan {
    /// A length of time of the command line.
    init(milliseconds option: TimeOption) {
        let (seconds, atto) = option.duration.components
        self = .milliseconds(Int(seconds * 1_000 + atto / 1_000_000_000_000_000))
    }
}
