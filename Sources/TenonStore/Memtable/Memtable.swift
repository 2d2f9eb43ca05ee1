internal import TenonCore

/// The newest writes of a tablet, in order: a skip list in an arena, and range tombstones.
///
/// Entries are ordered by key, then version newest first; of two writes with equal key and
/// version the later one comes first and so wins. A node, at its offset in the arena (host byte
/// order: nothing of it leaves the process):
///
/// ```
///  0  8  version
///  8  8  the first eight bytes of the key as a number, zeros where it is shorter
/// 16  4  key bytes (bits 0-23), height (bits 24-31)
/// 20  4  value bytes (bits 0-30), tombstone (bit 31)
/// 24  4  offset of the next node on level 0; so for each level below the height
///     …  key, prefixed with its space's tag
///     …  value
/// ```
///
/// The number orders most keys without a look at the key itself, which lies in another cache
/// line. The node at offset 0 is the head, before all keys; as the offset of a next node 0 means
/// none.
///
/// Source: Pugh, "Skip lists: a probabilistic alternative to balanced trees", 1990; one level in
/// four goes up.
///
/// Unchecked: the loop alone writes, and only until ``freeze()``; after that nobody writes, and
/// the loop and the flush job read it at the same time.
final class Memtable: @unchecked Sendable {
    static let heightMax = 14
    private static let headOffset = 8
    private static let lengthsOffset = 16
    private static let valueOffset = 20
    private static let towerOffset = 24

    private var arena: Arena
    /// Range tombstones, which hide entries of this and of older sources.
    private(set) var tombstones = RangeTombstones()
    /// The state of the generator of heights; the seed is a constant, so runs repeat.
    private var heights = SeededGenerator(seed: 0x6D65_6D74_6162_6C65)
    private var height = 1
    /// How many entries it holds, superseded ones included.
    private(set) var entryCount = 0
    /// The greatest version written.
    private(set) var lastVersion: Timestamp
    private(set) var isFrozen = false

    /// An empty one, for writes at `version` or later.
    init(after version: Timestamp) {
        lastVersion = version
        arena = Arena(capacity: 64 << 10)
        _ = arena.allocate(Memtable.towerOffset + 4 * Memtable.heightMax)
        arena.write(uint32: UInt32(Memtable.heightMax) << 24, at: Memtable.lengthsOffset)
    }

    var isEmpty: Bool { entryCount == 0 && tombstones.isEmpty }
    /// Memory in use, range tombstones included.
    var bytes: Int { arena.count + tombstones.bytes }

    /// Ends writing: what reads this from now on, on any thread, sees it as it is.
    func freeze() { isFrozen = true }

    // MARK: Writing

    /// Writes a value, or with nil the tombstone of a key.
    /// - Complexity: O(log n) expected.
    func insert(_ key: StoreKey, _ value: Bytes?, at version: Timestamp) {
        beginWrite(at: version)
        precondition(key.bytes.count <= Limits.keyBytesMax, "a key of \(key.bytes.count) B")
        precondition((value?.count ?? 0) < 1 << 31, "a value of \(value?.count ?? 0) B")
        if tombstones.newestVersion == version {
            tombstones.uncover(key.prefixed, at: version)
        }
        let levels = drawHeight()
        let node = append(key, value, at: version, levels: levels)
        link(node, levels: levels)
        entryCount += 1
    }

    /// Hides everything in the range that was written up to now, at `version` and later reads.
    func insertTombstone(from lower: [UInt8], to upper: [UInt8], at version: Timestamp) {
        beginWrite(at: version)
        tombstones.add(from: lower, to: upper, at: version)
    }

    private func beginWrite(at version: Timestamp) {
        precondition(!isFrozen, "a write at \(version) to a frozen memtable")
        precondition(version >= lastVersion, "a write at \(version) after one at \(lastVersion)")
        lastVersion = version
    }

    private func drawHeight() -> Int {
        let bits = heights.next()
        return min(Memtable.heightMax, 1 + bits.trailingZeroBitCount / 2)
    }

    private func append(
        _ key: StoreKey, _ value: Bytes?, at version: Timestamp, levels: Int
    ) -> Int {
        let keyCount = 1 + key.bytes.count
        let valueCount = value?.count ?? 0
        let keyOffset = Memtable.towerOffset + 4 * levels
        let node = arena.allocate(keyOffset + keyCount + valueCount)
        arena.write(uint64: version.rawValue, at: node)
        arena.write(
            uint32: UInt32(keyCount) | UInt32(levels) << 24, at: node + Memtable.lengthsOffset)
        arena.write(
            uint32: UInt32(valueCount) | (value == nil ? 1 << 31 : 0),
            at: node + Memtable.valueOffset)
        arena.write(byte: key.space.rawValue, at: node + keyOffset)
        arena.write(key.bytes, at: node + keyOffset + 1)
        if let value { arena.write(value, at: node + keyOffset + keyCount) }
        let head = unsafe Probe.head(of: arena.pointer(to: keyRange(of: node)))
        arena.write(uint64: head, at: node + Memtable.headOffset)
        return node
    }

    private func link(_ node: Int, levels: Int) {
        let probe = unsafe Probe(arena.pointer(to: keyRange(of: node)), version(of: node))
        height = max(height, levels)
        var before = 0
        // What is known to come after: it need not be compared again one level below.
        var after = 0
        for level in stride(from: height - 1, through: 0, by: -1) {
            (before, after) = neighbours(of: probe, from: before, to: after, level: level)
            guard level < levels else { continue }
            arena.write(uint32: UInt32(after), at: nextOffset(node, level))
            arena.write(uint32: UInt32(node), at: nextOffset(before, level))
        }
    }

    // MARK: Reading

    /// The first node at or after (`key`, `version`); nil when there is none.
    func firstNode(atOrAfter key: [UInt8], _ version: Timestamp) -> Int? {
        let after = neighbours(of: key, version).after
        return after == 0 ? nil : after
    }

    /// The last node whose key is below `key`; nil when there is none.
    func lastNode(below key: [UInt8]) -> Int? {
        let before = neighbours(of: key, .newest).before
        return before == 0 ? nil : before
    }

    /// The node after `node`; nil at the end.
    func node(after node: Int) -> Int? {
        let next = next(of: node, 0)
        return next == 0 ? nil : next
    }

    func version(of node: Int) -> Timestamp { Timestamp(arena.uint64(at: node)) }
    func isTombstone(_ node: Int) -> Bool {
        arena.uint32(at: node + Memtable.valueOffset) >> 31 == 1
    }
    func valueCount(of node: Int) -> Int {
        Int(arena.uint32(at: node + Memtable.valueOffset) & 0x7FFF_FFFF)
    }

    /// A copy of the node's value.
    func value(of node: Int) -> Bytes {
        let start = keyRange(of: node).upperBound
        return Bytes(arena.copy(of: start..<start + valueCount(of: node)))
    }

    /// Replaces `key` by the node's prefixed key, in the same buffer.
    func copyKey(of node: Int, to key: inout [UInt8]) {
        key.removeAll(keepingCapacity: true)
        unsafe key.append(contentsOf: arena.pointer(to: keyRange(of: node)))
    }

    /// Whether the node's key is `key`.
    func hasKey(_ node: Int, _ key: [UInt8]) -> Bool {
        let own = unsafe arena.pointer(to: keyRange(of: node))
        return unsafe key.withUnsafeBytes { unsafe compareBytes(own, $0) == 0 }
    }

    // MARK: Searching

    /// A key and version that are looked for; lives as long as the call that looks.
    @safe private struct Probe {
        let key: UnsafeRawBufferPointer
        let head: UInt64
        let version: Timestamp

        init(_ key: UnsafeRawBufferPointer, _ version: Timestamp) {
            unsafe self.key = key
            head = unsafe Probe.head(of: key)
            self.version = version
        }

        /// The first eight bytes as a number that orders as they do.
        static func head(of key: UnsafeRawBufferPointer) -> UInt64 {
            if key.count >= 8 {
                return unsafe UInt64(bigEndian: key.loadUnaligned(as: UInt64.self))
            }
            var head: UInt64 = 0
            for offset in 0..<8 {
                head = head << 8 | (offset < key.count ? UInt64(unsafe key[offset]) : 0)
            }
            return head
        }
    }

    /// The nodes between which (`key`, `version`) has its place: 0 is the head, and none.
    private func neighbours(of key: [UInt8], _ version: Timestamp) -> (before: Int, after: Int) {
        unsafe key.withUnsafeBytes { bytes in
            let probe = unsafe Probe(bytes, version)
            var found = (before: 0, after: 0)
            for level in stride(from: height - 1, through: 0, by: -1) {
                found = neighbours(
                    of: probe, from: found.before, to: found.after, level: level)
            }
            return found
        }
    }

    /// The neighbours on one level, of which `start` is before the probe and `known` is not.
    private func neighbours(
        of probe: Probe, from start: Int, to known: Int, level: Int
    ) -> (before: Int, after: Int) {
        var before = start
        while true {
            let after = next(of: before, level)
            guard after != known, after != 0, isNode(after, before: probe) else {
                return (before, after)
            }
            before = after
        }
    }

    private func isNode(_ node: Int, before probe: Probe) -> Bool {
        let head = arena.uint64(at: node + Memtable.headOffset)
        guard head == probe.head else { return head < probe.head }
        let order = unsafe compareBytes(arena.pointer(to: keyRange(of: node)), probe.key)
        return order < 0 || (order == 0 && version(of: node) > probe.version)
    }

    private func nextOffset(_ node: Int, _ level: Int) -> Int {
        node + Memtable.towerOffset + 4 * level
    }

    private func next(of node: Int, _ level: Int) -> Int {
        Int(arena.uint32(at: nextOffset(node, level)))
    }

    private func keyRange(of node: Int) -> Range<Int> {
        let lengths = arena.uint32(at: node + Memtable.lengthsOffset)
        let start = nextOffset(node, Int(lengths >> 24))
        return start..<start + Int(lengths & 0xFF_FFFF)
    }

    /// Checks that the list is in order on every level. - Complexity: O(n).
    func checkInvariants() {
        #if INVARIANT_CHECKS || DEBUG
            var (key, following) = ([UInt8](), [UInt8]())
            for level in 0..<height {
                var node = next(of: 0, level)
                while node != 0 {
                    let after = next(of: node, level)
                    guard after != 0 else { break }
                    copyKey(of: node, to: &key)
                    copyKey(of: after, to: &following)
                    precondition(
                        compareEntries(key, version(of: node), following, version(of: after)) <= 0,
                        "nodes \(node) and \(after) out of order on level \(level)")
                    node = after
                }
            }
            tombstones.checkInvariants()
        #endif
    }
}
