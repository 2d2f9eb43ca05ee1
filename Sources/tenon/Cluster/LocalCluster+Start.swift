import Glibc

/// Making and starting.
extension LocalCluster {
    /// How long a cluster may take until every tablet serves.
    static let startSecondsMax = 60
    static let defaultNodes = 3

    /// What a cluster is asked to be. Nil takes what the folder's cluster was made with, or the
    /// default of a new one.
    struct Request: Sendable {
        var nodes: Int?
        /// The port of the first node, the others follow; nil takes free ports for a new cluster.
        var basePort: Int?
        /// The loopback address that all nodes listen on.
        var host: LoopbackHost?
        var tablets: Int?
        var serveOptions: [String] = []
        /// Where the nodes of a new cluster stand; it says how many there are, too.
        var topology: TopologyFile?
    }

    /// Starts a cluster and returns when every tablet serves; on any error nothing is left running.
    ///
    /// A folder that has a cluster already starts it again as it was made.
    static func start(directory: String, as request: Request) async throws -> LocalCluster {
        let cluster = try make(in: directory, as: request)
        do {
            let members = cluster.layout.nodes.filter { !$0.isToJoin }
            for node in members { try cluster.launch(node) }
            try await cluster.awaitServing(launched: members)
            return try await cluster.joiningWitnesses()
        } catch {
            cluster.kill()
            cluster.forgetIfNeverBegun()
            throw error
        }
    }

    /// Removes the description of a cluster none of whose nodes came as far as to make its
    /// folder, as with a setting that they refuse: the next start may be another one.
    private func forgetIfNeverBegun() {
        let hasBegun = layout.nodes.contains { LocalFile.exists(dataPath(of: $0) + "/node") }
        // What cannot be removed now is in the way of the next start, which says so.
        if !hasBegun { try? LocalFile.remove(LocalCluster.layoutPath(in: directory)) }
    }

    /// Starts a cluster, runs `body` and stops the cluster, also on an error, SIGINT or SIGTERM.
    static func withOwned<Result>(
        directory: String, request: Request,
        _ body: (LocalCluster) async throws -> Result
    ) async throws -> Result {
        // By folder, not by cluster: an interrupt may come while the start is under way.
        try await withInterruptCleanUp {
            try? open(directory: directory).kill()
        } body: {
            let cluster = try await start(directory: directory, as: request)
            do {
                let result = try await body(cluster)
                // Nodes may have come and gone meanwhile.
                try await open(directory: directory).stop()
                return result
            } catch {
                (try? open(directory: directory))?.kill()
                throw error
            }
        }
    }

    /// Settles what the folder's cluster is, writes its description and checks that it can start.
    static func make(in directory: String, as request: Request) throws(ClusterError) -> LocalCluster
    {
        let root = LocalFile.absolute(directory)
        let file = layoutPath(in: root)
        let cluster: LocalCluster
        if LocalFile.exists(file) {
            cluster = LocalCluster(
                directory: root,
                layout: try ClusterLayout.read(from: file).merged(with: request, in: directory))
            let running = cluster.runningNodes.map(\.name)
            guard running.isEmpty else {
                throw .alreadyRunning(directory: directory, nodes: running)
            }
        } else {
            cluster = LocalCluster(directory: root, layout: try ClusterLayout(request))
        }
        for node in cluster.layout.nodes where try !node.canListen {
            throw .portInUse(address: node.address)
        }
        try LocalFile.makeFolder(root)
        try cluster.layout.write(to: file)
        return cluster
    }

    /// Starts the process of one node and notes it. Returns before the node serves.
    func launch(_ node: Node) throws(ClusterError) {
        guard process(of: node) == nil else { throw .nodeAlreadyRunning(name: node.name) }
        try LocalFile.makeFolder(folder(of: node))
        let identity = try ProcessLauncher.launch(
            try ProcessLauncher.ownExecutable(),
            arguments: layout.serveArguments(of: node, data: dataPath(of: node)),
            log: logPath(of: node))
        do throws(ClusterError) {
            try LocalFile.write(identity.fileText, to: pidPath(of: node))
        } catch {
            // Nobody would find it again.
            identity.signal(SIGKILL)
            identity.reap()
            throw error
        }
    }

    /// Waits until a leader serves every tablet.
    ///
    /// - Parameter launched: nodes that were just started, and may be gone already.
    /// - Throws: ``ClusterError/nodeEnded(name:log:)`` as soon as a node's process is gone.
    func awaitServing(launched: [Node] = [], seconds: Int = startSecondsMax) async throws {
        let watched = runningNodes + launched
        var reason = "not asked yet"
        let deadline = ContinuousClock.now + .seconds(seconds)
        try await ClusterProbe.with(self) { probe in
            while ContinuousClock.now < deadline {
                for node in watched where process(of: node) == nil {
                    throw ClusterError.nodeEnded(
                        name: node.name, log: LocalFile.tail(logPath(of: node), lines: 5))
                }
                guard let problem = await probe.problem() else { return }
                reason = problem
                try await Task.sleep(for: .milliseconds(20))
            }
            throw ClusterError.notServing(seconds: seconds, reason: reason)
        }
    }
}

extension ClusterLayout.Node {
    /// Whether it is a witness of a new cluster, which the others have to found first.
    var isToJoin: Bool { witness == true && number == nil }

    /// Whether nobody listens on this node's port of this machine.
    fileprivate var canListen: Bool {
        get throws(ClusterError) {
            guard let port = address.split(separator: ":").last.flatMap({ Int($0) }) else {
                throw .badSetting("\(name)=\(address) has no port")
            }
            return try LoopbackPorts.isFree(port, on: LoopbackHost(ofAddress: address))
        }
    }
}

extension ClusterLayout {
    /// A new cluster on the loopback address.
    fileprivate init(_ request: LocalCluster.Request) throws(ClusterError) {
        let count = request.topology?.nodes.count ?? request.nodes ?? LocalCluster.defaultNodes
        guard (1...ClusterLayout.nodesMax).contains(count) else {
            throw .badSetting("--nodes \(count): between 1 and \(ClusterLayout.nodesMax)")
        }
        let host = request.host ?? .version4
        let ports: [Int]
        if let base = request.basePort {
            guard base >= 1, base + count - 1 <= Int(UInt16.max) else {
                throw .badSetting("--base-port \(base): \(count) ports from 1 to 65535")
            }
            ports = Array(base..<base + count)
        } else {
            ports = try LoopbackPorts.free(count, on: host)
        }
        self.init(
            addresses: ports.map { host.address(port: $0) }, tablets: request.tablets,
            serveOptions: request.serveOptions)
        if let topology = request.topology { spread(over: topology) }
    }

    /// This layout, if the request asks for nothing else; its own serve options replace the old.
    fileprivate func merged(
        with request: LocalCluster.Request, in directory: String
    ) throws(ClusterError) -> ClusterLayout {
        func check<Value: Equatable>(
            _ setting: String, made: Value?, asked: Value?
        ) throws(ClusterError) {
            guard let asked, asked != made else { return }
            throw .madeOtherwise(
                directory: directory, setting: setting,
                made: made.map { "\($0)" } ?? "left to its default", asked: "\(asked)")
        }
        try check("--nodes", made: nodes.count, asked: request.nodes)
        try check("--tablets", made: tablets, asked: request.tablets)
        let firstPort = nodes.first?.address.split(separator: ":").last.flatMap { Int($0) }
        try check("--base-port", made: firstPort, asked: request.basePort)
        let host = nodes.first.map { LoopbackHost(ofAddress: $0.address).rawValue }
        try check("--host", made: host, asked: request.host?.rawValue)
        if let topology = request.topology, !stands(on: topology) {
            throw .madeOtherwise(
                directory: directory, setting: "--topology", made: "of another file",
                asked: "of this one")
        }
        var layout = self
        if !request.serveOptions.isEmpty { layout.serveOptions = request.serveOptions }
        layout.letDistancesBeKept()
        return layout
    }
}
