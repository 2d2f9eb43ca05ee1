import TenonCore
import TenonKV
import TenonPlacement
import TenonRaft
import TenonWire

/// The leader of the directory at work; see ``DirectoryController``.
extension Node {
    func lead(_ tablet: Tablet, now: Instant) {
        spreadDirectory(now: now)
        guard now >= controller.nextRound, isDirectoryRead(tablet),
            controller.waitsFor <= tablet.machine.appliedIndex
        else { return }
        controller.nextRound = now + DirectoryController.interval
        let alive = controller.state.directory.nodes.map(\.id).filter {
            $0 == id || peers[$0]?.isUp ?? false
        }
        guard controller.takeNews(alive: alive, now: now) else { return }
        if controller.state.numbers == nil {
            return write(setUpChange(), to: tablet)
        }
        let due = [
            controller.lostChange(identity.lost), controller.reportedChange(),
            controller.splitChange(),
            controller.localityChange(), controller.clearedChange(), controller.homeSplitChange(),
        ]
        for change in due where !change.isEmpty { return write(change, to: tablet) }
        let grown = controller.sizeSplitChange(now: now)
        if !grown.isEmpty { return write(grown, to: tablet) }
        for (order, nodes) in controller.splitOrders {
            // Told again until reports show what became of it.
            controller.hasNews = true
            for node in nodes { tell(.splitTablet(order), to: node) }
        }
        makeTablets()
        dropTablets()
        let plan = controller.plan(isAlive: { alive.contains($0) }, now: now)
        // Steps are repeated until reports or records show what became of them.
        if !plan.steps.isEmpty { controller.hasNews = true }
        write(plan.change, to: tablet)
        for step in plan.steps { carryOut(step) }
    }

    /// Proposes a change; what becomes of it shows when it is applied.
    private func write(_ change: DirectoryChange, to tablet: Tablet) {
        guard !change.isEmpty else { return }
        controller.hasNews = true
        tablets.touch(tablet)
        tablet.agreedTime = agreedTime
        let index = tablet.proposeUpkeep(.transaction(change.transaction))
        if let index { controller.waitsFor = index }
        wantsTurn = true
    }

    /// The first records of all: what the founders were told. Many tablets take several
    /// transactions; the numbers come with the last.
    private func setUpChange() -> DirectoryChange {
        let content = cluster.directory
        let state = controller.state
        var change = DirectoryChange(state)
        for node in content.nodes where state.directory.node(node.id) == nil { change.put(node) }
        for keyspace in content.keyspaces where state.directory.keyspace(keyspace.id) == nil {
            change.put(keyspace)
        }
        for tablet in content.tablets where state.tablet(tablet.id) == nil {
            guard !change.isFull else { return change }
            change.put(tablet)
        }
        change.put(
            DirectoryNumbers(
                node: (content.nodes.map(\.id).max() ?? NodeID(0)).next,
                keyspace: (content.keyspaces.map(\.id).max() ?? .default).next,
                tablet: (content.tablets.map(\.id).max() ?? .directory).next))
        return change
    }

    // MARK: Telling the others

    private func spreadDirectory(now: Instant) {
        guard now >= nextDirectoryWord else { return }
        nextDirectoryWord = now + Node.directoryInterval
        let version = cluster.directory.version
        for link in peers.links {
            peers.send(.cluster(.directoryVersion(version)), to: link.node)
        }
    }

    private func makeTablets() {
        for tablet in controller.state.directory.tablets
        where tablet.voters.isEmpty && !controller.isDropped(tablet) {
            do throws(DecodingError) {
                let membership = try Membership(
                    incoming: tablet.target, acknowledgement: tablet.targetAcknowledgement)
                for member in tablet.target {
                    tell(
                        .createReplica(
                            ReplicaRecord(
                                tablet: tablet.id, replica: member.replica,
                                keyspace: tablet.keyspace, generation: tablet.generation,
                                lower: tablet.lower, upper: tablet.upper, membership: membership,
                                isWitness: member.isWitness),
                            by: .none),
                        to: member.node)
                }
            } catch {
                notice(.error, "tablet \(tablet.id) cannot be made: \(error)")
            }
        }
    }

    private func dropTablets() {
        for tablet in controller.state.directory.tablets where controller.isDropped(tablet) {
            for member in tablet.everyone where !controller.isRemoved(member, of: tablet.id) {
                tell(.removeReplica(tablet.id, member.replica, by: .last), to: member.node)
            }
        }
    }

    private func carryOut(_ step: Placement.Step) {
        switch step {
        case .retarget, .settled, .keepLearners: break
        case .advance(let id):
            guard let tablet = controller.state.tablet(id), let report = controller.reports[id]
            else { return }
            tell(
                .setMembers(
                    id, target: tablet.target, learners: tablet.targetLearners,
                    tablet.targetAcknowledgement),
                to: report.leader)
        case .transfer(let id, let node):
            guard let report = controller.reports[id] else { return }
            tell(.setLeader(id, node), to: report.leader)
        }
    }

    /// Sends to a node, which may be this one.
    func tell(_ message: ClusterMessage, to node: NodeID) {
        if node == id {
            ownMessages.append(message)
        } else {
            peers.send(.cluster(message), to: node)
        }
    }
}
