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
    /// The replicas of this node.
    var tablets = TabletTable()
    /// Tablets whose log is damaged: they take no part in anything until they are repaired (L2).
    var damagedTablets: [TabletID: String]
    /// The log lost records at some time that nothing names: what is not in it may have been.
    let isLogSuspect: Bool
    /// Entries that the log had lost at the start, behind the flushes of their tablets.
    let lostEntryCount: UInt64
    /// For each tablet that lost a replica here: the lowest number still allowed (Rule I3).
    var tombstones: [TabletID: ReplicaID]
    /// Replicas that a job is opening.
    var openingReplicas: [TabletID: ReplicaID] = [:]
    /// What this node has to say to itself.
    var ownMessages: [ClusterMessage] = []
    /// When the leader of the directory says again that it is.
    var nextDirectoryWord = Instant.zero
    /// Replicas whose tombstone is on its way to the log.
    var removingReplicas: [TabletID: [ReplicaID]] = [:]
    let opening: ReplicaOpening
    /// The cluster as this node knows it.
    package internal(set) var cluster: ClusterView
    /// What the leader of the directory does besides.
    var controller = DirectoryController()
    /// What this node does for the tablets that it leads and that change their members.
    var memberWork = MemberWork()
    /// Splits that this node's tablets are in, or have come out of.
    var splitWork = SplitWork()
    /// Tablets led from here of which a member may have no replica yet.
    var spreadWork = SpreadWork()
    var sizeWork = SizeWork()
    var clients: [ConnectionID: ClientConnection] = [:]
    var touchedClients: [ClientConnection] = []
    var peers: PeerLinks
    var registry: PeerRegistry
    /// Peers that the others are asked about before they are listened to.
    var inquiries = PeerInquiries()
    package internal(set) var identity: FolderIdentity
    package internal(set) var formation: Formation
    var hasEntries: Bool

    /// Heartbeats with the other nodes, the ways to them, and the quiet groups (Rule C9).
    var heartbeats: NodeHeartbeats
    /// Tablets whose rest is to be looked at again, a part of them each turn.
    var restsToLookAt = FIFO<TabletID>()
    /// Tablets whose election is under way here.
    var electing = 0
    /// Messages of this turn that go through a third node (Rule C8).
    var relayOutbox: [(via: NodeID, to: NodeID, bytes: Int, messages: [RaftMessage])] = []

    var gathering = LogGathering()
    /// What the log thread is writing; nil when it is idle.
    var writing: LogGathering?
    /// Since when it writes that.
    var writingSince = Instant.zero
    /// Whether it has for so long that leaderships are handed over.
    var isDiskStalled = false
    /// The log was full: what gathered is tried again then.
    var logRetryAt = Instant.zero
    /// The same of what makes room.
    var roomRetryAt = Instant.zero
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
    /// Where tablets should be led, by the directory as this node last took it over.
    var homes: HomeView
    var sites: SiteView
    /// What tablets asked for in this turn, looked at when their own turn is over.
    var snapshotsWanted: [(tablet: TabletID, follower: ReplicaID)] = []
    var checkpointsMade: [(key: SnapshotKey, manifest: SnapshotManifest?)] = []
    var installedSnapshots: [TabletID] = []
    var digestRounds: [TabletID: DigestRound] = [:]
    /// What followers reported of the newest content digest asked for.
    var contentReports: [TabletID: ContentReports] = [:]

    /// The cluster's time (Rule S2).
    var clock: AgreedClock
    /// That time as of the last turn; nil while it is unknown.
    var agreedTime: WallTime?
    /// What the tablets and the operator were last told of it.
    var clockStateNoted = AgreedClock.State()
    /// Tablets in whose logs this process has met damage on the disk.
    var damageNoted: Set<TabletID> = []
    var nextClockQuestion = Instant.zero
    var nextClockHandOver = Instant.zero

    package internal(set) var effects = Effects()
    var wantsTurn = false
    var nextUpkeep = Instant.zero
    var nextReminder = Instant.zero
    package var counters = NodeStatus.Counters()
    package private(set) var isStopping = false
    /// Tablets that others were asked to lead because this node stops.
    private var handedOver: Set<TabletID> = []
    var generator: SeededGenerator

    /// A node over what its folder, its log and its stores gave at the start.
    package init(start: NodeStart, now: Instant) {
        configuration = start.configuration
        directory = start.directory
        fileSystem = start.fileSystem
        identity = start.identity
        generator = start.generator
        started = now
        damagedTablets = start.damagedTablets
        isLogSuspect = start.isLogSuspect
        lostEntryCount = UInt64(start.lostEntryCount)
        tombstones = start.tombstones
        opening = start.opening
        logStatus = start.logStatus
        hasEntries = start.hasEntries
        for tablet in start.tablets { tablets.insert(tablet) }
        let me = start.identity.node
        cluster = ClusterView(start)
        homes = HomeView(cluster.directory)
        sites = SiteView(cluster.directory)
        let members = start.identity.withoutLost(cluster.directory.nodes).map(\.id)
        registry = PeerRegistry(
            me: me, members: members, memberListDigest: start.identity.memberListDigest)
        for (node, memory) in start.peerMemories { registry.restore(memory, of: node) }
        clock = AgreedClock(
            me: me, members: members,
            floor: start.tablets.map(\.machine.lastVersion.wallTime).max()
                ?? WallTime(milliseconds: 0))
        let others = members.filter { $0 != me }
        peers = PeerLinks(others: others)
        heartbeats = NodeHeartbeats(others: others)
        let isJoined = start.configuration.isJoining
        formation = Formation(
            me: me, members: isJoined ? [me] : start.configuration.members.map(\.id),
            cluster: start.identity.cluster, hasEntries: start.hasEntries || isJoined)
        gathering.append(
            start.newRecords.map {
                .metadata(key: ReplicaRecord.metadataKey(of: $0.tablet), value: $0.encoded())
            })
        for tablet in tablets.all where tablet.split.hold != nil {
            splitWork.watched.insert(tablet.id)
        }
        noteLosses()
        shareLogRetention()
        applyKeyspaces()
        if isFormed { spreadElections(now: now) }
        perform(formation.start(), now: now)
    }

    package var id: NodeID { identity.node }

    /// Whether this node takes part in elections and serves.
    package var isFormed: Bool { formation.cluster != nil }

    /// The replica of a tablet here, for an event to change: the next turn looks at it, and it
    /// knows the time as of the last turn. - Complexity: O(1).
    func tablet(_ id: TabletID) -> Tablet? {
        guard let tablet = tablets[id] else { return nil }
        tablet.agreedTime = agreedTime
        return tablet
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
            send(message, to: node)
        }
        for (node, message) in output.nodeMessages { peers.send(message, to: node) }
        for job in output.jobs {
            start(
                .tablet(tablet.id, tablet.replica, job.purpose), lane: job.lane,
                perform: job.perform)
        }
        touchedClients.append(contentsOf: output.touched)
        effects.notices.append(contentsOf: output.notices)
        snapshotsWanted += output.snapshotsWanted
        if let made = output.checkpoint { checkpointsMade.append(made) }
        if output.isSnapshotInstallFailed { snapshotInstallFailed(tablet) }
        if output.isSnapshotInstalled { installedSnapshots.append(tablet.id) }
        if output.isReportDue { reportDue(of: tablet) }
        if output.isSplitDone { splitWork.watched.insert(tablet.id) }
        if output.isHalfDue { halfDue(of: tablet) }
        for (member, configuration) in output.departed {
            tellRemoved(tablet.id, member, by: configuration)
        }
        if output.isContentDigestDone { contentDigestDone(tablet) }
        if output.wantsTurn {
            wantsTurn = true
            tablets.touch(tablet)
        }
        if let halt = output.halt { effects.halt = halt }
    }

    /// Lets `body` work on a tablet and takes up what it asks for.
    func with(_ tablet: Tablet, _ body: (inout TabletOutput) -> Void) {
        var output = TabletOutput()
        body(&output)
        tablets.touch(tablet)
        take(output, of: tablet)
    }

    /// Lets go of leaderships so that the others need not wait for an election: the first step
    /// of a graceful stop. Called again it asks for those that nobody was prompt enough to take; one
    /// that comes back, from a node that stops as well, is kept to the end.
    package func prepareToStop(now: Instant) {
        isStopping = true
        for tablet in tablets.all
        where tablet.raft.role == .leader && !handedOver.contains(tablet.id) {
            wake(tablet, now: now)
            tablet.handOver(now: now)
            if tablet.raft.transferTarget != nil { handedOver.insert(tablet.id) }
            tablets.touch(tablet)
        }
        wantsTurn = true
    }

    /// Whether no tablet is led from here any more.
    package var leadsNothing: Bool { !tablets.all.contains { $0.raft.role == .leader } }
}

/// Whom a finished job concerns.
enum JobPurpose {
    case tablet(TabletID, ReplicaID, TabletJob)
    /// Store and state machine of a new replica.
    case openReplica(ReplicaRecord)
    /// A copy of the directory.
    case saveDirectory
    /// The folder's identity with a new cluster id.
    case saveIdentity(FolderIdentity)
    case snapshotSend(SnapshotKey)
    case snapshotReceive(SnapshotKey)
    /// Removing files nobody refers to any more.
    case cleanUp
}
