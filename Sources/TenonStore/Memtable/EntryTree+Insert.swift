internal import TenonCore

extension EntryTree {
    /// Writes an entry, or with nil a tombstone, before those with equal key and version.
    /// - Complexity: O(log n), and O(slots of a node) for the bytes moved.
    mutating func insert(_ key: StoreKey, _ value: Bytes?, at version: Timestamp) {
        let entry = entries.append(key, value, at: version)
        let probe = entries.probe(entry)
        var place = lowerBound(of: probe)
        if count(of: place.leaf) == EntryTree.slotsMax {
            makeRoom(for: probe)
            place = lowerBound(of: probe)
        }
        put(entry, at: place.slot, of: place.leaf)
    }

    /// Splits every full node on the way to the probe's leaf, from the root down: what is split
    /// finds room in the node above, so nothing has to be remembered of the way.
    private mutating func makeRoom(for probe: EntryProbe) {
        if count(of: root) == EntryTree.slotsMax { raiseRoot() }
        var node = root
        var fences = Fences()
        for level in stride(from: depth - 1, through: 0, by: -1) {
            var slot = lowerBound(of: probe, in: node)
            if count(of: child(of: node, slot)) == EntryTree.slotsMax {
                splitChild(
                    slot, of: node, level: level, narrowed(fences, to: slot, of: node), probe)
                slot = lowerBound(of: probe, in: node)
            }
            fences = narrowed(fences, to: slot, of: node)
            node = child(of: node, slot)
        }
    }

    /// The separators around a node; 0 where there is none, at the ends of a level.
    private struct Fences {
        var lower = 0
        var upper = 0
    }

    /// The fences of a child of `node`, which lies in `fences`.
    private func narrowed(_ fences: Fences, to slot: Int, of node: Int) -> Fences {
        Fences(
            lower: slot > 0 ? entry(of: node, slot - 1) : fences.lower,
            upper: slot < count(of: node) ? entry(of: node, slot) : fences.upper)
    }

    /// Puts an inner node without separators above the root.
    private mutating func raiseRoot() {
        let old = root
        depth += 1
        root = makeNode(level: depth)
        setChild(of: root, 0, old)
    }

    // MARK: Splitting

    /// Splits a full child in two, the right one new; the separator goes up into `node`.
    private mutating func splitChild(
        _ slot: Int, of node: Int, level: Int, _ fences: Fences, _ probe: EntryProbe
    ) {
        let left = child(of: node, slot)
        let right = makeNode(level: level)
        let kept = keptCount(left, fences, probe)
        let separator = entry(of: left, kept)
        if level == 0 {
            moveSlots(from: kept, of: left, to: right)
            linkLeaf(right, after: left)
        } else {
            // The separator itself goes up and the child behind it is the right node's first.
            moveSlots(from: kept + 1, of: left, to: right)
            moveChildren(from: kept + 1, of: left, to: right)
        }
        setCount(of: left, kept)
        refreshHeads(of: left, Fences(lower: fences.lower, upper: separator))
        refreshHeads(of: right, Fences(lower: separator, upper: fences.upper))
        put(separator, at: slot, of: node)
        let from = node + EntryTree.childrenOffset + 4 * (slot + 1)
        nodes.move(4 * (count(of: node) - slot - 1), from: from, to: from + 4)
        setChild(of: node, slot + 1, right)
    }

    /// How many slots stay in the left node: half, or nearly all when keys are written in rising
    /// order, which otherwise would leave every node half full.
    private func keptCount(_ node: Int, _ fences: Fences, _ probe: EntryProbe) -> Int {
        let isRising =
            fences.upper == 0 && lowerBound(of: probe, in: node) == EntryTree.slotsMax
        return isRising ? EntryTree.slotsMax - 2 : EntryTree.slotsMax / 2
    }

    private mutating func moveSlots(from slot: Int, of node: Int, to target: Int) {
        let moved = EntryTree.slotsMax - slot
        for place in 0..<moved {
            setEntry(of: target, place, entry(of: node, slot + place))
        }
        setCount(of: target, moved)
    }

    private mutating func moveChildren(from slot: Int, of node: Int, to target: Int) {
        for place in slot...EntryTree.slotsMax {
            setChild(of: target, place - slot, child(of: node, place))
        }
    }

    private mutating func linkLeaf(_ leaf: Int, after before: Int) {
        let after = self.leaf(after: before)
        nodes.write(uint32: UInt32(before), at: leaf + EntryTree.beforeOffset)
        nodes.write(uint32: UInt32(after), at: leaf + EntryTree.afterOffset)
        nodes.write(uint32: UInt32(leaf), at: before + EntryTree.afterOffset)
        guard after != 0 else { return }
        nodes.write(uint32: UInt32(leaf), at: after + EntryTree.beforeOffset)
    }

    /// Works out skip and heads anew for a node between these fences. What is at or behind one
    /// key and at or before another begins with what these two have in common.
    private mutating func refreshHeads(of node: Int, _ fences: Fences) {
        let isInner = fences.lower != 0 && fences.upper != 0
        let skip = isInner ? entries.sharedCount(fences.lower, fences.upper) : 0
        let count = count(of: node)
        nodes.write(uint32: UInt32(skip), at: node + EntryTree.skipOffset)
        for slot in 0..<EntryTree.slotsMax {
            let head =
                slot < count ? entries.probe(entry(of: node, slot)).head(skip: skip) : UInt64.max
            setHead(of: node, slot, head)
        }
    }

    // MARK: Writing nodes

    /// An empty leaf (level 0) or inner node.
    mutating func makeNode(level: Int) -> Int {
        let node = nodes.allocate(level == 0 ? EntryTree.leafBytes : EntryTree.innerBytes)
        for slot in 0..<EntryTree.slotsMax { setHead(of: node, slot, UInt64.max) }
        return node
    }

    /// Puts an entry into a slot of a node with room, and moves those behind it by one.
    private mutating func put(_ entry: Int, at slot: Int, of node: Int) {
        let count = count(of: node)
        precondition(
            slot <= count && count < EntryTree.slotsMax, "slot \(slot) of a node of \(count)")
        let headPlace = node + EntryTree.headsOffset + 8 * slot
        nodes.move(8 * (count - slot), from: headPlace, to: headPlace + 8)
        let entryPlace = node + EntryTree.entriesOffset + 4 * slot
        nodes.move(4 * (count - slot), from: entryPlace, to: entryPlace + 4)
        setHead(of: node, slot, entries.probe(entry).head(skip: skip(of: node)))
        setEntry(of: node, slot, entry)
        setCount(of: node, count + 1)
    }

    private mutating func setCount(of node: Int, _ count: Int) {
        nodes.write(uint32: UInt32(count), at: node)
    }
    private mutating func setHead(of node: Int, _ slot: Int, _ head: UInt64) {
        nodes.write(uint64: head, at: node + EntryTree.headsOffset + 8 * slot)
    }
    private mutating func setEntry(of node: Int, _ slot: Int, _ entry: Int) {
        nodes.write(uint32: UInt32(entry), at: node + EntryTree.entriesOffset + 4 * slot)
    }
    private mutating func setChild(of node: Int, _ slot: Int, _ child: Int) {
        nodes.write(uint32: UInt32(child), at: node + EntryTree.childrenOffset + 4 * slot)
    }
}
