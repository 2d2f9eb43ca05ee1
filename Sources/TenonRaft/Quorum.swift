package import TenonCore

/// What the ballots of an election add up to.
enum ElectionOutcome: Sendable {
    /// A quorum said yes.
    case won
    /// So many said no that a quorum cannot say yes any more.
    case lost
    /// Neither, yet.
    case pending
}

/// Majorities: of the voters, or of both halves of a joint configuration.
extension Membership {
    /// Whether those for whom `agrees` holds are a quorum.
    package func hasQuorum(_ agrees: (ReplicaID) -> Bool) -> Bool {
        quorumValue { agrees($0) ? 1 : 0 } == 1
    }

    /// The greatest value that a quorum has reached, when each voter has reached `value(voter)`.
    /// - Complexity: O(voters · log voters).
    func quorumValue<Value: Comparable>(_ value: (ReplicaID) -> Value) -> Value {
        let coming = Membership.majorityValue(of: incoming, value)
        return isJoint ? min(coming, Membership.majorityValue(of: outgoing, value)) : coming
    }

    /// The greatest value that a commit may count on: a quorum has reached it, and, where a rule
    /// asks for that, voters of two sites, of each half of a joint configuration (Rule C6). Nil when
    /// no value can be enough, because nobody knows of two sites.
    ///
    /// Two sites, whoever leads: then one of them is not the leader's, and the entry outlives the
    /// other. In the ordinary case, where the leader has it itself, that is the same as a voter
    /// elsewhere; while its own disk is behind it is more.
    /// - Complexity: O(voters · log voters).
    func commitValue<Value: Comparable>(_ value: (ReplicaID) -> Value) -> Value? {
        let quorum = quorumValue(value)
        if isPlanted(.acknowledgedWithinSite) { return quorum }
        var reached = quorum
        for (voters, rule) in [
            (incoming, acknowledgement), (outgoing, outgoingAcknowledgement),
        ] where rule.rule != .majority {
            guard let elsewhere = Membership.twoSitesValue(of: voters, rule.sites, value) else {
                return nil
            }
            reached = min(reached, elsewhere)
        }
        return reached
    }

    /// Whether what those have for whom `agrees` holds is enough for a commit.
    package func canCommit(_ agrees: (ReplicaID) -> Bool) -> Bool {
        commitValue { agrees($0) ? 1 : 0 } == 1
    }

    /// What the election comes to, when `ballot` is each voter's answer so far.
    func outcome(_ ballot: (ReplicaID) -> Bool?) -> ElectionOutcome {
        if hasQuorum({ ballot($0) == true }) { return .won }
        // Whoever has not answered may still say yes.
        return hasQuorum { ballot($0) != false } ? .pending : .lost
    }

    /// The greatest value that voters with data in two different known sites have reached; nil
    /// when there are no two. A witness has no site: what only its log has nobody can read
    /// (Rule C7).
    static func twoSitesValue<Value: Comparable>(
        of voters: [Member], _ sites: [SiteID], _ value: (ReplicaID) -> Value
    ) -> Value? {
        let known = zip(voters, sites).filter { $0.1 != .unknown && !$0.0.isWitness }
            .map { (value: value($0.0.replica), site: $0.1) }
        guard let first = known.max(by: { $0.value < $1.value }) else { return nil }
        return known.filter { $0.site != first.site }.map(\.value).max()
    }

    private static func majorityValue<Value: Comparable>(
        of voters: [Member], _ value: (ReplicaID) -> Value
    ) -> Value {
        let falling = voters.map { value($0.replica) }.sorted(by: >)
        // Of n voters, n/2 + 1 are at or above the one at offset n/2.
        return falling[voters.count / 2]
    }
}
