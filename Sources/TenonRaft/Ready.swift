package import TenonCore

/// What a replica is in its group.
package enum Role: UInt8, Sendable, Hashable {
    case follower
    /// Asks whether an election could be won, without a term of its own yet.
    case preCandidate
    case candidate
    case leader
}

/// Who leads, as this replica knows it.
package struct RoleChange: Hashable, Sendable {
    package var role: Role
    package var term: Term
    package var leader: ReplicaID?

    package init(role: Role, term: Term, leader: ReplicaID?) {
        self.role = role
        self.term = term
        self.leader = leader
    }
}

/// A read that may be served as soon as `index` is applied.
package struct ConfirmedRead: Hashable, Sendable {
    package var token: ReadToken
    package var index: LogIndex

    package init(token: ReadToken, index: LogIndex) {
        self.token = token
        self.index = index
    }
}

/// Everything that the outside is to do for a group, from ``Raft/takeReady()``.
///
/// The parts may be done in any order and at the same time, with one exception: what is to be
/// written is written in the order of the tickets, and all that one ``Ready`` wants written is on
/// stable storage before its ticket is reported. What may leave only after a write is kept inside
/// ``Raft`` until then, so no promise rests on the caller's order.
package struct Ready: Sendable {
    /// Set when something is to be written: `logReset`, `repaired`, `hardState`, `entries`, in
    /// this order.
    /// To be reported by ``Raft/persisted(_:)``. Rises with each.
    package var ticket: WriteTicket?
    /// A snapshot replaced the log: drop every entry of the log on disk; it goes on after this.
    package var logReset: LogPosition?
    /// Entries that were lost, to go where they were; what the log on disk has behind them stays.
    package var repaired: [Entry] = []
    /// The hard state, when its term or vote changed, or its commit did and others are written.
    package var hardState: HardState?
    /// To append; they replace everything from the first one's index on.
    package var entries: [Entry] = []
    /// To send now.
    package var messages: [RaftMessage] = []
    /// Committed, to apply in order; each is handed out once.
    package var committed: [Entry] = []
    package var confirmedReads: [ConfirmedRead] = []
    /// Not known to be linearizable here and now: retry, at the leader if one is known.
    package var rejectedReads: [ReadToken] = []
    /// Followers that need a snapshot. The node streams one to each and then calls
    /// ``Raft/snapshotSent(to:at:)`` or ``Raft/snapshotFailed(to:)``.
    package var snapshotsWanted: [ReplicaID] = []
    /// Set when role, term or leader are not what the last ``Ready`` said.
    package var roleChange: RoleChange?

    package init() {}

    /// Whether there is nothing to do.
    package var isEmpty: Bool {
        ticket == nil && messages.isEmpty && committed.isEmpty && confirmedReads.isEmpty
            && rejectedReads.isEmpty && snapshotsWanted.isEmpty && roleChange == nil
    }
}
