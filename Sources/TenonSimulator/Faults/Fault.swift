/// Whom a fault strikes.
package enum FaultTarget: Hashable, Sendable {
    /// These nodes, by number.
    case nodes([Int])
    /// Whoever leads the first tablet when the fault begins; node 1 when nobody does.
    case leader
}

/// One thing that goes wrong in a cluster, as a value: it begins at one moment of virtual time and
/// is healed at another. What heals is said with each.
package enum Fault: Hashable, Sendable {
    // Processes.

    /// kill -9. Started again.
    case crash(FaultTarget)
    /// SIGTERM: leaderships go to others, then the process ends. Started again.
    case stop(FaultTarget)
    /// The power goes, with this much left of what was not synced. Started again.
    case powerCut(FaultTarget, Survival)
    /// The disk lets so many more operations through, then the machine dies in the middle of one:
    /// by power with what is said left, or, with nil, by kill -9. Started again.
    case dieAt(FaultTarget, operations: Int, Survival?)
    /// SIGSTOP. SIGCONT.
    case pause(FaultTarget)
    /// An operator asks the leader to hand over to a node, after half of the time. In all of it
    /// what other nodes send to the leader comes up to so much later: it learns late that it was
    /// replaced. They are as fast again.
    case handOver(FaultTarget, to: Int, lateMilliseconds: Int)
    /// The processes end, and come back with empty folders. The folders are put back.
    case wipe(FaultTarget)
    /// The folder is copied and the process goes on; later it ends and comes back with the copy.
    /// The newer folder is put back.
    case rollBack(FaultTarget)

    // The network.

    /// These ways carry nothing; connections on them break after a second when asked. What was
    /// held back arrives.
    case cut([FaultWay], isBreaking: Bool)
    /// A node is cut off from all others and from clients. Healed as a cut.
    case isolate(FaultTarget)
    /// A node's connections with so many of the others, the next ones by number, are refused, as
    /// by a firewall: after half of the time, in which all its frames are slow, they break on both
    /// ends, and their ways are cut. Clients reach all.
    case reject(FaultTarget, others: Int)
    /// The ways between two nodes are cut and healed again and again, each for so long.
    case flap(Int, Int, everyMilliseconds: Int)
    /// See ``Disturbance``. Ends.
    case disturb(Disturbance)
    /// A node's connections to another break, in the middle of a frame. Nothing to heal.
    case reset(from: Int, to: Int)
    /// All connections of clients to a node break. Nothing to heal.
    case resetClients(Int)

    // Disks.

    /// Calls that match go wrong. Taken back; a process that ended is started again.
    case disk(FaultTarget, DiskFault)
    /// Files may grow by so many bytes only. There is space again.
    case diskFull(FaultTarget, slackBytes: Int)
    /// Nothing that was ordered of the disk begins before the fault heals.
    case diskStall(FaultTarget)
    /// One bit of a file turns over where it lies; which one is drawn from `seed`. Of a log while
    /// its process is down; it is started again. The bit stays as it is: it counts as damage of
    /// that node for the rest of the run.
    case rot(Int, RotPlace, seed: UInt64)

    // The cluster.

    /// An operator has a node join or leave, drains one, moves a replica or a leadership; which of
    /// these is drawn from `seed`. Nothing to heal.
    case change(seed: UInt64)
    /// An operator moves a replica, drawn from `seed`; before that all machines join. Nothing to
    /// heal.
    case move(seed: UInt64)
    /// Strikes once, when within six seconds some leader ends a joint configuration: see ``Ambush``.
    /// The power comes back after 200 ms, the ways are open again after 4 s.
    case ambush
    /// An operator splits a tablet; which one and where is drawn from `seed`. Nothing to heal.
    case split(seed: UInt64)
    /// An operator says anew what the keyspace must survive and from where it is led, drawn from
    /// `seed`. Nothing to heal.
    case policy(seed: UInt64)
    /// An operator creates a keyspace, drawn from `seed`. Nothing to heal.
    case keyspace(seed: UInt64)

    // Clocks.

    /// The wall clock of a node jumps. It jumps back.
    case clockJump(Int, milliseconds: Int)
    /// The monotonic clock of a node runs too fast by so many millionths. It runs right again.
    case clockDrift(Int, perMillion: Int)
    /// The wall clocks of nodes jump together, hours or years far. With `isAccepted` an operator
    /// accepts the new time at one node after half of the time. They jump back, and an operator
    /// who accepted that accepts this too.
    case clockShift(FaultTarget, milliseconds: Int, isAccepted: Bool)
}

/// A direction between two nodes; 0 stands for all clients.
package struct FaultWay: Hashable, Sendable {
    package var from: Int
    package var to: Int

    package init(_ from: Int, _ to: Int) {
        self.from = from
        self.to = to
    }
}

/// Where bits rot.
package enum RotPlace: String, Hashable, Sendable, CaseIterable {
    case log
    case table
    case manifest
    /// The header of one of the log's last batches, while the process is down: the next start
    /// finds it.
    case batch
}

/// The kinds of faults, for mixes and for what a run reports.
package enum FaultKind: String, Hashable, Sendable, CaseIterable {
    case crash, crashAll, stop, powerCut, powerCutAll, dieWriting, pause, handOver
    case wipe, wipeSeveral, rollBack
    case oneWay, cutPair, isolate, reject, quorumLoss, constrainedElection, chain, flap
    case slow, slowNode, loss, narrow, reset, resetClients
    case failedSync, failedWrite, shortWrite, failedRead, flippedRead, misdirectedWrite
    case diskFull, diskStall, rot, rotHeader
    case clockJump, clockLeap, clockDrift, clockFar, clockFarAll
    case change, move, ambush, split, policy, keyspace, loseSite, cutSite
}

extension Fault {
    /// What a report counts it as.
    package var name: String {
        switch self {
        case .crash(let target): target.isSeveral ? "crash of several" : "crash"
        case .stop: "stop"
        case .powerCut(let target, _): target.isSeveral ? "power cut of several" : "power cut"
        case .dieAt(_, _, let survival):
            survival == nil ? "crash in a write" : "power cut in a write"
        case .pause: "pause"
        case .handOver: "hand-over"
        case .wipe(let target): target.isSeveral ? "wiped folders" : "wiped folder"
        case .rollBack: "rolled-back folder"
        case .cut: "cut"
        case .isolate: "isolation"
        case .reject: "refused connections"
        case .flap: "flapping link"
        case .disturb: "disturbed network"
        case .reset, .resetClients: "reset"
        case .disk(_, let fault): fault.kind.name
        case .diskFull: "full disk"
        case .diskStall: "stalled disk"
        case .rot(_, let place, _): "rot in a \(place)"
        case .change: "change of members"
        case .move: "move"
        case .ambush: "ambush"
        case .split: "split"
        case .policy: "policy"
        case .keyspace: "new keyspace"
        case .clockJump: "clock jump"
        case .clockDrift: "clock drift"
        case .clockShift(let target, _, let isAccepted):
            isAccepted
                ? "accepted clock shift"
                : target.isSeveral ? "clock shift of all" : "clock shift"
        }
    }
}

extension FaultTarget {
    fileprivate var isSeveral: Bool {
        if case .nodes(let nodes) = self { nodes.count > 1 } else { false }
    }
}

extension DiskFault.Kind {
    var name: String {
        switch self {
        case .failSync: "failed sync"
        case .failWrite: "failed write"
        case .shortWrite: "short write"
        case .failRead: "failed read"
        case .flipRead: "flipped read"
        case .misdirect: "misdirected write"
        }
    }
}
