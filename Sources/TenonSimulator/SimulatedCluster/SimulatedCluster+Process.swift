internal import TenonCore
internal import TenonLog
internal import TenonNode
internal import TenonWire

/// Starting nodes, and doing what they order: the simulated counterpart of the server's loop.
extension SimulatedCluster {
    /// Starts the process of a host over what its disk holds.
    ///
    /// - Returns: whether it started; ``SimulatedHost/endReason`` says why not.
    @discardableResult
    package func start(_ node: Int) -> Bool {
        let host = host(node)
        precondition(host.process == nil, "\(host.name) runs already")
        host.endReason = nil
        host.isDark = false
        do {
            host.process = try open(host)
        } catch {
            if dieInWrite(host) { return false }
            host.endReason = "\(error)"
            host.disk.crashProcess()
            return false
        }
        guard let process = host.process else { return false }
        observer?.started(host)
        want(turnOf: process)
        for link in links where link.from === host { dial(link) }
        for link in links where link.to === host { noticeRestart(link) }
        return true
    }

    package func startAll() {
        for host in hosts where !host.isRunning && host.nodeID != NodeID(0) {
            start(Int(host.id.rawValue))
        }
    }

    private func open(_ host: SimulatedHost) throws -> SimulatedProcess {
        let configuration = configuration(of: host)
        try configuration.validate()
        let folder = try NodeFolder.open(
            fileSystem: host.disk, directory: SimulatedHost.directory,
            configuration: configuration, generator: &generator)
        let (log, recovery) = try Log.open(
            fileSystem: host.disk, directory: folder.logDirectory, configuration: options.log)
        observer?.opened(host, recovery)
        // The server zeroes the reserve little by little; here it is there from the start.
        if options.isLogReserved { while try log.prepareAhead() {} }
        let start = try NodeStart(
            configuration: configuration, folder: folder, fileSystem: host.disk,
            recovery: recovery, logStatus: log.status, seed: generator.next(),
            now: host.clock.local(at: now))
        host.notices += start.notices
        let node = Node(start: start, now: host.clock.local(at: now))
        return SimulatedProcess(host: host, node: node, log: log, folder: folder)
    }

    // MARK: Turns

    /// Between an event and the turn that closes it: what arrives meanwhile shares the turn.
    private static let turnDelay = TimeSpan.microseconds(20)

    func want(turnOf process: SimulatedProcess) {
        guard !process.isTurnScheduled else { return }
        process.isTurnScheduled = true
        schedule(after: SimulatedCluster.turnDelay, for: process) { [unowned self] in
            process.isTurnScheduled = false
            turn(process)
        }
    }

    private func turn(_ process: SimulatedProcess) {
        let effects = process.node.turn(
            now: process.host.clock.local(at: now), wallTime: wallTime(of: process.host))
        observer?.turned(process.host, effects)
        perform(effects, of: process)
        guard process.host.process === process else { return }
        if process.node.wantsAnotherTurn { want(turnOf: process) }
        setTimer(process)
    }

    private func setTimer(_ process: SimulatedProcess) {
        let deadline = process.host.clock.moment(at: process.node.nextDeadline)
        let due = max(deadline, now + .milliseconds(1))
        guard due < process.timerDue else { return }
        process.timerDue = due
        schedule(at: due, for: process) { [unowned self] in
            // One that came earlier has set another since.
            guard process.timerDue == due else { return }
            process.timerDue = .distantFuture
            want(turnOf: process)
        }
    }

    // MARK: Effects

    private func perform(_ effects: Effects, of process: SimulatedProcess) {
        process.host.notices += effects.notices
        if let reason = effects.halt { return halt(process, reason) }
        if let work = effects.logWork { start(work, process) }
        for output in effects.peerOutput {
            send(output.bytes, from: process.host, to: output.node, output.stream)
        }
        for output in effects.clientOutput {
            process.clientLinks[output.connection]?.sendToClient(output.bytes)
        }
        for job in effects.jobs { start(job, process) }
        for (connection, _) in effects.clientsToClose {
            process.clientLinks[connection]?.closeByNode()
        }
        for (peer, reason) in effects.peersToClose {
            for link in links where link.from.nodeID == peer && link.to === process.host {
                breakLink(link, reason, isReset: true)
            }
        }
    }

    private func halt(_ process: SimulatedProcess, _ reason: String) {
        process.host.endReason = reason
        // What cannot be written down is found out at the next meeting, as in the server.
        try? process.node.recordFence()
        endProcess(process.host)
        process.host.disk.crashProcess()
        observer?.ended(process.host, isPowerCut: false)
    }

    /// Ends the machine whose disk has just let it die in the middle of an operation.
    private func dieInWrite(_ host: SimulatedHost) -> Bool {
        guard host.disk.isCrashed else { return false }
        if let survival = host.survivalInWrite {
            host.isDark = true
            endProcess(host)
            host.disk.cutPower(keeping: survival)
        } else {
            endProcess(host)
            host.disk.crashProcess()
        }
        observer?.ended(host, isPowerCut: host.survivalInWrite != nil)
        return true
    }

    private func start(_ work: LogWork, _ process: SimulatedProcess) {
        let delay = draw(options.logDelay)
        process.logWork = work
        observer?.logBegins(work, on: process.host)
        let begin = max(now, process.host.diskStallsUntil) + delay / 2
        schedule(at: begin, for: process) { [unowned self] in
            process.logWork = nil
            let result = SimulatedCluster.run(work, on: process.log)
            if dieInWrite(process.host) { return }
            observer?.logEnded(work, on: process.host, result)
            schedule(after: delay / 2, for: process) { [unowned self] in
                process.node.logFinished(result, now: process.host.clock.local(at: now))
                want(turnOf: process)
            }
        }
    }

    static func run(_ work: LogWork, on log: Log) -> LogResult {
        do throws(LogError) {
            switch work {
            case .append(let records): try log.append(records)
            case .seal: try log.sealIfNeeded()
            }
            return LogResult(failure: nil, status: log.status, needsSeal: log.needsSeal)
        } catch {
            return LogResult(failure: error, status: log.status, needsSeal: false)
        }
    }

    private func start(_ job: BackgroundJob, _ process: SimulatedProcess) {
        let laneFree = job.lane == .read ? process.readLaneFree : process.bulkLaneFree
        let begin = max(now, laneFree, process.host.diskStallsUntil)
        let end = begin + draw(options.jobDelay)
        switch job.lane {
        case .read: process.readLaneFree = end
        case .bulk: process.bulkLaneFree = end
        }
        schedule(at: end, for: process) { [unowned self] in
            let outcome = job.perform()
            if dieInWrite(process.host) { return }
            process.node.jobFinished(
                job.id, outcome, now: process.host.clock.local(at: now))
            want(turnOf: process)
        }
    }
}
