import TenonCore
import TenonKV
import TenonRaft
import TenonWire

/// What this node does for the tablets that it leads while their members change, and what it has
/// to report of them.
struct MemberWork {
    /// How often a tablet on its way is looked at.
    static let interval = TimeSpan.milliseconds(50)
    /// Everything is reported again so often: a report may have been lost.
    static let reportInterval = TimeSpan.seconds(10)
    /// And so often while a node leaves: it goes when all have reported that nothing is on it.
    static let reportIntervalWhileLeaving = TimeSpan.seconds(1)
    /// A replica that has heard no leader for so long asks whether it is still a member.
    static let patience = TimeSpan.seconds(3)
    /// And looks again after so long whether there is somebody to ask.
    static let pause = TimeSpan.milliseconds(500)

    /// Between two words about where this node stands.
    static let localityInterval = TimeSpan.seconds(1)

    /// Members that a tablet is to have, and what commits are to need of its voters.
    struct Target {
        var voters: [Member]
        /// Those who are to stay learners.
        var learners: [Member]
        var acknowledgement: Acknowledgement
    }

    /// By tablet.
    var targets: [TabletID: Target] = [:]
    /// Tablets whose members, bounds or leadership changed since they were reported.
    var reportsDue: Set<TabletID> = []
    /// To whom everything was reported.
    var reportedTo = NodeID(0)
    var nextRound = Instant.zero
    var nextReport = Instant.zero
    var nextLocality = Instant.zero
}

extension Node {
    /// A message about the cluster itself. Those that this node has for itself come here too.
    func handle(_ message: ClusterMessage, from node: NodeID, now: Instant) {
        guard isFormed else { return }
        switch message {
        case .directoryVersion(let version):
            cluster.leader = node
            if version > cluster.directory.version { tell(.wantDirectory, to: node) }
        case .haveDirectory(let version):
            if version > cluster.directory.version { tell(.wantDirectory, to: node) }
        case .wantDirectory: tell(.directory(cluster.directory), to: node)
        case .directory(let directory): adopt(directory)
        case .report(let reports, let version):
            guard let directory = ledDirectory else { return }
            controller.lead(in: directory.raft.term)
            for report in reports { controller.take(report, knowing: version) }
        case .locality(let text):
            guard let directory = ledDirectory else { return }
            controller.lead(in: directory.raft.term)
            controller.take(locality: text, of: node)
        case .setMembers(let tablet, let target, let learners, let acknowledgement):
            memberWork.targets[tablet] = MemberWork.Target(
                voters: target, learners: learners, acknowledgement: acknowledgement)
        case .setLeader(let tablet, let node): handOver(tablet, to: node, now: now)
        case .createReplica(let record, let configuration):
            create(record, by: configuration, now: now)
        case .splitTablet(let order): split(order, now: now)
        case .wantSplit(let wish):
            guard let directory = ledDirectory else { return }
            controller.lead(in: directory.raft.term)
            controller.take(wish)
        case .removeReplica(let tablet, let replica, let configuration):
            take(
                removalOf: replica, from: tablet, by: configuration, saidBy: node, now: now)
        case .replicaRemoved(let tablet, let replica):
            controller.note(removed: replica, of: tablet, on: node)
        case .isMember(let tablet, let replica, let newest):
            answerMembership(of: replica, in: tablet, newest: newest, on: node, now: now)
        }
    }

    /// What this node told itself in this turn.
    func takeOwnMessages(now: Instant) {
        while !ownMessages.isEmpty {
            let messages = ownMessages
            ownMessages = []
            for message in messages { handle(message, from: id, now: now) }
        }
    }

    private func handOver(_ id: TabletID, to node: NodeID, now: Instant) {
        guard let tablet = tablet(id), tablet.raft.role == .leader,
            let target = tablet.raft.membership.incoming.first(where: { $0.node == node })
        else { return }
        do throws(TransferError) {
            try tablet.raft.transferLeadership(to: target.replica, now: now)
            wantsTurn = true
        } catch {
            reached(.handOverRefused)  // Asked again as long as it is wanted.
        }
    }

    // MARK: Rounds

    /// Brings tablets led from here towards the members they are to have, and reports.
    func lookAfterMembers(now: Instant) {
        takeOwnMessages(now: now)
        lookAfterSplits(now: now)
        lookAfterSpreading(now: now)
        lookAfterSizes(now: now)
        guard now >= memberWork.nextRound else { return }
        memberWork.nextRound = now + MemberWork.interval
        for id in memberWork.targets.keys.sorted() { advance(id, now: now) }
        report(now: now)
        takeOwnMessages(now: now)
    }

    private func advance(_ id: TabletID, now: Instant) {
        guard let tablet = tablet(id), tablet.servesAsLeader,
            let target = memberWork.targets[id]
        else {
            memberWork.targets[id] = nil
            return
        }
        if tablet.advanceMembers(towards: target, now: now) {
            memberWork.targets[id] = nil
            memberWork.reportsDue.insert(id)
        }
        makeReplicas(of: tablet)
        wantsTurn = true
    }

    /// Tells the nodes of learners to make their replicas, until these are heard.
    private func makeReplicas(of tablet: Tablet) {
        let base = tablet.raft.oldestMembership
        for follower in tablet.raft.followers where follower.roundTrip == nil {
            let member = follower.member
            guard tablet.raft.membership.learners.contains(member) else { continue }
            var record = tablet.record
            record.replica = member.replica
            record.isWitness = member.isWitness
            record.membership = base
            tell(
                .createReplica(record, by: tablet.configuration(naming: member)),
                to: member.node)
        }
    }

    private func report(now: Instant) {
        guard cluster.leader != NodeID(0) else { return }
        if memberWork.reportedTo != cluster.leader || now >= memberWork.nextReport {
            memberWork.reportedTo = cluster.leader
            memberWork.nextReport =
                now
                + (cluster.directory.isOneLeaving
                    ? MemberWork.reportIntervalWhileLeaving : MemberWork.reportInterval)
            for tablet in tablets.all where tablet.raft.role == .leader {
                memberWork.reportsDue.insert(tablet.id)
            }
            for link in peers.links { tellDirectoryVersion(to: link.node) }
        }
        tellLocality(now: now)
        guard !memberWork.reportsDue.isEmpty else { return }
        var reports: [TabletDescriptor] = []
        var deferred: [TabletID] = []
        for id in memberWork.reportsDue.sorted() {
            guard reports.count < ClusterMessage.reportsMax else { break }
            memberWork.reportsDue.remove(id)
            guard let tablet = tablets.peek(id), tablet.servesAsLeader,
                tablet.machine.appliedIndex >= tablet.raft.membershipIndex
            else {
                // Bounds and members belong together: those of what is applied.
                if tablets.peek(id)?.raft.role == .leader { deferred.append(id) }
                continue
            }
            reports.append(tablet.report)
        }
        memberWork.reportsDue.formUnion(deferred)
        guard !reports.isEmpty else { return }
        tell(.report(reports, knowing: cluster.directory.version), to: cluster.leader)
    }

    /// Founders are written down before anybody knows where they stand, and a node may be started
    /// elsewhere than it joined. One that is not told where it stands leaves its record alone.
    private func tellLocality(now: Instant) {
        guard !configuration.locality.isEmpty, now >= memberWork.nextLocality,
            let own = cluster.directory.node(id), cluster.directory.version > .zero,
            own.locality != configuration.locality
        else { return }
        memberWork.nextLocality = now + MemberWork.localityInterval
        tell(.locality(configuration.locality), to: cluster.leader)
    }

    func tellDirectoryVersion(to node: NodeID) {
        tell(.haveDirectory(cluster.directory.version), to: node)
    }
}
