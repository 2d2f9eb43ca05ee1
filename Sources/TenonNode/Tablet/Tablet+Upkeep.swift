import TenonCore
import TenonKV
import TenonRaft
import TenonStore
import TenonWire

/// The log digests of the last entries applied (Rule S5), so that replicas can be compared at an
/// index that all of them have passed.
struct DigestHistory {
    private static let capacity = 4_096
    private var ring: [(index: LogIndex, digest: UInt64)] = []
    private var next = 0

    mutating func note(_ index: LogIndex, _ digest: UInt64) {
        if ring.count < DigestHistory.capacity {
            ring.append((index, digest))
        } else {
            ring[next] = (index, digest)
        }
        next = (next + 1) % DigestHistory.capacity
    }

    func digest(at index: LogIndex) -> UInt64? {
        ring.last { $0.index == index }?.digest
    }

    /// Calls `body` with the newest digests, newest first, down to the one after `index`.
    func forEach(after index: LogIndex, _ body: (LogIndex, UInt64) -> Void) {
        var place = next
        for _ in ring.indices {
            place = (place == 0 ? ring.count : place) - 1
            guard ring[place].index > index else { return }
            body(ring[place].index, ring[place].digest)
        }
    }
}

/// The content digest that was asked for last, and how far it is.
struct ContentDigestState {
    private(set) var version = Timestamp.zero
    private(set) var digest: UInt64 = 0
    var scan: ContentDigestScan?
    var blocks = PinnedBlocks()
    var isWaiting = false
    /// Of the scan under way.
    private var scannedVersion = Timestamp.zero

    /// Starts anew at `version`; a scan that was under way is given up.
    mutating func begin(at version: Timestamp, over machine: StateMachine) {
        scannedVersion = version
        scan = ContentDigestScan(of: machine, interval: machine.bounds, at: version)
        blocks = PinnedBlocks()
        isWaiting = false
    }

    mutating func giveUp() {
        scan = nil
        blocks = PinnedBlocks()
    }

    mutating func finish(_ digest: Digest) {
        self.digest = digest.value
        version = scannedVersion
        giveUp()
    }
}

extension Tablet {
    static let upkeepInterval = TimeSpan.seconds(1)

    /// Looks after what has no event of its own, when its moment has come.
    /// - Returns: whether it had.
    func upkeepIfDue(
        now: Instant, time: WallTime?, into output: inout TabletOutput
    ) -> Bool {
        guard now >= upkeepDeadline else { return false }
        upkeep(now: now, time: time, into: &output)
        return true
    }

    /// When there is something to look after; the distant future while nothing is under way.
    private var upkeepDeadline: Instant {
        var due = scrubDeadline
        if hasWaiting { due = min(due, lastLook + Node.upkeepInterval) }
        if hasLeaderUpkeep { due = min(due, lastUpkeep + Tablet.upkeepInterval) }
        return due
    }

    /// Whether somebody waits who may wait in vain, or the replica is not what it should be.
    private var hasWaiting: Bool {
        if !reads.isEmpty || isRepairNoted || isRebuilding { return true }
        guard raft.role == .leader else { return stuckSince != nil || untimelySince != nil }
        return raft.room != .here || stuckSince != nil || untimelySince != nil
            || raft.lastPosition.index > raft.commit
    }

    /// Whether the leader has something to do in its second: to make way when it is not whole, to
    /// raise the floor, to ask for digests.
    private var hasLeaderUpkeep: Bool {
        guard raft.role == .leader else { return false }
        guard problem == nil else { return true }
        let isFloorLow =
            retention != nil
            && machine.historyFloor < min(lastClientVersion, machine.lastVersion)
        return servesAsLeader && (isFloorLow || machine.appliedIndex > lastDigestIndex)
    }

    /// When a turn must come for this tablet even if nothing happens to it.
    var nextDeadline: Instant {
        var due = upkeepDeadline
        if needsTicks { due = min(due, raft.nextDeadline) }
        if let memberQuestionAt { due = min(due, memberQuestionAt) }
        if storeJob == nil, storeRetryAt > lastTurn { due = min(due, storeRetryAt) }
        return due
    }

    /// Whether there is something to be done that needs no event and no moment to come.
    var hasWork: Bool {
        raft.hasReady || !gatheredReads.isEmpty
            || (!builder.isEmpty && servesAsLeader && agreedTime != nil && split.proposed == nil)
            || (!isApplyPaused && reads.hasReady(applied: machine.appliedIndex))
    }

    /// What a leader does every second: raises the history floor (Rule S4) and asks the others
    /// for their log digest (Rule S5).
    private func upkeep(now: Instant, time: WallTime?, into output: inout TabletOutput) {
        lastLook = now
        for read in reads.removeExpired(now: now) {
            reached(.readExpiredInTablet)
            answer(
                read.waiter,
                .refusal(Refusal(.deadlinePassed, "no quorum answered within the deadline")),
                into: &output)
        }
        giveUpStuckProposals(now: now, into: &output)
        scrubNext(now: now, into: &output)
        guard now.since(lastUpkeep) >= Tablet.upkeepInterval else { return }
        lastUpkeep = now
        // Nobody can be served from here: let another lead.
        if problem != nil, raft.role == .leader { handOver(now: now) }
        guard servesAsLeader else { return }
        if let time { raiseHistoryFloor(at: time) }
        if machine.appliedIndex > lastDigestIndex { askForDigests(into: &output) }
    }

    /// The floor follows now minus the retention until it has passed the last write of a client;
    /// then there is nothing more to drop, and a quiet tablet writes nothing. It follows in steps
    /// of an eighth of the retention: each is an entry, and a node has many tablets.
    private func raiseHistoryFloor(at time: WallTime) {
        guard let retention else { return }
        let floor = min(
            Timestamp(time).earlier(by: retention), machine.lastVersion)
        guard floor > machine.historyFloor, machine.historyFloor < lastClientVersion,
            floor >= lastClientVersion || floor.earlier(by: retention / 8) > machine.historyFloor
        else { return }
        proposeUpkeep(.raiseHistoryFloor(to: floor))
    }

    private func askForDigests(into output: inout TabletOutput) {
        lastDigestIndex = machine.appliedIndex
        let report = DigestReport(
            tablet: id, index: machine.appliedIndex, digest: machine.logDigest.value)
        for member in raft.membership.members.withData where member.replica != replica {
            output.nodeMessages.append((member.node, .logDigest(report, isQuestion: true)))
        }
    }

    /// Goes on with the content digest, a page at a time.
    func continueContentDigest(into output: inout TabletOutput) {
        guard var scan = contentDigest.scan, !contentDigest.isWaiting, !isApplyPaused,
            problem == nil
        else {
            return
        }
        switch scan.step(machine, blocks: contentDigest.blocks) {
        case .needs(let read):
            contentDigest.isWaiting = true
            output.jobs.append((.digestBlocks, .read, BackgroundJob.loading(read)))
            contentDigest.scan = scan
        case .more:
            contentDigest.blocks = PinnedBlocks()
            contentDigest.scan = scan
            output.wantsTurn = true
        case .done(let digest):
            contentDigest.finish(digest)
            output.isContentDigestDone = true
        case .historyGone:
            // The next request for a digest begins a new one at a newer version.
            contentDigest.giveUp()
        }
    }
}
