internal import TenonCore

/// Walks a run of tables that do not overlap and are in key order: one table of level 0, or a
/// whole deeper level.
final class RunCursor: EntryCursor {
    private let tables: [Table]
    private let supply: BlockSupply
    private var table = 0
    private var blockIndex = 0
    private var block: Block?
    private var nextEntry = 0
    private var valueRange = 0..<0

    init(_ tables: [Table], _ supply: BlockSupply) {
        self.tables = tables
        self.supply = supply
    }

    override var valueCount: Int { valueRange.count }
    override var value: Bytes {
        guard let block else { return Bytes() }
        return Bytes(sharing: block.bytes, in: valueRange)
    }

    override func seek(to key: [UInt8], _ version: Timestamp) {
        table = Levels.firstTable(endingAfter: key, in: tables)
        guard table < tables.count else { return state = .end }
        let start = tables[table].index.firstBlock(atOrAfter: key, version)
        guard load(start), let block else { return }
        // The first entry of a later table or block is behind the target anyway.
        if let entry = block.firstEntry(atOrAfter: key, version, key: &self.key) {
            stand(on: entry)
        } else {
            nextEntry = .max
            advance()
        }
    }

    override func advance() {
        precondition(state == .entry, "a step of a cursor that is \(state)")
        while let current = block, current.isEnd(nextEntry) {
            guard load(blockIndex + 1) else { return }
        }
        guard let block else { return state = .end }
        stand(on: block.entry(at: nextEntry, key: &key))
    }

    /// Makes the block the current one, before its first entry. Behind a table's last block
    /// comes the next table's first. False at the end and when the block is not there.
    private func load(_ index: Int) -> Bool {
        var index = index
        while table < tables.count, index >= tables[table].index.count {
            table += 1
            index = 0
        }
        guard table < tables.count else {
            state = .end
            return false
        }
        guard let loaded = supply.block(index, of: tables[table]) else {
            state = .blocked
            return false
        }
        block = loaded
        blockIndex = index
        nextEntry = 0
        key.removeAll(keepingCapacity: true)
        state = .entry
        return true
    }

    private func stand(on entry: BlockEntry) {
        version = entry.version
        isTombstone = entry.isTombstone
        valueRange = entry.value
        nextEntry = entry.next
        state = .entry
    }
}
