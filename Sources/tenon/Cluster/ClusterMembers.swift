import ArgumentParser

struct ClusterAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Start one more node, which joins the cluster.",
        discussion: """
            Replicas come to it when tablets want more voters than there were nodes, or when a \
            node is removed.

            EXAMPLE
              tenon cluster add
            """)

    @OptionGroup var folder: ClusterFolder

    func run() async throws {
        try await reportingClusterErrors {
            let cluster = try LocalCluster.open(directory: folder.directory)
            let added = try await cluster.adding()
            print("\(added.node.name) at \(added.node.address) joined")
        }
    }
}

struct ClusterRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Make a node's replicas again elsewhere and take it out of the cluster.",
        discussion: """
            The node may run or be gone for good. Its files stay where they are.

            EXAMPLE
              tenon cluster add && tenon cluster remove n1 --replacement n4
            """)

    @Argument(help: "The node that goes.")
    var node: String

    @Option(help: "The node that takes its place.")
    var replacement: String?

    @OptionGroup var folder: ClusterFolder

    func run() async throws {
        try await reportingClusterErrors {
            let cluster = try LocalCluster.open(directory: folder.directory)
            let other = try replacement.map { name throws(ClusterError) in
                try cluster.node(name)
            }
            _ = try await cluster.removing(try cluster.node(node), replacement: other)
            print("\(node) is no member any more")
        }
    }
}
