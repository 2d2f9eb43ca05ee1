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
    ///
    /// - Parameter configuration: the number of a committed configuration that names the replica and
    ///   no other one here; 0 when there is none yet. An earlier one that knows of a newer stays.
    func create(_ record: ReplicaRecord, by configuration: Generation, now: Instant) {
        guard isFormed, !isStopping else { return }
        if isUsedUp(record) {
            reached(.replicaRefusedByTombstone)
            // The directory is to think of another number, or it would be waited for in vain.
            return tell(.replicaRemoved(record.tablet, record.replica), to: cluster.leader)
        }
        if let tablet = tablet(record.tablet) {
            guard tablet.replica < record.replica else { return }
            remove(record.tablet, tablet.replica, by: configuration, now: now)
            if self.tablet(record.tablet) != nil { return }
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

    /// The replica is no member any more by a committed configuration of this number: it goes, and
    /// leaves a tombstone. Its folder is removed once that is durable.
    func remove(
        _ id: TabletID, _ replica: ReplicaID, by configuration: Generation, now: Instant
    ) {
        if let living = tablet(id) {
            // A late word about an earlier replica says nothing of the one that is here.
            if living.replica > replica { return }
            // Nor does the word of one who has not heard of it yet: it may be a voter by now.
            let isProved = living.raft.membership.generation <= configuration
            guard isProved || isPlanted(.removalUnproved) else {
                return reached(.removalRefused)
            }
        }
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
}

extension SnapshotTransfers {
    /// The tablet is gone from here: what was being sent of it ends.
    mutating func abandonOutgoing(of tablet: TabletID) {
        for place in outgoing.indices where outgoing[place].key.tablet == tablet {
            outgoing[place].end()
        }
    }
}
