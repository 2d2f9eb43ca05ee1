package import TenonCore

/// Leases: reads of a leader without a round of heartbeats (Rule C3).
///
/// A heartbeat asks for a promise, and a voter that answers it votes for nobody else for
/// ``leaseLength`` on its own clock, counted from when it got the heartbeat. The leader counts less,
/// and from when it sent it: as long as a quorum's promises hold nobody else can have been elected,
/// and nothing was committed that this leader does not know.
///
/// `clock` is what the outside told after the read arrived. What is answered then was the newest at
/// that moment, however late the answer leaves.
extension Raft {
    /// How long a promise binds a voter.
    var leaseLength: TimeSpan { configuration.electionTimeoutMin }

    /// How long the leader counts on it: clocks may differ in pace by a tenth.
    private var leaseCounted: TimeSpan { leaseLength * 9 / 10 }

    /// The index from which reads may be served now without asking anybody; nil without a lease.
    var leaseIndex: LogIndex? {
        guard isReadyToServe, holdsLease(at: clock) else { return nil }
        reached(.readByLease)
        return commit
    }

    /// Whether a quorum's promises keep all others from leading at `now`.
    package func holdsLease(at now: Instant) -> Bool {
        guard role == .leader, usesLeases, !leadership.isMuted, !leadership.hasOrderedElection
        else { return false }
        let since = membership.quorumValue { voter in
            if voter == configuration.replica { return now }
            guard let position = leadership.position(of: voter) else { return .zero }
            return leadership.progress[position].promisedAt
        }
        return since > .zero && (now < since + leaseCounted || isPlanted(.leaseNeverEnds))
    }

    /// Whether this replica may vote for nobody now but by its leader's own wish.
    var hasPromised: Bool { clock < promisedUntil && !isPlanted(.promiseForgotten) }

    /// Whether a start from the disk as it is would find a term, and so keep silent for what this
    /// replica promises: an entry is durable only with one.
    var isKnownAtStart: Bool { writes.durable > .zero }

    mutating func givePromise() { promisedUntil = max(promisedUntil, clock + leaseLength) }

    /// What a replica must assume to have promised in its earlier life.
    static func promiseAtStart(
        _ term: Term, _ configuration: Configuration, now: Instant
    ) -> Instant {
        // One that has seen no term has heard no leader.
        guard term > .zero else { return .zero }
        return now + configuration.electionTimeoutMin
    }

    /// Stands when the promise has ended, a part of a heartbeat apart from the others.
    mutating func putOffElection() {
        reached(.electionPutOffByPromise)
        electionDeadline =
            promisedUntil + reluctance + randomSpan(below: configuration.heartbeatInterval)
    }
}
