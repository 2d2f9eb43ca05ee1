import Foundation
import Glibc
import TenonChecker
import TenonClient
import TenonCore

/// A process that comes under the name of a node and is not that node.
private struct Intruder {
    let process: ProcessIdentity
    let folder: String

    var log: String { folder + "/log" }

    /// Starts `tenon serve` with these arguments; its log is in `folder`.
    init(in folder: String, _ arguments: [String]) throws(ClusterError) {
        self.folder = folder
        process = try ProcessLauncher.launch(
            try ProcessLauncher.ownExecutable(), arguments: arguments, log: folder + "/log")
    }

    /// Kills it and waits for its end; the folder stays.
    func end() async throws(ClusterError) {
        process.signal(SIGKILL)
        guard await process.ends(withinSeconds: LocalCluster.killSecondsMax) else {
            throw .nodeDoesNotEnd(name: "intruder", pid: process.pid)
        }
    }
}

/// Nodes that are not what they say (Rules I1, I2).
extension DrillFault {
    private static let bystandingTime = Duration.seconds(2)

    func intrude(as node: LocalCluster.Node) async throws -> FaultObservation {
        let folder = cluster.directory + "/intruder-\(round)"
        try LocalFile.makeFolder(folder)
        var seen: FaultObservation
        switch plan.injection {
        case .clone: seen = try await clone(node, folder)
        case .rolledBack: seen = try await rollBack(node, folder)
        case .stranger: seen = try await sendStranger(as: node, folder)
        default: seen = try await doctor(node, folder)
        }
        seen.endedAt = DrillClock.now
        try LocalFile.remove(folder)
        return seen
    }

    /// Both begin with the same files, and the node was there first.
    private func clone(
        _ node: LocalCluster.Node, _ folder: String
    ) async throws -> FaultObservation {
        try await cluster.stop(node)
        try copy(cluster.dataPath(of: node), to: folder + "/data")
        try start([node])
        try await awaitWhole()
        return try await knock(as: node, folder, refusedAs: ["cloned", "rolled back"])
    }

    private func sendStranger(
        as node: LocalCluster.Node, _ folder: String
    ) async throws -> FaultObservation {
        let address = try freeAddress()
        let alone = try Intruder(
            in: folder,
            arguments(of: node, folder, at: address, cluster: "\(node.name)=\(address)"))
        do {
            _ = try await withTenonClient(endpoints: [address]) { client in
                try await client.keyspace("default").put("a", "1", timeout: .seconds(30))
            }
        } catch {
            try await alone.end()
            throw error
        }
        try await alone.end()
        // A node of another list does not even start with this one; or the peers tell it.
        return try await knock(
            as: node, folder, refusedAs: ["belongs to cluster", "with another --cluster list"])
    }

    /// Starts the intruder with the files in `folder` and sees it refused, while the node that it
    /// pretends to be serves on.
    private func knock(
        as node: LocalCluster.Node, _ folder: String, refusedAs reasons: [String]
    ) async throws -> FaultObservation {
        var seen = FaultObservation()
        let watch = RefusalWatch(cluster, of: [folder + "/log"])
        let begin = DrillClock.now
        let intruder = try Intruder(
            in: folder,
            arguments(of: node, folder, at: try freeAddress(), cluster: cluster.layout.clusterList))
        let refused = try await refusal(watch, reasons)
        seen.found =
            refused.map { "refused (\($0)) after \(DrillClock.now.since(begin).seconds) s" }
        if refused == nil { seen.problems.append("the intruder was not refused") }
        // Whatever harm it could do from outside it does now.
        try await Task.sleep(for: DrillFault.bystandingTime)
        if cluster.process(of: node) == nil {
            seen.problems.append("\(node.name) itself has ended: \(cluster.lastWords(of: node))")
        }
        try await intruder.end()
        return seen
    }

    /// The node is stopped and comes back with the files of a while ago, as from a copy of its
    /// disk. It is out until its own files are back.
    private func rollBack(
        _ node: LocalCluster.Node, _ folder: String
    ) async throws -> FaultObservation {
        let data = cluster.dataPath(of: node)
        let own = folder + "/own"
        try await cluster.stop(node)
        try copy(data, to: folder + "/old")
        try start([node])
        try await awaitWhole()
        try await Task.sleep(for: plan.duration)
        try await cluster.stop(node)
        try FileManager.default.moveItem(atPath: data, toPath: own)
        try FileManager.default.moveItem(atPath: folder + "/old", toPath: data)
        let watch = RefusalWatch(cluster)
        let begin = DrillClock.now
        try start([node])
        let refused = try await refusal(watch, ["rolled back", "cloned"])
        var seen = FaultObservation()
        seen.found =
            refused.map { "refused (\($0)) after \(DrillClock.now.since(begin).seconds) s" }
        if refused == nil { seen.problems.append("the older files were not refused") }
        try await Task.sleep(for: DrillFault.bystandingTime)
        try await end([node])
        try LocalFile.remove(data)
        try FileManager.default.moveItem(atPath: own, toPath: data)
        try start([node])
        return seen
    }

    /// Alone with its list it would be a majority.
    private func doctor(
        _ node: LocalCluster.Node, _ folder: String
    ) async throws -> FaultObservation {
        try await cluster.stop(node)
        let begin = DrillClock.now
        var arguments = cluster.layout.serveArguments(of: node, data: cluster.dataPath(of: node))
        if let place = arguments.firstIndex(of: "--cluster") {
            arguments[place + 1] = "\(node.name)=\(node.address)"
        }
        let intruder = try Intruder(in: folder, arguments)
        var seen = FaultObservation()
        if await intruder.process.ends(withinSeconds: DrillFault.refusalSecondsMax) {
            let words = LocalFile.tail(intruder.log, lines: 1)
            seen.found = "ended after \(DrillClock.now.since(begin).seconds) s: \(words)"
        } else {
            seen.problems.append("\(node.name) runs with a list of its own")
            try await intruder.end()
        }
        try start([node])
        return seen
    }

    // MARK: What they need

    /// The first of `reasons` that a log gives; nil when none does in time.
    private func refusal(_ watch: RefusalWatch, _ reasons: [String]) async throws -> String? {
        let deadline = ContinuousClock.now + .seconds(DrillFault.refusalSecondsMax)
        while ContinuousClock.now < deadline {
            if let reason = reasons.first(where: watch.hasSeen) { return reason }
            // The pace of the questions.
            try await Task.sleep(for: .milliseconds(20))
        }
        return nil
    }

    private func arguments(
        of node: LocalCluster.Node, _ folder: String, at address: String, cluster list: String
    ) -> [String] {
        var arguments = [
            "serve", "--name", node.name, "--data", folder + "/data", "--listen", address,
            "--cluster", list,
        ]
        if let tablets = cluster.layout.tablets { arguments += ["--tablets", String(tablets)] }
        return arguments + cluster.layout.serveOptions
    }

    private func freeAddress() throws(ClusterError) -> String {
        let host = LoopbackHost(ofAddress: cluster.layout.nodes.first?.address ?? "")
        return host.address(port: try LoopbackPorts.free(1, on: host)[0])
    }

    private func copy(_ folder: String, to copy: String) throws {
        try FileManager.default.copyItem(atPath: folder, toPath: copy)
    }
}
