package import TenonCore

/// Why a group cannot start from what was recovered. The replica is to be quarantined (Rule L2).
package enum RestoreError: Error, Equatable, Sendable {
    /// A setting that cannot work.
    case configuration(ConfigurationError)
    /// The entry found where `expected` should be.
    case gap(expected: LogIndex, found: LogIndex)
    /// Terms of a log never fall, and none is above the hard state's.
    case termOutOfOrder(index: LogIndex, term: Term)
    /// A configuration entry that cannot be read.
    case configurationEntry(index: LogIndex, DecodingError)
    /// The log was trimmed past what the state machine holds durably (Rule L5).
    case trimmedPastFlush(base: LogIndex, flushed: LogIndex)
}

/// Why a proposal was not taken. It is not in the log and never will be.
package enum ProposalError: Error, Hashable, Sendable {
    /// Ask the leader, if one is known.
    case notLeader(hint: ReplicaID?)
    /// Too many bytes wait for their commit; try again later.
    case overloaded
    /// Leadership is being handed over; try again shortly, at the new leader.
    case transferring
    /// A configuration before this one is under way, or no entry of the leader's term is
    /// committed yet (Rule C4); try again later.
    case configurationUnderWay
}

/// Why the members of a group do not change. Nothing has changed.
package enum MembershipChangeError: Error, Equatable, Sendable {
    /// As for any proposal; `.configurationUnderWay`: another change has not ended yet.
    case proposal(ProposalError)
    /// The members are so already.
    case noChange
    /// A voter that comes is no learner yet, or lags: try again later.
    case notCaughtUp(ReplicaID)
    /// The lists make no membership.
    case malformed(DecodingError)
}

/// Why leadership is not handed over. Nothing has changed.
package enum TransferError: Error, Hashable, Sendable {
    /// Ask the leader, if one is known.
    case notLeader(hint: ReplicaID?)
    /// The target has no vote here.
    case notVoter
    /// The target is a witness: it leads only when nobody else can.
    case witness
    /// The target leads already.
    case alreadyLeader
    /// Another transfer has not ended yet.
    case underWay(to: ReplicaID)
    /// The target lags, or was not heard of within an election timeout; pick another one.
    case notCaughtUp
}
