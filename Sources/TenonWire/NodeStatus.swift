package import TenonCore

/// What a node says of itself: measured facts, never wishes.
package struct NodeStatus: Hashable, Sendable {
    package var node: NodeID
    package var name: String
    package var cluster: ClusterID
    package var boot: BootNumber
    package var epoch: Epoch
    package var uptimeMilliseconds: UInt64 = 0
    /// `serving`, `forming`, `stopping`, …
    package var state: String
    /// `none` until TLS lands.
    package var security: String = "none"
    package var counters = Counters()
    package var peers: [Peer] = []
    package var tablets: [Tablet] = []
    package var clock = Clock()

    package init(
        node: NodeID, name: String, cluster: ClusterID, boot: BootNumber, epoch: Epoch,
        state: String
    ) {
        self.node = node
        self.name = name
        self.cluster = cluster
        self.boot = boot
        self.epoch = epoch
        self.state = state
    }

    /// Counts since the start of the process, and gauges.
    package struct Counters: Hashable, Sendable {
        package var logSyncs: UInt64 = 0
        package var logBytesWritten: UInt64 = 0
        package var logSegmentsUsed: UInt64 = 0
        package var logSegmentsTotal: UInt64 = 0
        package var logBytesReserved: UInt64 = 0
        package var tabletBytesOnDisk: UInt64 = 0
        package var storeBytesWritten: UInt64 = 0
        package var diskFreeBytes: UInt64 = 0
        package var memoryResidentBytes: UInt64 = 0
        package var cpuMicroseconds: UInt64 = 0
        package var longestTurnMicroseconds: UInt64 = 0
        package var clientConnections: UInt64 = 0
        package var requests: UInt64 = 0
        package var elections: UInt64 = 0
        package var snapshotsSent: UInt64 = 0
        package var snapshotsInstalled: UInt64 = 0
        package var snapshotBytesHeldMax: UInt64 = 0
        package var damagedEntries: UInt64 = 0
        /// Committed entries that waited for blocks which nobody had ordered ahead.
        package var appliesDelayed: UInt64 = 0
        /// Bytes of tables that the scrubber has read.
        package var scrubbedBytes: UInt64 = 0
        /// 0: the node takes no orders to be faulty. 1: it does (`--enable-fault-injection`), and
        /// above 1: so many faults less one are in force.
        package var faultInjection: UInt64 = 0
        /// How often this node tried to hand over because its clock was off (Rule S2).
        package var clockHandOvers: UInt64 = 0
        /// How often the agreed clock stopped after a step.
        package var clockStops: UInt64 = 0
        /// Entries of leaders that were not acknowledged because of their time.
        package var untimelyEntries: UInt64 = 0
        /// Entries that the log had lost and other nodes sent (Rule L7).
        package var entriesRepaired: UInt64 = 0
        /// Tablets whose log had lost entries and is whole again.
        package var tabletsRepaired: UInt64 = 0
        /// Stores that were lost and rebuilt by a snapshot.
        package var storesRebuilt: UInt64 = 0
        /// Consensus messages of other nodes that this one passed on (Rule C8).
        package var messagesRelayed: UInt64 = 0
        /// Groups that rest here at the moment, led or followed (Rule C9).
        package var groupsResting: UInt64 = 0

        package init() {}

        /// The order of the fields on the wire. New ones go to the end; a reader skips what it
        /// does not know and leaves at zero what is not there.
        static var fields: [any WritableKeyPath<Counters, UInt64> & Sendable] {
            [
                \.logSyncs, \.logBytesWritten, \.logSegmentsUsed, \.logSegmentsTotal,
                \.logBytesReserved, \.tabletBytesOnDisk, \.storeBytesWritten, \.diskFreeBytes,
                \.memoryResidentBytes, \.cpuMicroseconds, \.longestTurnMicroseconds,
                \.clientConnections, \.requests, \.elections, \.snapshotsSent,
                \.snapshotsInstalled, \.snapshotBytesHeldMax, \.damagedEntries,
                \.appliesDelayed, \.scrubbedBytes, \.faultInjection, \.clockHandOvers,
                \.clockStops, \.untimelyEntries, \.entriesRepaired, \.tabletsRepaired,
                \.storesRebuilt, \.messagesRelayed, \.groupsResting,
            ]
        }
    }

    /// The agreed clock as the node knows it (Rule S2).
    package struct Clock: Hashable, Sendable {
        /// `agreed`, or what is wrong.
        package var state: String
        /// The cluster's time.
        package var time: WallTime
        /// How far the node's own clock is ahead of the agreed one; negative when behind.
        package var errorMilliseconds: Int64
        /// How far the clocks have stepped from the time that stands still; 0 when it does not.
        package var stepMilliseconds: Int64
        /// How many clocks were heard lately, of how many.
        package var known: UInt32
        package var members: UInt32

        package init(
            state: String = "unknown", time: WallTime = WallTime(milliseconds: 0),
            errorMilliseconds: Int64 = 0, stepMilliseconds: Int64 = 0, known: UInt32 = 0,
            members: UInt32 = 0
        ) {
            self.state = state
            self.time = time
            self.errorMilliseconds = errorMilliseconds
            self.stepMilliseconds = stepMilliseconds
            self.known = known
            self.members = members
        }
    }

    /// The link to another node.
    package struct Peer: Hashable, Sendable {
        package var node: NodeID
        package var isConnected: Bool
        /// 0 when nothing was heard yet.
        package var roundTripMicroseconds: UInt64
        /// Why it is not connected, empty when it is.
        package var problem: String

        package init(
            node: NodeID, isConnected: Bool, roundTripMicroseconds: UInt64, problem: String
        ) {
            self.node = node
            self.isConnected = isConnected
            self.roundTripMicroseconds = roundTripMicroseconds
            self.problem = problem
        }
    }

    /// One replica of this node.
    package struct Tablet: Hashable, Sendable {
        package var tablet: TabletID
        /// `leader`, `follower`, `candidate`, …
        package var role: String
        package var term: UInt64 = 0
        /// 0 when it is not known.
        package var leader: NodeID = NodeID(0)
        package var first: UInt64 = 0
        package var last: UInt64 = 0
        package var commit: UInt64 = 0
        package var applied: UInt64 = 0
        package var flushed: UInt64 = 0
        package var lastVersion: Timestamp = .zero
        package var historyFloor: Timestamp = .zero
        package var logDigest: UInt64 = 0
        /// At ``contentDigestVersion``; 0 when none was computed.
        package var contentDigest: UInt64 = 0
        package var contentDigestVersion: Timestamp = .zero
        package var bytesOnDisk: UInt64 = 0
        /// `whole`, or what is wrong with it.
        package var health: String = "whole"
        package var sessions: UInt64 = 0

        package init(tablet: TabletID, role: String) {
            self.tablet = tablet
            self.role = role
        }
    }
}
