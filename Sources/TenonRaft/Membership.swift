package import TenonCore

/// Who belongs to a group, as configuration entries of its log say.
///
/// Normally `outgoing` is empty. While the group moves from one set of voters to another both are
/// present, and every decision needs a majority of *each* (joint consensus).
/// Source: Ongaro's thesis, section 4.3.
///
/// - Invariant: each list is in strictly rising order of replica; `incoming` is not empty; a
///   replica is on one node only, and not a learner while it is an incoming voter. (An outgoing
///   voter may be a learner: that is what it becomes when the joint configuration ends.) A replica
///   is a witness in all lists or in none, and each set of voters has one with data (Rule C7).
///   Each rule of acknowledgement fits its voters; without outgoing voters theirs is a plain
///   majority.
package struct Membership: Hashable, Sendable {
    /// The voters; of a joint configuration those that come.
    package let incoming: [Member]
    /// The voters that go; empty unless the configuration is joint.
    package let outgoing: [Member]
    /// Members that get the log and have no vote.
    package let learners: [Member]
    /// Rises with every change.
    package let generation: Generation
    /// What the incoming voters ask of a commit beside their majority (Rule C6).
    package let acknowledgement: Acknowledgement
    /// The same of the outgoing voters: while both decide, both rules hold.
    package let outgoingAcknowledgement: Acknowledgement

    /// Bounds each of the lists.
    package static let membersMax = [Member].countMax

    /// - Throws: `DecodingError.malformed` or `.tooLong` when the lists break the invariant.
    package init(
        incoming: [Member], outgoing: [Member] = [], learners: [Member] = [],
        generation: Generation = .first, acknowledgement: Acknowledgement = .majority,
        outgoingAcknowledgement: Acknowledgement = .majority
    ) throws(DecodingError) {
        self.incoming = incoming
        self.outgoing = outgoing
        self.learners = learners
        self.generation = generation
        self.acknowledgement = acknowledgement
        self.outgoingAcknowledgement = outgoingAcknowledgement
        try validate()
    }

    /// Whether two sets of voters decide together.
    package var isJoint: Bool { !outgoing.isEmpty }

    /// Every member once, in rising order of replica.
    package var members: [Member] {
        var all = incoming
        for member in outgoing + learners where !all.contains(member) { all.append(member) }
        return all.sorted { $0.replica < $1.replica }
    }

    /// The node of a member; nil for a replica that is none.
    package func node(of replica: ReplicaID) -> NodeID? {
        for list in [incoming, outgoing, learners] {
            if let member = list.first(where: { $0.replica == replica }) { return member.node }
        }
        return nil
    }

    /// Whether `replica` is among the members.
    package func contains(_ replica: ReplicaID) -> Bool { node(of: replica) != nil }

    /// Whether `replica` has a vote in either half.
    package func isVoter(_ replica: ReplicaID) -> Bool {
        incoming.contains { $0.replica == replica } || outgoing.contains { $0.replica == replica }
    }

    /// Whether `replica` is a member that keeps no data (Rule C7).
    package func isWitness(_ replica: ReplicaID) -> Bool {
        func isNamed(_ list: [Member]) -> Bool {
            list.contains { $0.isWitness && $0.replica == replica }
        }
        return isNamed(incoming) || isNamed(outgoing) || isNamed(learners)
    }

    private func validate() throws(DecodingError) {
        guard !incoming.isEmpty else { throw .malformed("a group without voters") }
        for voters in [incoming, outgoing] where !voters.isEmpty && voters.withData.isEmpty {
            throw .malformed("voters none of which has data")
        }
        for list in [incoming, outgoing, learners] {
            guard list.count <= Membership.membersMax else {
                throw .tooLong(
                    field: "members", count: list.count, bound: Membership.membersMax)
            }
            guard list.first?.replica != ReplicaID.none else { throw .malformed("replica 0") }
            for (left, right) in zip(list, list.dropFirst())
            where left.replica >= right.replica {
                throw .malformed("members out of order")
            }
        }
        for learner in learners where incoming.contains(where: { $0.replica == learner.replica }) {
            throw .malformed("a voter that is a learner")
        }
        guard acknowledgement.fits(voters: incoming.count),
            outgoing.isEmpty
                ? outgoingAcknowledgement == .majority
                : outgoingAcknowledgement.fits(voters: outgoing.count)
        else { throw .malformed("sites that are not those of the voters") }
        let everyone = members
        for (left, right) in zip(everyone, everyone.dropFirst())
        where left.replica == right.replica {
            throw .malformed("a replica on two nodes, or in two roles")
        }
    }
}
