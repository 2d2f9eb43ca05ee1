import TenonCore
import TenonKV
import TenonLog
import TenonRaft
import TenonStore
package import TenonWire

/// The directory on every node: the replicas of tablet 1 read it, its leader sends copies, all
/// others take them over.
extension Node {
    /// Between two words of the leader of the directory to the others.
    static let directoryInterval = TimeSpan.milliseconds(500)

    /// The replica of tablet 1, while it leads.
    var ledDirectory: Tablet? {
        guard let tablet = tablets.peek(.directory), tablet.servesAsLeader else { return nil }
        return tablet
    }

    /// Looks after the directory: reads what was applied, and leads it when it is this node's.
    func lookAfterDirectory(now: Instant) {
        // A witness has nothing to read: it takes copies, as nodes without a replica do.
        if let tablet = tablets.peek(.directory), !tablet.isWitness { readDirectory(tablet) }
        if let tablet = ledDirectory {
            controller.lead(in: tablet.raft.term)
            cluster.leader = id
            lead(tablet, now: now)
        } else if cluster.leader == id {
            cluster.leader = NodeID(0)
            controller.forget()
        }
        saveDirectory(now: now)
    }

    // MARK: Reading tablet 1

    /// Whether the content of tablet 1 as read here is what is applied.
    func isDirectoryRead(_ tablet: Tablet) -> Bool {
        controller.stateIndex >= tablet.writtenIndex
    }

    /// Reads tablet 1 again when something was written in it; a page a turn.
    private func readDirectory(_ tablet: Tablet) {
        guard tablet.problem == nil, !tablet.isApplyPaused else { return }
        if controller.scan == nil {
            guard !isDirectoryRead(tablet) else { return }
            controller.scan = DirectoryScan(at: tablet.machine.appliedIndex)
        }
        guard var scan = controller.scan, !scan.isWaiting else { return }
        switch scan.step(tablet.machine) {
        case .needs(let read):
            scan.isWaiting = true
            controller.scan = scan
            start(
                .tablet(tablet.id, tablet.replica, .directoryBlocks), lane: .read,
                perform: BackgroundJob.loading(read))
        case .more:
            controller.scan = scan
            wantsTurn = true
        case .stale: controller.scan = nil
        case .done(let items, let version):
            controller.scan = nil
            take(items, at: version, readAfter: scan.index)
        }
    }

    private func take(
        _ items: [TenonKV.ScanAnswer.Item], at version: Timestamp, readAfter index: LogIndex
    ) {
        do throws(DecodingError) {
            controller.state = try DirectoryState(items, at: version)
            controller.stateIndex = index
            controller.hasNews = true
        } catch {
            return notice(.error, "the directory cannot be read: \(error)")
        }
        guard controller.state.numbers != nil else { return }
        adopt(controller.state.directory)
    }

    func resumeDirectoryScan(with loaded: LoadedBlocks) {
        controller.scan?.blocks.add(loaded)
        controller.scan?.isWaiting = false
        wantsTurn = true
    }

    // MARK: Copies

    /// Takes over a newer copy, whoever it came from.
    func adopt(_ copy: Directory) {
        let before = cluster.directory.nodes
        guard cluster.update(copy) else { return }
        // Clients route by what any node knows: the others are not to wait for the next word.
        nextDirectoryWord = .zero
        if copy.nodes != before {
            adoptNodes(copy.nodes)
            memberWork.nextReport = .zero
        }
        applyKeyspaces()
    }

    private func adoptNodes(_ all: [Directory.Node]) {
        let nodes = identity.withoutLost(all)
        guard nodes.contains(where: { $0.id == id }) else {
            effects.halt =
                "this node was removed from the cluster: its data is elsewhere; "
                + "to come back it joins as a new node, with an empty folder"
            return
        }
        for link in peers.links where !nodes.contains(where: { $0.id == link.node }) {
            // It is not to wait for word from a cluster that does not listen to it any more.
            if let frame = peers.lastFrame(
                .cluster(.directory(cluster.directory)), to: link.node,
                logPosition: logStatus.lastBatch)
            {
                effects.peerOutput.append((link.node, .consensus, frame))
            }
            effects.peersToClose.append((link.node, "it was removed from the cluster"))
        }
        registry.setMembers(nodes.map(\.id))
        let others = nodes.filter { $0.id != id }
        peers.setOthers(others.map(\.id))
        inquiries.setOthers(others.map(\.id))
        for id in heartbeats.setOthers(others.map(\.id)) { restsToLookAt.append(id) }
        effects.peersWanted = others.map { ($0.id, $0.address) }
    }

    /// How soon replicas of this node stand for election: late when it is drained, as the directory
    /// would move their leadership away, and last when its clock is wrong (Rule S2).
    var leaderPriority: LeaderPriority {
        if clock.state.isOff { return .last }
        let isServing = cluster.directory.node(id).map { $0.state == .serving } ?? true
        return isServing ? .first : .second
    }

    /// Tells the tablets what has become of ``leaderPriority``, and of where they should be led.
    func applyLeaderPriority() {
        let own = leaderPriority
        for tablet in tablets.all { apply(own, to: tablet) }
    }

    func apply(_ own: LeaderPriority, to tablet: Tablet) {
        let priority = own == .first && tablet.isAway ? .away : own
        guard tablet.raft.priority != priority else { return }
        tablet.raft.priority = priority
        tablets.touch(tablet)
    }

    /// Gives every tablet what its keyspace says.
    func applyKeyspaces() {
        homes = HomeView(cluster.directory)
        sites = SiteView(cluster.directory)
        for tablet in tablets.all { applyKeyspace(to: tablet) }
        applyLeaderPriority()
    }

    /// Gives one tablet what its keyspace says, by the copy of the directory that
    /// ``applyKeyspaces()`` has seen. - Complexity: O(keyspaces + log nodes).
    func applyKeyspace(to tablet: Tablet) {
        tablet.isAway = homes.isAway(id, tablet.id)
        let keyspaceID = tablet.record.keyspace
        tablet.raft.dataSites = sites.sites(of: keyspaceID)
        guard keyspaceID != .directory else {
            tablet.retention = configuration.retention
            return
        }
        let keyspace = cluster.directory.keyspace(keyspaceID)
        tablet.retention = keyspace.map {
            $0.retention > .zero ? $0.retention : configuration.retention
        }
        tablet.raft.usesLeases = keyspace?.policy.reads == .lease
        tablet.splitAboveBytes = keyspace?.splitAboveBytes ?? 0
    }

    private func saveDirectory(now: Instant) {
        guard !cluster.isSaved, !cluster.isSaving, now >= cluster.saveAt else { return }
        cluster.isSaved = true
        cluster.isSaving = true
        cluster.saveAt = now + .seconds(1)
        let (copy, directory, fileSystem) = (cluster.directory, self.directory, self.fileSystem)
        start(.saveDirectory, lane: .bulk) {
            do throws(FileError) {
                try DirectoryFile.write(copy, in: directory, fileSystem: fileSystem)
                return .done
            } catch {
                return .fileFailure(error)
            }
        }
    }

    /// The copy is an aid for the next start: without space it is written later.
    func directorySaved(_ outcome: JobOutcome) {
        cluster.isSaving = false
        if case .fileFailure(let error) = outcome {
            cluster.isSaved = false
            notice(.warning, "the copy of the directory cannot be written: \(error)")
        }
    }

    /// What a client is told: the newest copy here, with the leaders as far as they are known.
    package func describe() -> Directory {
        var copy = cluster.directory
        copy.cluster = identity.cluster
        copy.epoch = identity.epoch
        copy.memberListDigest = identity.memberListDigest
        copy.tablets = copy.tablets.filter { !$0.voters.isEmpty }
        for place in copy.tablets.indices {
            copy.tablets[place].leader = knownLeader(of: copy.tablets[place])
        }
        return copy
    }

    private func knownLeader(of descriptor: TabletDescriptor) -> NodeID {
        let leader = tablets.peek(descriptor.id)?.leaderNode ?? NodeID(0)
        if leader != NodeID(0) { return leader }
        // One that does not lead here any more, as an earlier report may say, is not named.
        let last = controller.reports[descriptor.id]?.leader ?? descriptor.leader
        return last == id ? NodeID(0) : last
    }

    // MARK: Orders of operators

    /// Carries out what an operator asks of the directory's leader.
    func direct(
        _ order: DirectoryOrder, on tablet: Tablet, _ waiter: WriteWaiter,
        into output: inout TabletOutput
    ) {
        guard tablet.id == .directory else {
            let wrong = Refusal(.invalid, "orders go to the directory, not to tablet \(tablet.id)")
            return tablet.answer(waiter, .refusal(wrong), into: &output)
        }
        guard tablet.servesAsLeader else {
            return tablet.answer(waiter, .refusal(tablet.notServing), into: &output)
        }
        guard isDirectoryRead(tablet), controller.waitsFor <= tablet.machine.appliedIndex else {
            wantsTurn = true
            return tablet.answer(waiter, .refusal(Node.directoryMoves), into: &output)
        }
        do throws(Refusal) {
            let change = try controller.state.change(for: order)
            guard !change.isEmpty else { return tablet.answer(waiter, .done, into: &output) }
            let command = Command(operation: .transaction(change.transaction))
            tablet.write(
                Bytes(command.encoded()), reading: change.conditions.map(\.key), for: waiter,
                into: &output)
        } catch {
            tablet.answer(waiter, .refusal(error), into: &output)
        }
    }

    private static let directoryMoves = Refusal(
        .unavailable, "the directory is changing: try again", retryAfterMilliseconds: 20)
}
