import TenonCore
import TenonRaft
import TenonWire

/// Heartbeats between nodes, and the groups that they speak for (Rule C9).
extension Node {
    /// For how long a round trip is evidence (Rule C1).
    private var freshness: TimeSpan { configuration.timers.electionMin }

    /// How long a group has nothing to do before it may rest. A rest and its end cost about two
    /// heartbeats of the group.
    private var quietDelay: TimeSpan { configuration.timers.heartbeat * 4 }

    /// Tablets whose rest one turn looks at again.
    private static let wakesPerTurnMax = 256
    /// How long a group stays awake that a follower would not rest with.
    private static let declinedDelay = TimeSpan.seconds(2)

    /// Whether a round trip to `node` is recent.
    func isFresh(_ node: NodeID, now: Instant) -> Bool {
        heartbeats.isFresh(node, now: now, bound: freshness)
    }

    /// Whether `node` is reached in some way. One behind a relay never rests.
    private func isThere(_ node: NodeID, now: Instant) -> Bool {
        isFresh(node, now: now) || heartbeats.via(node) != nil
    }

    // MARK: A turn

    /// Sends what is due, and looks at who is silent.
    func continueHeartbeats(now: Instant) {
        heartbeats.forEach { lookAfter(&$0, now: now) }
        lookAtRests(now: now)
        sendChanges()
        guard now >= heartbeats.nextHeartbeat else { return }
        heartbeats.nextHeartbeat = now + configuration.timers.heartbeat
        let reaches = reachedNodes(now: now)
        for peer in heartbeats.peers {
            let heartbeat = NodeHeartbeat(
                boot: identity.boot, peerBoot: peer.pulse.boot, sentAt: now,
                set: peer.leading.number, reaches: reaches)
            peers.send(.nodeHeartbeat(heartbeat), to: peer.node)
        }
    }

    private func lookAfter(_ peer: inout NodeHeartbeats.Peer, now: Instant) {
        if let deadline = peer.following.deadline(after: freshness), now >= deadline {
            reached(.quietGroupsWokenBySilence)
            restsToLookAt.append(contentsOf: peer.following.giveUp())
        }
        let isFresh = peer.pulse.isFresh(now: now, bound: freshness)
        guard isFresh != peer.pulse.wasFresh else { return }
        peer.pulse.wasFresh = isFresh
        if isFresh {
            // Groups went to rest without the node; now it is to get what it lacks.
            for tablet in tablets.all
            where tablet.raft.isResting && tablet.raft.role == .leader
                && !peer.leading.contains(tablet.id)
            {
                restsToLookAt.append(tablet.id)
            }
        } else {
            restsToLookAt.append(contentsOf: peer.leading.tablets)
        }
    }

    /// Wakes what must not rest any longer, a part of it each turn: when a node was lost that is
    /// many groups at once, and the others get the loop in between.
    private func lookAtRests(now: Instant) {
        for _ in 0..<Node.wakesPerTurnMax where !restsToLookAt.isEmpty {
            let id = restsToLookAt.removeFirst()
            guard let tablet = tablets.peek(id), tablet.raft.isResting,
                !mayRest(tablet, now: now)
            else { continue }
            wake(tablet, now: now)
            tablet.raft.deferElection(within: Node.electionSpread(of: restsToLookAt.count))
        }
        if !restsToLookAt.isEmpty { wantsTurn = true }
    }

    private func mayRest(_ tablet: Tablet, now: Instant) -> Bool {
        if tablet.raft.role != .leader {
            return heartbeats.with(tablet.leaderNode) { $0.following.contains(tablet.id) } ?? false
        }
        return !isLogShortNoted && !isStopping && !isDiskStalled
            && tablet.raft.hasQuorum { holds(tablet, $0, now: now) }
            && othersThere(of: tablet, now: now).allSatisfy { holds(tablet, $0, now: now) }
    }

    /// Whether the node holds the group among the quiet ones, and was heard lately.
    private func holds(_ tablet: Tablet, _ node: NodeID, now: Instant) -> Bool {
        guard let place = heartbeats.place(of: node) else { return false }
        let peer = heartbeats.peers[place]
        return peer.leading.isHeld(tablet.id) && peer.pulse.isFresh(now: now, bound: freshness)
    }

    private func othersThere(of tablet: Tablet, now: Instant) -> [NodeID] {
        tablet.raft.membership.members.map(\.node)
            .filter { $0 != id && isThere($0, now: now) }
    }

    private func sendChanges() {
        let boot = identity.boot
        let epoch = identity.epoch
        heartbeats.forEach { peer in
            guard peers[peer.node]?.isUp == true else { return }
            if let change = peer.leading.takeChange(boot: boot, epoch: epoch) {
                peers.send(.quietChange(change), to: peer.node)
            }
        }
    }

    /// When the next heartbeat is due, or silence makes groups wake.
    var heartbeatDeadline: Instant {
        var due = heartbeats.nextHeartbeat
        for peer in heartbeats.peers {
            if let deadline = peer.following.deadline(after: freshness) { due = min(due, deadline) }
        }
        return due
    }

    // MARK: Messages

    func heard(_ heartbeat: NodeHeartbeat, from node: NodeID, now: Instant) {
        let answer = heartbeats.with(node) { peer -> NodeHeartbeatAnswer? in
            guard meet(heartbeat.boot, of: &peer) else { return nil }
            peer.pulse.told(heartbeat.reaches, now: now)
            // One that knows another boot of this node speaks for groups that are forgotten.
            if heartbeat.peerBoot == identity.boot { peer.following.heard(heartbeat, now: now) }
            return NodeHeartbeatAnswer(
                boot: identity.boot, peerBoot: heartbeat.boot, sentAt: heartbeat.sentAt,
                namedSet: heartbeat.set, heldSet: peer.following.number,
                left: peer.following.left)
        }
        if let answer, let answer { peers.send(.nodeHeartbeatAnswer(answer), to: node) }
    }

    func heard(_ answer: NodeHeartbeatAnswer, from node: NodeID, now: Instant) {
        guard answer.peerBoot == identity.boot else { return }
        let left = heartbeats.with(node) { peer -> [TabletID] in
            guard meet(answer.boot, of: &peer),
                peer.pulse.answered(sentAt: answer.sentAt, now: now)
            else { return [] }
            // Those that may rest from now on.
            for id in peer.leading.answered(held: answer.heldSet, named: answer.namedSet) {
                if let tablet = tablets.peek(id), !tablet.raft.isResting { tablets.touch(tablet) }
            }
            return answer.left.filter { peer.leading.isHeld($0) }
        }
        for id in left ?? [] {
            reached(.quietGroupLeftByFollower)
            guard let tablet = tablets.peek(id) else { continue }
            tablet.restNotBefore = now + Node.declinedDelay
            withdraw(tablet, now: now)
        }
    }

    /// Takes note of the peer's boot.
    /// - Returns: false for a message of an earlier one.
    private func meet(_ boot: BootNumber, of peer: inout NodeHeartbeats.Peer) -> Bool {
        guard boot >= peer.pulse.boot else { return false }
        peer.pulse.boot = boot
        restsToLookAt.append(contentsOf: peer.following.meet(boot))
        restsToLookAt.append(contentsOf: peer.leading.meet(boot))
        return true
    }

    func apply(_ change: QuietChange, from node: NodeID, now: Instant) {
        guard change.peerBoot == identity.boot, change.epoch == identity.epoch else { return }
        let action = heartbeats.with(node) { peer -> QuietFollowing.Action in
            guard meet(change.boot, of: &peer) else { return .none }
            return peer.following.apply(change, now: now)
        }
        guard case .take(let rest, let wake)? = action else { return }
        for id in wake { if let tablet = tablets.peek(id) { self.wake(tablet, now: now) } }
        for group in rest { self.rest(group, under: node, now: now) }
    }

    private func rest(_ group: QuietGroup, under node: NodeID, now: Instant) {
        let tablet = tablets[group.tablet]
        let isResting =
            tablet.map { tablet in
                tablet.replica == group.receiver && tablet.takesMessages
                    && tablet.node(of: group.point.leader) == node
                    && tablet.raft.rest(at: group.point, now: now)
            } ?? false
        if isResting, let tablet {
            if let other = tablet.restsUnder, other != node {
                _ = heartbeats.with(other) { $0.following.leave(tablet.id) }
            }
            tablet.restsUnder = node
        } else {
            _ = heartbeats.with(node) { $0.following.leave(group.tablet) }
        }
    }

    // MARK: Many groups at once

    /// Over how long the elections of so many groups are spread that lose their leader together.
    static func electionSpread(of count: Int) -> TimeSpan { .microseconds(200 * count) }
    /// Fewer groups elect as each would alone.
    private static let spreadGroupsMin = 64

    /// The groups of a node that has just started, or formed its cluster, elect one after the
    /// other, each node in an order of its own.
    func spreadElections(now: Instant) {
        guard tablets.count >= Node.spreadGroupsMin else { return }
        let span = max(configuration.timers.electionMax, Node.electionSpread(of: tablets.count))
        for tablet in tablets.all {
            tablets.touch(tablet)
            tablet.raft.note(now: now)
            tablet.raft.deferElection(within: span)
        }
    }

    /// Whether the nodes of a quorum are there. One that stands without them stands for as long as
    /// they are away, and the others are not to wait for it.
    private func canBeElected(_ tablet: Tablet, now: Instant) -> Bool {
        tablet.needsTicks
            && tablet.raft.membership.hasQuorum { voter in
                voter == tablet.replica
                    || tablet.node(of: voter).map { isThere($0, now: now) } ?? false
            }
    }

    /// Counts whose election is not over: who stands, and who was elected and has not gone to rest
    /// yet, as each does at once that nobody asks for anything. So what is begun keeps pace with
    /// what the loops and the disks get done, and is done before anybody takes it for late.
    private func noteElecting(_ tablet: Tablet, now: Instant) {
        let isElecting =
            switch tablet.raft.role {
            case .preCandidate, .candidate: canBeElected(tablet, now: now)
            case .leader: tablet.raft.isNew(now: now) && !tablet.isAnnounced
            case .follower: false
            }
        guard isElecting != tablet.isElecting else { return }
        tablet.isElecting = isElecting
        electing += isElecting ? 1 : -1
    }

    // MARK: Rests

    /// Ends a tablet's rest, with what is known of when its others were heard.
    func wake(_ tablet: Tablet, now: Instant) {
        tablets.touch(tablet)
        let isLeader = tablet.raft.role == .leader
        tablet.raft.wake(now: now) { node in
            guard let place = heartbeats.place(of: node) else { return nil }
            let peer = heartbeats.peers[place]
            guard isLeader else { return peer.following.heardAt }
            return peer.leading.isHeld(tablet.id) ? peer.pulse.answeredAt : nil
        }
    }

    /// The rests of all groups that are led here are looked at again.
    func lookAtLedRests() {
        for tablet in tablets.all where tablet.raft.isResting && tablet.raft.role == .leader {
            restsToLookAt.append(tablet.id)
        }
    }

    /// A log write that does not end keeps every leadership here from its work, also those that
    /// wait for nothing yet: they are handed over like the one whose write it is.
    func noteStall(now: Instant) {
        let isStalled =
            writing != nil && now.since(writingSince) > configuration.timers.stallBound
        guard isStalled != isDiskStalled else { return }
        reached(.diskStallNoted)
        isDiskStalled = isStalled
        for tablet in tablets.all { tablet.raft.isDiskStalled = isStalled }
        tablets.touchAll()
        lookAtLedRests()
    }

    /// A tablet's turn is over: lets its group rest when it is quiet, and takes it out of the
    /// sets when it is not. Whatever ended a rest, this is where the others get to know.
    func noteRest(_ tablet: Tablet, now: Instant) {
        defer { noteElecting(tablet, now: now) }
        if let node = tablet.restsUnder, !tablet.raft.isResting || tablet.leaderNode != node {
            tablet.restsUnder = nil
            _ = heartbeats.with(node) { $0.following.leave(tablet.id) }
        }
        let isLeader = tablet.raft.role == .leader && tablet.problem == nil && !isStopping
        guard isLeader, let idleSince = tablet.raft.idleSince,
            now >= max(idleSince + quietDelay, tablet.restNotBefore) || tablet.raft.isResting,
            !isLogShortNoted, !isDiskStalled
        else { return withdraw(tablet, now: now) }
        guard !tablet.raft.isResting else { return }
        guard let point = tablet.raft.restPoint(isHere: { isThere($0, now: now) }) else {
            return withdraw(tablet, now: now)
        }
        announce(tablet, at: point, now: now)
        // A single node has nobody to tell.
        if mayRest(tablet, now: now) { tablet.raft.rest() }
    }

    private func announce(_ tablet: Tablet, at point: Raft.RestPoint, now: Instant) {
        for member in tablet.raft.membership.members
        where member.node != id && isFresh(member.node, now: now) {
            let group = QuietGroup(tablet: tablet.id, receiver: member.replica, point: point)
            _ = heartbeats.with(member.node) { peer in
                if let told = peer.leading.point(of: tablet.id) {
                    guard told != point else { return }
                    peer.leading.leave(tablet.id)
                }
                peer.leading.join(group)
            }
            tablet.isAnnounced = true
        }
    }

    /// Forgets a tablet that is being removed from this node.
    func forgetRest(of tablet: Tablet) {
        if tablet.isElecting { electing -= 1 }
        tablet.isElecting = false
        tablet.isAnnounced = false
        tablet.restsUnder = nil
        heartbeats.forEach {
            $0.leading.leave(tablet.id)
            $0.following.leave(tablet.id)
        }
    }

    /// Takes a group out of all sets, and ends its rest.
    private func withdraw(_ tablet: Tablet, now: Instant) {
        guard tablet.isAnnounced else { return }
        tablet.isAnnounced = false
        if tablet.raft.isResting, tablet.raft.role == .leader { wake(tablet, now: now) }
        heartbeats.forEach { $0.leading.leave(tablet.id) }
    }
}
