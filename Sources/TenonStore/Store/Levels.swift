internal import TenonCore

/// The open tables of a store, level by level. A value: a job works on the one it was given.
///
/// - Invariant: of one key, what a level holds is newer than what deeper levels hold. Tables of
///   level 0 may overlap and are newest first; those of a deeper level are in key order and
///   their ranges are disjoint.
struct Levels: Sendable {
    private(set) var tables: [[Table]]
    /// The tables with range tombstones, which every read asks.
    private(set) var tablesWithTombstones: [Table] = []
    /// Memory that the open tables take.
    private(set) var pinnedBytes = 0

    init(_ tables: [[Table]] = Array(repeating: [], count: StoreConfiguration.levelsMax)) {
        precondition(tables.count == StoreConfiguration.levelsMax, "\(tables.count) levels")
        self.tables = tables
        for level in tables {
            for table in level {
                pinnedBytes += table.pinnedBytes
                if !table.tombstones.isEmpty { tablesWithTombstones.append(table) }
            }
        }
        checkInvariants()
    }

    /// What the manifest says of them.
    var entries: [[TableEntry]] { tables.map { $0.map(\.entry) } }
    /// The bytes of all files of a level.
    func bytes(of level: Int) -> Int { tables[level].reduce(0) { $0 + $1.entry.bytes } }
    /// The deepest level that holds a table; nil when none does.
    var deepest: Int? { tables.lastIndex { !$0.isEmpty } }
    /// The newest version of any table.
    var newestVersion: Timestamp {
        tables.joined().reduce(Timestamp.zero) { max($0, $1.properties.newestVersion) }
    }

    /// The runs to look at for the half-open key range, newest first: each table of level 0 by
    /// itself, then each deeper level.
    func runs(_ lower: [UInt8], _ upper: [UInt8]) -> [[Table]] {
        var runs: [[Table]] = []
        for table in tables[0] where table.overlaps(lower, upper) { runs.append([table]) }
        for level in tables.dropFirst() {
            let overlapping = Levels.overlapping(lower, upper, in: level)
            if !overlapping.isEmpty { runs.append(Array(level[overlapping])) }
        }
        return runs
    }

    /// The tables that may hold `key`, newest first.
    func forEachTable(covering key: [UInt8], _ body: (Table) -> Bool) {
        for table in tables[0] where table.covers(key) {
            guard body(table) else { return }
        }
        for level in tables.dropFirst() {
            let index = Levels.firstTable(endingAfter: key, in: level)
            guard index < level.count, level[index].covers(key) else { continue }
            guard body(level[index]) else { return }
        }
    }

    /// Whether no table of `level` or deeper overlaps the half-open range.
    func isEmpty(from level: Int, _ lower: [UInt8], _ upper: [UInt8]) -> Bool {
        for deeper in level..<tables.count {
            if deeper == 0 {
                guard !tables[0].contains(where: { $0.overlaps(lower, upper) }) else {
                    return false
                }
            } else if !Levels.overlapping(lower, upper, in: tables[deeper]).isEmpty {
                return false
            }
        }
        return true
    }

    /// The first table of a run whose range ends above `key`. - Complexity: O(log tables).
    static func firstTable(endingAfter key: [UInt8], in run: [Table]) -> Int {
        var low = 0
        var high = run.count
        while low < high {
            let middle = (low + high) / 2
            if compareKeys(run[middle].upper, key) > 0 { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Where the tables of a run lie that overlap the half-open range.
    static func overlapping(
        _ lower: [UInt8], _ upper: [UInt8], in run: [Table]
    ) -> Range<Int> {
        let first = firstTable(endingAfter: lower, in: run)
        var end = first
        while end < run.count, compareKeys(run[end].lower, upper) < 0 { end += 1 }
        return first..<end
    }

    /// These without `removed`, and with `added` in `level`.
    func replacing(_ removed: [Table], by added: [Table], in level: Int) -> Levels {
        var tables = self.tables
        for index in tables.indices {
            tables[index].removeAll { table in removed.contains { $0 === table } }
        }
        if level == 0 {
            tables[0].insert(contentsOf: added, at: 0)
        } else {
            tables[level].append(contentsOf: added)
            tables[level].sort { compareKeys($0.lower, $1.lower) < 0 }
        }
        return Levels(tables)
    }

    /// Checks that deeper levels are sorted and disjoint. - Complexity: O(tables).
    func checkInvariants() {
        for (level, run) in tables.enumerated().dropFirst() {
            for index in run.indices.dropFirst() {
                precondition(
                    compareKeys(run[index - 1].upper, run[index].lower) <= 0,
                    """
                    tables \(run[index - 1].number) and \(run[index].number) of level \(level) \
                    overlap
                    """)
            }
        }
    }
}
