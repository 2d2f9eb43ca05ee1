import TenonCore
package import TenonKV
import TenonLog
import TenonRaft
package import TenonStore

/// What a job that opens a replica hands to the node's loop.
///
/// `@unchecked Sendable`: store and state machine are made by the job and given away whole; the
/// job keeps no reference to them.
package struct OpenedReplica: @unchecked Sendable {
    package let store: Store
    package let machine: StateMachine
    /// Why it began anew; nil when it did not.
    var loss: String?
}

/// Opening replicas: all of a node's at its start, and single ones while it runs.
///
/// `@unchecked Sendable`: a job hands the cache on to the store it opens and does not touch it.
struct ReplicaOpening: @unchecked Sendable {
    let configuration: NodeConfiguration
    let fileSystem: any FileSystem
    /// Where the folders of all replicas are.
    let tabletsDirectory: String
    let cache: BlockCache
    let epoch: Epoch

    /// Opens a replica that this node has not served yet. Blocks.
    ///
    /// What is not what was written is put aside, and the replica begins anew: nothing was ever
    /// acknowledged out of it, and the other voters have all that is in it. Such is a half whose
    /// tables, which it shares with its tablet, rotted. One without other voters is left as it is.
    func openNew(_ record: ReplicaRecord) throws -> OpenedReplica {
        try clearLeftovers(of: record)
        let loss: String
        do {
            return try openStore(record)
        } catch let error as StoreError where error.isOfContent {
            loss = "\(error)"
        } catch let error as KVError {
            switch error {
            case .damagedState: loss = "\(error)"
            case .store(let inner) where inner.isOfContent: loss = "\(error)"
            default: throw error
            }
        }
        guard record.membership.incoming.count > 1 else {
            throw StoreError.damaged(file: record.folderName, reason: loss)
        }
        reached(.newReplicaDamaged)
        try putAside(record)
        var opened = try openStore(record)
        opened.loss = loss
        return opened
    }

    /// Puts the folder of a replica out of the way, in the place of one that was put there before.
    func putAside(_ record: ReplicaRecord) throws(FileError) {
        let folder = "\(tabletsDirectory)/\(record.folderName)"
        let aside = folder + NodeStart.damagedSuffix
        if try fileSystem.exists(aside) { try fileSystem.removeTree(aside) }
        try fileSystem.rename(folder, to: aside)
        try fileSystem.syncDirectory(tabletsDirectory)
    }

    /// Removes the folder of a replica without a manifest: one that a crash or a failure left half
    /// made, and that no record of the log speaks of. Blocks.
    private func clearLeftovers(of record: ReplicaRecord) throws(FileError) {
        let folder = "\(tabletsDirectory)/\(record.folderName)"
        guard try fileSystem.exists(folder), try !Store.stands(in: folder, fileSystem) else {
            return
        }
        try fileSystem.removeTree(folder)
    }

    /// Opens store and state machine of a replica. Blocks.
    func openStore(_ record: ReplicaRecord) throws -> OpenedReplica {
        let store = try Store.open(
            fileSystem: fileSystem, directory: "\(tabletsDirectory)/\(record.folderName)",
            configuration: configuration.store, cache: cache)
        let machine = try StateMachine(
            store: store, tablet: record.tablet,
            bounds: KeyInterval(lower: record.lower, upper: record.upper),
            generation: record.generation,
            configuration: configuration.sessions)
        return OpenedReplica(store: store, machine: machine)
    }

    /// The replica over what its log and its store hold.
    ///
    /// - Parameter note: what its log had lost before and was not restored (Rule L7).
    func tablet(
        _ record: ReplicaRecord, _ recovered: RecoveredTablet?, _ opened: OpenedReplica,
        note: RepairNote? = nil, seed: UInt64, now: Instant
    ) throws(RestoreError) -> Tablet {
        var settings = Raft.Configuration(
            tablet: record.tablet, replica: record.replica, epoch: epoch)
        settings.birth = record.birth
        settings.heartbeatInterval = configuration.timers.heartbeat
        settings.electionTimeoutMin = configuration.timers.electionMin
        settings.electionTimeoutMax = configuration.timers.electionMax
        settings.stallBound = configuration.timers.stallBound
        let raft = try Raft(
            configuration: settings, restored: restored(record, recovered, opened.machine, note),
            now: now, seed: seed)
        return Tablet(
            record: record, configuration: configuration, raft: raft, store: opened.store,
            machine: opened.machine)
    }

    /// Raft starts after the last flush: what lies before it is in the store.
    private func restored(
        _ record: ReplicaRecord, _ recovered: RecoveredTablet?, _ machine: StateMachine,
        _ note: RepairNote?
    ) throws(RestoreError) -> Raft.Restored {
        var flushed = LogPosition(index: machine.appliedIndex, term: machine.appliedTerm)
        // Of a store that is lost the log's beginning tells how far it was, at least.
        if let recovered, flushed.index < recovered.baseIndex {
            flushed = LogPosition(index: recovered.baseIndex, term: recovered.baseTerm)
        }
        var membership = record.membership
        if !machine.flushedConfiguration.isEmpty {
            do {
                membership = try Membership(payload: machine.flushedConfiguration.array)
            } catch {
                throw .configurationEntry(index: flushed.index, error)
            }
        }
        var restored = Raft.Restored(
            hardState: recovered?.hardState ?? HardState(), flushed: flushed,
            membership: membership)
        guard let recovered else { return restored }
        let plan = RepairPlan(recovered, flushed: flushed, note: note)
        restored.base = plan.base
        restored.entries = plan.entries
        restored.lost = plan.lost
        return restored
    }
}
