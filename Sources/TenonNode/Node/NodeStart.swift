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
    var peerMemories: [(NodeID, PeerMemory)] = []
    var logStatus: LogStatus
    var hasEntries: Bool
    /// What an operator should know of the start.
    package private(set) var notices: [Notice] = []

    /// Opens every tablet of the static directory over the recovered log.
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
        for (key, value) in recovery.metadata { restorePeer(key, value) }
        noteRecovery(recovery.report)
        try removeOldSnapshots(folder)
        let cache = BlockCache(bytesMax: configuration.blockCacheBytes)
        for descriptor in StaticDirectory.tablets(count: configuration.tabletCount) {
            let recovered = recovery.tablets.first { $0.tablet == descriptor.id }
            try open(descriptor, recovered, folder: folder, cache: cache, now: now)
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

    private mutating func restorePeer(_ key: UInt64, _ value: Bytes) {
        do {
            let node = NodeID(UInt32(truncatingIfNeeded: key))
            peerMemories.append((node, try PeerMemory(decoding: value)))
        } catch {
            notices.append(
                Notice(.warning, "what the log remembers of node \(key) is unreadable: \(error)"))
        }
    }

    private mutating func open(
        _ descriptor: TabletDescriptor, _ recovered: RecoveredTablet?, folder: NodeFolder,
        cache: BlockCache, now: Instant
    ) throws(StartError) {
        switch recovered?.verdict {
        case .none, .whole: break
        case .damaged(let ranges):
            return quarantine(descriptor.id, "its log is damaged at \(ranges)")
        case .suspect: return quarantine(descriptor.id, "its log lost what cannot be named")
        }
        let replica = StaticDirectory.replica(on: identity.node)
        do {
            let store = try Store.open(
                fileSystem: fileSystem,
                directory: "\(folder.tabletsDirectory)/\(descriptor.id)-\(replica)",
                configuration: configuration.store, cache: cache)
            let machine = try StateMachine(
                store: store, tablet: descriptor.id,
                bounds: KeyInterval(lower: descriptor.lower, upper: descriptor.upper),
                configuration: configuration.sessions)
            let raft = try makeRaft(
                descriptor, replica: replica, recovered: recovered, machine: machine, now: now)
            tablets.append(
                Tablet(
                    descriptor: descriptor, replica: replica, configuration: configuration,
                    raft: raft, store: store, machine: machine))
        } catch let error as StoreError where error.isOfContent {
            quarantine(descriptor.id, "\(error)")
        } catch KVError.store(let error) where !error.isOfContent {
            throw .tablet(descriptor.id, "\(error)")
        } catch let error as KVError {
            quarantine(descriptor.id, "\(error)")
        } catch {
            throw .tablet(descriptor.id, "\(error)")
        }
    }

    private mutating func quarantine(_ tablet: TabletID, _ reason: String) {
        reached(.logDamageQuarantined)
        damagedTablets[tablet] = reason
        notices.append(Notice(.error, "tablet \(tablet) is quarantined: \(reason)"))
    }

    private mutating func makeRaft(
        _ descriptor: TabletDescriptor, replica: ReplicaID, recovered: RecoveredTablet?,
        machine: StateMachine, now: Instant
    ) throws -> Raft {
        var raftConfiguration = Raft.Configuration(
            tablet: descriptor.id, replica: replica, epoch: identity.epoch)
        raftConfiguration.heartbeatInterval = configuration.timers.heartbeat
        raftConfiguration.electionTimeoutMin = configuration.timers.electionMin
        raftConfiguration.electionTimeoutMax = configuration.timers.electionMax
        raftConfiguration.stallBound = configuration.timers.stallBound
        return try Raft(
            configuration: raftConfiguration,
            restored: try restored(recovered, machine: machine), now: now,
            seed: generator.next())
    }

    /// Raft starts after the last flush: what lies before it is in the store.
    private func restored(
        _ recovered: RecoveredTablet?, machine: StateMachine
    ) throws -> Raft.Restored {
        let flushed = LogPosition(index: machine.appliedIndex, term: machine.appliedTerm)
        return Raft.Restored(
            hardState: recovered?.hardState ?? HardState(),
            base: recovered.map { LogPosition(index: $0.baseIndex, term: $0.baseTerm) }
                ?? .zero,
            entries: recovered?.entries ?? [], flushed: flushed,
            membership: try membership(of: machine))
    }

    private func membership(of machine: StateMachine) throws -> Membership {
        if !machine.flushedConfiguration.isEmpty {
            return try Membership(payload: machine.flushedConfiguration.array)
        }
        return try Membership(
            incoming: configuration.members.map {
                Member(replica: StaticDirectory.replica(on: $0.id), node: $0.id)
            })
    }
}

extension StoreError {
    /// Whether what the disk holds is wrong, and not only a call on it that failed: such a call
    /// ends the process (Rule L6), and the next start may find everything whole.
    fileprivate var isOfContent: Bool {
        switch self {
        case .damaged, .unknownFormat: true
        case .invalidConfiguration, .noSpace, .manifestFailed, .file, .badChunk: false
        }
    }
}
