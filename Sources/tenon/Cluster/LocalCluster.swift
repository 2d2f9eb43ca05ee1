/// The nodes of one machine under one folder: `DIR/cluster.json` and `DIR/nK/{data,log,pid}`.
///
/// A value without state of its own: what runs is what the pid files and `/proc` say, so any
/// process may open the same folder and act on it. Nodes have sessions of their own and outlive
/// whoever started them; who starts a cluster for a while uses ``withOwned(directory:nodes:…)``.
struct LocalCluster: Hashable, Sendable {
    /// From the root.
    let directory: String
    var layout: ClusterLayout

    typealias Node = ClusterLayout.Node

    /// What clients are given as `--endpoints`.
    var endpoints: [String] { layout.endpoints }
    var nodeNames: [String] { layout.nodes.map(\.name) }

    /// Opens the cluster of a folder, whether its nodes run or not.
    static func open(directory: String) throws(ClusterError) -> LocalCluster {
        let root = LocalFile.absolute(directory)
        let file = layoutPath(in: root)
        guard LocalFile.exists(file) else { throw .noCluster(directory: directory) }
        return LocalCluster(directory: root, layout: try ClusterLayout.read(from: file))
    }

    /// Whether a folder holds a cluster of which at least one node runs.
    static func runs(in directory: String) -> Bool {
        guard let cluster = try? open(directory: directory) else { return false }
        return !cluster.runningNodes.isEmpty
    }

    /// The node `name`; `leader` names the one that leads most tablets.
    func node(_ name: String) throws(ClusterError) -> Node {
        guard let node = layout.nodes.first(where: { $0.name == name }) else {
            throw .noSuchNode(name: name, known: nodeNames)
        }
        return node
    }

    /// The process of a node; nil when it has none, or its pid file names one that is gone.
    func process(of node: Node) -> ProcessIdentity? {
        guard let text = try? LocalFile.read(pidPath(of: node)),
            let identity = ProcessIdentity(fileText: text), identity.state != .ended
        else { return nil }
        return identity
    }

    func state(of node: Node) -> ProcessState { process(of: node)?.state ?? .ended }

    var runningNodes: [Node] { layout.nodes.filter { process(of: $0) != nil } }

    func folder(of node: Node) -> String { directory + "/" + node.name }
    func dataPath(of node: Node) -> String { folder(of: node) + "/data" }
    func logPath(of node: Node) -> String { folder(of: node) + "/log" }
    func pidPath(of node: Node) -> String { folder(of: node) + "/pid" }

    static func layoutPath(in directory: String) -> String { directory + "/cluster.json" }
}
