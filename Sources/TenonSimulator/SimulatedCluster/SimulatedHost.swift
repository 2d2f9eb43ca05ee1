package import TenonCore
internal import TenonLog
package import TenonNode
internal import TenonWire

/// One machine of a ``SimulatedCluster``: a disk that stays, and a process that comes and goes.
package final class SimulatedHost {
    /// The machine: by rank from 1, whatever node lives on it.
    package let id: NodeID
    /// The node that lives on it; 0 while none was ever started. A founder has its machine's
    /// number, one that joins the number that it is given.
    package internal(set) var nodeID: NodeID
    package let name: String
    /// May be replaced while no process runs: a folder that was wiped, cloned or rolled back.
    package var disk: SimulatedDisk
    package internal(set) var process: SimulatedProcess?
    package internal(set) var isPaused = false
    /// Silent to its peers: its power is cut, so that nothing says its connections are gone.
    var isDark = false
    /// Why the last process ended of its own accord, or could not start.
    package internal(set) var endReason: String?
    /// What its processes told the operator.
    package internal(set) var notices: [Notice] = []
    package var clock = HostClock()
    /// What is left of unsynced data when the disk lets the machine die in the middle of an
    /// operation (``SimulatedDisk/crashAfter(operations:)``); nil when only the process dies.
    package var survivalInWrite: Survival?
    /// Work on the disk does not begin before.
    package var diskStallsUntil = Instant.zero
    /// Changes the configuration of the next start.
    package var adjust: ((inout NodeConfiguration) -> Void)?
    /// Events that came while the process was paused.
    var backlog: [() -> Void] = []

    /// Whether its node joins a cluster that is there.
    package internal(set) var isJoining: Bool
    /// Whether its node joins as a witness (Rule C7).
    package var isWitness = false
    /// How often a node began anew on this machine, after the one before was removed.
    package internal(set) var lives = 0

    init(id: NodeID, name: String, disk: SimulatedDisk, isJoining: Bool) {
        self.id = id
        self.isJoining = isJoining
        nodeID = isJoining ? NodeID(0) : id
        self.name = name
        self.disk = disk
    }

    package static let directory = "/node"
    package var isRunning: Bool { process != nil }
    package var node: Node? { process?.node }

    /// Whether a notice contains `text`.
    package func noticed(_ text: String) -> Bool { notices.contains { $0.text.contains(text) } }
}

/// One life of a node: what a crash loses.
package final class SimulatedProcess {
    unowned let host: SimulatedHost
    package let node: Node
    let log: Log
    /// Holds the folder's lock.
    let folder: NodeFolder
    var isTurnScheduled = false
    var timerDue = Instant.distantFuture
    /// Ordered and not performed yet.
    var logWork: LogWork?
    /// When each lane's thread is free again.
    var readLaneFree = Instant.zero
    var bulkLaneFree = Instant.zero
    var clientLinks: [ConnectionID: ClientLink] = [:]
    var nextConnection: UInt64 = 1

    init(host: SimulatedHost, node: Node, log: Log, folder: NodeFolder) {
        self.host = host
        self.node = node
        self.log = log
        self.folder = folder
    }
}

/// A direction between two places; clients are at node 0.
struct Way: Hashable {
    var from: NodeID
    var to: NodeID
    static let clients = NodeID(0)
}
