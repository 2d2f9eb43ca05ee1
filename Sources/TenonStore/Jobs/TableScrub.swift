internal import TenonCore

extension Store {
    /// Verifies the next table whose number is above `number`, in rising order; nil when there is
    /// none. It only reads, so it goes on beside the store's jobs; it keeps the table's file open
    /// until it is let go.
    package func scrub(after number: UInt64) -> TableScrub? {
        levels.tables.joined().filter { $0.number.rawValue > number }
            .min { $0.number < $1.number }
            .map { TableScrub($0) }
    }

    /// Whether `name` is the file of one of the store's tables, here or in a checkpoint.
    package func hasTable(named name: String) -> Bool {
        TableNumber(fileName: name).map { hasTable($0.rawValue) } ?? false
    }

    /// Whether the store still has the table of `number`.
    package func hasTable(_ number: UInt64) -> Bool {
        levels.tables.joined().contains { $0.number.rawValue == number }
    }
}

/// Reads every byte of one table's file and compares it with its checksum, a slice at a time.
///
/// Unchecked: one thread at a time runs it.
package final class TableScrub: @unchecked Sendable {
    private let table: Table
    private var offset = 0
    private var checksum = CRC32C([])

    init(_ table: Table) { self.table = table }

    /// The table's number.
    package var number: UInt64 { table.number.rawValue }

    /// Reads the next `bytes`. Blocks.
    ///
    /// - Returns: how many bytes it read; 0 when the table is whole.
    /// - Throws: `damaged` when the file is not what was written; `file`.
    package func runSlice(bytes: Int) throws(StoreError) -> Int {
        let read = try table.readRaw(at: offset, count: bytes)
        checksum = CRC32C(read, continuing: checksum)
        offset += read.count
        if read.isEmpty || offset > table.entry.bytes {
            guard offset == table.entry.bytes, checksum == table.entry.checksum else {
                throw .damaged(file: table.path, reason: "checksum of the file")
            }
            return 0
        }
        return read.count
    }
}
