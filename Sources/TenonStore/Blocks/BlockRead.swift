internal import TenonCore

/// Names a decoded block among all tablets of a node.
struct BlockKey: Hashable, Sendable {
    /// The store, as the cache numbers them.
    var store: UInt32
    var block: UInt32
    var table: TableNumber
}

/// The order to read some blocks: made on the loop, run where blocking is allowed.
package struct BlockRead: Sendable {
    /// Consecutive blocks of one table.
    struct Part: Sendable {
        var store: UInt32
        var table: Table
        var blocks: Range<Int>

        func key(of index: Int) -> BlockKey {
            BlockKey(store: store, block: UInt32(index), table: table.number)
        }
    }

    private(set) var parts: [Part] = []
    /// The blocks of all parts, once there are many: so that a read of thousands of keys does not
    /// compare each of them with all others.
    private var known: Set<BlockKey> = []
    private static let partsComparedMax = 16

    /// An order for nothing.
    package init() {}

    /// Whether there is nothing to read.
    package var isEmpty: Bool { parts.isEmpty }

    /// How many bytes will be read from the disk.
    package var bytes: Int { parts.reduce(0) { $0 + $1.table.bytes(of: $1.blocks) } }

    /// Adds what `other` wants, so that several reads wait for one job.
    package mutating func merge(_ other: BlockRead) {
        for part in other.parts { add(part) }
    }

    mutating func add(_ part: Part) {
        guard !contains(part) else { return }
        parts.append(part)
        if parts.count == BlockRead.partsComparedMax + 1 {
            for part in parts { note(part) }
        } else if parts.count > BlockRead.partsComparedMax {
            note(part)
        }
    }

    private func contains(_ part: Part) -> Bool {
        if parts.count > BlockRead.partsComparedMax {
            return part.blocks.allSatisfy { known.contains(part.key(of: $0)) }
        }
        return parts.contains {
            $0.table === part.table && $0.blocks.lowerBound <= part.blocks.lowerBound
                && part.blocks.upperBound <= $0.blocks.upperBound
        }
    }

    private mutating func note(_ part: Part) {
        for index in part.blocks { known.insert(part.key(of: index)) }
    }

    /// Reads, verifies and decompresses the blocks. Blocks the thread; several may run at once.
    /// - Throws: `damaged` when a checksum is wrong: nothing of the block is served; `file`.
    package func run() throws(StoreError) -> LoadedBlocks {
        var loaded = LoadedBlocks()
        for part in parts {
            let blocks = try part.table.readBlocks(part.blocks)
            for (index, block) in zip(part.blocks, blocks) {
                loaded.blocks.append((part.key(of: index), block))
            }
        }
        return loaded
    }
}

/// What a ``BlockRead`` brought.
package struct LoadedBlocks: Sendable {
    var blocks: [(key: BlockKey, block: Block)] = []
}
