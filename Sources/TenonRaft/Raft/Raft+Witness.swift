internal import TenonCore

/// Witnesses (Rule C7): voters that keep the log, and no data.
///
/// A witness counts for majorities and elections like every voter. What only its log has can be
/// read by nobody, so it counts for no site (Rule C6), and it leads only when its log is the newest
/// of those that are left: then it brings a voter with data up to date and lets go. For that it
/// keeps an entry until voters with data in two sites have it durably; who loses one site then has
/// a voter with data elsewhere that holds it.
extension Raft {
    /// Whether this replica is a witness, by the configuration in force.
    package var isWitness: Bool { membership.isWitness(configuration.replica) }

    // MARK: What may be dropped

    /// Notes how far a leader knows entries to be committed and held by voters with data in two
    /// sites, before it tells witnesses.
    ///
    /// Only what is committed: below that another leader's entry may yet stand at the same index.
    mutating func noteHeldElsewhere() {
        guard hasWitness else { return }
        let held = min(commit, heldInTwoSites)
        if held > heldElsewhere || leadership.heldToldRound == 0 {
            leadership.heldToldRound = leadership.lastRound
        }
        heldElsewhere = max(heldElsewhere, held)
    }

    /// Whether the witnesses on nodes that are there know what they may drop: a leader that rests
    /// tells them nothing.
    func areWitnessesTold(isHere: (NodeID) -> Bool) -> Bool {
        guard hasWitness else { return true }
        guard leadership.heldToldRound > 0, heldElsewhere >= min(commit, heldInTwoSites) else {
            return false
        }
        return leadership.progress.allSatisfy { progress in
            !progress.member.isWitness || !isHere(progress.member.node)
                || progress.answeredRound >= leadership.heldToldRound
        }
    }

    private var hasWitness: Bool {
        membership.incoming.contains(where: \.isWitness)
            || membership.outgoing.contains(where: \.isWitness)
            || membership.learners.contains(where: \.isWitness)
    }

    /// The greatest index that voters with data in two sites have durably, of each half of a joint
    /// configuration.
    private var heldInTwoSites: LogIndex {
        let coming = heldInTwoSites(of: membership.incoming)
        return membership.isJoint ? min(coming, heldInTwoSites(of: membership.outgoing)) : coming
    }

    /// Without knowing where voters stand all with data must have it, two at least: they are then
    /// in as many sites as there are.
    private func heldInTwoSites(of voters: [Member]) -> LogIndex {
        func match(_ voter: ReplicaID) -> LogIndex {
            if voter == configuration.replica { return writes.durable }
            guard let position = leadership.position(of: voter) else { return .zero }
            return leadership.progress[position].match
        }
        if dataSites.isEmpty {
            let data = voters.withData
            return data.count < 2 ? .zero : data.map { match($0.replica) }.min() ?? .zero
        }
        let sites = voters.map { dataSites[$0.node] ?? .unknown }
        return Membership.twoSitesValue(of: voters, sites, match) ?? .zero
    }

    // MARK: Handing over

    /// A witness that leads hands over as soon as some voter with data has its log, or all of it
    /// under way: at each answer and at each tick. Until then it replicates, which is what brings
    /// one up to date; a follower that needs what this log has no more waits for another.
    mutating func handOverFromWitness() {
        guard isWitness, role == .leader, leadership.transfer == nil, !leadership.isMuted else {
            return
        }
        replicate()
        let able = leadership.progress.filter { progress in
            membership.isVoter(progress.replica) && !progress.member.isWitness
                && isKeepingUp(progress) && !progress.isLogFull
        }
        // Who did not take over when it was told to is asked again only when there is no other.
        func rank(_ progress: Progress) -> (Int, LogIndex, ReplicaID) {
            (progress.replica == leadership.lateTarget ? 1 : 0, progress.match, progress.replica)
        }
        let best = able.min { one, other in
            let (left, right) = (rank(one), rank(other))
            return (left.0, right.1, left.2) < (right.0, left.1, right.2)
        }
        guard let best else { return }
        reached(.witnessHandsOver)
        beginTransfer(to: best.replica)
    }
}
