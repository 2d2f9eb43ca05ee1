import TenonCore
import TenonKV
import TenonLog
import TenonRaft
import TenonStore
import TenonWire

/// Replicas that come and go while the node runs.
extension Node {
    /// Stands for the record of a removal among the tickets of the log.
    static let removalTicket = WriteTicket(.max)

    /// Each tablet may keep a part of what the node keeps for followers that were away.
    func shareLogRetention() {
        let part = configuration.retainedLogBytes / max(1, tablets.count)
        for tablet in tablets.all { tablet.retainedLogBytes = part }
    }

    // MARK: Making

    /// A leader wants a replica here. One of a higher number than any before takes the place of
    /// what is left of an earlier one (Rule I3).
    func create(_ record: ReplicaRecord, now: Instant) {
        guard isFormed, !isStopping else { return }
        if isUsedUp(record) {
            reached(.replicaRefusedByTombstone)
            // The directory is to think of another number, or it would be waited for in vain.
            return tell(.replicaRemoved(record.tablet, record.replica), to: cluster.leader)
        }
        if let tablet = tablet(record.tablet) {
            guard tablet.replica < record.replica else { return }
            remove(record.tablet, tablet.replica, now: now)
        }
        // It makes its own half when it comes to the split.
        if let parent = tablet(record.parent), parent.problem == nil,
            parent.machine.appliedIndex < record.birth.index
        {
            return reached(.halfLeftToParent)
        }
        guard mayMake(record), !isHalfUnderWay(record.tablet),
            openingReplicas[record.parent] == nil, openingReplicas[record.tablet] == nil,
            removingReplicas[record.tablet] == nil
        else { return }
        open(record)
    }

    /// Whether a replica of this number, or of a higher one, was removed from here before.
    private func isUsedUp(_ record: ReplicaRecord) -> Bool {
        guard let lowest = tombstones[record.tablet], !isPlanted(.replicaAddedUnderOldID) else {
            return false
        }
        return record.replica < lowest
    }

    /// Opens store and state machine of a replica that is to be here.
    func open(_ record: ReplicaRecord) {
        openingReplicas[record.tablet] = record.replica
        let opening = self.opening
        start(.openReplica(record), lane: .bulk) {
            do {
                return .replicaOpened(try opening.openNew(record))
            } catch let error as StoreError {
                return .storeFailure(error)
            } catch {
                return .storeFailure(.damaged(file: record.folderName, reason: "\(error)"))
            }
        }
    }

    func replicaOpened(_ record: ReplicaRecord, _ outcome: JobOutcome, now: Instant) {
        openingReplicas[record.tablet] = nil
        guard case .replicaOpened(let opened) = outcome else {
            return notice(.warning, "tablet \(record.tablet): no replica here: \(outcome)")
        }
        if isUsedUp(record) { return }
        if let loss = opened.loss {
            notice(
                .error,
                "tablet \(record.tablet): its new replica is damaged and begins anew: \(loss)")
        }
        if isPlanted(.splitForgetsSessions), record.birth > .zero { opened.machine.loseSessions() }
        do throws(RestoreError) {
            let tablet = try opening.tablet(
                record, nil, opened, seed: generator.next(), now: now)
            tablets.insert(tablet)
            applyKeyspace(to: tablet)
            apply(leaderPriority, to: tablet)
        } catch {
            return notice(.error, "tablet \(record.tablet): no replica here: \(error)")
        }
        reached(.replicaCreated)
        gathering.append([
            .metadata(
                key: ReplicaRecord.metadataKey(of: record.tablet), value: record.encoded())
        ])
        shareLogRetention()
        notice(.info, "tablet \(record.tablet): replica \(record.replica) is made here")
        wantsTurn = true
    }

    // MARK: Removing

    /// The replica is no member any more: it goes, and leaves a tombstone. Its folder is removed
    /// once that is durable.
    func remove(_ id: TabletID, _ replica: ReplicaID, now: Instant) {
        // A late word about an earlier replica says nothing of the one that is here.
        if let living = tablet(id), living.replica > replica { return }
        let lowest = max(tombstones[id] ?? .none, replica.next)
        guard lowest != tombstones[id] else { return }
        tombstones[id] = lowest
        damagedTablets[id] = nil
        let living = tablet(id)
        if let tablet = living {
            // An earlier one than the word is about goes all the same: there is only one.
            let gone = Refusal(.staleDescriptor, "tablet \(id) is not on this node any more")
            with(tablet) { tablet.refuseAll(gone, into: &$0) }
            forgetRest(of: tablet)
            tablets.remove(id)
            snapshots.incoming.removeAll { $0.key.tablet == id }
            snapshots.abandonOutgoing(of: id)
            // After the slice that still writes there: jobs of one lane keep their order.
            if let half = tablet.split.half.folderUnderWay { removeFolder(half) }
            shareLogRetention()
            notice(.info, "tablet \(id): replica \(tablet.replica) is removed from here")
        }
        reached(.replicaRemoved)
        digestRounds[id] = nil
        contentReports[id] = nil
        removingReplicas[id, default: []].append(living?.replica ?? replica)
        gathering.append(
            [
                .metadata(key: ReplicaRecord.metadataKey(of: id), value: Bytes()),
                .remove(tablet: id, replica: replica),
            ], completing: [(id, Node.removalTicket)])
        wantsTurn = true
    }

    /// The tombstone is durable.
    func removeFolder(ofReplicaIn id: TabletID) {
        guard var replicas = removingReplicas.removeValue(forKey: id) else { return }
        // They become durable in the order in which they were removed.
        let replica = replicas.removeFirst()
        if !replicas.isEmpty { removingReplicas[id] = replicas }
        removeFolder("\(opening.tabletsDirectory)/\(ReplicaRecord.folderName(id, replica))")
    }

    /// Removes a folder that nobody refers to.
    func removeFolder(_ path: String) {
        let fileSystem = self.fileSystem
        start(.cleanUp, lane: .bulk) {
            do throws(FileError) {
                try fileSystem.removeTree(path)
                return .done
            } catch {
                return .fileFailure(error)
            }
        }
    }

    // MARK: Strangers

    /// Tells a replica that wrote to us and is no member of a tablet led from here that it was
    /// removed. Only a leader whose term has a committed entry knows all that was ever decided.
    ///
    /// - Returns: whether the message is not to be looked at.
    func tellsStranger(_ message: RaftMessage, of tablet: Tablet, from node: NodeID) -> Bool {
        switch message.body {
        case .preVoteRequest, .voteRequest: break
        default: return false
        }
        guard tablet.servesAsLeader, tablet.raft.commit >= tablet.raft.membershipIndex else {
            return false
        }
        reached(.strangerReplicaAsked)
        tellRemoved(tablet.id, Member(replica: message.from, node: node))
        return true
    }

    /// Tells a node that its replica is no member any more.
    func tellRemoved(_ tablet: TabletID, _ member: Member) {
        if member.node == id {
            departedHere.append((tablet, member.replica))
        } else {
            peers.send(
                .cluster(.removeReplica(tablet, member.replica)), to: member.node)
        }
    }
}

extension SnapshotTransfers {
    /// The tablet is gone from here: what was being sent of it ends.
    mutating func abandonOutgoing(of tablet: TabletID) {
        for place in outgoing.indices where outgoing[place].key.tablet == tablet {
            outgoing[place].end()
        }
    }
}
