import ArgumentParser
import TenonNode
import TenonServer

struct RecoverLocal: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "local",
        abstract:
            "All steps for a cluster of this machine (this is what `tenon recover` alone does).",
        discussion: """
            Without --confirm it says what it would do; the survivors must be stopped for that
            (tenon cluster kill NODE). With it the survivors are stopped, recovered and started.

            EXAMPLE
              tenon recover --dir ./.tenon --lost n1,n3
              tenon recover --dir ./.tenon --lost n1,n3 --confirm 'recover … losing n1,n3'
            """)

    @OptionGroup var folder: ClusterFolder
    @OptionGroup var loss: LossOptions

    @Option(help: "The text that the dry run printed: then it is done.")
    var confirm: String?

    @Flag(help: "Print the plan as JSON instead of text.")
    var json = false

    func run() async throws {
        try await reportingRecoveryErrors {
            let cluster = try LocalCluster.open(directory: folder.directory)
            guard confirm != nil else {
                let plan = try await loss.plan(try cluster.survivorReports(lost: loss.names))
                print(json ? plan.json.text : plan.text)
                if !json { print("\nTo do it: --confirm '\(plan.confirmation)'") }
                return
            }
            let (recovered, plan) = try await cluster.recover(loss, confirm)
            print(json ? plan.json.text : plan.text)
            if !json {
                let names = recovered.nodeNames.joined(separator: ", ")
                print("\nrecovered: \(names) serve; add nodes: tenon cluster add")
            }
        }
    }
}

extension LocalCluster {
    /// Stops the survivors, goes on from them without the lost nodes, and starts them again.
    ///
    /// - Parameter confirmation: what the operator typed; nil where nobody is to be asked.
    /// - Returns: the cluster without the lost nodes, which serves, and what was done.
    func recover(
        _ loss: LossOptions, _ confirmation: String?
    ) async throws -> (cluster: LocalCluster, plan: RecoveryPlan) {
        for node in survivors(of: loss.names) { try await stop(node) }
        let plan = try await loss.plan(try survivorReports(lost: loss.names))
        if let confirmation, confirmation != plan.confirmation {
            throw InputError(
                "nothing was done, and the survivors are stopped: give --confirm "
                    + "'\(plan.confirmation)'")
        }
        let recovered = try recovered(by: plan)
        for node in recovered.layout.nodes { try recovered.launch(node) }
        if plan.abandoned.isEmpty {
            try await recovered.awaitServing(launched: recovered.layout.nodes)
        }
        return (recovered, plan)
    }

    /// The same of a drill, which needs no confirmation.
    func recover(
        losing names: [String]
    ) async throws -> (cluster: LocalCluster, plan: RecoveryPlan) {
        try await recover(LossOptions.parse(["--lost", names.joined(separator: ",")]), nil)
    }

    func survivors(of lost: [String]) -> [Node] {
        layout.nodes.filter { !lost.contains($0.name) }
    }

    /// What the folders of all nodes hold that are not lost. None of them may run.
    func survivorReports(lost: [String]) throws -> [SurvivorReport] {
        try survivors(of: lost).map {
            try SurvivorReport.read(dataPath(of: $0), fileSystem: PosixFileSystem())
        }
    }

    /// Carries the plan out in the survivors' folders.
    ///
    /// - Returns: the cluster without the lost nodes, written down. Its nodes do not run yet.
    func recovered(by plan: RecoveryPlan) throws -> LocalCluster {
        let lost = plan.lost.map(\.name)
        for node in survivors(of: lost) {
            _ = try FolderRecovery.apply(
                plan, to: dataPath(of: node), fileSystem: PosixFileSystem())
        }
        var cluster = self
        cluster.layout.founders = layout.founders ?? layout.nodes
        cluster.layout.nodes = survivors(of: lost)
        try cluster.layout.write(to: LocalCluster.layoutPath(in: directory))
        return cluster
    }
}
