package import TenonCore
import TenonLog
import TenonRaft
import TenonStore
package import TenonWire

extension Node {
    /// What this node says of itself.
    package func status(now: Instant) -> NodeStatus {
        var status = NodeStatus(
            node: id, name: configuration.name, cluster: identity.cluster, boot: identity.boot,
            epoch: identity.epoch, state: stateName)
        status.uptimeMilliseconds = UInt64(now.since(started).wholeMilliseconds)
        status.counters = counters
        status.counters.logSyncs = UInt64(logStatus.syncs)
        status.counters.logBytesWritten = UInt64(logStatus.bytesWritten)
        status.counters.logBytesReserved = UInt64(logStatus.fileBytes)
        status.counters.logSegmentsUsed = UInt64(logStatus.segmentsUsed)
        status.counters.logSegmentsTotal = UInt64(logStatus.segmentsReserved)
        for tablet in tablets.all {
            let store = tablet.store.status
            status.counters.tabletBytesOnDisk += UInt64(store.diskBytes)
            status.counters.storeBytesWritten += UInt64(store.counters.bytesWritten)
            status.counters.elections += tablet.elections
            status.counters.appliesDelayed += tablet.appliesDelayed
            status.counters.scrubbedBytes += tablet.scrub.bytesRead
            if tablet.raft.isResting { status.counters.groupsResting += 1 }
            status.counters.untimelyEntries += tablet.untimelyEntries
        }
        status.counters.damagedEntries = lostEntryCount
        status.clock = clockStatus(now: now)
        status.peers = peers.links.map { link in
            NodeStatus.Peer(
                node: link.node, isConnected: link.isUp,
                roundTripMicroseconds: roundTrip(to: link.node), problem: link.problem)
        }
        status.tablets = tablets.all.map(\.status)
        for id in damagedTablets.keys.sorted() {
            var damaged = NodeStatus.Tablet(tablet: id, role: "quarantined")
            damaged.health = damagedTablets[id] ?? "damaged"
            status.tablets.append(damaged)
        }
        return status
    }

    private var stateName: String {
        if isStopping { return "stopping" }
        return isFormed ? "serving" : "forming"
    }

    /// The last round trip to that node, in microseconds.
    private func roundTrip(to node: NodeID) -> UInt64 {
        guard let place = heartbeats.place(of: node) else { return 0 }
        return heartbeats.peers[place].pulse.roundTrip.nanoseconds / 1_000
    }
}
