internal import TenonCore

/// Writes one table file, block by block. See ``TableFooter`` for the layout.
///
/// Until a manifest names the file it is nobody's: whoever gives up removes it.
struct TableWriter {
    private let file: any File
    private let number: TableNumber
    private let cell: UInt16
    private let blockBytes: Int
    private let bloomBitsPerKey: Int

    private var block = BlockBuilder()
    private var index = BlockIndex()
    private var keyHashes: [UInt64] = []
    private var properties = TableProperties()
    private var lastKey: [UInt8] = []
    private var lastVersion = Timestamp.newest

    /// Framed blocks that were not written yet.
    private var pending: [UInt8] = []
    private var writtenBytes = 0
    private var checksum = CRC32C([])

    /// How much is gathered before it is written.
    private static let writeBytes = 256 << 10
    private var pace = SyncPace()

    /// Makes the file of table `number`.
    /// - Throws: `noSpace`, `file`.
    init(
        _ number: TableNumber, in folder: StoreFolder, configuration: StoreConfiguration
    ) throws(StoreError) {
        file = try folder.createFile(number.fileName)
        self.number = number
        cell = configuration.cellNumber
        blockBytes = configuration.blockBytes
        bloomBitsPerKey = configuration.bloomBitsPerKey
    }

    /// Bytes of the file so far.
    var bytes: Int { writtenBytes + pending.count + block.bytes }
    /// Whether no entry was added.
    var isEmpty: Bool { properties.entryCount == 0 }

    /// Adds an entry that comes after all added before.
    mutating func add(
        _ key: [UInt8], _ version: Timestamp, isTombstone: Bool, _ value: Bytes
    ) throws(StoreError) {
        let isNewKey = isEmpty || key != lastKey
        precondition(
            isEmpty || compareEntries(lastKey, lastVersion, key, version) < 0,
            "an entry at \(version) after one at \(lastVersion), out of order")
        if !block.isEmpty, key.count + value.count >= blockBytes { try endBlock() }
        if isNewKey { keyHashes.append(BloomFilter.hash(of: key)) }
        block.add(key, version, isTombstone: isTombstone, value)
        if isEmpty { properties.lower = key }
        lastKey.removeAll(keepingCapacity: true)
        lastKey.append(contentsOf: key)
        lastVersion = version
        properties.entryCount += 1
        properties.tombstoneCount += isTombstone ? 1 : 0
        properties.includeVersion(version)
        if block.bytes >= blockBytes { try endBlock() }
    }

    private mutating func endBlock() throws(StoreError) {
        let place = append(.data, block.take())
        index.append(place, lastKey: lastKey, lastVersion: lastVersion)
        if pending.count >= TableWriter.writeBytes { try writePending() }
    }

    private mutating func append(
        _ kind: BlockKind, _ content: [UInt8], compress: Bool = true
    ) -> BlockPlace {
        let framed = BlockFrame.encode(kind, content, cell: cell, compress: compress)
        let place = BlockPlace(
            offset: writtenBytes + pending.count, bytes: framed.count,
            checksum: BlockFrame.checksum(of: framed))
        pending.append(contentsOf: framed)
        return place
    }

    private mutating func writePending() throws(StoreError) {
        do throws(FileError) {
            try file.write(pending, at: writtenBytes)
            if pace.isDue(after: pending.count) { try file.sync() }
        } catch {
            throw StoreError(unreferenced: error)
        }
        checksum = CRC32C(pending, continuing: checksum)
        writtenBytes += pending.count
        pending.removeAll(keepingCapacity: true)
    }

    /// Ends the table with the range tombstones of its key range, and syncs the file. Its name is
    /// durable once the folder is synced.
    mutating func finish(_ tombstones: RangeTombstones) throws(StoreError) -> TableEntry {
        precondition(!isEmpty || !tombstones.isEmpty, "table \(number) has nothing in it")
        if !block.isEmpty { try endBlock() }
        complete(with: tombstones)
        let filter = BloomFilter(hashes: keyHashes, bitsPerKey: bloomBitsPerKey)
        let filterPlace = append(.filter, filter.content, compress: false)
        let tombstonePlace = append(.tombstones, tombstones.content)
        let indexPlace = append(.index, index.content)
        let propertiesPlace = append(.properties, properties.content)
        let footer = TableFooter(
            cell: cell, index: indexPlace, filter: filterPlace, tombstones: tombstonePlace,
            properties: propertiesPlace
        ).encoded
        pending.append(contentsOf: footer)
        try writePending()
        do throws(FileError) {
            try file.sync()
        } catch {
            throw StoreError(unreferenced: error)
        }
        return TableEntry(
            number: number, bytes: writtenBytes, checksum: checksum,
            footerChecksum: CRC32C(footer))
    }

    private mutating func complete(with tombstones: RangeTombstones) {
        if !isEmpty { properties.upper = lastKey + [0] }
        guard let first = tombstones.fragments.first, let last = tombstones.fragments.last else {
            return
        }
        if isEmpty || compareKeys(first.lower, properties.lower) < 0 {
            properties.lower = first.lower
        }
        if isEmpty || compareKeys(last.upper, properties.upper) > 0 {
            properties.upper = last.upper
        }
        properties.rangeTombstoneCount = tombstones.count
        for fragment in tombstones.fragments {
            for version in fragment.versions { properties.includeVersion(version) }
        }
    }
}
