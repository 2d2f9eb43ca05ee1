/// The bounds of a tablet's store. Every size in bytes.
package struct StoreConfiguration: Sendable, Hashable {
    /// At which size of the memtable a flush is wanted. Larger: fewer, longer flushes and a
    /// longer replay after a crash. 4 KiB ... 1 GiB.
    package var memtableBytesMax = 32 << 20
    /// The size of a block before compression. Larger: better compression, dearer point reads.
    /// 64 B ... 1 MiB. A larger entry has a block of its own.
    package var blockBytes = 16 << 10
    /// At which size compaction ends a table and begins the next. 4 KiB ... 1 GiB.
    package var tableBytesMax = 32 << 20
    /// How many tables of level 0 start a compaction. Each is one more place for a read to look.
    package var levelZeroTablesMax = 4
    /// How many tables of level 0 stall writes, above ``levelZeroTablesMax``.
    package var levelZeroTablesStall = 12
    /// The size of level 1 above which it is compacted into level 2.
    package var levelBytesBase = 128 << 20
    /// How many times larger each level may be than the one above it. 2 ... 100.
    package var levelFactor = 10
    /// Bits of the bloom filter for each key of a table: 10 gives about one false positive in a
    /// hundred. 0 (no filter) ... 32.
    package var bloomBitsPerKey = 10
    /// The cell whose store this is: written into every header (Rules, F).
    package var cellNumber: UInt16 = 0
    /// How much input a slice of a job takes in before it yields: 512 KiB are 2-5 ms of work.
    package var sliceBytes = 512 << 10
    /// How many entries one page of a scan looks at before it ends short, so that a loop turn
    /// stays short (Rule S9) whatever tombstones and old versions lie in the way.
    package var scanStepsMax = 20_000
    /// How many bytes of blocks one page of a scan pins before it ends short.
    package var scanPinnedBytesMax = 32 << 20

    package init() {}

    /// - Throws: `invalidConfiguration` naming the field, its value and its bounds.
    package func validate() throws(StoreError) {
        try check("memtableBytesMax", memtableBytesMax, 4 << 10...1 << 30)
        try check("blockBytes", blockBytes, 64...1 << 20)
        try check("tableBytesMax", tableBytesMax, 4 << 10...1 << 30)
        try check("levelZeroTablesMax", levelZeroTablesMax, 1...64)
        try check("levelZeroTablesStall", levelZeroTablesStall, levelZeroTablesMax + 1...256)
        try check("levelBytesBase", levelBytesBase, 4 << 10...1 << 40)
        try check("levelFactor", levelFactor, 2...100)
        try check("bloomBitsPerKey", bloomBitsPerKey, 0...32)
        try check("sliceBytes", sliceBytes, 1...64 << 20)
        try check("scanStepsMax", scanStepsMax, 1...10_000_000)
        try check("scanPinnedBytesMax", scanPinnedBytesMax, 0...1 << 30)
    }

    private func check(
        _ field: String, _ value: Int, _ bounds: ClosedRange<Int>
    ) throws(StoreError) {
        guard bounds.contains(value) else {
            throw .invalidConfiguration("\(field) is \(value), not in \(bounds)")
        }
    }

    /// How many levels a version has at most, level 0 included.
    static let levelsMax = 7

    /// The size above which `level` (1 or deeper) is compacted into the next.
    func levelBytesMax(_ level: Int) -> Int {
        var bytes = levelBytesBase
        for _ in 1..<max(1, level) {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: levelFactor)
            if overflow { return .max }
            bytes = product
        }
        return bytes
    }
}
