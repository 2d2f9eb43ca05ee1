package import TenonCore
import TenonKV
package import TenonLog
import TenonRaft
import TenonStore
import TenonWire

/// Why a node cannot start from its folder.
package enum StartError: Error, Sendable, CustomStringConvertible {
    case folder(FolderError)
    case log(LogError)
    case file(FileError)
    case tablet(TabletID, String)

    package var description: String {
        switch self {
        case .folder(let error): "\(error)"
        case .log(let error): "the log: \(error)"
        case .file(let error): "\(error)"
        case .tablet(let tablet, let reason): "tablet \(tablet): \(reason)"
        }
    }
}

/// Everything a node starts from: what was read from its disk, blocking, before the loop runs.
package struct NodeStart {
    var configuration: NodeConfiguration
    var directory: String
    var fileSystem: any FileSystem
    var identity: FolderIdentity
    var generator: SeededGenerator
    var tablets: [Tablet] = []
    var damagedTablets: [TabletID: String] = [:]
    /// Whether the log lost records that nothing names.
    let isLogSuspect: Bool
    /// The records of replicas that the log does not have yet: those of a cluster's first start.
    var newRecords: [ReplicaRecord] = []
    /// For each tablet that lost a replica here: the lowest number still allowed (Rule I3).
    var tombstones: [TabletID: ReplicaID] = [:]
    /// The directory as this node last saved it; nil when it never did.
    var savedDirectory: Directory?
    let opening: ReplicaOpening
    /// What replicas had lost before, and were not whole again.
    private var repairNotes: [TabletID: RepairNote] = [:]
    private(set) var lostEntryCount = 0
    var peerMemories: [(NodeID, PeerMemory)] = []
    var logStatus: LogStatus
    var hasEntries: Bool
    /// What an operator should know of the start.
    package private(set) var notices: [Notice] = []

    /// Opens every replica of this node over the recovered log.
    ///
    /// - Parameter folder: locked, with its boot number raised and synced.
    package init(
        configuration: NodeConfiguration, folder: NodeFolder, fileSystem: any FileSystem,
        recovery: LogRecovery, logStatus: LogStatus, seed: UInt64, now: Instant
    ) throws(StartError) {
        self.configuration = configuration
        directory = folder.directory
        self.fileSystem = fileSystem
        identity = folder.identity
        generator = SeededGenerator(seed: seed)
        self.logStatus = logStatus
        hasEntries = recovery.tablets.contains { tablet in
            tablet.hardState.map { $0.term > .zero } ?? false || !tablet.entries.isEmpty
                || tablet.baseIndex > .zero
        }
        opening = ReplicaOpening(
            configuration: configuration, fileSystem: fileSystem,
            tabletsDirectory: folder.tabletsDirectory,
            cache: BlockCache(bytesMax: configuration.blockCacheBytes),
            epoch: folder.identity.epoch)
        isLogSuspect = recovery.report.isNodeSuspect
        for (tablet, lowest) in recovery.tombstones { tombstones[tablet] = lowest }
        for (key, value) in recovery.metadata where !ReplicaRecord.isMetadataKey(key) {
            restore(key, value)
        }
        let lostNotes = recovery.report.damagedMetadata.compactMap {
            RepairNote.tablet(ofKey: $0)
        }
        noteRecovery(recovery.report)
        try removeOldSnapshots(folder)
        try removeOldReplicas(recovery.tombstones, folder)
        do throws(FileError) {
            savedDirectory = try DirectoryFile.read(from: directory, fileSystem: fileSystem)
        } catch {
            throw .file(error)
        }
        var recoveredTablets: [TabletID: RecoveredTablet] = [:]
        for tablet in recovery.tablets { recoveredTablets[tablet.tablet] = tablet }
        for record in records(in: recovery) {
            let recovered = recoveredTablets[record.tablet]
            if lostNotes.contains(record.tablet) {
                quarantine(record.tablet, "its log lost what it knew of its own losses")
                continue
            }
            try open(record, recovered, now: now)
        }
    }

    /// What to open: what the log names, or, at the first start of a founder, what every founder
    /// makes. A replica that has a log and no record lost it.
    private mutating func records(in recovery: LogRecovery) -> [ReplicaRecord] {
        var records: [ReplicaRecord] = []
        for (key, value) in recovery.metadata where ReplicaRecord.isMetadataKey(key) {
            guard !value.isEmpty else { continue }
            do {
                records.append(try ReplicaRecord(decoding: value))
            } catch {
                notices.append(
                    Notice(.error, "a replica's record in the log is unreadable: \(error)"))
            }
        }
        // A founder whose replicas were all removed has tombstones, and does not begin anew.
        let isNew = records.isEmpty && recovery.tablets.isEmpty && recovery.tombstones.isEmpty
        if isNew, !configuration.isJoining {
            newRecords = StaticDirectory.records(
                of: identity.node, members: configuration.members.map(\.id),
                count: configuration.tabletCount)
            return newRecords
        }
        let known = Set(records.map(\.tablet))
        for tablet in recovery.tablets where !known.contains(tablet.tablet) {
            quarantine(tablet.tablet, "its record in the log is lost")
        }
        // One of which the log has nothing else. What a removal left is a tombstone.
        for tablet in recovery.report.damagedMetadata.compactMap(ReplicaRecord.tablet(ofKey:))
        where damagedTablets[tablet] == nil && tombstones[tablet] == nil {
            quarantine(tablet, "its record in the log is lost")
        }
        return records.sorted { $0.tablet < $1.tablet }
    }

    /// Folders of replicas that were removed: a crash may have come before their removal.
    private func removeOldReplicas(
        _ removals: [(tablet: TabletID, lowestAllowed: ReplicaID)], _ folder: NodeFolder
    ) throws(StartError) {
        do throws(FileError) {
            for (tablet, lowest) in removals where lowest.rawValue > 1 {
                let name = ReplicaRecord.folderName(tablet, ReplicaID(lowest.rawValue - 1))
                try fileSystem.removeTree("\(folder.tabletsDirectory)/\(name)")
            }
        } catch {
            throw .file(error)
        }
    }

    /// Checkpoints of transfers that a crash ended: their links would keep dead tables on disk.
    private func removeOldSnapshots(_ folder: NodeFolder) throws(StartError) {
        do throws(FileError) {
            try fileSystem.removeTree(folder.snapshotsDirectory)
        } catch {
            throw .file(error)
        }
    }

    private mutating func noteRecovery(_ report: LogRecoveryReport) {
        if let tail = report.tornTail {
            notices.append(
                Notice(
                    .warning,
                    "the log had a torn tail in \(tail.segment) at \(tail.offset): "
                        + "\(tail.bytes) bytes that were never acknowledged are cut"))
        }
        if report.damagedBatches > 0 {
            notices.append(
                Notice(.error, "the log has \(report.damagedBatches) damaged batches"))
        }
    }

    private mutating func restore(_ key: UInt64, _ value: Bytes) {
        do {
            if let tablet = RepairNote.tablet(ofKey: key) {
                // An empty one says that the replica is whole again.
                if !value.isEmpty { repairNotes[tablet] = try RepairNote(decoding: value) }
                return
            }
            let node = NodeID(UInt32(truncatingIfNeeded: key))
            peerMemories.append((node, try PeerMemory(decoding: value)))
        } catch {
            notices.append(
                Notice(.warning, "what the log remembers of node \(key) is unreadable: \(error)"))
        }
    }

    private mutating func open(
        _ record: ReplicaRecord, _ recovered: RecoveredTablet?, now: Instant
    ) throws(StartError) {
        if recovered?.verdict == .suspect {
            return quarantine(record.tablet, "its log lost what cannot be named")
        }
        do {
            var loss: String?
            let opened = try load(record, &loss)
            let base = recovered?.baseIndex ?? .zero
            // A half that never stood has nothing in the log: others make it whole.
            let isUnborn = record.birth > .zero && record.membership.incoming.count > 1
            if recovered == nil, !isUnborn, let loss { return quarantine(record.tablet, loss) }
            let note = repairNotes[record.tablet]
            let tablet = try opening.tablet(
                record, recovered, opened, note: note?.replica == record.replica ? note : nil,
                seed: generator.next(), now: now)
            noteLoss(of: tablet)
            // The log was trimmed behind a flush that is gone: set aside now, or before a crash in
            // the middle of a rebuild. One that goes back to its beginning does without.
            if opened.machine.appliedIndex < base {
                var output = TabletOutput()
                tablet.rebuild(because: loss ?? "it is not rebuilt yet", into: &output)
                notices += output.notices
            }
            tablets.append(tablet)
        } catch let error as StoreError where error.isOfContent {
            quarantine(record.tablet, "\(error)")
        } catch let error as KVError {
            quarantine(record.tablet, "\(error)")
        } catch {
            throw .tablet(record.tablet, "\(error)")
        }
    }

    /// The store and its state machine; a fresh one, with the reason in `loss`, in the place of
    /// one whose content is not what was written, which is put out of the way.
    private func load(_ record: ReplicaRecord, _ loss: inout String?) throws -> OpenedReplica {
        do {
            return try opening.openStore(record)
        } catch let error as StoreError where error.isOfContent {
            loss = "\(error)"
        } catch KVError.store(let error) where !error.isOfContent {
            throw StartError.tablet(record.tablet, "\(error)")
        } catch let error as KVError {
            loss = "\(error)"
        }
        reached(.storeSetAsideAtStart)
        try opening.putAside(record)
        return try opening.openStore(record)
    }

    /// What the folder of a damaged store is called until it is rebuilt.
    static let damagedSuffix = ".damaged"

    private mutating func noteLoss(of tablet: Tablet) {
        guard let lost = tablet.raft.lost else { return }
        let last = tablet.raft.lastPosition.index
        let count = last.distance(to: lost.last.index) - lost.aside.count
        lostEntryCount += count
        notices.append(
            Notice(
                .error,
                "tablet \(tablet.id): its log lost \(count) entries between \(last) and "
                    + "\(lost.last.index): it does not vote until they are there again"))
    }

    private mutating func quarantine(_ tablet: TabletID, _ reason: String) {
        reached(.logDamageQuarantined)
        damagedTablets[tablet] = reason
        notices.append(Notice(.error, "tablet \(tablet) is quarantined: \(reason)"))
    }
}

extension StoreError {
    /// Whether what the disk holds is wrong, and not only a call on it that failed: such a call
    /// ends the process (Rule L6), and the next start may find everything whole.
    var isOfContent: Bool {
        switch self {
        case .damaged, .unknownFormat: true
        case .invalidConfiguration, .noSpace, .manifestFailed, .file, .badChunk: false
        }
    }
}
