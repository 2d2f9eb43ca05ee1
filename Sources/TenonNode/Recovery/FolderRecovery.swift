package import TenonCore
package import TenonLog
import TenonRaft

/// Carries a plan out on one survivor's data folder (Rule C10).
///
/// | step | after a crash behind it |
/// |---|---|
/// | the plan is written into the folder | the node does not start; the same plan goes on here |
/// | new configurations are appended to the log | the same; those that are there stay |
/// | the identity gets the new epoch | the plan counts as carried out; the file goes |
/// | the plan's file goes | carried out |
///
/// Nothing of it can serve by itself: a node whose folder has an unfinished plan does not start,
/// and one of the new epoch needs a majority of the new configuration.
package enum FolderRecovery {
    /// Where a folder keeps the plan that is being carried out.
    package static let fileName = "recovery"
    static let fileBytesMax = 256 << 20

    package enum Outcome: Hashable, Sendable {
        /// So many tablets go on from this folder's copy.
        case applied(tablets: Int)
        case alreadyApplied
    }

    /// Carries out what `plan` says of the folder's node. Durable when it returns. Blocks.
    ///
    /// - Parameter configuration: how large the log's files are; nil looks at them.
    /// - Throws: ``RecoveryError``, a case of one folder. Then either nothing has changed, or the
    ///   plan is in the folder and the same call finishes it.
    package static func apply(
        _ plan: RecoveryPlan, to directory: String, fileSystem: any FileSystem,
        log configuration: LogConfiguration? = nil
    ) throws(RecoveryError) -> Outcome {
        var folder = try SurvivorFolder.lock(directory, fileSystem)
        let file = PlanFile(directory: directory, fileSystem: fileSystem)
        try check(folder.identity, of: directory, against: plan)
        let underWay = try file.read()
        if let underWay, underWay != plan { throw .otherPlanUnderWay(directory: directory) }
        if folder.identity.epoch == plan.newEpoch {
            if underWay != nil { try file.remove() }
            return .alreadyApplied
        }
        let own = plan.tablets.filter { $0.chosen.node == folder.identity.node }
        if own.isEmpty {
            if underWay == nil { try file.write(plan) }
        } else {
            let survivor = try SurvivorFolder(
                folder, fileSystem: fileSystem, configuration: configuration)
            let records = try survivor.records(of: own)
            if underWay == nil { try file.write(plan) }
            try survivor.append(records)
        }
        try begin(plan, in: &folder)
        try file.remove()
        return .applied(tablets: own.count)
    }

    private static func check(
        _ identity: FolderIdentity, of directory: String, against plan: RecoveryPlan
    ) throws(RecoveryError) {
        guard identity.cluster == plan.cluster else {
            throw .otherClusterOfFolder(
                directory: directory, identity.cluster, plan: plan.cluster)
        }
        guard !plan.lost.contains(where: { $0.id == identity.node }) else {
            throw .declaredLost(directory: directory, name: identity.name)
        }
        guard identity.epoch == plan.epoch || identity.epoch == plan.newEpoch else {
            throw .otherEpochOfFolder(directory: directory, identity.epoch, plan: plan.epoch)
        }
        guard identity.fencedBy <= plan.newEpoch else {
            throw .otherEpochOfFolder(directory: directory, identity.fencedBy, plan: plan.epoch)
        }
    }

    /// From here on the node is one of the new epoch, and knows who is not.
    private static func begin(
        _ plan: RecoveryPlan, in folder: inout NodeFolder
    ) throws(RecoveryError) {
        var identity = folder.identity
        identity.epoch = plan.newEpoch
        identity.lost = Set(identity.lost + plan.lost.map(\.id)).sorted()
        do throws(FileError) {
            try folder.save(identity)
        } catch {
            throw .folder(.file(error))
        }
    }
}

extension SurvivorFolder {
    /// What is still to be appended so that the tablets go on from here.
    fileprivate func records(
        of tablets: [RecoveryPlan.Tablet]
    ) throws(RecoveryError) -> [LogRecord] {
        let replicas = replicas()
        var records: [LogRecord] = []
        for tablet in tablets {
            guard let replica = replicas.first(where: { $0.report.tablet == tablet.tablet }),
                replica.report.replica == tablet.chosen.replica, replica.report.verdict.isWhole
            else { throw changed(tablet, "its replica is not there, or not whole") }
            let entry = tablet.configurationEntry
            let isThere =
                replica.report.last == entry.position
                && replica.lastConfiguration == tablet.membership
            guard isThere || replica.report.last == tablet.last else {
                throw changed(
                    tablet, "its log ends at \(replica.report.last.index), not \(tablet.last.index)"
                )
            }
            let (id, own) = (tablet.tablet, tablet.chosen.replica)
            if let reset = replica.logReset {
                records.append(
                    .reset(tablet: id, replica: own, at: reset.index, term: reset.term))
            }
            if !isThere {
                records.append(.entries(tablet: id, replica: own, entries: [entry]))
            }
            // Its own vote, so that nobody else gets it in this term.
            records.append(
                .hardState(
                    tablet: id, replica: own,
                    HardState(term: tablet.term, vote: own, commit: tablet.commit)))
        }
        return records
    }

    private func changed(_ tablet: RecoveryPlan.Tablet, _ what: String) -> RecoveryError {
        .changedSincePlan(directory: folder.directory, tablet.tablet, what)
    }

    fileprivate func append(_ records: [LogRecord]) throws(RecoveryError) {
        do throws(LogError) {
            try log.append(records)
        } catch {
            throw .log(directory: folder.directory, error)
        }
    }
}

extension RecoveryPlan.Tablet {
    /// The entry that makes the survivors the tablet's voters.
    package var configurationEntry: Entry {
        Entry(
            index: last.index.next, term: term, kind: .configuration,
            payload: membership.encoded())
    }
}

/// The plan that a folder is being brought to.
private struct PlanFile {
    let directory: String
    let fileSystem: any FileSystem

    private var path: String { "\(directory)/\(FolderRecovery.fileName)" }

    /// Nil when there is none.
    func read() throws(RecoveryError) -> RecoveryPlan? {
        do {
            guard try fileSystem.exists(path) else { return nil }
            let file = try fileSystem.open(path, .read)
            let bytes = try file.read(
                at: 0, count: min(file.size(), FolderRecovery.fileBytesMax))
            return try RecoveryPlan(decoding: bytes)
        } catch let error as FileError {
            throw .folder(.file(error))
        } catch {
            throw .folder(.damaged(path: path, reason: "\(error)"))
        }
    }

    /// Durable when it returns.
    func write(_ plan: RecoveryPlan) throws(RecoveryError) {
        do throws(FileError) {
            let temporary = path + ".new"
            if try fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
            let file = try fileSystem.open(temporary, .create)
            try file.write(plan.encoded(), at: 0)
            try file.sync()
            try fileSystem.rename(temporary, to: path)
            try fileSystem.syncDirectory(directory)
        } catch {
            throw .folder(.file(error))
        }
    }

    func remove() throws(RecoveryError) {
        do throws(FileError) {
            try fileSystem.remove(path)
            try fileSystem.syncDirectory(directory)
        } catch {
            throw .folder(.file(error))
        }
    }
}
