package import TenonCore
import TenonKV
import TenonLog
import TenonRaft
import TenonStore
package import TenonWire

/// One node: hosts tablets and joins Raft, log, state machine and store.
///
/// It takes events and fills ``Effects``. It owns no thread, no socket and no clock: the server
/// drives it on one event loop, the simulator drives many under virtual time. An event only
/// gathers; ``turn(now:wallTime:)`` closes the turn and says what is to be done, so that all
/// requests that arrived together share one entry, one log write and one message to each peer.
package final class Node {
    package let configuration: NodeConfiguration
    package let started: Instant
    let directory: String
    let fileSystem: any FileSystem
    private(set) var tablets: [Tablet]
    /// Tablets whose log is damaged: they take no part in anything until they are repaired (L2).
    let damagedTablets: [TabletID: String]
    var clients: [ConnectionID: ClientConnection] = [:]
    var touchedClients: [ClientConnection] = []
    var peers: PeerLinks
    var registry: PeerRegistry
    package internal(set) var identity: FolderIdentity
    package internal(set) var formation: Formation
    var hasEntries: Bool

    var gathering = LogGathering()
    /// What the log thread is writing; nil when it is idle.
    var writing: LogGathering?
    /// The log was full: what gathered is tried again then.
    var logRetryAt = Instant.zero
    var isLogFull = false
    /// What the tablets were last told of the log's room.
    var isLogShortNoted = false
    /// Bytes of writes taken since the last turn.
    var bytesTaken = 0
    var logStatus: LogStatus
    var sealAt: Instant?

    var jobs: [JobID: JobPurpose] = [:]
    private var nextJob: UInt64 = 1
    var snapshots = SnapshotTransfers()
    /// What tablets asked for in this turn, looked at when their own turn is over.
    var snapshotsWanted: [(tablet: TabletID, follower: ReplicaID)] = []
    var checkpointsMade: [(key: SnapshotKey, manifest: SnapshotManifest?)] = []
    var installedSnapshots: [TabletID] = []
    var digestRounds: [TabletID: DigestRound] = [:]
    /// What followers reported of the newest content digest asked for.
    var contentReports: [TabletID: ContentReports] = [:]

    package internal(set) var effects = Effects()
    var wantsTurn = false
    var nextUpkeep = Instant.zero
    var nextReminder = Instant.zero
    package var counters = NodeStatus.Counters()
    package private(set) var isStopping = false
    var generator: SeededGenerator

    /// A node over what its folder, its log and its stores gave at the start.
    package init(start: NodeStart, now: Instant) {
        configuration = start.configuration
        directory = start.directory
        fileSystem = start.fileSystem
        identity = start.identity
        generator = start.generator
        started = now
        tablets = start.tablets
        damagedTablets = start.damagedTablets
        logStatus = start.logStatus
        hasEntries = start.hasEntries
        let members = start.configuration.members.map(\.id)
        registry = PeerRegistry(
            me: start.identity.node, members: members,
            memberListDigest: start.configuration.memberListDigest)
        for (node, memory) in start.peerMemories { registry.restore(memory, of: node) }
        peers = PeerLinks(others: members.filter { $0 != start.identity.node })
        formation = Formation(
            me: start.identity.node, members: members, cluster: start.identity.cluster,
            hasEntries: start.hasEntries)
        perform(formation.start(), now: now)
    }

    package var id: NodeID { identity.node }

    /// Whether this node takes part in elections and serves.
    package var isFormed: Bool { formation.cluster != nil }

    func tablet(_ id: TabletID) -> Tablet? {
        // Data tablets are numbered from 2 without gaps while the directory is static; damaged
        // ones are left out, so a place is only a first guess.
        guard id >= StaticDirectory.firstTablet else { return nil }
        let place = Int(id.rawValue - StaticDirectory.firstTablet.rawValue)
        if place < tablets.count, tablets[place].id == id { return tablets[place] }
        return tablets.first { $0.id == id }
    }

    /// Registers a job and hands it to the edge.
    func start(
        _ purpose: JobPurpose, lane: BackgroundJob.Lane,
        perform: @escaping @Sendable () -> JobOutcome
    ) {
        let job = JobID(nextJob)
        nextJob += 1
        jobs[job] = purpose
        effects.jobs.append(BackgroundJob(id: job, lane: lane, perform: perform))
    }

    func notice(_ level: Notice.Level, _ text: String) {
        effects.notices.append(Notice(level, text))
    }

    /// Takes up what a tablet asked for.
    func take(_ output: TabletOutput, of tablet: Tablet) {
        gathering.append(output.records, completing: output.tickets)
        for message in output.messages {
            guard let node = tablet.node(of: message.to) else { continue }
            peers.send(.raft(message), to: node)
        }
        for (node, message) in output.nodeMessages { peers.send(message, to: node) }
        for job in output.jobs {
            start(.tablet(tablet.id, job.purpose), lane: job.lane, perform: job.perform)
        }
        touchedClients.append(contentsOf: output.touched)
        effects.notices.append(contentsOf: output.notices)
        snapshotsWanted += output.snapshotsWanted
        if let made = output.checkpoint { checkpointsMade.append(made) }
        if output.isSnapshotInstallFailed { snapshotInstallFailed(tablet) }
        if output.isSnapshotInstalled { installedSnapshots.append(tablet.id) }
        if output.isContentDigestDone { contentDigestDone(tablet) }
        if output.wantsTurn { wantsTurn = true }
        if let halt = output.halt { effects.halt = halt }
    }

    /// Lets `body` work on a tablet and takes up what it asks for.
    func with(_ tablet: Tablet, _ body: (inout TabletOutput) -> Void) {
        var output = TabletOutput()
        body(&output)
        take(output, of: tablet)
    }

    /// Lets go of leaderships so that the others need not wait for an election: the first step
    /// of a graceful stop.
    package func prepareToStop(now: Instant) {
        isStopping = true
        for tablet in tablets where tablet.raft.role == .leader {
            tablet.handOver(now: now)
        }
        wantsTurn = true
    }

    /// Whether no tablet is led from here any more.
    package var leadsNothing: Bool { !tablets.contains { $0.raft.role == .leader } }
}

/// Whom a finished job concerns.
enum JobPurpose {
    case tablet(TabletID, TabletJob)
    /// The folder's identity with a new cluster id.
    case saveIdentity(FolderIdentity)
    case snapshotSend(SnapshotKey)
    case snapshotReceive(SnapshotKey)
    /// Removing files nobody refers to any more.
    case cleanUp
}
