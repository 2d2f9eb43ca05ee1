internal import TenonCore
internal import TenonNode
package import TenonWire

/// What goes wrong in a simulated cluster.
extension SimulatedCluster {
    // MARK: Processes

    /// kill -9: the process is gone, its page cache stays, its connections are reset.
    package func crash(_ node: Int) {
        let host = host(node)
        guard host.isRunning else { return }
        endProcess(host)
        host.disk.crashProcess()
        observer?.ended(host, isPowerCut: false)
    }

    /// SIGTERM: the node lets go of what it leads, and its process ends a moment later.
    package func stop(_ node: Int) {
        guard let process = host(node).process else { return }
        process.node.prepareToStop(now: process.host.clock.local(at: now))
        want(turnOf: process)
        schedule(after: .milliseconds(300), for: process) { [unowned self] in crash(node) }
    }

    /// The machine loses its power: the log write under way is torn, what was not synced is lost
    /// but for what `survival` says, and nobody is told.
    package func cutPower(_ node: Int, keeping survival: Survival = .random) {
        let host = host(node)
        if let process = host.process, let work = process.logWork {
            host.disk.crashAfter(operations: Int(generator.below(4)))
            _ = SimulatedCluster.run(work, on: process.log)
        }
        host.isDark = true
        endProcess(host)
        host.disk.cutPower(keeping: survival)
        observer?.ended(host, isPowerCut: true)
    }

    /// Ends the process. Whoever was connected learns it, but from a dark host only in time.
    func endProcess(_ host: SimulatedHost) {
        guard let process = host.process else { return }
        host.process = nil
        host.isPaused = false
        host.backlog = []
        for link in links where link.from === host {
            link.state = .down
            link.generation += 1
            link.held = []
            link.pause = SimulatedLink.pauseMin
        }
        for link in links where link.to === host { loseOtherEnd(link, isDark: host.isDark) }
        for link in connections where link.process === process {
            link.endedByProcess(isDark: host.isDark)
        }
        connections.removeAll { $0.process === process }
        process.clientLinks = [:]
    }

    private func loseOtherEnd(_ link: SimulatedLink, isDark: Bool) {
        guard isDark else {
            return breakLink(link, "reset: the process is gone", isReset: true)
        }
        let generation = link.generation
        schedule(after: SimulatedCluster.silenceTimeout) { [unowned self] in
            guard link.generation == generation else { return }
            breakLink(link, "silent", isReset: false)
        }
    }

    /// SIGSTOP: connections stay, what arrives waits.
    package func pause(_ node: Int) {
        if host(node).isRunning { host(node).isPaused = true }
    }

    /// SIGCONT: everything that waited happens now, in order.
    package func resume(_ node: Int) {
        let host = host(node)
        guard host.isPaused, let process = host.process else { return }
        host.isPaused = false
        let backlog = host.backlog
        host.backlog = []
        for action in backlog { schedule(after: .zero, for: process, action) }
    }

    // MARK: Links

    /// Cuts the way from one node to another; 0 stands for all clients. Frames are held back.
    /// With `isBreaking`, connections that send this way break after a second.
    package func cut(from: Int, to: Int, isBreaking: Bool = false) {
        let way = Way(from: NodeID(UInt32(from)), to: NodeID(UInt32(to)))
        cuts.insert(way)
        guard isBreaking else { return }
        for link in links where link.way == way {
            let generation = link.generation
            schedule(after: .seconds(1)) { [unowned self] in
                guard link.generation == generation else { return }
                breakLink(link, "no answer", isReset: false)
            }
        }
    }

    /// Cuts a node off from all others, and from clients when asked.
    package func isolate(_ node: Int, fromClients: Bool = true, isBreaking: Bool = false) {
        for other in hosts where other.id != NodeID(UInt32(node)) {
            cut(from: node, to: Int(other.id.rawValue), isBreaking: isBreaking)
            cut(from: Int(other.id.rawValue), to: node, isBreaking: isBreaking)
        }
        guard fromClients else { return }
        cut(from: 0, to: node)
        cut(from: node, to: 0)
    }

    /// Heals these ways: what was held back on them arrives.
    package func heal(_ ways: [(from: Int, to: Int)]) {
        for (from, to) in ways {
            cuts.remove(Way(from: NodeID(UInt32(from)), to: NodeID(UInt32(to))))
        }
        for link in links where !cuts.contains(link.way) {
            let held = link.held
            link.held = []
            for bytes in held { carry(bytes, link) }
        }
        for link in connections { link.heal() }
    }

    /// Resets every connection of clients to a node.
    package func resetClients(of node: Int) {
        for link in connections where link.process.host === host(node) { link.reset() }
    }

    /// Heals every way: what was held back arrives.
    package func heal() {
        cuts.removeAll()
        for link in links {
            let held = link.held
            link.held = []
            for bytes in held { carry(bytes, link) }
        }
        for link in connections { link.heal() }
    }

    /// Puts bytes of no sense on a link that is up.
    package func sendGarbage(_ bytes: [UInt8], from: Int, to: Int, _ stream: PeerStream) {
        send(bytes, from: host(from), to: NodeID(UInt32(to)), stream)
    }

    /// Whether the link from one node to another is up.
    package func isUp(from: Int, to: Int, _ stream: PeerStream = .consensus) -> Bool {
        links.contains {
            $0.from === host(from) && $0.to === host(to) && $0.stream == stream
                && $0.state == .up
        }
    }
}
