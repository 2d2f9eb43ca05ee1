package import TenonCore

/// Another replica's wall clock, as a heartbeat or its answer told it (Rule S2).
package struct PeerClock: Hashable, Sendable {
    package var replica: ReplicaID
    package var wallTime: WallTime
    /// When it arrived, on this node's monotonic clock.
    package var sampledAt: Instant
    /// How long the heartbeat and its answer took together; nil when only one way was seen.
    package var roundTrip: TimeSpan?
}

/// Where a group has room for more entries.
package enum LogRoom: Hashable, Sendable {
    /// In this log and in those of a quorum.
    case here
    /// Not in this log; a follower that keeps up has some, and is to lead.
    case elsewhere
    /// A quorum cannot be had: only what frees space is worth proposing.
    case nowhere
}

/// What a leader knows of one follower, for status and placement.
package struct FollowerStatus: Hashable, Sendable {
    package var member: Member
    package var state: ReplicationState
    package var match: LogIndex
    /// When the newest heartbeat that it answered was sent.
    package var heardAt: Instant
    package var roundTrip: TimeSpan?
}

/// Facts about a group as this replica knows them. Reading one changes nothing.
extension Raft {
    package var replica: ReplicaID { configuration.replica }
    package var firstIndex: LogIndex { log.firstIndex }
    package var lastPosition: LogPosition { log.last }
    /// The log starts after it.
    package var basePosition: LogPosition { log.base }
    /// The log is on stable storage through here (Rule L4).
    package var durableIndex: LogIndex { writes.durable }
    /// The oldest configuration that the log tells of: what a new member starts from.
    package var oldestMembership: Membership { history.elements[0].membership }
    /// Where the configuration in force stands in the log.
    package var membershipIndex: LogIndex { history.activeIndex }
    /// Bytes of the payloads held in memory.
    package var payloadBytes: Int { log.payloadBytes }
    /// The leader hands leadership to it.
    package var transferTarget: ReplicaID? { leadership.transfer?.target }
    /// Whether the leader has stopped sending heartbeats because its disk stalls.
    package var isMuted: Bool { leadership.isMuted }

    /// The configuration in force as of `index`, for a flush record or a snapshot there.
    /// - Precondition: `index` is not before the base, nor before what was flushed at the start.
    package func membership(at index: LogIndex) -> Membership {
        let oldest = history.elements[0].index
        precondition(index >= oldest, "configuration at \(index), known from \(oldest) on")
        return history.membership(at: index)
    }

    /// The term of the entry at `index`; nil when the log does not hold it.
    package func term(at index: LogIndex) -> Term? { log.term(at: index) }

    /// The entry at `index`; nil when the log does not hold it.
    package func entry(at index: LogIndex) -> Entry? {
        index >= log.firstIndex && index <= log.lastIndex ? log[index] : nil
    }

    /// The leader's followers, in rising order of replica; empty on others.
    package var followers: [FollowerStatus] {
        leadership.progress.map {
            FollowerStatus(
                member: $0.member, state: $0.state, match: $0.match, heardAt: $0.heardAt,
                roundTrip: $0.clock?.roundTrip)
        }
    }

    /// Wall clocks of the others: a leader knows all that answer it, a follower its leader's.
    package var peerClocks: [PeerClock] {
        role == .leader
            ? leadership.progress.compactMap(\.clock) : [following.leaderClock].compactMap(\.self)
    }
}
