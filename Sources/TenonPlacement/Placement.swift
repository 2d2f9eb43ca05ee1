package import TenonCore

/// Where the replicas and the leaders of all tablets should be: what to change next.
///
/// A function of what is known, nothing else: no clock but the moment it is given, no randomness,
/// no memory but ``MoveHistory``. Each change leaves every tablet with at least as many voters as
/// it had; one tablet changes at a time only in one way.
package struct Placement: Sendable {
    /// A node as the planner sees it.
    package struct Node: Hashable, Sendable {
        package var id: NodeID
        /// Whether it may get replicas and keep those it has.
        package var keepsReplicas: Bool
        /// Whether it may lead.
        package var mayLead: Bool
        /// Whether it was heard lately: one that was not gets nothing new.
        package var isAlive: Bool
        /// Where its replicas should go when it keeps none; 0 for anywhere.
        package var replacement: NodeID
        /// Where it stands.
        package var locality: Locality
        /// Whether its replicas vote and have no data (Rule C7).
        package var isWitness: Bool

        package init(
            id: NodeID, keepsReplicas: Bool = true, mayLead: Bool = true, isAlive: Bool = true,
            replacement: NodeID = NodeID(0), locality: Locality = .unknown,
            isWitness: Bool = false
        ) {
            self.id = id
            self.keepsReplicas = keepsReplicas
            self.mayLead = mayLead
            self.isAlive = isAlive
            self.replacement = replacement
            self.locality = locality
            self.isWitness = isWitness
        }
    }

    /// What a tablet's keyspace says of where it should be.
    package struct Policy: Hashable, Sendable {
        package var survive: FailureLevel
        /// The city that should lead it.
        package var home: String?
        /// The cities that should lead it when home is lost, in this order.
        package var failover: [String]
        /// Where an entry must be durable before it counts as committed (Rule C6).
        package var acknowledgement: AcknowledgementRule
        /// Whether every city is to have a copy, a learner where it has no voter.
        package var hasLocalReads: Bool

        package init(
            survive: FailureLevel = .node, home: String? = nil, failover: [String] = [],
            acknowledgement: AcknowledgementRule = .majority, hasLocalReads: Bool = false
        ) {
            self.survive = survive
            self.home = home
            self.failover = failover
            self.acknowledgement = acknowledgement
            self.hasLocalReads = hasLocalReads
        }
    }

    /// A tablet as the planner sees it.
    package struct Tablet: Hashable, Sendable {
        package var id: TabletID
        /// Voters wanted when there are nodes enough; an even number counts as one less.
        package var replicas: Int
        package var voters: [Member]
        package var learners: [Member]
        package var isJoint: Bool
        /// The voters that it is on the way to; empty when it is on none.
        package var target: [Member]
        /// The learners that it is to have for good.
        package var targetLearners: [Member]
        /// Of those it is to have, the ones of which their nodes say that they are gone for good:
        /// their numbers are used up (Rule I3).
        package var gone: [Member]
        /// What commits need of the voters; not known while the configuration is joint.
        package var acknowledgement: Acknowledgement
        /// What they are to need of the target.
        package var targetAcknowledgement: Acknowledgement
        package var nextReplica: ReplicaID
        /// 0 while it is not known.
        package var leader: NodeID
        /// Its members are to stay as they are for now. It may have another leader.
        package var isHeld: Bool
        package var policy: Policy

        package init(
            id: TabletID, replicas: Int, voters: [Member], learners: [Member] = [],
            isJoint: Bool = false, target: [Member] = [],
            targetLearners: [Member] = [], gone: [Member] = [],
            acknowledgement: Acknowledgement = .majority,
            targetAcknowledgement: Acknowledgement = .majority, nextReplica: ReplicaID,
            leader: NodeID = NodeID(0), isHeld: Bool = false, policy: Policy = Policy()
        ) {
            self.id = id
            self.replicas = replicas
            self.voters = voters
            self.learners = learners
            self.isJoint = isJoint
            self.target = target
            self.targetLearners = targetLearners
            self.gone = gone
            self.acknowledgement = acknowledgement
            self.targetAcknowledgement = targetAcknowledgement
            self.nextReplica = nextReplica
            self.leader = leader
            self.isHeld = isHeld
            self.policy = policy
        }

        /// Whether members and target agree, so that a new change may begin.
        package var isSettled: Bool {
            target.isEmpty && learners == targetLearners && !isJoint
        }
    }

    /// One thing to do.
    package enum Step: Hashable, Sendable {
        /// Make `target` the voters of a tablet, with what commits are to need of them;
        /// `nextReplica` is the lowest number unused then.
        case retarget(
            TabletID, target: [Member], Acknowledgement, nextReplica: ReplicaID)
        /// Make these the learners that a tablet is to have for good.
        case keepLearners(TabletID, [Member], nextReplica: ReplicaID)
        /// The target is reached: forget it.
        case settled(TabletID)
        /// Have the tablet's leader work towards its target.
        case advance(TabletID)
        /// Hand the leadership of a tablet to a node.
        case transfer(TabletID, to: NodeID)
    }

    package var nodes: [Node]
    /// By id.
    package var tablets: [Tablet]

    package init(nodes: [Node], tablets: [Tablet]) {
        self.nodes = nodes
        self.tablets = tablets
    }

    /// Tablets that may be on the way to another target at a time: each copies a tablet's data.
    package static let movesMax = 4
    /// Leaderships handed over at a time to even them out.
    package static let transfersMax = 8

    /// What to do now, in order of tablets.
    ///
    /// - Complexity: O(tablets · nodes).
    package func steps(_ history: inout MoveHistory, now: Instant) -> [Step] {
        for tablet in tablets {
            history.note(tablet.id, ledBy: tablet.leader)
            history.note(tablet.id, voters: tablet.voters)
        }
        history.note(nodes, now: now)
        var planner = Planner(self)
        planner.advanceThoseUnderWay()
        planner.repair()
        planner.bringToPolicy(&history, now: now)
        planner.bringToAcknowledgement()
        planner.bringLearners(&history, now: now)
        planner.balanceReplicas(&history, now: now)
        planner.freeDrainedLeaders()
        planner.sendLeadersHome(&history, now: now)
        planner.balanceLeaders(&history, now: now)
        return planner.steps
    }
}
