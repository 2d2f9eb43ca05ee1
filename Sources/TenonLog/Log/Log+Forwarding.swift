internal import TenonCore

/// What is still to be copied out of the oldest segment.
struct Forwarding: Sendable {
    /// The segment's use.
    var use: SegmentUse
    /// What was needed of it when this was made, last one first. What has become unneeded since
    /// is passed over.
    var items: [LiveItem]
    /// The batch that was read last.
    var batch: (number: BatchNumber, records: [BatchRecord]?)?
}

/// Copying forward: what a recycled segment still holds of tablets that lag is written anew, in
/// records of its own kind that never truncate (Rule L2).
extension Log {
    /// Segments in hand below which every append copies a step forward.
    private static let segmentsInHandLow = 3

    /// Copies one step forward when few segments are in hand, so that no single append has to
    /// copy a whole one.
    func forwardWhenLow(after bytes: Int) throws(LogError) {
        guard segmentsInHand < Log.segmentsInHandLow, used.count > 1 else { return }
        do throws(LogError) {
            try forward(bytes: max(configuration.forwardingStepBytes, 2 * bytes))
        } catch {
            // The append before this is durable; the next one that needs a segment says so.
            guard error == .full else { throw error }
        }
    }

    /// Copies all that is needed of the oldest segment, and recycles it.
    func forwardOldestSegment() throws(LogError) {
        try forward(bytes: .max)
    }

    /// Copies about `budget` bytes of what is needed of the oldest segment.
    private func forward(bytes budget: Int) throws(LogError) {
        if forwarding?.use != used[0].use {
            forwarding = Forwarding(
                use: used[0].use, items: index.items(before: used[0].endBatch).reversed())
        }
        var left = budget
        while left > 0, forwarding?.items.isEmpty == false {
            let records = try gatherForwarded()
            left -= records.reduce(0) { $0 + $1.encodedBytes }
            guard !records.isEmpty else { continue }
            do throws(LogError) {
                reached(.logForwarded)
                try write(records, for: .forwarding)
            } catch {
                // These are off the list and not copied: the list is made again next time.
                forwarding = nil
                throw error
            }
        }
        if forwarding?.items.isEmpty == true {
            forwarding = nil
            releaseSegments()
        }
        checkInvariants()
    }

    /// Takes the items of one batch off the list, and makes its records: about a step of them, and
    /// what else its last block has room for. With half empty blocks the copy of a segment could
    /// take two, and copying forward would end with no room for its last step.
    private func gatherForwarded() throws(LogError) -> [BatchRecord] {
        let step = min(configuration.forwardingStepBytes, configuration.batchBytesMax)
        let room = Block.roundedUp(writer.headerBytes + step) - writer.headerBytes
        var records: [BatchRecord] = []
        var bytes = 0
        while let item = forwarding?.items.last {
            let next = try recordsToForward(item)
            let nextBytes = next.reduce(0) { $0 + $1.encodedBytes }
            let count = records.count + next.count
            let isFull =
                bytes + nextBytes > min(room, configuration.batchBytesMax)
                || count > configuration.batchRecordsMax
            if isFull, !records.isEmpty { break }
            records += next
            bytes += nextBytes
            forwarding?.items.removeLast()
        }
        return records
    }

    /// The records that keep `item`, none when it is not needed any more.
    private func recordsToForward(_ item: LiveItem) throws(LogError) -> [BatchRecord] {
        switch item {
        case .run(let tablet, let run):
            return try entriesToForward(tablet, run)
        case .hardState(let tablet, let batch):
            guard let state = index.tablets[tablet], let placed = state.hardState,
                placed.batch == batch
            else { return [] }
            return [.given(.hardState(tablet: tablet, replica: state.replica, placed.value))]
        case .base(let tablet, let batch):
            guard let state = index.tablets[tablet], let placed = state.base,
                placed.batch == batch
            else { return [] }
            return [
                .given(
                    .trim(
                        tablet: tablet, replica: state.replica, through: placed.value.index,
                        term: placed.value.term))
            ]
        case .suspicion(let tablet, let batch):
            guard let state = index.tablets[tablet], state.suspicion == batch else { return [] }
            return [.suspicion(tablet: tablet, replica: state.replica)]
        case .tombstone(let tablet, let batch):
            guard let placed = index.tombstones[tablet], placed.batch == batch else { return [] }
            return [.given(.remove(tablet: tablet, replica: placed.value))]
        case .metadata(let key, let batch):
            guard let placed = index.metadata[key], placed.batch == batch else { return [] }
            return [.given(.metadata(key: key, value: placed.value))]
        }
    }

    private func entriesToForward(
        _ tablet: TabletID, _ run: Run
    ) throws(LogError) -> [BatchRecord] {
        guard let state = index.tablets[tablet] else { return [] }
        return try state.runs.pieces(of: run).map { piece throws(LogError) -> BatchRecord in
            if !piece.isDamaged,
                let entries = try entries(of: piece, tablet, state.replica)
            {
                return .forwardedEntries(
                    tablet: tablet, replica: state.replica, entries: entries)
            }
            if !piece.isDamaged {
                damagedTablets.insert(tablet)
                index.markDamaged(tablet, at: piece.first)
            }
            return .damagedEntries(
                tablet: tablet, replica: state.replica, first: piece.first, last: piece.last,
                term: piece.term)
        }
    }

    /// The entries of `run`, read back; nil when they are damaged.
    private func entries(
        of run: Run, _ tablet: TabletID, _ replica: ReplicaID
    ) throws(LogError) -> [Entry]? {
        if forwarding?.batch?.number != run.batch {
            forwarding?.batch = (run.batch, try readBatch(run.batch)?.records)
        }
        return forwarding?.batch?.records?.entries(of: run, tablet, replica)
    }
}

extension [BatchRecord] {
    /// The entries of `run` among the records of its batch; nil when one is missing. Where two
    /// records hold the same index, the later one counts.
    func entries(of run: Run, _ tablet: TabletID, _ replica: ReplicaID) -> [Entry]? {
        var found: [Entry] = []
        var index = run.first
        while index <= run.last {
            guard let entries = lastEntries(holding: index, tablet, replica),
                let first = entries.first?.index
            else { return nil }
            found.append(entries[first.distance(to: index)])
            index = index.next
        }
        return found
    }

    private func lastEntries(
        holding index: LogIndex, _ tablet: TabletID, _ replica: ReplicaID
    ) -> [Entry]? {
        for record in reversed() {
            switch record {
            case .given(.entries(tablet, replica, let entries)),
                .forwardedEntries(tablet, replica, let entries):
                if let first = entries.first?.index, let last = entries.last?.index,
                    first <= index, index <= last
                {
                    return entries
                }
            default: break
            }
        }
        return nil
    }
}
