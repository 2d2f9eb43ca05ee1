import TenonCore
import TenonKV
import TenonLog
import TenonRaft
import TenonStore
import TenonWire

/// How far a split of a tablet is at one replica.
struct SplitState {
    /// The half that this replica makes before it applies the entry.
    enum Half {
        /// No split is the next entry to apply.
        case none
        /// One is; the node is to say whether there is something to make.
        case due(AppliedSplit)
        /// The store is to be flushed up to the entry, and copied into the half's folder.
        case wanted(AppliedSplit, folder: String)
        case making(AppliedSplit, folder: String)
        /// The copy is durable; the half's record is on its way to the log.
        case made(AppliedSplit, folder: String)
        /// The half stands on its own here, or there is none to be made here.
        case stands

        /// Whether the folder of `half` is being filled, or its record is to be written.
        func isMaking(_ half: TabletID) -> Bool {
            switch self {
            case .making(let done, _), .made(let done, _): done.split.half == half
            case .none, .due, .wanted, .stands: false
            }
        }

        /// The folder that is being filled, while nothing else knows of it.
        var folderUnderWay: String? {
            guard case .making(_, let folder) = self else { return nil }
            return folder
        }
    }

    /// This leader's entry, until it is applied: no write of a client is proposed behind it.
    var proposed: LogIndex?
    var half = Half.none
    /// Up to here the log may be trimmed while this node's half has committed nothing: a voter that
    /// acknowledged the split makes its own half of the entry, not of a snapshot that skips it.
    var hold: LogIndex?
    /// Orders to split that waited for a flush.
    var deferrals = 0
    /// When the half may stand for election again.
    var nextCampaign = Instant.zero
    /// When a half that is not here may be made again.
    var nextMaking = Instant.zero

    /// The copy could not be made: made again later.
    mutating func halfFailed() {
        if case .making(let done, let folder) = half { half = .wanted(done, folder: folder) }
    }
}

extension Tablet {
    // MARK: The leader proposes

    /// With so much in memory a flush goes ahead of a split, which everything would wait for.
    private static let splitMemtableBytesMax = 1 << 20
    /// Orders that wait for that flush. A tablet that is written to all the time is split anyway.
    private static let splitDeferralsMax = 10

    /// Proposes a split that the directory wants, when nothing stands against it.
    ///
    /// - Returns: whether the directory plans by what is over, and is to hear how it is.
    func beginSplit(_ order: TabletSplit, into output: inout TabletOutput) -> Bool {
        guard servesAsLeader, split.proposed == nil else { return false }
        guard machine.canSplit(order), isPlanned(order) else { return true }
        // One at a time: a snapshot of this tablet tells of the last split only.
        guard split.hold == nil, raft.commit >= raft.membershipIndex else {
            reached(.splitDeferred)
            return false
        }
        if store.memtableBytes > Tablet.splitMemtableBytesMax,
            split.deferrals < Tablet.splitDeferralsMax
        {
            split.deferrals += 1
            isFlushWanted = true
            return false
        }
        split.deferrals = 0
        closeEntry(at: agreedTime, into: &output)
        do throws(ProposalError) {
            split.proposed = try raft.propose(.split, order.encoded())
        } catch {
            reached(.splitDeferred)  // Asked again as long as it is wanted.
        }
        return false
    }

    /// Whether the members in force are those that the split was planned for. What is before the
    /// entry in the log is the same on every replica: asked here, it need not be asked again when
    /// the entry is applied, where a replica that began late does not know what was in force.
    /// Learners of this generation are those that stay: the directory planned with nobody on the way.
    private func isPlanned(_ order: TabletSplit) -> Bool {
        let membership = raft.membership
        return membership.generation == order.configuration && !membership.isJoint
    }

    // MARK: Every replica applies

    /// The split that `entry` does; nil when it is none, or does nothing, because the tablet has
    /// other bounds than it was planned for. The same on every replica.
    func effectiveSplit(_ entry: Entry) -> AppliedSplit? {
        guard entry.kind == .split else { return nil }
        do throws(DecodingError) {
            let order = try TabletSplit(payload: entry.payload)
            // Nothing is made by rules that this software does not know (Rule S6).
            guard order.logicVersion <= .newest else { return nil }
            guard machine.canSplit(order) else {
                reached(.splitWithoutEffect)
                return nil
            }
            return AppliedSplit(order, at: entry.index, entry.term, upper: machine.bounds.upper)
        } catch {
            return nil  // The state machine says what is wrong with it.
        }
    }

    /// Whether a split may be applied: the half stands on its own here. A crash at any moment
    /// before that leaves the tablet before the entry, and it comes here again.
    func isHalfStanding(for done: AppliedSplit, into output: inout TabletOutput) -> Bool {
        switch split.half {
        case .stands: return true
        case .none:
            // The half begins with this entry: it is to be in this node's log before.
            guard done.index <= raft.durableIndex else { return false }
            split.half = .due(done)
            output.isHalfDue = true
        case .due: output.isHalfDue = true
        case .wanted, .making, .made: break
        }
        return false
    }

    /// The tablet has the lower keys only, from here on.
    func splitApplied(_ done: AppliedSplit, into output: inout TabletOutput) {
        reached(.tabletSplit)
        split.half = .none
        split.proposed = nil
        split.hold = done.index.previous
        contentDigest.giveUp()
        output.isReportDue = true
        output.isSplitDone = true
        output.notices.append(
            Notice(
                .info,
                "tablet \(id) is split at \(done.index): tablet \(done.split.half) has its upper "
                    + "keys"))
        // They were routed by the bounds of before. Nothing of them happened.
        refuseGathered(
            Refusal(.staleDescriptor, "tablet \(id) was split: ask for the directory"),
            into: &output)
    }

    // MARK: The half's store

    /// Whether the store is to be flushed up to the split, so that its copy is what was before it.
    var wantsFlushForSplit: Bool {
        if case .wanted = split.half { return true }
        return false
    }

    /// The job that makes the half's store, once this one holds everything before the split.
    func halfJob() -> (any StoreJob)? {
        guard case .wanted(let done, let folder) = split.half,
            let membership = done.split.membership
        else { return nil }
        let isFlushed = store.flushed?.index == machine.appliedIndex && store.canFreeze
        guard isFlushed || isPlanted(.splitBeforeFlush) else { return nil }
        let record = machine.halfRecord(
            of: done.split, at: done.index, done.term,
            configuration: Bytes(membership.encoded()))
        guard let job = store.splitJob(to: folder, record: record) else { return nil }
        split.half = .making(done, folder: folder)
        return job
    }

    /// The half's store is durable. Nothing refers to it yet.
    func halfMade(into output: inout TabletOutput) {
        guard case .making(let done, let folder) = split.half else { return }
        split.half = .made(done, folder: folder)
        output.isHalfDue = true
    }

    /// The half's record, as this tablet's entry says.
    func halfRecord(_ done: AppliedSplit, on node: NodeID) -> ReplicaRecord? {
        guard let member = done.split.member(on: node), let membership = done.split.membership
        else { return nil }
        return ReplicaRecord(
            tablet: done.split.half, replica: member.replica, keyspace: record.keyspace,
            generation: done.split.newGeneration, lower: done.split.at, upper: done.upper,
            birth: LogPosition(index: done.index, term: done.term), parent: id,
            membership: membership, isWitness: member.isWitness)
    }

    /// The store was replaced by a snapshot's, and what was known of splits with it.
    func splitsReplaced() {
        split = SplitState()
        split.hold = machine.lastSplit?.index.previous
    }
}

extension TabletSplit {
    /// The half's first configuration; nil when its members make none.
    var membership: Membership? {
        do throws(DecodingError) {
            return try Membership(incoming: members, acknowledgement: acknowledgement)
        } catch {
            return nil
        }
    }
}
