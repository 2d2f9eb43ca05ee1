import TenonCore
import TenonKV
import TenonLog
import TenonRaft
import TenonStore
import TenonWire

/// What a node has to do for tablets that were split.
struct SplitWork {
    /// How often halves that are new are looked after.
    static let interval = TimeSpan.milliseconds(50)
    /// Between two tries of a half to have a leader.
    static let campaignPause = TimeSpan.milliseconds(200)
    /// Between two tries to make a half that is not here.
    static let makingPause = TimeSpan.milliseconds(500)

    /// Tablets of this node whose last half has not committed anything here yet, as far as known.
    var watched: Set<TabletID> = []
    /// Records on their way to the log, by the tablet that was split.
    var recording: [TabletID: ReplicaRecord] = [:]
    var nextRound = Instant.zero
}

/// Making the half of a tablet that is split, and looking after it until it works by itself.
///
/// On each node: everything before the split's entry is flushed, the store is copied into the
/// half's folder, the half's record goes to the log, the half is opened; then the entry is applied.
/// Each step is durable before the next, and each is made again when a crash came between.
extension Node {
    /// Stands for the record of a half among the tickets of the log.
    static let halfTicket = WriteTicket(.max - 1)

    // MARK: Before the entry is applied

    /// A split is the next entry that `tablet` applies, or its half's store is made.
    func halfDue(of tablet: Tablet) {
        wantsTurn = true
        tablets.touch(tablet)
        switch tablet.split.half {
        case .due(let done): prepareHalf(of: tablet, done)
        case .made(let done, let folder): recordHalf(of: tablet, done, folder)
        case .none, .wanted, .making, .stands: break
        }
    }

    private func prepareHalf(of tablet: Tablet, _ done: AppliedSplit) {
        guard let record = tablet.halfRecord(done, on: id), isUnknown(record) else {
            reached(.halfStoodAlready)
            return tablet.split.half = .stands
        }
        // One that is being opened is a blank one, or there by a record: it will show.
        guard openingReplicas[record.tablet] == nil, !isHalfUnderWay(record.tablet) else { return }
        let folder = "\(opening.tabletsDirectory)/\(record.folderName)"
        guard !isPlanted(.splitRecordBeforeCheckpoint) else {
            tablet.split.half = .made(done, folder: folder)
            return recordHalf(of: tablet, done, folder)
        }
        tablet.split.half = .wanted(done, folder: folder)
    }

    /// Whether this node makes the half of its own tablet, or writes its record: nobody else is to
    /// touch its folder meanwhile.
    func isHalfUnderWay(_ half: TabletID) -> Bool {
        splitWork.recording.values.contains { $0.tablet == half }
            || tablets.all.contains { $0.split.half.isMaking(half) }
    }

    /// Whether this node never had the replica: neither here, nor damaged, nor removed.
    private func isUnknown(_ record: ReplicaRecord) -> Bool {
        tablets.peek(record.tablet) == nil && damagedTablets[record.tablet] == nil
            && record.replica >= tombstones[record.tablet] ?? .none
    }

    private func recordHalf(of tablet: Tablet, _ done: AppliedSplit, _ folder: String) {
        guard splitWork.recording[tablet.id] == nil else { return }
        guard let record = tablet.halfRecord(done, on: id), isUnknown(record) else {
            tablet.split.half = .stands
            // Removed while it was being made. One that lives here lives in that folder.
            if tablets.peek(done.split.half) == nil { removeFolder(folder) }
            return
        }
        splitWork.recording[tablet.id] = record
        write(record, completing: [(tablet.id, Node.halfTicket)])
    }

    private func write(
        _ record: ReplicaRecord, completing tickets: [(tablet: TabletID, ticket: WriteTicket)]
    ) {
        gathering.append(
            [
                .metadata(
                    key: ReplicaRecord.metadataKey(of: record.tablet), value: record.encoded())
            ], completing: tickets)
    }

    /// The half's record is durable: it is opened at every start from now on, and now.
    func halfRecorded(of parent: TabletID) {
        guard let record = splitWork.recording.removeValue(forKey: parent) else { return }
        reached(.halfMade)
        if isUnknown(record), openingReplicas[record.tablet] == nil { open(record) }
        guard let tablet = tablet(parent), case .made = tablet.split.half else { return }
        tablet.split.half = .stands
        wantsTurn = true
    }

    // MARK: Afterwards

    /// Looks after the halves that are new here.
    func lookAfterSplits(now: Instant) {
        guard now >= splitWork.nextRound else { return }
        splitWork.nextRound = now + SplitWork.interval
        for id in splitWork.watched.sorted() where !isHalfNew(of: id, now: now) {
            splitWork.watched.remove(id)
            tablets.peek(id)?.split.hold = nil
        }
    }

    /// Whether the last half of a tablet has yet to commit something here. Until then the tablet's
    /// log is kept from the split on, and the half is made again when it is not here.
    private func isHalfNew(of id: TabletID, now: Instant) -> Bool {
        guard let tablet = tablets.peek(id), tablet.problem == nil,
            let done = tablet.machine.lastSplit,
            let record = tablet.halfRecord(done, on: self.id)
        else { return tablets.peek(id)?.isRebuilding ?? false }
        if let half = tablets.peek(record.tablet) {
            guard half.raft.commit <= done.index, half.replica == record.replica else {
                return false
            }
            campaign(half, of: tablet, now: now)
            return true
        }
        guard isUnknown(record) else { return false }
        guard now >= tablet.split.nextMaking else { return true }
        tablet.split.nextMaking = now + SplitWork.makingPause
        // A snapshot took this tablet past the split, or the half could not be opened.
        reached(.halfMadeBlank)
        create(record, by: .none, now: now)
        return true
    }

    /// Who led the tablet is first to stand for election in its half: nobody need wait for a
    /// timeout.
    private func campaign(_ half: Tablet, of tablet: Tablet, now: Instant) {
        guard tablet.raft.role == .leader, half.raft.leader == nil,
            half.raft.role != .candidate, now >= tablet.split.nextCampaign
        else { return }
        tablet.split.nextCampaign = now + SplitWork.campaignPause
        half.raft.campaign(now: now)
        tablets.touch(half)
        wantsTurn = true
    }

    // MARK: Orders and snapshots

    /// The directory wants a tablet led from here to be split.
    func split(_ order: TabletSplit, now: Instant) {
        // Once the half is there the directory waits for its leader's report.
        if let half = tablets.peek(order.half), half.raft.role == .leader { reportDue(of: half) }
        guard let tablet = tablet(order.tablet), tablet.raft.role == .leader,
            memberWork.targets[order.tablet] == nil
        else { return }
        with(tablet) {
            if tablet.beginSplit(order, into: &$0) { $0.isReportDue = true }
        }
        wantsTurn = true
    }

    /// Whether a snapshot would skip a split whose entry this replica holds. It may have been one
    /// of those whose word made it committed: then it makes its half of what it has, before it
    /// takes up a snapshot that has the lower keys only.
    func mustSplitFirst(
        _ tablet: Tablet, _ record: FlushRecord, from node: NodeID, now: Instant
    ) -> Bool {
        guard tablet.problem == nil else { return false }
        do throws(KVError) {
            guard let done = try StateMachine.lastSplit(in: record),
                done.index > tablet.machine.appliedIndex, done.split.member(on: id) != nil,
                tablet.raft.term(at: done.index) == done.term
            else { return false }
            reached(.splitBeforeSnapshot)
            if let leader = tablet.raft.leader, tablet.node(of: leader) == node {
                tablet.raft.learnCommitted(
                    LogPosition(index: done.index, term: done.term), from: leader, now: now)
            }
            wantsTurn = true
            tablets.touch(tablet)
            return true
        } catch {
            return false  // Taking it up says what is wrong with it.
        }
    }
}
