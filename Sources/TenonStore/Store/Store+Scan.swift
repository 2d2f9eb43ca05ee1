package import TenonCore

extension Store {
    /// The next page of `range` as a read at `time` sees it.
    ///
    /// `time` is at or above ``historyFloor``. A page ends at the range's bounds for items and
    /// bytes, and earlier when it has looked at `scanStepsMax` entries or pinned
    /// `scanPinnedBytesMax` of blocks.
    package func scan(
        _ range: ScanRange, at time: Timestamp, blocks: PinnedBlocks
    ) -> StoreRead<ScanPage> {
        checkReadTime(time)
        var scan = PageScan(range, at: time, of: self, blocks: blocks)
        return range.isReversed ? scan.runBackward() : scan.runForward()
    }

    /// A cursor over each source that may hold keys of the half-open range, newest first.
    func cursors(_ lower: [UInt8], _ upper: [UInt8], _ supply: BlockSupply) -> [EntryCursor] {
        var cursors: [EntryCursor] = memtables.map { MemtableCursor($0) }
        for run in levels.runs(lower, upper) { cursors.append(RunCursor(run, supply)) }
        return cursors
    }

    /// The last key below `bound` and not below `lower` in any source, whether a read sees it or
    /// not.
    func lastKey(
        from lower: [UInt8], below bound: [UInt8], _ supply: MemorySupply
    ) -> StoreRead<[UInt8]?> {
        var last: [UInt8]?
        func include(_ key: [UInt8]) {
            if last.map({ compareKeys($0, key) < 0 }) ?? true { last = key }
        }
        for memtable in memtables {
            guard let node = memtable.lastNode(below: bound) else { continue }
            var key: [UInt8] = []
            memtable.copyKey(of: node, to: &key)
            include(key)
        }
        for run in levels.runs(lower, bound) {
            if let key = Store.lastKey(below: bound, in: run, supply) { include(key) }
        }
        guard supply.missing.isEmpty else { return .needs(supply.missing) }
        return .ready(last.flatMap { compareKeys($0, lower) < 0 ? nil : $0 })
    }

    /// The last key below `bound` in a run of tables; also nil when a block is missing.
    private static func lastKey(
        below bound: [UInt8], in run: [Table], _ supply: MemorySupply
    ) -> [UInt8]? {
        for table in run.reversed() {
            let index = table.index.firstBlock(atOrAfter: bound, .newest)
            if index < table.index.count {
                guard let block = supply.block(index, of: table) else { return nil }
                if let key = block.lastKey(below: bound) { return key }
            }
            // Everything of that block is at or above the bound, everything before it below.
            if index > 0 { return table.index.lastKey(of: index - 1) }
        }
        return nil
    }
}

/// One page of a scan under construction.
struct PageScan {
    private let range: ScanRange
    private let time: Timestamp
    private let store: Store
    private let blocks: PinnedBlocks
    private let supply: MemorySupply
    private let lower: [UInt8]
    private let upper: [UInt8]
    private var page = ScanPage()
    private var pageBytes = 0
    private var steps = 0

    init(_ range: ScanRange, at time: Timestamp, of store: Store, blocks: PinnedBlocks) {
        self.range = range
        self.time = time
        self.store = store
        self.blocks = blocks
        supply = MemorySupply(
            store: store.number, pinned: blocks, cache: store.cache,
            readahead: range.isReversed ? .backward : .forward)
        (lower, upper) = range.prefixedBounds
    }

    /// How many entries of one key are stepped over before a seek gets past the rest of them.
    private static let stepsBeforeSeek = 8

    // MARK: Forward

    mutating func runForward() -> StoreRead<ScanPage> {
        guard compareKeys(lower, upper) < 0 else { return .ready(page) }
        var merge = MergeCursor(store.cursors(lower, upper, supply))
        merge.seek(to: lower, .newest)
        var bound = lower
        while let cursor = merge.current, compareKeys(cursor.key, upper) < 0 {
            let key = Array(cursor.key)
            bound = key
            if isExhausted { return end(before: bound) }
            let found = visible(of: key, &merge)
            if merge.isBlocked { break }
            if let found, !append(key, found) { return end(before: bound) }
            bound = key + [0]
            skip(key, &merge)
        }
        return merge.isBlocked ? needBlocks(bound) : .ready(page)
    }

    /// The value of `key` that the read sees. Leaves the cursor somewhere in the key's versions.
    private mutating func visible(of key: [UInt8], _ merge: inout MergeCursor) -> StoredValue? {
        seekVersion(of: key, &merge)
        guard let cursor = merge.current, cursor.key == key, !cursor.isTombstone else {
            return nil
        }
        let deletion = store.newestDeletion(of: key, at: time)
        if let deletion, deletion >= cursor.version { return nil }
        return StoredValue(bytes: cursor.value, version: cursor.version)
    }

    /// Moves to the newest version of `key` at or below the read's time.
    private mutating func seekVersion(of key: [UInt8], _ merge: inout MergeCursor) {
        var seen = 0
        while let cursor = merge.current, cursor.version > time, cursor.key == key {
            steps += 1
            seen += 1
            if seen > PageScan.stepsBeforeSeek { return merge.seek(to: key, time) }
            merge.advance()
        }
    }

    /// Moves to the first entry after all versions of `key`.
    private mutating func skip(_ key: [UInt8], _ merge: inout MergeCursor) {
        var seen = 0
        while let cursor = merge.current, cursor.key == key {
            steps += 1
            seen += 1
            if seen > PageScan.stepsBeforeSeek { return merge.seek(to: key + [0], .newest) }
            merge.advance()
        }
    }

    // MARK: Backward

    /// For each key from the end: the last one in any source, looked up like a get. A seek a key
    /// instead of a cursor that walks versions backwards: slower, and right however many
    /// versions a key has.
    mutating func runBackward() -> StoreRead<ScanPage> {
        guard compareKeys(lower, upper) < 0 else { return .ready(page) }
        var bound = upper
        while true {
            let key: [UInt8]
            switch store.lastKey(from: lower, below: bound, supply) {
            case .needs: return needBlocks(bound)
            case .ready(let found):
                guard let found else { return .ready(page) }
                key = found
            }
            if isExhausted { return end(before: bound) }
            switch store.lookUp(key, at: time, supply) {
            case .needs: return needBlocks(bound)
            case .ready(let found):
                if let found, !append(key, found) { return end(before: bound) }
            }
            steps += 1
            bound = key
        }
    }

    // MARK: The page

    /// Whether the page has done enough work for one loop turn. Never before the first step, so
    /// that every page gets further.
    private var isExhausted: Bool {
        steps > 0 && steps >= store.configuration.scanStepsMax
    }

    /// Asks for the missing blocks; when too many are pinned already, ends the page instead, if
    /// it got anywhere.
    private mutating func needBlocks(_ bound: [UInt8]) -> StoreRead<ScanPage> {
        let isFurther = bound != (range.isReversed ? upper : lower)
        if isFurther, blocks.bytes > store.configuration.scanPinnedBytesMax {
            return end(before: bound)
        }
        return .needs(supply.missing)
    }

    /// Adds an item; false when the page is full and the item belongs to the next one.
    private mutating func append(_ key: [UInt8], _ found: StoredValue) -> Bool {
        let bytes = key.count - 1 + found.bytes.count
        if !page.items.isEmpty {
            guard page.items.count < range.itemsMax, pageBytes + bytes <= range.bytesMax else {
                return false
            }
        }
        page.items.append(ScanItem(key: StoreKey(prefixed: key), stored: found))
        pageBytes += bytes
        return true
    }

    /// Ends the page; the rest begins at `bound` (forward) or ends before it (backward).
    private mutating func end(before bound: [UInt8]) -> StoreRead<ScanPage> {
        var rest = range
        if range.isReversed {
            rest.upper =
                bound.count == 1 && bound[0] > range.lower.space.rawValue
                ? nil : StoreKey(prefixed: bound)
        } else {
            rest.lower = StoreKey(prefixed: bound)
        }
        page.rest = rest
        return .ready(page)
    }
}
