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

    /// What the election comes to, when `ballot` is each voter's answer so far.
    func outcome(_ ballot: (ReplicaID) -> Bool?) -> ElectionOutcome {
        if hasQuorum({ ballot($0) == true }) { return .won }
        // Whoever has not answered may still say yes.
        return hasQuorum { ballot($0) != false } ? .pending : .lost
    }

    private static func majorityValue<Value: Comparable>(
        of voters: [Member], _ value: (ReplicaID) -> Value
    ) -> Value {
        let falling = voters.map { value($0.replica) }.sorted(by: >)
        // Of n voters, n/2 + 1 are at or above the one at offset n/2.
        return falling[voters.count / 2]
    }
}
