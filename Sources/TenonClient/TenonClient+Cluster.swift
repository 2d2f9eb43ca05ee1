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

    /// Gives an order to the directory's leader. It is written down when this returns; what it
    /// sets in motion shows in the directory.
    ///
    /// - Throws: `.invalid` with what to change; `.unavailable` while the directory has no leader.
    package func direct(
        _ order: DirectoryOrder, timeout: Duration? = nil
    ) async throws(TenonError) {
        let deadline = deadline(after: timeout)
        for _ in 0..<TenonClient.conflictsMax {
            let answer = try await perform(
                .ask(.direct(order)), .tablet(.directory), deadline: deadline)
            // Another change came in between when the transaction did not succeed.
            if case .outcome(.transaction(_, false, _), _) = answer { continue }
            return
        }
        throw TenonError(
            .unavailable, .notApplied, "the directory changes all the time: try again later")
    }

    /// How often an order is given again when the directory changed under it.
    private static let conflictsMax = 20

    /// Tells a node that an operator takes the time that the clocks show for right (Rule S2). The
    /// other nodes learn it from there.
    package func acceptClock(
        of node: NodeID, timeout: Duration? = nil
    ) async throws(TenonError) {
        _ = try await perform(.ask(.acceptClock), .node(node), timeout: timeout)
    }

    /// Orders all replicas of a tablet to compute their content digests at one version
    /// (Rule S5). The digests show in the status.
    package func computeContentDigest(
        of tablet: TabletID, timeout: Duration? = nil
    ) async throws(TenonError) {
        _ = try await perform(.ask(.contentDigest), .tablet(tablet), timeout: timeout)
    }

    /// Orders a node to be faulty, for a test.
    ///
    /// - Throws: ``TenonError/Kind/denied`` when it was not started with
    ///   `--enable-fault-injection`.
    package func injectFault(
        _ order: FaultOrder, on node: NodeID, timeout: Duration? = nil
    ) async throws(TenonError) {
        _ = try await perform(.ask(.injectFault(order)), .node(node), timeout: timeout)
    }

    /// Ends all faults that a node was ordered to have.
    package func clearFaults(
        on node: NodeID, timeout: Duration? = nil
    ) async throws(TenonError) {
        _ = try await perform(.ask(.clearFaults), .node(node), timeout: timeout)
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
