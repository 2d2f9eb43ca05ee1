package import TenonCore
import TenonKV
import TenonLog
package import TenonRaft
import TenonStore
import TenonWire

/// One tablet of a node as a checker looks at it between two steps; reading it changes nothing.
package struct TabletProbe: Hashable, Sendable {
    package var tablet: TabletID
    package var replica: ReplicaID
    package var role: Role
    package var term: Term
    package var commit: LogIndex
    package var applied: LogIndex
    package var last: LogIndex
    /// What the replica itself takes for durable in its log (Rule L4).
    package var durable: LogIndex
    /// Through here the store on disk holds everything (Rule L5).
    package var flushed: LogIndex
    /// The chained digest of all that was applied (Rule S5).
    package var logDigest: UInt64
    /// The version of the last command applied.
    package var lastVersion: Timestamp
    /// Since when something that was acknowledged may be missing in it, on its host's clock; nil
    /// when it does not know (Rule S8).
    package var closedSince: Instant?
    package var isQuarantined: Bool
    /// Whether its store is lost and comes anew from its leader (Rule L7).
    package var isRebuilding: Bool
    /// Whether it keeps no data (Rule C7).
    package var isWitness: Bool
    /// Whether its node's log has no room: then a witness drops what it should keep.
    package var isLogFull: Bool
    /// The newest configuration in its log, which is the one in force (Rule C4).
    package var membership: Membership
    /// Where its log began; zero unless it is the half of a tablet that was split.
    package var birth: LogPosition
    /// The tablet that was split; 0 for none.
    package var parent: TabletID

    /// One line for messages.
    package var summary: String {
        "tablet \(tablet) replica \(replica) \(role) in \(term): commit \(commit) applied \(applied)"
            + " last \(last) durable \(durable) flushed \(flushed)"
            + (isRebuilding ? " rebuilding" : isQuarantined ? " quarantined" : "")
    }
}

/// A set of quiet groups that one node leads and another follows, as either end holds it (C9).
package struct QuietProbe: Hashable, Sendable {
    /// The boots of the node that leads and of the one that follows.
    package var leads: BootNumber
    package var follows: BootNumber
    package var number: UInt64
    /// In rising order.
    package var tablets: [TabletID]
}

/// What the simulator's checks see of a node.
extension Node {
    /// How much room its log has, in one line for messages.
    package var logSummary: String {
        "log free \(logStatus.freeBytes) of \(logStatus.capacityBytes), oldest held by "
            + "\(logStatus.oldestSegmentTablets)" + (isLogFull ? ", full" : "")
    }

    /// The quiet groups that `node` leads, as this node follows them.
    package func probeQuietFollowed(of node: NodeID) -> QuietProbe? {
        guard let place = heartbeats.place(of: node) else { return nil }
        let following = heartbeats.peers[place].following
        return QuietProbe(
            leads: following.boot, follows: identity.boot, number: following.number,
            tablets: following.tablets)
    }

    /// The quiet groups that this node leads, as `node` is told of them.
    package func probeQuietLed(to node: NodeID) -> QuietProbe? {
        guard let place = heartbeats.place(of: node) else { return nil }
        let leading = heartbeats.peers[place].leading
        return QuietProbe(
            leads: identity.boot, follows: leading.peerBoot, number: leading.number,
            tablets: leading.tablets)
    }

    /// How many tablets take part; damaged ones do not.
    package var probeCount: Int { tablets.count }

    package func probeID(_ place: Int) -> TabletID { tablets.all[place].id }

    /// The tablet at `place`. - Complexity: O(1).
    package func probe(_ place: Int) -> TabletProbe {
        let tablet = tablets.all[place]
        // One copy for all that is computed.
        let raft = tablet.raft
        return TabletProbe(
            tablet: tablet.id, replica: tablet.replica, role: raft.role, term: raft.term,
            commit: raft.commit, applied: tablet.machine.appliedIndex,
            last: raft.lastPosition.index, durable: raft.durableIndex,
            flushed: tablet.store.flushed?.index ?? .zero,
            logDigest: tablet.machine.logDigest.value,
            lastVersion: tablet.machine.lastVersion,
            closedSince: raft.closedSince(applied: tablet.machine.appliedIndex),
            isQuarantined: tablet.problem != nil, isRebuilding: tablet.isRebuilding,
            isWitness: tablet.isWitness, isLogFull: raft.isLogFull,
            membership: raft.membershipInLog, birth: tablet.record.birth,
            parent: tablet.record.parent)
    }

    /// The newest configuration of the tablet at `place` that it knows to be committed.
    package func probeCommittedMembership(_ place: Int) -> Membership {
        let raft = tablets.all[place].raft
        return raft.membership(at: raft.commit)
    }

    /// Tablets of dropped keyspaces, as far as this node has heard.
    package var probeDropped: [TabletID] {
        let directory = cluster.directory
        let dropped = directory.keyspaces.filter(\.isDropped).map(\.id)
        if dropped.isEmpty { return [] }
        return directory.tablets.filter { dropped.contains($0.keyspace) }.map(\.id)
    }

    /// The term in which this node leads a tablet and may read there without asking anybody
    /// (Rule C3); nil when it may not.
    package func probeLease(of tablet: TabletID, at now: Instant) -> Term? {
        guard let raft = tablets.peek(tablet)?.raft, raft.holdsLease(at: now) else { return nil }
        return raft.term
    }

    /// Splits that the directory's leader has not brought to their end; empty on other nodes.
    package var probeSplits: [TabletSplit] {
        ledDirectory == nil ? [] : controller.state.splits
    }

    /// The term of an entry of the tablet at `place`; nil when its log does not hold it.
    package func probeTerm(_ place: Int, at index: LogIndex) -> Term? {
        tablets.all[place].raft.term(at: index)
    }

    /// Calls `body` with the log digests after `index` that the tablet at `place` remembers,
    /// newest first.
    package func probeDigests(
        _ place: Int, after index: LogIndex, _ body: (LogIndex, UInt64) -> Void
    ) {
        tablets.all[place].digests.forEach(after: index, body)
    }
}
