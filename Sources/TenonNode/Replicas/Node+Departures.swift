import TenonCore
import TenonRaft
import TenonWire

/// Replicas that are no members any more: how they find out, and who may say so.
///
/// A replica goes when it is shown a committed configuration without it that is not older than the
/// newest one in its own log. Numbers of replicas and of configurations only rise and a voter was a
/// learner first, whose log held the configuration that made it one: so no such word reaches a voter
/// whose entries count, however late it comes and however little its sender has heard since.
extension Node {
    // MARK: Asking

    /// A replica that has had no leader for long asks whether it is still a member.
    func askWhetherMember(_ tablet: Tablet, now: Instant) {
        guard tablet.raft.leader == nil else { return tablet.memberQuestionAt = nil }
        guard let due = tablet.memberQuestionAt else {
            return tablet.memberQuestionAt = now + MemberWork.patience
        }
        guard now >= due else { return }
        tablet.memberQuestionAt = now + MemberWork.patience
        let membership = tablet.raft.membership
        let question = ClusterMessage.isMember(
            tablet.id, tablet.replica, newest: membership.generation)
        if cluster.leader != NodeID(0) {
            tell(question, to: cluster.leader)
        } else {
            // Nobody is there to be asked.
            tablet.memberQuestionAt = now + MemberWork.pause
        }
        // Its newest configuration may be one that was given up, and the directory never hears of it.
        guard tablet.raft.commit < tablet.raft.membershipIndex else { return }
        for member in membership.members where member.node != id { tell(question, to: member.node) }
    }

    // MARK: Answering

    /// The directory answers by what is written there, a tablet's leader by its own configuration.
    func answerMembership(
        of replica: ReplicaID, in id: TabletID, newest: Generation, on node: NodeID, now: Instant
    ) {
        if let tablet = tablet(id) {
            answerAsLeader(tablet, Member(replica: replica, node: node), newest, now: now)
        }
        guard let absent = directoryConfiguration(without: replica, in: id),
            absent >= newest || isPlanted(.removalUnproved)
        else { return }
        tell(.removeReplica(id, replica, by: absent), to: node)
    }

    /// The number of the tablet's configuration as it was last reported, when the replica is not to
    /// be a member of it.
    private func directoryConfiguration(
        without replica: ReplicaID, in id: TabletID
    ) -> Generation? {
        guard let directory = ledDirectory, isDirectoryRead(directory),
            let numbers = controller.state.numbers,
            // A half has members before the directory has heard of it.
            !controller.state.splits.contains(where: { $0.half == id })
        else { return nil }
        guard let tablet = controller.state.tablet(id) else {
            return id < numbers.tablet ? .last : nil
        }
        guard !tablet.isJoint, replica < tablet.nextReplica,
            !tablet.everyone.contains(where: { $0.replica == replica })
        else { return nil }
        return tablet.configuration
    }

    private func answerAsLeader(
        _ tablet: Tablet, _ member: Member, _ newest: Generation, now: Instant
    ) {
        guard let absent = configuration(without: member.replica, in: tablet),
            tablet.split.proposed == nil
        else { return }
        if absent >= newest { return tellRemoved(tablet.id, member, by: absent) }
        // It knows of a configuration that was never committed, and would wait for a newer one.
        do throws(MembershipChangeError) {
            try tablet.raft.restateMembers(now: now)
            reached(.membersRestated)
            wantsTurn = true
        } catch {
            reached(.memberChangeDeferred)
        }
    }

    /// Tells a replica that wrote to us and is no member of a tablet led from here that it was
    /// removed.
    ///
    /// - Returns: whether the message is not to be looked at.
    func tellsStranger(_ message: RaftMessage, of tablet: Tablet, from node: NodeID) -> Bool {
        switch message.body {
        case .preVoteRequest, .voteRequest: break
        default: return false
        }
        guard let absent = configuration(without: message.from, in: tablet) else { return false }
        reached(.strangerReplicaAsked)
        tellRemoved(tablet.id, Member(replica: message.from, node: node), by: absent)
        return true
    }

    /// The number of the configuration of a tablet that is led from here, when it is committed and
    /// has no such replica. Only a leader whose term has a committed entry knows all that was decided
    /// before it.
    private func configuration(without replica: ReplicaID, in tablet: Tablet) -> Generation? {
        guard tablet.servesAsLeader, tablet.raft.commit >= tablet.raft.membershipIndex,
            !tablet.raft.membership.contains(replica)
        else { return nil }
        return tablet.raft.membership.generation
    }

    /// Tells a node that its replica is no member any more by the configuration of this number.
    func tellRemoved(_ tablet: TabletID, _ member: Member, by configuration: Generation) {
        // Not within the turn of the tablet that goes.
        tell(.removeReplica(tablet, member.replica, by: configuration), to: member.node)
    }

    // MARK: Going

    /// A word that a replica is no member by the configuration of this number.
    func take(
        removalOf replica: ReplicaID, from id: TabletID, by configuration: Generation,
        saidBy node: NodeID, now: Instant
    ) {
        remove(id, replica, by: configuration, now: now)
        // One that knows better stays, and is not to be taken for gone. Who leads it may learn by the
        // question that its number is too low.
        if let living = tablet(id), living.replica <= replica {
            let newest = living.raft.membership.generation
            return tell(.isMember(id, living.replica, newest: newest), to: node)
        }
        tell(.replicaRemoved(id, replica), to: node)
    }
}

extension Tablet {
    /// The number of the newest configuration known to be committed, when it names `member` and no
    /// other replica on its node; 0 otherwise. It proves that an earlier replica there has to go.
    func configuration(naming member: Member) -> Generation {
        let membership = raft.membership(at: raft.commit)
        let there = membership.members.filter { $0.node == member.node }
        return there == [member] ? membership.generation : .none
    }
}
