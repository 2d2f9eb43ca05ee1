package import TenonCore
import TenonKV
package import TenonLog
import TenonRaft
import TenonStore
import TenonWire

extension SurvivorReport {
    /// Reads the data folder of a node that does not run. Blocks; see ``SurvivorFolder``.
    ///
    /// - Parameter configuration: how large the log's files are; nil looks at them.
    /// - Throws: ``RecoveryError``, a case of one folder. A replica that is not whole is no error.
    package static func read(
        _ directory: String, fileSystem: any FileSystem, log: LogConfiguration? = nil
    ) throws(RecoveryError) -> SurvivorReport {
        let survivor = try SurvivorFolder(
            opening: directory, fileSystem: fileSystem, configuration: log)
        return try survivor.report()
    }
}

extension SurvivorFolder {
    /// What a recovery changes of a replica, beside what it reports.
    struct Replica {
        var report: SurvivorReport.Tablet
        /// The store is ahead of the log, which is to begin anew behind it (a crash came right
        /// after a snapshot's installation).
        var logReset: LogPosition?
        /// The last entry, when it is a configuration.
        var lastConfiguration: Membership?
    }

    func report() throws(RecoveryError) -> SurvivorReport {
        let identity = folder.identity
        let directory: Directory?
        do throws(FileError) {
            directory = try DirectoryFile.read(
                from: folder.directory, fileSystem: fileSystem)
        } catch {
            throw .folder(.file(error))
        }
        return SurvivorReport(
            cluster: identity.cluster, epoch: identity.epoch, node: identity.node,
            name: identity.name, folder: folder.directory,
            directory: directory ?? Directory(nodes: [], keyspaces: [], tablets: []),
            tablets: replicas().map(\.report))
    }

    /// Every replica that the log speaks of, by tablet.
    func replicas() -> [Replica] {
        var records: [TabletID: ReplicaRecord] = [:]
        for (key, value) in recovery.metadata
        where ReplicaRecord.isMetadataKey(key) && !value.isEmpty {
            // One that cannot be read counts as lost: its tablet shows without it.
            guard let record = try? ReplicaRecord(decoding: value) else { continue }
            records[record.tablet] = record
        }
        let logs = Dictionary(
            recovery.tablets.map { ($0.tablet, $0) }, uniquingKeysWith: { one, _ in one })
        return Set(records.keys).union(logs.keys).sorted().map { id in
            guard let record = records[id] else { return lostRecord(id, logs[id]) }
            return replica(record, logs[id])
        }
    }

    private func lostRecord(_ id: TabletID, _ log: RecoveredTablet?) -> Replica {
        Replica(
            report: SurvivorReport.Tablet(
                tablet: id, replica: log?.replica ?? .none, keyspace: KeyspaceID(0),
                lower: Bytes(), upper: nil,
                verdict: .suspect("its record in the log is lost"),
                term: log?.hardState?.term ?? .zero))
    }

    private func replica(_ record: ReplicaRecord, _ log: RecoveredTablet?) -> Replica {
        var report = SurvivorReport.Tablet(
            tablet: record.tablet, replica: record.replica, keyspace: record.keyspace,
            lower: record.lower, upper: record.upper, verdict: .whole,
            term: log?.hardState?.term ?? .zero)
        if log?.verdict == .suspect || isNoteLost(of: record.tablet) {
            report.verdict = .suspect("its log lost what cannot be named")
            return Replica(report: report)
        }
        do {
            let tablet = try open(record, log)
            return describe(tablet, log, report)
        } catch {
            report.verdict = .damaged("\(error)")
            return Replica(report: report)
        }
    }

    /// Whether the log lost what it knew of the replica's own losses.
    private func isNoteLost(of id: TabletID) -> Bool {
        recovery.report.damagedMetadata.contains { RepairNote.tablet(ofKey: $0) == id }
    }

    private func open(_ record: ReplicaRecord, _ log: RecoveredTablet?) throws -> Tablet {
        var configuration = NodeConfiguration(name: folder.identity.name, members: [])
        configuration.isJoining = true
        let opening = ReplicaOpening(
            configuration: configuration, fileSystem: fileSystem,
            tabletsDirectory: folder.tabletsDirectory,
            cache: BlockCache(bytesMax: SurvivorFolder.cacheBytes), epoch: folder.identity.epoch)
        var note: RepairNote?
        for (key, value) in recovery.metadata
        where RepairNote.tablet(ofKey: key) == record.tablet && !value.isEmpty {
            note = try RepairNote(decoding: value)
        }
        if note?.replica != record.replica { note = nil }
        return try opening.tablet(
            record, log, try opening.openStore(record), note: note, seed: 1, now: .zero)
    }

    /// Blocks that are read of a store at its start.
    private static let cacheBytes = 4 << 20

    private func describe(
        _ tablet: Tablet, _ log: RecoveredTablet?, _ known: SurvivorReport.Tablet
    ) -> Replica {
        var report = known
        let machine = tablet.machine
        let raft = tablet.raft
        report.term = max(report.term, raft.term)
        report.lower = machine.bounds.lower
        report.upper = machine.bounds.upper
        report.last = raft.lastPosition
        report.commit = raft.commit
        report.membership = raft.membership
        if let lost = raft.lost {
            report.last = lost.last
            report.verdict = .damaged(
                "entries between \(raft.lastPosition.index) and \(lost.last.index) are lost")
        } else if machine.appliedIndex < log?.baseIndex ?? .zero {
            report.verdict = .damaged("its store lost what the log does not have any more")
        }
        // Entries behind the flush: those that the group goes on with, and no others.
        var ready = raft
        let reset = ready.takeReady().logReset
        let entries = (reset == nil ? log?.entries ?? [] : []).filter {
            $0.index > raft.basePosition.index && $0.index <= raft.lastPosition.index
        }
        report.terms = [
            SurvivorReport.TermStart(
                index: raft.basePosition.index, term: raft.basePosition.term)
        ]
        report.lastVersion = machine.lastVersion
        report.committedVersion = machine.lastVersion
        for entry in entries {
            if entry.term != report.terms.last?.term {
                report.terms.append(
                    SurvivorReport.TermStart(index: entry.index, term: entry.term))
            }
            guard entry.kind == .commands, let stamps = CommandBatch.stamps(of: entry.payload)
            else { continue }
            report.lastVersion = max(report.lastVersion, stamps.last)
            if entry.index <= report.commit {
                report.committedVersion = max(report.committedVersion, stamps.last)
            }
        }
        var found = Replica(report: report, logReset: reset)
        if let last = entries.last, last.kind == .configuration {
            found.lastConfiguration = try? Membership(payload: last.payload)
        }
        return found
    }
}
