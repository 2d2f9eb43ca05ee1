internal import TenonCore

/// The newest writes of a tablet, in order: a B+tree of entries in arenas, and range tombstones.
///
/// Entries are ordered by key, then version newest first; of two writes with equal key and
/// version the later one comes first and so wins. A node number names an entry by its place in the
/// tree: it is valid until the next write (``EntryTree/Place``).
///
/// Unchecked: the loop alone writes, and only until ``freeze()``; after that nobody writes, and
/// the loop and the flush job read it at the same time.
final class Memtable: @unchecked Sendable {
    private var tree = EntryTree()
    /// Range tombstones, which hide entries of this and of older sources.
    private(set) var tombstones = RangeTombstones()
    /// How many entries it holds, superseded ones included.
    private(set) var entryCount = 0
    /// The greatest version written.
    private(set) var lastVersion: Timestamp
    private(set) var isFrozen = false

    /// An empty one, for writes at `version` or later.
    init(after version: Timestamp) { lastVersion = version }

    var isEmpty: Bool { entryCount == 0 && tombstones.isEmpty }
    /// Memory in use, range tombstones included.
    var bytes: Int { tree.bytes + tombstones.bytes }

    /// Ends writing: what reads this from now on, on any thread, sees it as it is.
    func freeze() { isFrozen = true }

    // MARK: Writing

    /// Writes a value, or with nil the tombstone of a key.
    /// - Complexity: O(log n).
    func insert(_ key: StoreKey, _ value: Bytes?, at version: Timestamp) {
        beginWrite(at: version)
        precondition(key.bytes.count <= Limits.keyBytesMax, "a key of \(key.bytes.count) B")
        precondition((value?.count ?? 0) < 1 << 31, "a value of \(value?.count ?? 0) B")
        if tombstones.newestVersion == version {
            tombstones.uncover(key.prefixed, at: version)
        }
        tree.insert(key, value, at: version)
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

    // MARK: Reading

    /// The first node at or after (`key`, `version`); nil when there is none.
    /// - Complexity: O(log n).
    func firstNode(atOrAfter key: [UInt8], _ version: Timestamp) -> Int? {
        unsafe key.withUnsafeBytes { bytes in
            unsafe tree.first(atOrAfter: EntryProbe(bytes, version)).map(Memtable.number)
        }
    }

    /// The last node whose key is below `key`; nil when there is none. - Complexity: O(log n).
    func lastNode(below key: [UInt8]) -> Int? {
        unsafe key.withUnsafeBytes { bytes in
            unsafe tree.last(before: EntryProbe(bytes, .newest)).map(Memtable.number)
        }
    }

    /// The node after `node`; nil at the end. - Complexity: O(1).
    func node(after node: Int) -> Int? {
        tree.place(after: Memtable.place(node)).map(Memtable.number)
    }

    /// The node before `node`; nil at the beginning. - Complexity: O(1).
    func node(before node: Int) -> Int? {
        tree.place(before: Memtable.place(node)).map(Memtable.number)
    }

    func version(of node: Int) -> Timestamp { tree.entries.version(of: entry(node)) }
    func isTombstone(_ node: Int) -> Bool { tree.entries.isTombstone(entry(node)) }
    func valueCount(of node: Int) -> Int { tree.entries.valueCount(of: entry(node)) }

    /// A copy of the node's value.
    func value(of node: Int) -> Bytes { tree.entries.value(of: entry(node)) }

    /// Replaces `key` by the node's prefixed key, in the same buffer.
    func copyKey(of node: Int, to key: inout [UInt8]) {
        key.removeAll(keepingCapacity: true)
        unsafe key.append(contentsOf: tree.entries.key(of: entry(node)))
    }

    /// Whether the node's key is `key`.
    func hasKey(_ node: Int, _ key: [UInt8]) -> Bool {
        let own = unsafe tree.entries.key(of: entry(node))
        return unsafe key.withUnsafeBytes { unsafe compareBytes(own, $0) == 0 }
    }

    // MARK: Node numbers

    private static func number(_ place: EntryTree.Place) -> Int {
        place.leaf * EntryTree.slotsMax + place.slot
    }

    private static func place(_ node: Int) -> EntryTree.Place {
        EntryTree.Place(leaf: node / EntryTree.slotsMax, slot: node % EntryTree.slotsMax)
    }

    private func entry(_ node: Int) -> Int { tree.entry(at: Memtable.place(node)) }

    /// Checks the tree's order, links and heads, and the range tombstones.
    /// - Complexity: O(n log n).
    func checkInvariants() {
        #if INVARIANT_CHECKS || DEBUG
            tree.checkInvariants(entryCount: entryCount)
            tombstones.checkInvariants()
        #endif
    }
}
