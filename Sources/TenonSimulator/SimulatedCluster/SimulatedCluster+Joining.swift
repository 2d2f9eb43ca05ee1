package import TenonCore
internal import TenonNode
package import TenonWire

/// Nodes that join and leave, as an operator has them do it.
extension SimulatedCluster {
    /// The name of the node on a machine: a node that was removed comes back under another one.
    func nodeName(of host: SimulatedHost) -> String {
        host.lives == 0 ? host.name : "\(host.name)-\(host.lives)"
    }

    /// Gives an order to the directory and waits; nil when it was carried out, otherwise why not.
    package func direct(
        _ order: DirectoryOrder, within timeout: TimeSpan = .seconds(10)
    ) -> String? {
        switch call(.direct(order), tablet: .directory, within: timeout) {
        case .answer(.done): return nil
        case .answer(.outcome(.transaction(_, let succeeded, _), _)):
            return succeeded ? nil : "the directory changed meanwhile"
        case .notApplied(let refusal), .unknown(let refusal):
            return refusal?.message ?? "no answer"
        case .answer(let other): return "answered \(other)"
        }
    }

    /// What the leader of the directory knows; nil while nobody leads it.
    package var directory: Directory? {
        guard let leader = leader(of: .directory),
            case .directory(let directory)? = ask(leader, .describe)
        else { return nil }
        return directory
    }

    /// Makes the node of a spare machine a member, and starts it.
    ///
    /// - Returns: nil when it runs, otherwise why it could not join.
    package func join(_ node: Int, within timeout: TimeSpan = .seconds(10)) -> String? {
        let host = host(node)
        precondition(host.isJoining && !host.isRunning, "\(host.name) is no spare machine")
        do {
            var folder = try NodeFolder.open(
                fileSystem: host.disk, directory: SimulatedHost.directory,
                configuration: configuration(of: host), generator: &generator)
            if folder.identity.cluster == .none {
                let order = DirectoryOrder.join(
                    name: nodeName(of: host), address: "10.0.0.\(host.id):7501",
                    locality: configuration(of: host).locality,
                    folder: folder.identity.folder, isWitness: host.isWitness)
                if let problem = direct(order, within: timeout) { return problem }
                var joined: Directory?
                let isThere = run(within: timeout, every: .milliseconds(20)) {
                    joined = directory
                    return joined?.node(named: nodeName(of: host)) != nil
                }
                guard isThere, let joined, let own = joined.node(named: nodeName(of: host)) else {
                    return "the directory does not show \(host.name)"
                }
                try folder.join(as: own.id, joined)
            }
            host.nodeID = folder.identity.node
        } catch {
            return "\(error)"
        }
        return start(node) ? nil : host.endReason ?? "it does not start"
    }

    /// Empties a machine whose node was removed, so that another may join from it.
    package func reuse(_ node: Int) {
        let host = host(node)
        if host.isRunning { crash(node) }
        host.lives += 1
        host.isJoining = true
        host.nodeID = NodeID(0)
        host.disk = SimulatedDisk(seed: generator.next())
    }
}
