internal import TenonCore
internal import TenonNode
internal import TenonRaft
internal import TenonWire

/// One replica after a turn, compared with itself before it and with the truth.
extension StepChecker {
    func checkTablet(_ node: Node, _ place: Int, _ host: SimulatedHost) {
        let probe = node.probe(place)
        follow(probe)
        guard let tablet = followed(probe.tablet) else { return }
        let rank = rank(of: host)
        let before =
            lastProbes[rank][tablet].flatMap { $0.replica == probe.replica ? $0 : nil }
            ?? StepChecker.blank(probe)
        guard probe != before else { return }
        if let other = lastProbes[rank][tablet], other.replica != probe.replica {
            checkRemoved(other, host, tablet)
        }
        if lastProbes[rank][tablet]?.replica != probe.replica {
            checkNumber(probe, host, tablet)
            checkHalf(probe, host, tablet)
        }
        lastProbes[rank][tablet] = probe
        if probe.isQuarantined {
            if !damaged.contains(host.id) {
                fail(
                    .noFalseDamage,
                    "\(host.name) quarantines tablet \(tablet + 1): \(host.notices.suffix(3))")
            }
            return
        }
        if probe.role == .leader, before.role != .leader || before.term != probe.term {
            checkNewLeader(probe, node, place, host, tablet)
        }
        if probe.commit > before.commit { checkCommit(probe, node, place, host, tablet) }
        if probe.applied > before.applied {
            checkVersion(probe, host, tablet)
            node.probeDigests(place, after: before.applied) { index, digest in
                check(
                    .equalDigests, of: host, tablet,
                    truths[tablet].note(digest: digest, at: index))
            }
        }
        if probe.closedSince != before.closedSince || probe.applied != before.applied {
            checkClosed(probe, host, tablet)
        }
        // What was not applied before came by a snapshot, whose log begins anew behind it.
        let isOwnFlush = probe.flushed <= before.applied
        if probe.flushed > before.flushed, isOwnFlush { checkFlush(probe, host, tablet) }
    }

    /// Looks at the replicas that are not on the node any more.
    func checkRemovals(_ node: Node, _ host: SimulatedHost) {
        for tablet in node.probeDropped { dropped.insert(tablet) }
        let rank = rank(of: host)
        let known = lastProbes[rank].count { $0 != nil }
        guard known > 0 else { return }
        var living = Array(repeating: false, count: lastProbes[rank].count)
        for place in 0..<node.probeCount {
            if let tablet = followed(node.probeID(place)) { living[tablet] = true }
        }
        for (tablet, isLiving) in living.enumerated() where !isLiving {
            guard let probe = lastProbes[rank][tablet] else { continue }
            lastProbes[rank][tablet] = nil
            checkRemoved(probe, host, tablet)
        }
    }

    /// A replica is gone from its node, or its node from the cluster.
    func checkRemoved(_ probe: TabletProbe, _ host: SimulatedHost, _ tablet: Int) {
        guard !dropped.contains(probe.tablet), let membership = truths[tablet].membership,
            membership.isVoter(probe.replica)
        else { return }
        fail(
            .votersKept,
            "\(host.name) drops replica \(probe.replica) of tablet \(tablet + 1), which votes by "
                + "\(membership)")
    }

    /// What a replica says of how new it is, by the time of the simulation: clocks differ in pace
    /// by less than a hundredth.
    private func checkClosed(_ probe: TabletProbe, _ host: SimulatedHost, _ tablet: Int) {
        guard let since = probe.closedSince else { return }
        let age = host.clock.local(at: cluster.now).since(since).nanoseconds
        let bound = age + age / 100 + 1_000_000
        guard cluster.now.nanoseconds > bound else { return }
        let moment = Instant(nanoseconds: cluster.now.nanoseconds - bound)
        let last = truths[tablet].lastCommitted(before: moment)
        // The half of a tablet may have been told of before its log began.
        guard probe.applied < last, last > probe.birth.index else { return }
        fail(
            .closedTruly,
            "\(host.name) takes tablet \(tablet + 1) for at most \(bound / 1_000_000) ms old, and "
                + "has applied \(probe.applied) of the \(last) entries that were committed then")
    }

    /// A replica that was not here before.
    private func checkNumber(_ probe: TabletProbe, _ host: SimulatedHost, _ tablet: Int) {
        let lowest = shadow(of: host.disk).lowestReplicas[tablet]
        guard probe.replica < lowest else { return }
        fail(
            .numberUsedOnce,
            "\(host.name) has replica \(probe.replica) of tablet \(tablet + 1) again, of which it "
                + "removed all below \(lowest)")
    }

    /// A half that is new here and has nothing yet: as long as it has committed nothing anywhere it
    /// must not be that of a voter that held the split's entry.
    private func checkHalf(_ probe: TabletProbe, _ host: SimulatedHost, _ tablet: Int) {
        guard probe.birth > .zero, probe.applied < probe.birth.index,
            truths[tablet].lastCommitted == probe.birth.index, !damaged.contains(host.id),
            let parent = followed(probe.parent)
        else { return }
        let isHeld = shadow(of: host.disk).replicas[parent].splits.contains(probe.birth)
        guard isHeld else { return }
        fail(
            .halvesOfVoters,
            "\(host.name) begins tablet \(tablet + 1) without content, and held the split of "
                + "tablet \(parent + 1) at \(probe.birth.index)")
    }

    /// A replica as it was made: what is compared with when it was not there before.
    private static func blank(_ probe: TabletProbe) -> TabletProbe {
        var blank = probe
        blank.role = .follower
        blank.term = .zero
        blank.commit = .zero
        blank.applied = .zero
        blank.flushed = .zero
        return blank
    }

    private func checkNewLeader(
        _ probe: TabletProbe, _ node: Node, _ place: Int, _ host: SimulatedHost, _ tablet: Int
    ) {
        checkLoss(shadow(of: host.disk).replicas[tablet], host, tablet, "leads")
        checkLeases(probe, host, tablet)
        if let other = truths[tablet].note(leader: probe.replica, of: probe.term) {
            fail(
                .electionSafety,
                "\(host.name) leads tablet \(tablet + 1) in term \(probe.term), and so did \(other)"
            )
        }
        let membership = probe.membership
        let hasQuorum = membership.hasQuorum { voter in
            voter == probe.replica
                || truths[tablet].hasVoted(voter, for: probe.replica, in: probe.term)
        }
        if !hasQuorum {
            fail(
                .electionQuorum,
                "\(host.name) leads tablet \(tablet + 1) in term \(probe.term) without a quorum of "
                    + "\(membership)")
        }
        let own = shadow(of: host.disk).replicas[tablet].hardState
        // With a quorum of others its own vote is not needed.
        let needsOwn = !membership.hasQuorum { voter in
            voter != probe.replica
                && truths[tablet].hasVoted(voter, for: probe.replica, in: probe.term)
        }
        if needsOwn, own.term != probe.term || own.vote != probe.replica {
            fail(
                .durableVote,
                "\(host.name) leads tablet \(tablet + 1) in term \(probe.term), its disk says "
                    + "\(own)")
        }
        let last = truths[tablet].lastCommitted(before: probe.term)
        let term = node.probeTerm(place, at: last)
        let isCovered = term == nil && last < probe.applied
        if term != truths[tablet].committedTerm(at: last), !isCovered {
            fail(
                .leaderCompleteness,
                "\(host.name) leads tablet \(tablet + 1) in term \(probe.term), and has entry "
                    + "\(last) of term \(term.map { "\($0)" } ?? "none"), committed in "
                    + "\(truths[tablet].committed[Int(last.rawValue)])")
        }
    }

    /// No node of an earlier term may take its own word for the newest when this one leads. Votes
    /// that were long under way can make a leader of a term that is over: it commits nothing, for
    /// whoever holds a lease has a majority of a later term.
    private func checkLeases(_ probe: TabletProbe, _ host: SimulatedHost, _ tablet: Int) {
        let others = cluster.hosts.filter { $0.id != host.id }
        let holder = others.first { other in
            let now = other.clock.local(at: cluster.now)
            return other.node?.probeLease(of: probe.tablet, at: now).map { $0 < probe.term }
                ?? false
        }
        guard let holder else { return }
        fail(
            .oneLease,
            "\(host.name) leads tablet \(tablet + 1) in term \(probe.term) while \(holder.name) "
                + "holds a lease of it")
    }

    private func checkCommit(
        _ probe: TabletProbe, _ node: Node, _ place: Int, _ host: SimulatedHost, _ tablet: Int
    ) {
        let known = truths[tablet].lastCommitted
        let common = min(known, probe.commit)
        if let term = node.probeTerm(place, at: common),
            term != truths[tablet].committedTerm(at: common)
        {
            fail(
                .stateMachineSafety,
                "\(host.name) commits entry \(common) of tablet \(tablet + 1) in term \(term), "
                    + "others in \(truths[tablet].committed[Int(common.rawValue)])")
        }
        guard probe.commit > known else { return }
        var index = known
        while index < probe.commit {
            index = index.next
            guard let term = node.probeTerm(place, at: index) else {
                return fail(
                    .stateMachineSafety,
                    "\(host.name) commits through \(probe.commit) of tablet \(tablet + 1), "
                        + "known \(known), and has no entry \(index)")
            }
            truths[tablet].commitNext(term, in: probe.term, at: cluster.now)
        }
        truths[tablet].note(committed: node.probeCommittedMembership(place))
        checkNewlyCommitted(probe, host, tablet)
    }

    private func checkNewlyCommitted(_ probe: TabletProbe, _ host: SimulatedHost, _ tablet: Int) {
        let term = truths[tablet].committed[Int(probe.commit.rawValue)]
        if probe.role == .leader, term != probe.term {
            fail(
                .ownTermCommit,
                "\(host.name) leads tablet \(tablet + 1) in term \(probe.term) and commits "
                    + "\(probe.commit) of term \(term)")
        }
        // What was committed before a change of voters began has the quorum of those that go.
        let membership = probe.membership
        func isDurable(_ voters: Membership) -> Bool {
            voters.hasQuorum {
                holdsDurably($0, of: membership, probe.commit, term, tablet: tablet)
            }
        }
        let before =
            membership.isJoint
            ? try? Membership(
                incoming: membership.outgoing,
                acknowledgement: membership.outgoingAcknowledgement) : nil
        if !isDurable(membership), !(before.map(isDurable) ?? false) {
            fail(
                .durableQuorum,
                "\(host.name) commits entry \(probe.commit) of term \(term) of tablet "
                    + "\(tablet + 1), which is not on the disks of a quorum of \(membership)")
        }
        func isElsewhere(_ voters: Membership) -> Bool {
            isInTwoPlaces(voters) {
                holdsDurably($0, of: membership, probe.commit, term, tablet: tablet)
            }
        }
        if !isElsewhere(membership), !(before.map(isElsewhere) ?? false) {
            fail(
                .durableElsewhere,
                "\(host.name) commits entry \(probe.commit) of term \(term) of tablet "
                    + "\(tablet + 1), which is on the disks of one place only of \(membership)")
        }
    }

    /// Whether voters for whom `holds` is true stand in two places of each half, where its rule asks
    /// for that: by where machines stand, not by what the configuration says of it.
    private func isInTwoPlaces(
        _ membership: Membership, _ holds: (ReplicaID) -> Bool
    ) -> Bool {
        let halves = [
            (membership.incoming, membership.acknowledgement.rule),
            (membership.outgoing, membership.outgoingAcknowledgement.rule),
        ]
        return halves.allSatisfy { voters, rule in
            guard let level = rule.level, !voters.isEmpty else { return true }
            let places = voters.withData.filter { holds($0.replica) }.compactMap { voter in
                place(of: voter.node, at: level)
            }
            return Set(places).count >= 2
        }
    }

    /// The city that a node's machine stands in, or its room with the city; nil when its settings
    /// do not say.
    func place(of node: NodeID, at level: FailureLevel) -> [String]? {
        guard let host = cluster.hosts.first(where: { $0.nodeID == node }),
            let locality = try? Locality(parsing: cluster.configuration(of: host).locality)
        else { return nil }
        let names = (level == .dc ? ["city", "dc"] : ["city"]).map { locality.name(at: $0) }
        return names.contains(nil) ? nil : names.compactMap(\.self)
    }

    private func checkFlush(_ probe: TabletProbe, _ host: SimulatedHost, _ tablet: Int) {
        let replica = shadow(of: host.disk).replicas[tablet]
        guard replica.isKnown, probe.flushed > replica.last else { return }
        fail(
            .flushBehindLog,
            "\(host.name) flushed tablet \(tablet + 1) through \(probe.flushed), its durable "
                + "log ends at \(replica.last)")
    }
}
