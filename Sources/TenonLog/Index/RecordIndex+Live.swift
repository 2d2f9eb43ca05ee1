internal import TenonCore

/// One thing that is still needed, and where it lies.
enum LiveItem: Hashable, Sendable {
    case run(TabletID, Run)
    case hardState(TabletID, BatchNumber)
    case base(TabletID, BatchNumber)
    case suspicion(TabletID, BatchNumber)
    case tombstone(TabletID, BatchNumber)
    case metadata(UInt64, BatchNumber)

    var batch: BatchNumber {
        switch self {
        case .run(_, let run): run.batch
        case .hardState(_, let batch), .base(_, let batch), .suspicion(_, let batch),
            .tombstone(_, let batch), .metadata(_, let batch):
            batch
        }
    }
}

extension RecordIndex {
    /// Calls `body` with everything that is needed, in any order: only for what does not depend
    /// on it.
    ///
    /// - Complexity: O(runs + tablets), about a millisecond a hundred thousand.
    private func forEachItem(_ body: (LiveItem) -> Void) {
        for (tablet, state) in tablets {
            for run in state.runs.runs { body(.run(tablet, run)) }
            if let placed = state.hardState { body(.hardState(tablet, placed.batch)) }
            if let placed = state.base { body(.base(tablet, placed.batch)) }
            if let batch = state.suspicion { body(.suspicion(tablet, batch)) }
        }
        for (tablet, placed) in tombstones { body(.tombstone(tablet, placed.batch)) }
        for (key, placed) in metadata { body(.metadata(key, placed.batch)) }
    }

    /// The earliest batch that holds something needed.
    func leastLiveBatch() -> BatchNumber? {
        var least: BatchNumber?
        forEachItem { least = min(least ?? $0.batch, $0.batch) }
        return least
    }

    /// What is needed of the batches before `end`, by batch, then in one fixed order.
    func items(before end: BatchNumber) -> [LiveItem] {
        var items: [LiveItem] = []
        forEachItem { if $0.batch < end { items.append($0) } }
        return items.sorted { $0.order.lexicographicallyPrecedes($1.order) }
    }

    /// The tablets that have entries in batches before `end`, sorted.
    func tabletsWithEntries(before end: BatchNumber) -> [TabletID] {
        tablets.keys.sorted().filter { tablet in
            tablets[tablet]?.runs.runs.contains { $0.batch < end } ?? false
        }
    }
}

extension LiveItem {
    /// Equal for no two items.
    fileprivate var order: [UInt64] {
        switch self {
        case .run(let tablet, let run):
            [run.batch.rawValue, 0, tablet.rawValue, run.first.rawValue]
        case .hardState(let tablet, let batch): [batch.rawValue, 1, tablet.rawValue]
        case .base(let tablet, let batch): [batch.rawValue, 2, tablet.rawValue]
        case .suspicion(let tablet, let batch): [batch.rawValue, 3, tablet.rawValue]
        case .tombstone(let tablet, let batch): [batch.rawValue, 4, tablet.rawValue]
        case .metadata(let key, let batch): [batch.rawValue, 5, key]
        }
    }
}
