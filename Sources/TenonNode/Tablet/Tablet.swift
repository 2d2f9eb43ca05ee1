import TenonCore
import TenonKV
import TenonRaft
import TenonStore
import TenonWire

/// One replica of a tablet: its Raft group, its state machine over its store, and the requests
/// that wait for either.
///
/// Owned by its node and driven by the node's turn. It does no I/O: what it wants done goes into
/// a ``TabletOutput``.
final class Tablet {
    let record: ReplicaRecord
    let configuration: NodeConfiguration
    var raft: Raft
    let store: Store
    var machine: StateMachine
    var clock: HybridClock

    /// What the node's ``TabletTable`` keeps of it.
    var agenda = TabletAgenda()
    /// Whether the group stands in a set of quiet ones that this node leads (Rule C9).
    var isAnnounced = false
    /// The node of the leader under which the group rests here.
    var restsUnder: NodeID?
    /// Before it the group does not rest: a follower would not.
    var restNotBefore = Instant.zero
    /// Whether it counts among those that stand for election here.
    var isElecting = false
    /// Whether its leader was told that some follower is reached through another node.
    var hasRelays = false

    /// What the requests of this turn asked of the node: taken up when the turn closes, so that
    /// a request costs no merging of its own.
    var gathered = TabletOutput()
    /// Writes of this turn, until the entry under construction closes.
    var builder = CommandBatchBuilder()
    var gatheredWrites: [WriteWaiter] = []
    /// What they read, and its blocks, all of which were there at this content of the store.
    var gatheredKeys: [Bytes] = []
    var gatheredBlocks = PinnedBlocks()
    var gatheredGeneration: UInt64 = 0
    /// Writes that wait for blocks before they are proposed.
    var fetching = FetchingWrites()
    /// Entries on their way through Raft that somebody waits for.
    var proposals = FIFO<Proposal>()
    /// Since when the group has had no room for them, and how far the log went then.
    var stuckSince: (at: Instant, last: LogIndex)?

    /// Reads of this turn, until they join a round (Rule C2).
    var gatheredReads: [PendingRead] = []
    var reads = ReadQueue()

    /// Committed entries on their way into the state machine.
    var applyQueue = FIFO<Entry>()
    var fetched = FetchedAhead()
    /// Committed entries that had to wait for blocks nobody had ordered before.
    var appliesDelayed: UInt64 = 0
    /// Set while the store takes up a snapshot, and the state machine after it.
    var isApplyPaused = false
    var restoring: StateMachineRestore?
    var isRestoreWaiting = false
    /// For reads that have loaded nothing: always empty.
    let noBlocks = PinnedBlocks()

    /// The store's job that is under way.
    var storeJob: (any StoreJob)?
    var storeRetryAt = Instant.zero
    /// Set when somebody needs the memtable on disk: log space, a snapshot.
    var isFlushWanted = false
    /// Set while sessions are written ahead of a flush.
    var isStaging = false
    var isTrimming = false
    /// Set while there is more to trim than one turn may.
    var isTrimUnfinished = false
    /// The transfer that the checkpoint under way is for.
    var checkpointFor: SnapshotKey?
    /// The log is kept from here on for a follower that is being sent a snapshot.
    var trimHold: LogIndex?
    /// A split of this tablet, from the proposal on until the half stands on its own.
    var split = SplitState()
    /// What the directory is told of is larger on disk than this; 0 for never.
    var splitAboveBytes: UInt64 = 0

    /// When ``upkeep(now:wallTime:into:)`` last looked at what cannot wait a second.
    var lastLook = Instant.zero
    var lastUpkeep = Instant.zero
    /// The version of the last write of a client that this replica knows of.
    var lastClientVersion: Timestamp
    /// No entry that was applied after this one changed a key.
    var writtenIndex: LogIndex
    var lastDigestIndex = LogIndex.zero
    /// When the last turn looked at this tablet.
    var lastTurn = Instant.zero
    /// The agreed time as of the node's last turn (Rule S2); nil while it is unknown.
    var agreedTime: WallTime?
    /// Entries of leaders that were not taken because of their time.
    var untimelyEntries: UInt64 = 0
    var untimelyNoticedAt: Instant?
    /// Whether the log says that this replica lost entries (Rule L7).
    var isRepairNoted = false
    var nextRepairQuestion = Instant.zero
    /// Since when this leader's entries have been too far ahead for anybody to take.
    var untimelySince: Instant?
    var digests = DigestHistory()
    /// The leader's last question for a log digest that is not reached yet.
    var openQuestion: (index: LogIndex, from: NodeID)?
    var contentDigest = ContentDigestState()
    var scrub = ScrubState()
    /// Where replicas are that this one's members do not name.
    var strangers = Strangers()
    /// When this replica asks whether it is still a member; nil while a leader is known.
    var memberQuestionAt: Instant?
    /// Bytes of entries kept behind the last flush: a part of what the node keeps.
    var retainedLogBytes: Int
    /// How far behind now the history floor stays; nil while the keyspace is not known, and the
    /// floor stands still.
    var retention: TimeSpan?

    /// What a witness does in place of applying (Rule C7).
    var witness = WitnessState()

    /// Whether another voter stands where this tablet rather should be led.
    var isAway = false

    /// What is wrong with this replica; nil while it is whole. A replica that is not whole
    /// serves nobody.
    private(set) var problem: String?
    /// Whether the problem is the store's alone: this replica goes on voting while its store is
    /// rebuilt by a snapshot of the leader's (Rule L7).
    private(set) var isRebuilding = false
    var nextRebuildRequest = Instant.zero
    private(set) var elections: UInt64 = 0

    init(
        record: ReplicaRecord, configuration: NodeConfiguration, raft: Raft, store: Store,
        machine: StateMachine
    ) {
        self.record = record
        self.configuration = configuration
        retainedLogBytes = configuration.retainedLogBytes / configuration.tabletCount
        self.raft = raft
        self.store = store
        self.machine = machine
        clock = HybridClock(last: machine.lastVersion)
        lastClientVersion = machine.lastVersion
        writtenIndex = machine.appliedIndex
        split.hold = machine.lastSplit?.index.previous
    }

    var id: TabletID { record.tablet }
    var replica: ReplicaID { record.replica }
    /// What requests are routed by.
    var generation: Generation { machine.generation }

    /// Whether this replica leads and everything before its term is applied, so that its clock
    /// and its state machine know all that was ever committed.
    var servesAsLeader: Bool {
        problem == nil && !isWitness && raft.isReadyToServe && machine.appliedTerm == raft.term
    }

    /// Whether time may make this replica stand for election. One that is quarantined goes on
    /// voting (Rule L7), but as a leader it could serve nobody.
    var needsTicks: Bool { problem == nil || raft.role == .leader }

    /// Whether this replica takes messages. One that is quarantined neither flushes nor trims:
    /// it acknowledges until its log is at the bound, so that it does not fill up the node's. One
    /// that is being rebuilt goes on for longer: it will trim again.
    var takesMessages: Bool {
        problem == nil || isRebuilding || raft.payloadBytes <= configuration.retainedLogBytes
    }

    /// The node of the leader as far as it is known; 0 otherwise.
    var leaderNode: NodeID {
        raft.leader.flatMap { node(of: $0) } ?? NodeID(0)
    }

    /// The node of a replica: as the members say, otherwise as its last message did. A replica
    /// that is new does not know who leads it, and has to answer him all the same.
    func node(of replica: ReplicaID) -> NodeID? {
        raft.membership.node(of: replica) ?? strangers.node(of: replica)
    }

    /// Stops serving for good: what the disk or the log holds cannot be trusted (rules L2, S5).
    func quarantine(_ reason: String, into output: inout TabletOutput) {
        guard problem == nil else { return }
        problem = reason
        _ = applyQueue.removeAll()
        fetched.removeAll()
        output.notices.append(Notice(.error, "tablet \(id) is quarantined: \(reason)"))
        refuseAll(
            Refusal(.unavailable, "this replica is quarantined: \(reason)"), into: &output)
    }

    /// Stops serving until the store is rebuilt: its content is lost, the log is whole.
    func rebuild(because reason: String, into output: inout TabletOutput) {
        guard problem == nil else { return }
        reached(.storeRebuildBegun)
        quarantine("rebuilding its store: \(reason)", into: &output)
        contentDigest.giveUp()
        isRebuilding = true
    }

    /// The store and the state machine are those of a snapshot now.
    func endRebuild() {
        precondition(isRebuilding, "tablet \(id) is not being rebuilt")
        reached(.storeRebuilt)
        isRebuilding = false
        problem = nil
        digests = DigestHistory()
        openQuestion = nil
    }

    func takeGathered() -> TabletOutput {
        let taken = gathered
        gathered = TabletOutput()
        return taken
    }

    func noteElection() { elections += 1 }

    /// The refusal of what only a leader that serves can do.
    var notServing: Refusal {
        if let problem {
            return Refusal(.unavailable, "this replica is quarantined: \(problem)")
        }
        if isWitness, raft.role == .leader { return witnessLeads }
        let leader = leaderNode
        return leader == NodeID(0)
            ? Refusal(
                .unavailable, "tablet \(id) has no leader at the moment",
                retryAfterMilliseconds: 50)
            : Refusal(.notLeader, "node \(leader) leads tablet \(id)", leader: leader)
    }

    /// The refusal of an order whose entry could not be proposed.
    var notProposed: Refusal {
        guard servesAsLeader else { return notServing }
        return Refusal(
            .unavailable, "tablet \(id) takes no entry at the moment",
            retryAfterMilliseconds: 50)
    }

    func answer(
        _ waiter: WriteWaiter, _ answer: Answer, into output: inout TabletOutput
    ) {
        if waiter.connection.answer(waiter.request, answer) {
            output.touched.append(waiter.connection)
        }
    }

    /// Refuses everything that waits: this replica does not lead any more, or never will.
    /// Writes that were proposed may still be committed by another leader: unknown.
    func refuseAll(_ refusal: Refusal, into output: inout TabletOutput) {
        var unknown = refusal
        unknown.isOutcomeUnknown = true
        for proposal in proposals.removeAll() {
            for waiter in proposal.waiters {
                answer(waiter, .refusal(unknown), into: &output)
            }
        }
        refuseGathered(refusal, into: &output)
    }

    /// Refuses the writes that were not proposed yet, and all reads: nothing of them happened.
    func refuseGathered(_ refusal: Refusal, into output: inout TabletOutput) {
        for waiter in gatheredWrites { answer(waiter, .refusal(refusal), into: &output) }
        for write in fetching.removeAll() {
            answer(write.waiter, .refusal(refusal), into: &output)
        }
        gatheredWrites = []
        gatheredKeys = []
        gatheredBlocks = PinnedBlocks()
        builder = CommandBatchBuilder()
        for read in gatheredReads + reads.removeAll() {
            answer(read.waiter, .refusal(refusal), into: &output)
        }
        gatheredReads = []
    }
}
