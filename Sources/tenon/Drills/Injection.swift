/// How a fault is injected.
enum Injection: String, Codable, CaseIterable, Sendable {
    /// SIGKILL: the kernel resets the connections, so peers and clients hear of it at once.
    case kill
    /// SIGSTOP, and SIGKILL when the round ends: nobody hears anything, as from a lost host; but
    /// the kernel still acknowledges what arrives.
    case silence
    /// SIGSTOP, and SIGCONT after a while: a stalled virtual machine.
    case pause
    /// No fault: leadership is handed over as before planned work.
    case drain

    // By order to a node that takes them (``FaultOrder``)

    /// Nothing can grow on the disk until its log is full, and for a while longer. When all nodes
    /// are full they are then killed as well, which shows what was not written.
    case fill
    /// Each sync takes so much longer.
    case stall100 = "stall-100ms"
    case stall2s = "stall-2s"
    /// No write and no sync ends.
    case hang
    /// The node is cut off from all others, both ways. Clients reach it.
    case cut
    /// That, and healed, in turns of 2 s.
    case flap
    /// The node hears no other, and is heard.
    case deaf
    /// The node is heard by no other, and hears.
    case mute
    /// The leader and one follower are cut off from each other; both see the rest.
    case single
    /// Each sees its neighbours in a line, at whose end the leader is.
    case chain
    /// All see only one node, which is not the leader (quorum loss).
    case hub
    /// That, without the leader, and the one has an old log (constrained election).
    case constrained
    /// Between the leader and one follower all takes 200 ms longer.
    case delay
    /// That, up to 500 ms of jitter, and one frame in twenty is lost.
    case lossy
    /// Between the leader and one follower 1 Mbit/s passes.
    case capped
    /// The wall clock goes wrong.
    case clockAhead = "clock+1h"
    case clockBehind = "clock-1h"
    case clockDecade = "clock+10y"
    /// 500 microseconds a second too fast.
    case clockDrift = "clock-drift"

    // In the files of a stopped node

    /// One bit of a batch in the middle of the log.
    case flipLog = "flip-log"
    /// One bit in the middle of the largest table.
    case flipTable = "flip-table"

    // Members

    /// All nodes are replaced: two join and take the place of two, then one of the third.
    case renew
    /// A node and its files are gone for good. An empty one under its name is refused; another
    /// joins and takes its place.
    case destroy
    /// The node is drained, stopped, started and undrained: planned work on a machine.
    case drainStop = "drain-stop"
    /// The drain is called back at once.
    case drainCancel = "drain-cancel"

    // Nodes that are not what they say

    /// The copy of a node's files is started beside it.
    case clone
    /// A node comes back with files of earlier.
    case rolledBack = "rolled-back"
    /// A node of another cluster comes under the name of one of this.
    case stranger
    /// A node is told that it is the whole cluster.
    case doctored

    // For good

    /// A majority of the nodes, the leader among them, is gone with its files; an operator recovers
    /// the rest.
    case loseMajority = "lose-majority"

    /// Whether the node itself does it when it is told to.
    var isByOrder: Bool {
        switch self {
        case .kill, .silence, .pause, .drain, .flipLog, .flipTable, .renew, .destroy, .drainStop,
            .drainCancel, .clone, .rolledBack, .stranger, .doctored, .loseMajority:
            false
        default: true
        }
    }

    /// Whether it meets all nodes whoever leads: then it has no rounds for others.
    var meetsAll: Bool { self == .renew }

    /// How long the fault lasts when nothing else is said.
    var seconds: Int {
        switch self {
        case .pause, .cut, .stall100, .stall2s, .hang: 10
        case .clockAhead, .clockBehind, .clockDecade, .clockDrift: 8
        case .deaf, .mute, .flap, .delay, .lossy, .capped: 15
        case .single, .chain, .hub, .constrained: 30
        case .kill, .silence, .drain, .fill, .flipLog, .flipTable, .renew, .destroy, .drainStop,
            .drainCancel, .clone, .rolledBack, .stranger, .doctored, .loseMajority:
            3
        }
    }
}

/// Whom a fault meets.
enum FaultTarget: String, Codable, Sendable {
    /// The node that leads most tablets.
    case leader
    case follower
    /// All nodes within milliseconds.
    case all
    /// All nodes of one machine room, or of one city: another in each round.
    case dc
    case city
}

/// One fault under load, and what is measured of it.
struct PlannedRound: Hashable, Sendable {
    var injection: Injection
    var target: FaultTarget
    /// Nil: as long as the injection says.
    var seconds: Int?

    /// How long the fault lasts.
    var duration: Duration { .seconds(seconds ?? injection.seconds) }
}
