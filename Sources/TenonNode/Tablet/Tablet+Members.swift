import TenonCore
import TenonKV
import TenonRaft
import TenonWire

/// Where replicas are that a tablet's members do not name: those that wrote to it. A replica that
/// was just made has an old configuration, and so does one that was away for long.
struct Strangers {
    private static let countMax = 64
    private var known: [Member] = []

    mutating func note(_ replica: ReplicaID, on node: NodeID) {
        guard !known.contains(Member(replica: replica, node: node)) else { return }
        known.removeAll { $0.replica == replica }
        if known.count >= Strangers.countMax { known.removeFirst() }
        known.append(Member(replica: replica, node: node))
    }

    func node(of replica: ReplicaID) -> NodeID? {
        known.first { $0.replica == replica }?.node
    }
}

extension Tablet {
    /// What the directory is to know of the tablet, from its leader (Rule C5).
    var report: TabletDescriptor {
        let membership = raft.membership
        let voters =
            membership.incoming
            + membership.outgoing.filter {
                !membership.incoming.contains($0)
            }
        return TabletDescriptor(
            id: id, keyspace: record.keyspace, generation: generation,
            lower: machine.bounds.lower, upper: machine.bounds.upper, leader: leaderNode,
            configuration: membership.generation,
            voters: voters.inOrder,
            learners: membership.learners.filter { !voters.contains($0) },
            isJoint: membership.isJoint,
            acknowledgement: membership.isJoint
                ? Tablet.acknowledgementUnderWay(membership, voters: voters.count)
                : membership.acknowledgement)
    }

    /// Both halves' rules hold: the one that asks for more is told, without sites, which each half
    /// numbers on its own.
    private static func acknowledgementUnderWay(
        _ membership: Membership, voters count: Int
    ) -> Acknowledgement {
        let rules = [membership.acknowledgement.rule, membership.outgoingAcknowledgement.rule]
        let rule = rules.max { $0.rawValue < $1.rawValue } ?? .majority
        return Acknowledgement(rule, sites: Array(repeating: .unknown, count: count))
    }

    /// Whether one of the voters with data is on the node: others are not counted when replicas are
    /// compared (Rule S5).
    func hasVoter(on node: NodeID) -> Bool {
        raft.membership.incoming.contains { $0.node == node && !$0.isWitness }
    }

    /// A configuration is committed: who is no member any more is to be told, and the directory.
    func configurationCommitted(at index: LogIndex, into output: inout TabletOutput) {
        output.isReportDue = true
        guard raft.role == .leader else { return }
        let now = raft.membership(at: index)
        let before = raft.membership(at: index.previous).members
        for member in before where !now.members.contains(member) {
            output.departed.append((member, by: now.generation))
        }
    }

    /// Goes a step towards `target`: those who come and those who stay learners first, then the
    /// voters, with what commits are to need of them.
    ///
    /// - Returns: whether there is nothing more to do: it is reached, or it cannot be and the
    ///   directory has to hear why.
    func advanceMembers(towards target: MemberWork.Target, now: Instant) -> Bool {
        let membership = raft.membership
        let (voters, acknowledgement) = (target.voters, target.acknowledgement)
        guard servesAsLeader, !membership.isJoint, split.proposed == nil else { return false }
        if membership.incoming == voters, membership.learners == target.learners,
            membership.acknowledgement == acknowledgement
        {
            return true
        }
        // Under such a rule the loss of one voter could end all writes, and its change with them.
        guard acknowledgement.standsLossOfOne || acknowledgement == membership.acknowledgement
        else {
            reached(.acknowledgementRefused)
            return true
        }
        let coming = voters.filter { !membership.incoming.contains($0) }
        let staying = target.learners.filter { !coming.contains($0) }
        // A node has one replica of a tablet: a second one would put out the first, whose word may
        // have committed entries. The directory asks so when it has not heard of the first.
        let isTaken = (coming + staying).contains { new in
            membership.incoming.contains { $0.node == new.node }
        }
        guard !isTaken || isPlanted(.replicaAddedUnderOldID) else {
            reached(.secondReplicaOnNodeRefused)
            return true
        }
        do {
            let learners = (coming + staying).inOrder
            if membership.learners != learners {
                try raft.changeMembers(voters: membership.incoming, learners: learners, now: now)
            } else {
                try raft.changeMembers(
                    voters: voters, learners: staying, acknowledgement: acknowledgement, now: now)
            }
        } catch {
            // A change is under way, or a learner is not there yet: asked again soon.
            reached(.memberChangeDeferred)
        }
        return false
    }
}
