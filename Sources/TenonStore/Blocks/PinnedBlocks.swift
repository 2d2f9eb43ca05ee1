/// The blocks that one read, or the reads of one entry, hold on to until they are done.
///
/// What was loaded once stays until this goes, so a read that is called again gets further.
/// Owned by the node's loop.
package final class PinnedBlocks {
    private var blocks: [BlockKey: Block] = [:]
    private var fresh: [(key: BlockKey, block: Block)] = []
    /// How many bytes of blocks are pinned.
    package private(set) var bytes = 0
    /// How many loads there were: each one makes the next readahead of a scan longer.
    private(set) var rounds = 0

    package init() {}

    /// Takes in what a ``BlockRead`` brought.
    package func add(_ loaded: LoadedBlocks) {
        rounds += 1
        for (key, block) in loaded.blocks {
            pin(key, block)
            fresh.append((key, block))
        }
    }

    /// Pins what `other` pins as well.
    package func formUnion(_ other: PinnedBlocks) {
        for (key, block) in other.blocks { pin(key, block) }
        fresh += other.fresh
        other.fresh = []
    }

    func pin(_ key: BlockKey, _ block: Block) {
        if blocks.updateValue(block, forKey: key) == nil { bytes += block.bytes.count }
    }

    func block(_ key: BlockKey) -> Block? { blocks[key] }

    /// Gives the cache what was loaded since the last call.
    func moveFresh(to cache: BlockCache) {
        // In one order everywhere: what the cache evicts decides what is read again.
        let inOrder = fresh.sorted { left, right in
            (left.key.table.rawValue, left.key.block) < (right.key.table.rawValue, right.key.block)
        }
        for (key, block) in inOrder { cache.insert(key, block) }
        fresh.removeAll()
    }
}
