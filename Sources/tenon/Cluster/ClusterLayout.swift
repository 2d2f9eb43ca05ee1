import Foundation
import TenonCore

/// How a local cluster was made, kept in `DIR/cluster.json`, so that every later start of a node
/// is like its first.
struct ClusterLayout: Hashable, Codable, Sendable {
    struct Node: Hashable, Codable, Sendable {
        /// `n1`, `n2`, …
        var name: String
        /// `HOST:PORT`.
        var address: String
        /// The number that the directory gave to one that joined; nil for a founder, whose number
        /// is its place among them.
        var number: UInt32?
        /// As `tenon serve --locality` takes it; nil for nowhere in particular.
        var locality: String?
        /// As `tenon serve --distances` takes it; nil for none.
        var distances: String?
        /// Whether it joined as a witness; nil when not.
        var witness: Bool?
    }

    /// Raised when a reader must know of a change.
    var format = 1
    /// In the order of their names' numbers.
    var nodes: [Node]
    /// Those it began with, once nodes came or went; nil while they are ``nodes``.
    var founders: [Node]?
    /// Data tablets; nil leaves it to the node's default.
    var tablets: Int?
    /// More arguments for each `tenon serve`, as on a command line.
    var serveOptions: [String]

    static let newestFormat = 1
    /// A local cluster is for trying and testing: more processes than this help nobody.
    static let nodesMax = 9

    init(addresses: [String], tablets: Int?, serveOptions: [String]) {
        nodes = addresses.enumerated().map { place, address in
            Node(name: "n\(place + 1)", address: address)
        }
        self.tablets = tablets
        self.serveOptions = serveOptions
    }

    /// Puts the nodes where `topology` has them. Distances are kept by the nodes themselves, which
    /// take orders then.
    mutating func spread(over topology: TopologyFile) {
        for (place, node) in topology.nodes.enumerated() {
            nodes[place].locality = node.locality
            nodes[place].witness = node.witness == true ? true : nil
            let distances = topology.distances(of: node)
            nodes[place].distances = distances.isEmpty ? nil : distances
        }
        // Witnesses join those that found.
        let data = nodes.filter { $0.witness == nil }
        if data.count < nodes.count, founders == nil { founders = data }
        letDistancesBeKept()
    }

    /// Nodes with distances are nodes that take orders to be faulty.
    mutating func letDistancesBeKept() {
        guard nodes.contains(where: { $0.distances != nil }), !takesFaults else { return }
        serveOptions.append(ClusterLayout.faultInjection)
    }

    /// Whether it was made of this very topology.
    func stands(on topology: TopologyFile) -> Bool {
        guard topology.nodes.count == nodes.count else { return false }
        var spread = self
        spread.spread(over: topology)
        return spread.nodes == nodes
    }

    /// Where its nodes with data stand, in the order of names; empty when nobody said.
    var cities: [String] {
        Set(nodes.filter { $0.witness == nil }.compactMap { $0.domain(at: .city) }).sorted()
    }

    /// The `--cluster` list of the founders, equal on all of them.
    var clusterList: String {
        (founders ?? nodes).map { "\($0.name)=\($0.address)" }.joined(separator: ",")
    }

    /// What clients are given as `--endpoints`.
    var endpoints: [String] { nodes.map(\.address) }

    /// The arguments of one node's process.
    func serveArguments(of node: Node, data: String) -> [String] {
        var arguments = [
            "serve", "--name", node.name, "--data", data, "--listen", node.address,
        ]
        if isFounder(node) {
            arguments += ["--cluster", clusterList]
            if let tablets { arguments += ["--tablets", String(tablets)] }
        } else {
            let others = nodes.filter { $0.name != node.name }.map(\.address)
            arguments += ["--join", others.joined(separator: ",")]
            if node.witness == true { arguments.append("--witness") }
        }
        if let locality = node.locality { arguments += ["--locality", locality] }
        if let distances = node.distances { arguments += ["--distances", distances] }
        return arguments + serveOptions
    }

    /// Whether the cluster began with the node.
    func isFounder(_ node: Node) -> Bool {
        (founders ?? nodes).contains { $0.name == node.name }
    }

    /// The number that the cluster knows the node by; nil while it has not joined.
    func number(of node: Node) -> NodeID? {
        if let number = node.number { return NodeID(number) }
        // Founders are numbered by the rank of their names (interfaces, "Files").
        let ranks = (founders ?? nodes).map(\.name).sorted()
        return ranks.firstIndex(of: node.name).map { NodeID(UInt32($0 + 1)) }
    }

    /// The settings `KEY=VALUE` (or `KEY` alone) as arguments of `tenon serve`.
    static func serveOptions(settings: [String]) throws(ClusterError) -> [String] {
        var arguments: [String] = []
        for setting in settings {
            let parts = setting.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = parts.first, !key.isEmpty, !key.hasPrefix("-") else {
                throw .badSetting("--serve-option \(setting): give KEY=VALUE, as retention=1s")
            }
            guard !reservedSettings.contains(String(key)) else {
                throw .badSetting("--serve-option \(key): the cluster sets this itself")
            }
            arguments.append("--\(key)")
            if parts.count == 2 { arguments.append(String(parts[1])) }
        }
        return arguments
    }

    /// The argument that lets a node take orders to be faulty.
    static let faultInjection = "--enable-fault-injection"

    /// Whether its nodes do.
    var takesFaults: Bool { serveOptions.contains(ClusterLayout.faultInjection) }

    private static let reservedSettings = ["name", "data", "listen", "cluster", "tablets"]
}

extension ClusterLayout.Node {
    /// What the node is lost with, a room with its city before it; nil when it does not say.
    func domain(at level: FailureLevel) -> String? {
        guard level > .node else { return name }
        let levels = FailureLevel.allCases.filter { $0 >= level }.reversed()
        let place = try? Locality(parsing: locality ?? "")
        let names = levels.compactMap { place?.name(at: $0.name) }
        return names.count == levels.count ? names.joined(separator: "/") : nil
    }
}

extension ClusterLayout {
    static func read(from path: String) throws(ClusterError) -> ClusterLayout {
        let text = try LocalFile.read(path)
        let layout: ClusterLayout
        do {
            layout = try JSONDecoder().decode(ClusterLayout.self, from: Data(text.utf8))
        } catch {
            throw .badFile(path: path, reason: "not a cluster's description: \(error)")
        }
        guard layout.format == newestFormat else {
            throw .badFile(
                path: path, reason: "format \(layout.format); this program reads \(newestFormat)")
        }
        guard (1...nodesMax).contains(layout.nodes.count) else {
            throw .badFile(path: path, reason: "\(layout.nodes.count) nodes")
        }
        return layout
    }

    func write(to path: String) throws(ClusterError) {
        try LocalFile.write(try JSONText.encode(self, pretty: true) + "\n", to: path)
    }
}

/// Values as JSON text, keys in a fixed order.
enum JSONText {
    static func encode(_ value: some Encodable, pretty: Bool) throws(ClusterError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            pretty
            ? [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
            : [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        } catch {
            throw .badSetting("cannot be written as JSON: \(error)")
        }
    }
}
