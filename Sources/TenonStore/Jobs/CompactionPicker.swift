internal import TenonCore

/// Decides which tables to merge next.
///
/// Leveled: level 0 when it has too many tables, otherwise the first level that is over its size,
/// one table of it at a time, in key order round and round, so that all keys get their turn.
///
/// Source: O'Neil et al., "The log-structured merge-tree", 1996; levels as in LevelDB.
struct CompactionPicker: Sendable {
    /// For each level the key at which its next turn begins.
    private var nextKeys: [[UInt8]] = Array(repeating: [], count: StoreConfiguration.levelsMax)

    /// What to merge; nil when nothing needs it.
    mutating func pick(
        _ levels: Levels, floor: Timestamp, _ configuration: StoreConfiguration
    ) -> CompactionPlan? {
        if levels.tables[0].count >= configuration.levelZeroTablesMax {
            return levelZeroPlan(levels)
        }
        for level in 1..<StoreConfiguration.levelsMax - 1
        where levels.bytes(of: level) > configuration.levelBytesMax(level) {
            return plan(levels, level)
        }
        return nil
    }

    /// All of level 0 goes together: a newer table must never sink below an older one.
    private func levelZeroPlan(_ levels: Levels) -> CompactionPlan? {
        let upper = levels.tables[0]
        guard let first = upper.first else { return nil }
        var range = (lower: first.lower, upper: first.upper)
        for table in upper {
            if compareKeys(table.lower, range.lower) < 0 { range.lower = table.lower }
            if compareKeys(table.upper, range.upper) > 0 { range.upper = table.upper }
        }
        let below = Levels.overlapping(range.lower, range.upper, in: levels.tables[1])
        let runs = upper.map { [$0] } + [Array(levels.tables[1][below])]
        return CompactionPlan(level: 0, runs: runs.filter { !$0.isEmpty }, outputLevel: 1)
    }

    private mutating func plan(_ levels: Levels, _ level: Int) -> CompactionPlan {
        let run = levels.tables[level]
        let index = Levels.firstTable(endingAfter: nextKeys[level], in: run) % run.count
        let table = run[index]
        nextKeys[level] = table.upper
        let next = levels.tables[level + 1]
        let below = Levels.overlapping(table.lower, table.upper, in: next)
        let runs = [[table], Array(next[below])]
        return CompactionPlan(
            level: level, runs: runs.filter { !$0.isEmpty }, outputLevel: level + 1)
    }
}
