import Glibc

/// Stopping, killing, pausing and bringing back.
extension LocalCluster {
    /// How long a node may take to end after SIGTERM before it is killed.
    static let stopSecondsMax = 15
    /// How long the kernel may take to end a killed process.
    static let killSecondsMax = 10

    /// Stops all nodes: SIGTERM to each, SIGKILL to what has not ended in time.
    ///
    /// Returns the names of those that had to be killed. Nothing runs when it returns.
    @discardableResult
    func stop() async throws -> [String] {
        let running = layout.nodes.compactMap { node in
            process(of: node).map { (node: node, process: $0) }
        }
        for (_, process) in running {
            process.signal(SIGTERM)
            process.signal(SIGCONT)  // a paused process takes no other signal
        }
        var killed: [String] = []
        for (node, process) in running {
            if await process.ends(withinSeconds: LocalCluster.stopSecondsMax) { continue }
            killed.append(node.name)
            try await kill(node)
        }
        for node in layout.nodes { try LocalFile.remove(pidPath(of: node)) }
        return killed
    }

    /// Kills all nodes at once. For the end of a run that failed: it waits for nothing and throws
    /// nothing.
    func kill() {
        for node in layout.nodes { process(of: node)?.signal(SIGKILL) }
    }

    /// SIGKILL; returns when the process is gone.
    func kill(_ node: Node) async throws {
        let process = try running(node)
        process.signal(SIGKILL)
        guard await process.ends(withinSeconds: LocalCluster.killSecondsMax) else {
            throw ClusterError.nodeDoesNotEnd(name: node.name, pid: process.pid)
        }
        try LocalFile.remove(pidPath(of: node))
    }

    /// SIGSTOP: the process stands still, its connections stay open, the kernel still acknowledges
    /// what arrives for it.
    func pause(_ node: Node) async throws {
        let process = try running(node)
        process.signal(SIGSTOP)
        _ = await process.reaches(.paused, withinSeconds: LocalCluster.killSecondsMax)
    }

    /// SIGCONT.
    func resume(_ node: Node) throws(ClusterError) {
        try running(node).signal(SIGCONT)
    }

    /// Starts a node's process anew, after a graceful stop when it runs.
    func restart(_ node: Node) async throws {
        try await stop(node)
        try launch(node)
    }

    /// SIGTERM to a node that runs, SIGKILL when it has not ended in time.
    func stop(_ node: Node) async throws {
        guard let process = process(of: node) else { return }
        process.signal(SIGTERM)
        process.signal(SIGCONT)
        if await !process.ends(withinSeconds: LocalCluster.stopSecondsMax) {
            try await kill(node)
        }
        try LocalFile.remove(pidPath(of: node))
    }

    /// Whether the node's process ends by itself in time.
    func ends(_ node: Node, withinSeconds seconds: Int) async throws -> Bool {
        guard let process = process(of: node) else { return true }
        guard await process.ends(withinSeconds: seconds) else { return false }
        try LocalFile.remove(pidPath(of: node))
        return true
    }

    private func running(_ node: Node) throws(ClusterError) -> ProcessIdentity {
        guard let process = process(of: node) else { throw .nodeNotRunning(name: node.name) }
        return process
    }
}

extension ProcessIdentity {
    /// Waits until the process is over and takes its exit status if it is a child of ours.
    func ends(withinSeconds seconds: Int) async -> Bool {
        let hasEnded = await reaches(.ended, withinSeconds: seconds)
        if hasEnded { reap() }
        return hasEnded
    }

    /// The kernel tells only a parent of an end, and nodes are mostly not our children: so it is
    /// asked again and again.
    fileprivate func reaches(_ state: ProcessState, withinSeconds seconds: Int) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while self.state != state {
            guard ContinuousClock.now < deadline else { return false }
            // Cancellation must not cut the wait short: what follows relies on the end.
            _ = try? await Task.sleep(for: .milliseconds(2))
        }
        return true
    }
}
