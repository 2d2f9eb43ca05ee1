package import TenonCore
package import TenonWire

/// What tools ask of the cluster itself.
extension TenonClient {
    /// Nodes, keyspaces and tablets, fresh from whichever node answers.
    package func describe(timeout: Duration? = nil) async throws(TenonError) -> Directory {
        try await describe(deadline: deadline(after: timeout))
    }

    /// What a node says of itself. It is asked once: a node that cannot be reached is
    /// `unavailable` at once.
    package func status(
        of node: NodeID, timeout: Duration? = nil
    ) async throws(TenonError) -> NodeStatus {
        let answer = try await perform(.ask(.status), .node(node), timeout: timeout)
        guard case .status(let status) = answer else { throw answer.isOfTheWrongKind }
        return status
    }

    /// Orders the leader of a tablet to hand over to a node. It has taken the order when this
    /// returns; whether leadership moved shows in the status.
    package func transferLeadership(
        of tablet: TabletID, to node: NodeID, timeout: Duration? = nil
    ) async throws(TenonError) {
        _ = try await perform(
            .ask(.transferLeadership(to: node)), .tablet(tablet), timeout: timeout)
    }

    /// Orders all replicas of a tablet to compute their content digests at one version
    /// (Rule S5). The digests show in the status.
    package func computeContentDigest(
        of tablet: TabletID, timeout: Duration? = nil
    ) async throws(TenonError) {
        _ = try await perform(.ask(.contentDigest), .tablet(tablet), timeout: timeout)
    }

    /// The directory that the client routes by; asked for when there is none yet.
    func directory(deadline: Instant) async throws(TenonError) -> Directory {
        if let directory = loop.directory { return directory }
        return try await describe(deadline: deadline)
    }

    private func describe(deadline: Instant) async throws(TenonError) -> Directory {
        let answer = try await perform(.ask(.describe), .anywhere, deadline: deadline)
        guard case .directory(let directory) = answer else { throw answer.isOfTheWrongKind }
        return directory
    }
}
