import TenonCore
import TenonRaft

/// What a node has to do so that all members of its tablets have their replicas.
struct SpreadWork {
    /// How often members that were never heard are told to make their replicas.
    static let interval = TimeSpan.milliseconds(500)

    /// Those led from here of which a member may have none yet.
    var tablets: Set<TabletID> = []
    var nextRound = Instant.zero
}

/// Seeing to it that every member of a tablet has its replica.
///
/// A tablet begins with those of its voters that are there: the order to make the replica does not
/// reach a node that is down, or new and not connected yet. Nor does a half stand where the split is
/// not applied. Its leader is who misses them.
extension Node {
    /// The directory is to hear of a tablet; when it is led from here, its members are looked at.
    func reportDue(of tablet: Tablet) {
        memberWork.reportsDue.insert(tablet.id)
        if tablet.raft.role == .leader { spreadWork.tablets.insert(tablet.id) }
    }

    func lookAfterSpreading(now: Instant) {
        guard now >= spreadWork.nextRound else { return }
        spreadWork.nextRound = now + SpreadWork.interval
        for id in spreadWork.tablets.sorted() { spread(id) }
    }

    /// Tells members that were never heard to make their replicas. Who has one leaves it as it is,
    /// and who had one once does not make it anew under its number (Rule I3): whether it had one
    /// only its own log knows (``mayMake(_:)``).
    private func spread(_ id: TabletID) {
        guard let tablet = tablets.peek(id), tablet.raft.role == .leader else {
            spreadWork.tablets.remove(id)
            return
        }
        let silent = tablet.raft.followers.filter { $0.roundTrip == nil && $0.match == .zero }
        if silent.isEmpty { spreadWork.tablets.remove(id) }
        var record = tablet.record
        record.membership = tablet.raft.oldestMembership
        for follower in silent where mayLackReplica(follower.member, of: tablet) {
            record.replica = follower.member.replica
            record.isWitness = follower.member.isWitness
            tell(
                .createReplica(record, by: tablet.configuration(naming: follower.member)),
                to: follower.member.node)
        }
    }

    /// A learner, or a voter from the beginning: one that was a learner before has proved that it has
    /// its replica.
    private func mayLackReplica(_ member: Member, of tablet: Tablet) -> Bool {
        if tablet.raft.membership.learners.contains(member) { return true }
        return tablet.raft.oldestMembership.isVoter(member.replica)
            && !isPlanted(.missingVoterNotTold)
    }

    /// Whether this node can know that it never had a replica that is to be made here: a voter that
    /// forgot its votes and entries would take part in a second majority. A learner has given none.
    func mayMake(_ record: ReplicaRecord) -> Bool {
        guard damagedTablets[record.tablet] == nil else { return false }
        let isVoter = record.membership.incoming.contains { $0.replica == record.replica }
        return !isVoter || !isLogSuspect
    }
}
