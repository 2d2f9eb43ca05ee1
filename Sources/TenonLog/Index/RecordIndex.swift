internal import TenonCore

/// Where everything that is still needed lies: which batch holds it. Built by feeding it the
/// summaries of all records in the order of the log, on append as in recovery.
///
/// - Invariant: a record of a batch that nothing here names is not needed by anybody.
struct RecordIndex: Sendable {
    /// A small state, and the batch that holds its newest form.
    struct Placed<Value: Hashable & Sendable>: Hashable, Sendable {
        var value: Value
        var batch: BatchNumber
    }

    /// The entry before the first one of a replica's log.
    struct Base: Hashable, Sendable {
        var index = LogIndex.zero
        var term = Term.zero
    }

    /// One living replica.
    struct Tablet: Hashable, Sendable {
        var replica: ReplicaID
        var hardState: Placed<HardState>?
        var base: Placed<Base>?
        var runs = RunList()
        /// Set when anything may be missing; the batch that says so, or was lost.
        var suspicion: BatchNumber?

        var baseIndex: LogIndex { base?.value.index ?? .zero }
        var lastIndex: LogIndex { max(runs.lastIndex ?? .zero, baseIndex) }
    }

    private(set) var tablets: [TabletID: Tablet] = [:]
    /// The last replica that was removed from here.
    private(set) var tombstones: [TabletID: Placed<ReplicaID>] = [:]
    /// The newest value of each key of metadata.
    private(set) var metadata: [UInt64: Placed<Bytes>] = [:]
    /// Keys whose newest value is lost.
    private(set) var lostMetadata: Set<UInt64> = []
    /// Bytes of all live runs and states.
    private(set) var liveBytes = 0
    /// The last place where records were lost that nothing names.
    private(set) var unknownLoss: BatchNumber?

    /// What a state counts for in ``liveBytes``: its record and its share of directories.
    static let stateBytes = 128

    /// Takes in one record of `batch`.
    ///
    /// - Parameter isLost: the record's content cannot be read. Its summary alone restores every
    ///   state; entries become marks.
    mutating func apply(_ summary: RecordSummary, batch: BatchNumber, isLost: Bool = false) {
        switch summary.kind {
        case .metadata: break
        case .remove: remove(summary, batch)
        default:
            guard isAllowed(summary) else { return }
            var tablet = takeTablet(summary)
            liveBytes -= tablet.liveBytes
            tablet.apply(summary, batch: batch, isLost: isLost)
            liveBytes += tablet.liveBytes
            tablets[summary.tablet] = tablet
        }
    }

    /// Takes in a value of metadata; nil when it is lost.
    mutating func setMetadata(_ key: UInt64, _ value: Bytes?, batch: BatchNumber) {
        if let old = metadata.removeValue(forKey: key) {
            liveBytes -= RecordIndex.bytes(of: old.value)
        }
        guard let value else {
            lostMetadata.insert(key)
            return
        }
        lostMetadata.remove(key)
        metadata[key] = Placed(value: value.compacted(), batch: batch)
        liveBytes += RecordIndex.bytes(of: value)
    }

    /// Notes that records were lost before `batch` that nothing names: every replica is suspect,
    /// and so is each that shows up later, until the tablet's tombstone shows that it was made
    /// anew since. A reset does not end it: the lost records may have held a vote.
    mutating func noteUnknownLoss(before batch: BatchNumber) {
        unknownLoss = batch
        for tablet in tablets.keys.sorted() { setSuspicion(tablet, batch) }
    }

    /// What is appended from here on is known to be all there is.
    mutating func endReplay() { unknownLoss = nil }

    /// Marks the entries around `index` as lost, found so when they were read.
    mutating func markDamaged(_ tablet: TabletID, at index: LogIndex) {
        tablets[tablet]?.runs.markDamaged(at: index)
    }

    private mutating func setSuspicion(_ tablet: TabletID, _ batch: BatchNumber) {
        guard var state = tablets[tablet] else { return }
        liveBytes -= state.liveBytes
        state.suspicion = batch
        liveBytes += state.liveBytes
        tablets[tablet] = state
    }

    /// Whether the record is of a replica that may live here (Rule I3).
    private func isAllowed(_ summary: RecordSummary) -> Bool {
        if let removed = tombstones[summary.tablet]?.value, summary.replica <= removed {
            return false
        }
        return summary.replica >= (tablets[summary.tablet]?.replica ?? .none)
    }

    /// The tablet's state, out of the table so that changing it copies nothing. A new replica
    /// begins with nothing.
    private mutating func takeTablet(_ summary: RecordSummary) -> Tablet {
        if let tablet = tablets.removeValue(forKey: summary.tablet) {
            if tablet.replica == summary.replica { return tablet }
            liveBytes -= tablet.liveBytes
        }
        var tablet = Tablet(replica: summary.replica)
        let isNewSinceLoss = tombstones[summary.tablet].map { $0.batch >= unknownLoss ?? .first }
        tablet.suspicion = isNewSinceLoss == true ? nil : unknownLoss
        liveBytes += tablet.liveBytes
        return tablet
    }

    private mutating func remove(_ summary: RecordSummary, _ batch: BatchNumber) {
        if let tablet = tablets[summary.tablet], tablet.replica <= summary.replica {
            liveBytes -= tablet.liveBytes
            tablets[summary.tablet] = nil
        }
        guard let old = tombstones[summary.tablet] else {
            tombstones[summary.tablet] = Placed(value: summary.replica, batch: batch)
            liveBytes += RecordIndex.stateBytes
            return
        }
        if old.value <= summary.replica {
            tombstones[summary.tablet] = Placed(value: summary.replica, batch: batch)
        }
    }

    private static func bytes(of value: Bytes) -> Int { stateBytes + value.count }

    /// Traps unless everything adds up.
    func checkInvariants() {
        #if INVARIANT_CHECKS || DEBUG
            var sum = tombstones.count * RecordIndex.stateBytes
            // Tidy: a sum, whatever the order.
            for placed in metadata.values { sum += RecordIndex.bytes(of: placed.value) }
            // Tidy: a sum, whatever the order.
            for tablet in tablets.values {
                tablet.runs.checkInvariants()
                sum += tablet.liveBytes
                if let first = tablet.runs.runs.first {
                    precondition(
                        first.first > tablet.baseIndex,
                        "entries from \(first.first), base \(tablet.baseIndex)")
                }
            }
            precondition(sum == liveBytes, "live \(sum) B, counted \(liveBytes) B")
        #endif
    }
}

extension RecordIndex.Tablet {
    /// What the replica's records take.
    fileprivate var liveBytes: Int {
        var states = 0
        if hardState != nil { states += 1 }
        if base != nil { states += 1 }
        if suspicion != nil { states += 1 }
        return runs.bytes + states * RecordIndex.stateBytes
    }

    fileprivate mutating func apply(
        _ summary: RecordSummary, batch: BatchNumber, isLost: Bool
    ) {
        switch summary.kind {
        case .entries:
            if let run = run(summary, batch, isLost) { runs.append(run) }
        case .forwardedEntries:
            if let run = run(summary, batch, isLost) { runs.overlay(run) }
        case .damagedEntries:
            if let run = run(summary, batch, true) { runs.overlay(run) }
        case .hardState:
            let state = HardState(
                term: summary.term, vote: summary.vote, commit: summary.last)
            hardState = RecordIndex.Placed(value: state, batch: batch)
        case .trim:
            guard summary.last >= baseIndex else { return }
            runs.trim(through: summary.last)
            setBase(summary, batch)
        case .reset:
            runs.removeAll()
            setBase(summary, batch)
        case .suspicion:
            suspicion = batch
        case .remove, .metadata:
            preconditionFailure("\(summary.kind) is no record of a replica")
        }
    }

    private mutating func setBase(_ summary: RecordSummary, _ batch: BatchNumber) {
        let base = RecordIndex.Base(index: summary.last, term: summary.term)
        self.base = RecordIndex.Placed(value: base, batch: batch)
    }

    /// The run of a record of entries, less what is trimmed; nil when all of it is.
    private func run(
        _ summary: RecordSummary, _ batch: BatchNumber, _ isDamaged: Bool
    ) -> Run? {
        guard summary.last > baseIndex else { return nil }
        return Run(
            first: max(summary.first, baseIndex.next), last: summary.last, term: summary.term,
            batch: batch, bytes: summary.bytes, isDamaged: isDamaged)
    }
}
