internal import TenonCore

/// Where cursors get decoded blocks from.
///
/// A class with one call a block, so that what walks entries needs no error path for each:
/// the supply remembers what went wrong or what is missing.
class BlockSupply {
    /// The block, or nil when the cursor has to stop before it.
    func block(_ index: Int, of table: Table) -> Block? {
        preconditionFailure("block \(index) of table \(table.number) from no supply")
    }
}

/// The blocks that are in memory; notes those that are not (Rule S9).
final class MemorySupply: BlockSupply {
    /// Which blocks a miss asks for beside the missing one.
    enum Readahead {
        case none
        case forward
        case backward
    }

    private let store: UInt32
    private let pinned: PinnedBlocks
    private let cache: BlockCache
    private let readahead: Readahead
    /// What is missing.
    private(set) var missing = BlockRead()

    init(
        store: UInt32, pinned: PinnedBlocks, cache: BlockCache, readahead: Readahead = .none
    ) {
        self.store = store
        self.pinned = pinned
        self.cache = cache
        self.readahead = readahead
        pinned.moveFresh(to: cache)
    }

    /// The most blocks, and the most bytes of them, that one miss asks for.
    private static let readaheadBlocksMax = 64
    private static let readaheadBytesMax = 1 << 20

    override func block(_ index: Int, of table: Table) -> Block? {
        let key = BlockKey(store: store, block: UInt32(index), table: table.number)
        if let block = pinned.block(key) { return block }
        if let block = cache.block(key) {
            pinned.pin(key, block)
            return block
        }
        missing.add(
            BlockRead.Part(store: store, table: table, blocks: wanted(index, of: table)))
        return nil
    }

    /// The missing block and its neighbours: twice as many each time the same read comes back,
    /// so that a long page takes few rounds and a short one reads little too much.
    private func wanted(_ index: Int, of table: Table) -> Range<Int> {
        let count = min(MemorySupply.readaheadBlocksMax, 1 << min(pinned.rounds, 16))
        var range = index..<index + 1
        while range.count < count, readahead != .none {
            let wider =
                readahead == .forward
                ? range.lowerBound..<range.upperBound + 1
                : range.lowerBound - 1..<range.upperBound
            guard wider.lowerBound >= 0, wider.upperBound <= table.index.count,
                table.bytes(of: wider) <= MemorySupply.readaheadBytesMax
            else { break }
            range = wider
        }
        return range
    }
}

/// Reads the blocks of tables from their files, in order, some ahead: for jobs. One for each
/// cursor, whose blocks it holds until the next ones are read.
final class FileSupply: BlockSupply {
    private var table: Table?
    private var first = 0
    private var blocks: [Block] = []
    /// Why a block could not be read.
    private(set) var failure: StoreError?

    /// How many bytes are read at a time, one block at least.
    private static let readBytes = 256 << 10

    override func block(_ index: Int, of table: Table) -> Block? {
        if table === self.table, index >= first, index < first + blocks.count {
            return blocks[index - first]
        }
        var end = index + 1
        while end < table.index.count, table.bytes(of: index..<end + 1) <= FileSupply.readBytes {
            end += 1
        }
        do throws(StoreError) {
            blocks = try table.readBlocks(index..<end)
        } catch {
            failure = error
            return nil
        }
        self.table = table
        first = index
        return blocks[0]
    }
}
