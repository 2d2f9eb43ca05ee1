import TenonCore
import TenonLog
import TenonRaft
import TenonStore
import TenonWire

/// Entries that a log lost, from whoever has them (Rule L7).
extension Node {
    /// How often a replica that misses entries asks for them while nobody leads.
    static let repairInterval = TimeSpan.milliseconds(200)

    /// Writes down what the replicas here have lost, before anything else goes into the log.
    func noteLosses() {
        for tablet in tablets.all {
            guard let lost = tablet.raft.lost else { continue }
            reached(.repairBegun)
            tablet.isRepairNoted = true
            let note = RepairNote(
                replica: tablet.replica, last: lost.last, term: lost.term)
            gathering.append([
                .metadata(key: RepairNote.key(of: tablet.id), value: note.encoded())
            ])
        }
    }

    /// Called at each upkeep of the tablet.
    func lookAfterRepair(of tablet: Tablet, now: Instant) {
        guard tablet.isRepairNoted else { return }
        guard let range = tablet.raft.lostRange else {
            if tablet.raft.isWhole { endRepair(of: tablet) }
            return
        }
        // A leader sends what is missing by itself, and knows more.
        guard tablet.raft.leader == nil, now >= tablet.nextRepairQuestion else { return }
        tablet.nextRepairQuestion = now + Node.repairInterval
        for link in peers.links {
            peers.send(.repairQuestion(tablet: tablet.id, range), to: link.node)
        }
    }

    /// How often a replica whose store is lost asks its leader for a snapshot.
    static let rebuildInterval = TimeSpan.seconds(2)

    /// Called at each upkeep of the tablet.
    func lookAfterRebuild(of tablet: Tablet, now: Instant) {
        guard tablet.isRebuilding else { return }
        let isReceiving = snapshots.incoming.contains { $0.key.tablet == tablet.id }
        guard !isReceiving, tablet.raft.role != .leader, tablet.leaderNode != NodeID(0),
            now >= tablet.nextRebuildRequest
        else { return }
        tablet.nextRebuildRequest = now + Node.rebuildInterval
        peers.send(.snapshotRequest(tablet.id), to: tablet.leaderNode)
    }

    /// What was set aside at the start is needed no more.
    func removeDamagedStore(of tablet: Tablet) {
        let aside = tablet.store.directory + NodeStart.damagedSuffix
        let fileSystem = self.fileSystem
        start(.cleanUp, lane: .bulk) {
            do throws(FileError) {
                if try fileSystem.exists(aside) { try fileSystem.removeTree(aside) }
                return .done
            } catch {
                return .fileFailure(error)
            }
        }
    }

    /// A follower's store is lost; what Raft knows of its log says nothing of that.
    func snapshotRequested(of id: TabletID, by node: NodeID, now: Instant) {
        guard let tablet = tablet(id), tablet.servesAsLeader,
            let member = tablet.raft.membership.members.first(where: { $0.node == node })
        else { return }
        snapshotWanted(tablet, by: member.replica, now: now)
    }

    private func endRepair(of tablet: Tablet) {
        reached(.repairEnded)
        tablet.isRepairNoted = false
        counters.tabletsRepaired += 1
        gathering.append([.metadata(key: RepairNote.key(of: tablet.id), value: Bytes())])
        notice(.info, "tablet \(tablet.id): what its log had lost is there again")
        wantsTurn = true
    }

    func repairAsked(_ id: TabletID, _ range: Raft.LostRange, by node: NodeID) {
        guard isFormed, let tablet = tablet(id) else { return }
        var answer = RepairAnswer(tablet: id, range: range, state: .notHeld)
        if let entries = tablet.raft.entries(for: range, bytesMax: RepairAnswer.bytesMax) {
            answer.state = entries.isEmpty ? .trimmed : .entries
            answer.entries = entries
        }
        peers.send(.repairAnswer(answer), to: node)
    }

    func repairAnswered(_ answer: RepairAnswer, by node: NodeID, now: Instant) {
        guard let tablet = tablet(answer.tablet), let before = tablet.raft.lostRange,
            before == answer.range
        else { return }
        tablet.raft.restore(answer.entries, for: answer.range, now: now)
        guard tablet.raft.lostRange != before else { return }
        reached(.repairedFromPeer)
        counters.entriesRepaired += UInt64(answer.entries.count)
        tablet.nextRepairQuestion = now
        tablet.lastLook = .zero
        wantsTurn = true
        notice(
            .info,
            "tablet \(tablet.id): lost entries from \(before.first) on came from node \(node)")
    }
}

extension Tablet {
    /// `whole`, or what is wrong with this replica.
    var health: String {
        if let problem { return problem }
        if let risk = witnessRisk { return risk }
        guard let lost = raft.lost else { return "whole" }
        guard let range = raft.lostRange else {
            return "repairing: what its log had lost is being written"
        }
        let source = leaderNode == NodeID(0) ? "from any other node" : "from node \(leaderNode)"
        return "repairing: its log lost entries between \(range.first) and "
            + "\(lost.last.index); it waits for them \(source), and does not vote"
    }
}
