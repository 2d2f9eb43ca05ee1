internal import TenonCore

/// The newest writes of a tablet, in order: a skip list in an arena, and range tombstones.
///
/// Entries are ordered by key, then version newest first; of two writes with equal key and
/// version the later one comes first and so wins. A node, at its offset in the arena (host byte
/// order: nothing of it leaves the process):
///
/// ```
///  0  8  version
///  8  4  key bytes (bits 0-23), height (bits 24-31)
/// 12  4  value bytes (bits 0-30), tombstone (bit 31)
/// 16  4  offset of the next node on level 0; so for each level below the height
///     …  key, prefixed with its space's tag
///     …  value
/// ```
///
/// The node at offset 0 is the head, before all keys; as the offset of a next node 0 means none.
///
/// Source: Pugh, "Skip lists: a probabilistic alternative to balanced trees", 1990; one level in
/// four goes up.
///
/// Unchecked: the loop alone writes, and only until ``freeze()``; after that nobody writes, and
/// the loop and the flush job read it at the same time.
final class Memtable: @unchecked Sendable {
    static let heightMax = 14
    private static let headerBytes = 16

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
        _ = arena.allocate(Memtable.headerBytes + 4 * Memtable.heightMax)
        arena.write(uint32: UInt32(Memtable.heightMax) << 24, at: 8)
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
        let tower = Memtable.headerBytes + 4 * levels
        let node = arena.allocate(tower + keyCount + valueCount)
        arena.write(uint64: version.rawValue, at: node)
        arena.write(uint32: UInt32(keyCount) | UInt32(levels) << 24, at: node + 8)
        arena.write(uint32: UInt32(valueCount) | (value == nil ? 1 << 31 : 0), at: node + 12)
        arena.write(byte: key.space.rawValue, at: node + tower)
        arena.write(key.bytes, at: node + tower + 1)
        if let value { arena.write(value, at: node + tower + keyCount) }
        return node
    }

    private func link(_ node: Int, levels: Int) {
        let version = version(of: node)
        let key = unsafe arena.pointer(to: keyRange(of: node))
        var before = 0
        var level = max(height, levels) - 1
        height = level + 1
        while level >= 0 {
            before = unsafe lastNode(before: key, version, from: before, level: level)
            if level < levels {
                arena.write(uint32: next(of: before, level), at: node + 16 + 4 * level)
                arena.write(uint32: UInt32(node), at: before + 16 + 4 * level)
            }
            level -= 1
        }
    }

    // MARK: Reading

    /// The first node at or after (`key`, `version`); nil when there is none.
    func firstNode(atOrAfter key: [UInt8], _ version: Timestamp) -> Int? {
        let before = lastNodeOrHead(before: key, version)
        return node(after: before)
    }

    /// The last node whose key is below `key`; nil when there is none.
    func lastNode(below key: [UInt8]) -> Int? {
        let node = lastNodeOrHead(before: key, .newest)
        return node == 0 ? nil : node
    }

    /// The first node of all; nil when there is none.
    var firstNode: Int? { node(after: 0) }

    /// The node after `node`; nil at the end.
    func node(after node: Int) -> Int? {
        let next = next(of: node, 0)
        return next == 0 ? nil : Int(next)
    }

    func version(of node: Int) -> Timestamp { Timestamp(arena.uint64(at: node)) }
    func isTombstone(_ node: Int) -> Bool { arena.uint32(at: node + 12) >> 31 == 1 }
    func valueCount(of node: Int) -> Int { Int(arena.uint32(at: node + 12) & 0x7FFF_FFFF) }

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

    private func lastNodeOrHead(before key: [UInt8], _ version: Timestamp) -> Int {
        unsafe key.withUnsafeBytes { probe in
            var before = 0
            var level = height - 1
            while level >= 0 {
                before = unsafe lastNode(before: probe, version, from: before, level: level)
                level -= 1
            }
            return before
        }
    }

    /// The last node on `level`, from `start` on, that is before (`key`, `version`).
    private func lastNode(
        before key: UnsafeRawBufferPointer, _ version: Timestamp, from start: Int, level: Int
    ) -> Int {
        var node = start
        while true {
            let following = Int(next(of: node, level))
            guard following != 0, unsafe isNode(following, before: key, version) else {
                return node
            }
            node = following
        }
    }

    private func isNode(
        _ node: Int, before key: UnsafeRawBufferPointer, _ version: Timestamp
    ) -> Bool {
        let order = unsafe compareBytes(arena.pointer(to: keyRange(of: node)), key)
        return order < 0 || (order == 0 && self.version(of: node) > version)
    }

    private func next(of node: Int, _ level: Int) -> UInt32 {
        arena.uint32(at: node + 16 + 4 * level)
    }

    private func keyRange(of node: Int) -> Range<Int> {
        let lengths = arena.uint32(at: node + 8)
        let start = node + Memtable.headerBytes + 4 * Int(lengths >> 24)
        return start..<start + Int(lengths & 0xFF_FFFF)
    }

    /// Checks that the list is in order on every level. - Complexity: O(n).
    func checkInvariants() {
        #if INVARIANT_CHECKS || DEBUG
            for level in 0..<height {
                var node = Int(next(of: 0, level))
                while node != 0 {
                    let following = Int(next(of: node, level))
                    guard following != 0 else { break }
                    let key = unsafe arena.pointer(to: keyRange(of: following))
                    let isBefore = unsafe isNode(node, before: key, version(of: following))
                    let isSame =
                        unsafe compareBytes(arena.pointer(to: keyRange(of: node)), key) == 0
                    precondition(
                        isBefore || (isSame && version(of: node) == version(of: following)),
                        "nodes \(node) and \(following) out of order on level \(level)")
                    node = following
                }
            }
            tombstones.checkInvariants()
        #endif
    }
}
