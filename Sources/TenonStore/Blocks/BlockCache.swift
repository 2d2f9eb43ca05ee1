/// Decoded blocks of all tablets of a node, the least recently used forgotten first.
///
/// Owned by the node's loop. Slots lie in an array and are chained by index, most recently used
/// first; slot 0 is the ring's head.
package final class BlockCache {
    private struct Slot {
        var key: BlockKey
        var block: Block?
        var next = 0
        var previous = 0
    }

    /// How many bytes of blocks it keeps at most.
    package let bytesMax: Int
    /// How many bytes of blocks it holds now.
    package private(set) var bytes = 0
    /// How many lookups found their block, and how many did not.
    package private(set) var hits = 0
    package private(set) var misses = 0

    private var slots = [Slot(key: BlockKey(store: 0, block: 0, table: TableNumber(0)))]
    private var freeSlots: [Int] = []
    private var slotOfKey: [BlockKey: Int] = [:]
    private var storeCount: UInt32 = 0

    /// - Parameter bytesMax: 0 keeps nothing.
    package init(bytesMax: Int) {
        precondition(bytesMax >= 0, "a cache of \(bytesMax) B")
        self.bytesMax = bytesMax
    }

    /// A number for a store that begins to use the cache.
    func makeStoreNumber() -> UInt32 {
        storeCount += 1
        return storeCount
    }

    /// The block, which becomes the most recently used one.
    func block(_ key: BlockKey) -> Block? {
        guard let slot = slotOfKey[key] else {
            misses += 1
            return nil
        }
        hits += 1
        unlink(slot)
        linkFirst(slot)
        return slots[slot].block
    }

    /// Keeps a block, at the price of those not used for longest. A block larger than the whole
    /// cache is not kept.
    func insert(_ key: BlockKey, _ block: Block) {
        guard slotOfKey[key] == nil, block.bytes.count <= bytesMax else { return }
        bytes += block.bytes.count
        while bytes > bytesMax { removeLast() }
        let slot = freeSlots.popLast() ?? slots.count
        if slot == slots.count { slots.append(Slot(key: key)) }
        slots[slot] = Slot(key: key, block: block)
        slotOfKey[key] = slot
        linkFirst(slot)
    }

    private func removeLast() {
        let slot = slots[0].previous
        precondition(slot != 0, "\(bytes) B of blocks in an empty cache")
        bytes -= slots[slot].block?.bytes.count ?? 0
        slotOfKey[slots[slot].key] = nil
        unlink(slot)
        slots[slot].block = nil
        freeSlots.append(slot)
    }

    private func unlink(_ slot: Int) {
        slots[slots[slot].previous].next = slots[slot].next
        slots[slots[slot].next].previous = slots[slot].previous
    }

    private func linkFirst(_ slot: Int) {
        let second = slots[0].next
        slots[slot].next = second
        slots[slot].previous = 0
        slots[second].previous = slot
        slots[0].next = slot
    }

    /// Checks the chain against the dictionary and the byte count. - Complexity: O(n).
    func checkInvariants() {
        #if INVARIANT_CHECKS || DEBUG
            var counted = 0
            var length = 0
            var slot = slots[0].next
            while slot != 0 {
                precondition(
                    slotOfKey[slots[slot].key] == slot, "slot \(slot) is not its key's slot")
                counted += slots[slot].block?.bytes.count ?? 0
                length += 1
                slot = slots[slot].next
            }
            precondition(length == slotOfKey.count, "\(length) slots, \(slotOfKey.count) keys")
            precondition(counted == bytes && bytes <= bytesMax, "\(counted) B counted, \(bytes)")
        #endif
    }
}
