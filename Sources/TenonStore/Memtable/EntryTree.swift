internal import TenonCore

/// The entries of a memtable in order: a B+tree whose nodes lie in an arena.
///
/// A leaf holds up to 64 entries, an inner node up to 64 separators and a child more than that.
/// Child number `n` holds what is at or before separator `n`, and behind the one before it; every
/// separator is an entry. A node, at its offset in the arena, which is never 0 (host byte order):
///
/// ```
///   0    4  entries or separators: how many
///   4    4  skip: how many bytes begin the keys of all that belongs here, now and later
///   8   64×8  heads: of each key the eight bytes behind the skip as a number; all ones if free
/// 520   64×4  offsets of the entries
/// leaf:
/// 776    4  the leaf before, 0 for none
/// 780    4  the leaf after, 0 for none
/// inner node:
/// 776   65×4  the children
/// ```
///
/// A search reads the heads of one node a level and nearly never an entry before the one that it
/// finds: three or four places in memory, where the skip list before it had one a step, twenty
/// (Docs/Decisions/0004-memtable.md). The skip keeps heads telling when all keys begin alike:
/// it is what the separators around the node have in common, so it needs no check on the way.
///
/// Source: Comer, "The ubiquitous B-tree", 1979; heads and skips: Graefe, "Modern B-tree
/// techniques", 2011, sections 3.4 and 3.5 (poor man's normalized keys, prefix truncation).
///
/// - Invariant: entries are only added, so no node ever gets smaller but by a split.
struct EntryTree: ~Copyable {
    /// Entries of a leaf, separators of an inner node; ``Arena/countBelow(_:at:)`` wants 64.
    static let slotsMax = 64
    static let skipOffset = 4
    static let headsOffset = 8
    static let entriesOffset = headsOffset + 8 * slotsMax
    static let beforeOffset = entriesOffset + 4 * slotsMax
    static let afterOffset = beforeOffset + 4
    static let childrenOffset = beforeOffset
    static let leafBytes = afterOffset + 4
    static let innerBytes = childrenOffset + 4 * (slotsMax + 1)

    var entries = EntryArena()
    var nodes: Arena
    var root = 0
    /// How many levels of inner nodes lie above the leaves.
    var depth = 0

    init() {
        nodes = Arena(capacity: 16 << 10)
        // So that 0 can mean that there is no leaf.
        _ = nodes.allocate(EntryTree.headsOffset)
        root = makeNode(level: 0)
    }

    /// Memory in use.
    var bytes: Int { entries.bytes + nodes.count }

    // MARK: Places

    /// Where an entry stands: a leaf's offset and a slot in it. Valid until the next insert.
    struct Place {
        var leaf: Int
        var slot: Int
    }

    /// The entry at a place.
    func entry(at place: Place) -> Int { entry(of: place.leaf, place.slot) }

    /// The first place at or after `probe`; nil when all entries are before it.
    /// - Complexity: O(log n).
    func first(atOrAfter probe: EntryProbe) -> Place? {
        let place = lowerBound(of: probe)
        guard place.slot == count(of: place.leaf) else { return place }
        return firstPlace(of: leaf(after: place.leaf))
    }

    /// The last place before `probe`; nil when no entry is. - Complexity: O(log n).
    func last(before probe: EntryProbe) -> Place? {
        place(before: lowerBound(of: probe))
    }

    /// The place after `place`; nil at the end.
    func place(after place: Place) -> Place? {
        guard place.slot + 1 == count(of: place.leaf) else {
            return Place(leaf: place.leaf, slot: place.slot + 1)
        }
        return firstPlace(of: leaf(after: place.leaf))
    }

    /// The place before `place`; nil at the beginning.
    func place(before place: Place) -> Place? {
        guard place.slot == 0 else { return Place(leaf: place.leaf, slot: place.slot - 1) }
        let before = leaf(before: place.leaf)
        return before == 0 ? nil : Place(leaf: before, slot: count(of: before) - 1)
    }

    private func firstPlace(of leaf: Int) -> Place? {
        leaf == 0 ? nil : Place(leaf: leaf, slot: 0)
    }

    // MARK: Searching

    /// Where `probe` has its place: before all that is not before it. The slot may be the one
    /// behind the leaf's last.
    func lowerBound(of probe: EntryProbe) -> Place {
        var node = root
        for _ in 0..<depth { node = child(of: node, lowerBound(of: probe, in: node)) }
        return Place(leaf: node, slot: lowerBound(of: probe, in: node))
    }

    /// How many of a node's entries or separators are before `probe`, which belongs below it.
    func lowerBound(of probe: EntryProbe, in node: Int) -> Int {
        let skip = skip(of: node)
        let head = probe.head(skip: skip)
        let slot = nodes.countBelow(head, at: node + EntryTree.headsOffset)
        guard slot < count(of: node), self.head(of: node, slot) == head else { return slot }
        return lowerBound(of: probe, in: node, from: slot, head: head, skip: skip)
    }

    /// The same among those from `slot` on with the probe's own head: by their keys.
    private func lowerBound(
        of probe: EntryProbe, in node: Int, from slot: Int, head: UInt64, skip: Int
    ) -> Int {
        var low = slot
        var high = count(of: node)
        if head < UInt64.max {
            high = nodes.countBelow(head + 1, at: node + EntryTree.headsOffset)
        }
        while low < high {
            let middle = (low + high) / 2
            if entries.isBefore(entry(of: node, middle), probe, skip: skip) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    // MARK: Fields of nodes

    func count(of node: Int) -> Int { Int(nodes.uint32(at: node)) }
    func skip(of node: Int) -> Int { Int(nodes.uint32(at: node + EntryTree.skipOffset)) }
    func head(of node: Int, _ slot: Int) -> UInt64 {
        nodes.uint64(at: node + EntryTree.headsOffset + 8 * slot)
    }
    func entry(of node: Int, _ slot: Int) -> Int {
        Int(nodes.uint32(at: node + EntryTree.entriesOffset + 4 * slot))
    }
    func child(of node: Int, _ slot: Int) -> Int {
        Int(nodes.uint32(at: node + EntryTree.childrenOffset + 4 * slot))
    }
    func leaf(before leaf: Int) -> Int {
        Int(nodes.uint32(at: leaf + EntryTree.beforeOffset))
    }
    func leaf(after leaf: Int) -> Int { Int(nodes.uint32(at: leaf + EntryTree.afterOffset)) }
}
