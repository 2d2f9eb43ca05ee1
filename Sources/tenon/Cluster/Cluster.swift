import ArgumentParser
import TenonCore

/// `tenon cluster`: nodes of this machine, for trying, testing and drills.
struct Cluster: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a cluster on this machine: start, stop, kill, pause, restart its nodes.",
        discussion: """
            EXAMPLE
              tenon cluster start --base-port 7501
              tenon cluster kill leader
              tenon cluster restart n1
              tenon cluster add
              tenon cluster stop
            """,
        subcommands: [
            ClusterStart.self, ClusterStatus.self, ClusterStop.self, ClusterKill.self,
            ClusterPause.self, ClusterResume.self, ClusterRestart.self, ClusterAdd.self,
            ClusterRemove.self,
        ])
}

/// Where the cluster is.
struct ClusterFolder: ParsableArguments {
    @Option(name: .customLong("dir"), help: "The folder of the cluster's files.")
    var directory = "./.tenon"
}

/// What every node of a new cluster gets.
struct ClusterServeOptions: ParsableArguments {
    @Option(
        name: .customLong("serve-option"), parsing: .singleValue,
        help: ArgumentHelp(
            "A setting for every node, as for `tenon serve`; may be repeated.",
            valueName: "key=value"))
    var settings: [String] = []

    @Flag(help: "Let the nodes take orders to be faulty (tenon drill inject).")
    var enableFaultInjection = false

    /// The settings as arguments of `tenon serve`.
    func arguments() throws(ClusterError) -> [String] {
        let given = try ClusterLayout.serveOptions(settings: settings)
        return enableFaultInjection ? given + [ClusterLayout.faultInjection] : given
    }
}

struct ClusterStart: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start the nodes and return when every tablet serves.",
        discussion: """
            A folder that has a cluster already starts it again as it was made.

            EXAMPLE
              tenon cluster start --nodes 3 --base-port 7501 --tablets 4 --serve-option retention=1s
              tenon cluster start --topology deploy/topologies/2-2-1.json
            """)

    @OptionGroup var folder: ClusterFolder
    @OptionGroup var options: ClusterServeOptions

    @Option(help: "How many nodes (default: 3).")
    var nodes: Int?

    @Option(help: "A JSON file that says where the nodes stand (instead of --nodes).")
    var topology: String?

    @Option(help: "The port of the first node; 0 takes free ports (default: 7501).")
    var basePort: Int?

    @Option(help: "The loopback address of all nodes, 127.0.0.1 or ::1 (default: 127.0.0.1).")
    var host: LoopbackHost?

    @Option(help: "How many data tablets (default: the node's).")
    var tablets: Int?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        if topology != nil, nodes != nil {
            throw ValidationError("--topology says how many nodes there are: leave --nodes out")
        }
    }

    func run() async throws {
        try await reportingClusterErrors {
            let places = try topology.map { path throws(ClusterError) in
                try TopologyFile.read(from: path)
            }
            let cluster = try await withInterruptCleanUp {
                try? LocalCluster.open(directory: folder.directory).kill()
            } body: {
                try await LocalCluster.start(
                    directory: folder.directory,
                    as: LocalCluster.Request(
                        nodes: nodes, basePort: try portOfFirstNode(), host: host,
                        tablets: tablets,
                        serveOptions: try options.arguments(), topology: places))
            }
            try present(cluster)
        }
    }

    /// Nil for free ports, and for a folder whose cluster has its ports already.
    private func portOfFirstNode() throws -> Int? {
        if basePort == 0 { return nil }
        let isMade = (try? LocalCluster.open(directory: folder.directory)) != nil
        return basePort ?? (isMade ? nil : ClusterStart.defaultBasePort)
    }

    private static let defaultBasePort = 7501

    private struct Answer: Encodable {
        var directory: String
        var endpoints: [String]
    }

    private func present(_ cluster: LocalCluster) throws {
        let endpoints = cluster.endpoints.joined(separator: ",")
        if json {
            let answer = Answer(directory: cluster.directory, endpoints: cluster.endpoints)
            print(try JSONText.encode(answer, pretty: false))
            return
        }
        print(
            """
            \(cluster.layout.nodes.count) nodes serve at \(endpoints)
            export TENON_ENDPOINTS=\(endpoints)
            """)
    }
}

struct ClusterStop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Stop all nodes; their data stays.",
        discussion: """
            EXAMPLE
              tenon cluster stop --dir ./.tenon
            """)

    @OptionGroup var folder: ClusterFolder

    func run() async throws {
        try await reportingClusterErrors {
            let cluster = try LocalCluster.open(directory: folder.directory)
            let killed = try await cluster.stop()
            for name in killed {
                Console.note("\(name) did not stop in time and was killed")
            }
            print("stopped")
        }
    }
}

struct ClusterKill: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill",
        abstract: "End a node with SIGKILL, as a crash would.",
        discussion: """
            EXAMPLE
              tenon cluster kill n2
            """)

    @OptionGroup var folder: ClusterFolder
    @OptionGroup var target: ClusterTarget

    func run() async throws {
        try await target.act(in: folder, saying: "killed") { cluster, node in
            try await cluster.kill(node)
        }
    }
}

struct ClusterPause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Stop a node's process with SIGSTOP; its connections stay open.",
        discussion: """
            EXAMPLE
              tenon cluster pause leader
            """)

    @OptionGroup var folder: ClusterFolder
    @OptionGroup var target: ClusterTarget

    func run() async throws {
        try await target.act(in: folder, saying: "paused") { cluster, node in
            try await cluster.pause(node)
        }
    }
}

struct ClusterResume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Let a paused node run on.",
        discussion: """
            EXAMPLE
              tenon cluster resume n1
            """)

    @OptionGroup var folder: ClusterFolder
    @OptionGroup var target: ClusterTarget

    func run() async throws {
        try await target.act(in: folder, saying: "resumed") { cluster, node in
            try cluster.resume(node)
        }
    }
}

struct ClusterRestart: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart",
        abstract: "Start a node as it was started before; stop it first when it runs.",
        discussion: """
            EXAMPLE
              tenon cluster restart n1
            """)

    @OptionGroup var folder: ClusterFolder
    @OptionGroup var target: ClusterTarget

    func run() async throws {
        try await target.act(in: folder, saying: "restarted") { cluster, node in
            try await cluster.restart(node)
            try await cluster.awaitServing(launched: [node])
        }
    }
}

/// The node that a command acts on.
struct ClusterTarget: ParsableArguments {
    @Argument(help: "n1, n2, …, or `leader`: the node that leads most tablets.")
    var node: String

    /// Does something to the node and says so.
    func act(
        in folder: ClusterFolder, saying past: String,
        _ action: (LocalCluster, LocalCluster.Node) async throws -> Void
    ) async throws {
        try await reportingClusterErrors {
            let cluster = try LocalCluster.open(directory: folder.directory)
            let target = node == "leader" ? try await cluster.leader() : try cluster.node(node)
            try await action(cluster, target)
            print("\(target.name) \(past)")
        }
    }
}

extension LocalCluster {
    /// The node that leads most tablets at the moment.
    func leader() async throws -> Node {
        let statuses = try await ClusterProbe.with(self) { await $0.statuses() }
        guard let id = ClusterProbe.leader(in: statuses) else { throw ClusterError.noLeader }
        return try node(id)
    }

    /// The node with this number.
    func node(_ id: NodeID) throws(ClusterError) -> Node {
        guard let node = layout.nodes.first(where: { layout.number(of: $0) == id }) else {
            throw .noSuchNode(name: "number \(id)", known: nodeNames)
        }
        return node
    }

    /// What the nodes are known by, in their order; 0, which no node is, for one that is to join.
    var numbers: [NodeID] { layout.nodes.map { layout.number(of: $0) ?? NodeID(0) } }
}

/// Runs a command's work; an error goes to standard error in one line, and the process ends with
/// `failure` ("not applied").
func reportingClusterErrors(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let exit as ExitCode {
        throw exit
    } catch {
        Console.note("tenon: \(error)")
        throw ExitCode(2)
    }
}
