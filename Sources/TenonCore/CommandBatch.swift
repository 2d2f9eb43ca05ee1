/// The payload of an entry of kind `commands`: every write of one loop turn (Rule S6).
///
/// Layout:
/// ```
/// logic version 2 · reserved 2 · command count 4 · base timestamp 8 · (length 4 · command)…
/// ```
/// Command i has the version base + i.
package struct CommandBatch: Sendable {
    package let logicVersion: LogicVersion
    package let count: Int
    package let base: Timestamp
    private let payload: [UInt8]

    static let headerBytes = 16

    /// Reads the header. The commands are read by ``forEach(_:)``.
    package init(payload: [UInt8]) throws(DecodingError) {
        var reader = ByteReader(payload)
        logicVersion = try reader.identifier(LogicVersion.self)
        guard try reader.uint16() == 0 else { throw .malformed("reserved bytes of an entry") }
        count = try reader.count("commands", itemBytes: 6, atMost: Limits.entryCommandsMax)
        base = try reader.identifier(Timestamp.self)
        self.payload = payload
    }

    /// The first and the last version of a payload; nil when it has no readable header.
    package static func stamps(
        of payload: [UInt8]
    ) -> (base: Timestamp, last: Timestamp)? {
        guard payload.count >= headerBytes else { return nil }
        do throws(DecodingError) {
            var reader = ByteReader(payload, in: 4..<headerBytes)
            let count = try reader.uint32()
            let base = try reader.uint64()
            let (last, overflow) = base.addingReportingOverflow(UInt64(max(1, count) - 1))
            return overflow ? nil : (Timestamp(base), Timestamp(last))
        } catch {
            preconditionFailure("twelve bytes cannot be read: \(error)")
        }
    }

    /// The version of the last command; the base when there is none.
    package var last: Timestamp { base.advanced(by: UInt64(max(0, count - 1))) }

    /// A reader for each command in turn.
    package func commandReaders() -> Commands {
        Commands(
            reader: ByteReader(payload, in: CommandBatch.headerBytes..<payload.count),
            payload: payload, remaining: count)
    }

    /// Walks the commands of a batch.
    package struct Commands: Sendable {
        private var reader: ByteReader
        private let payload: [UInt8]
        private var remaining: Int

        init(reader: ByteReader, payload: [UInt8], remaining: Int) {
            self.reader = reader
            self.payload = payload
            self.remaining = remaining
        }

        /// The next command's bytes; nil after the last.
        package mutating func next() throws(DecodingError) -> Bytes? {
            guard remaining > 0 else {
                try reader.finish()
                return nil
            }
            remaining -= 1
            return try reader.lengthPrefixedBytes("command", atMost: Limits.frameBytesMax)
        }
    }
}

/// Builds an entry's payload from the commands of a loop turn.
package struct CommandBatchBuilder: Sendable {
    private var writer: ByteWriter
    package private(set) var count = 0
    private let logicVersion: LogicVersion

    package init(logicVersion: LogicVersion = .newest) {
        self.logicVersion = logicVersion
        writer = ByteWriter(capacity: 4_096)
        writer.zeros(CommandBatch.headerBytes)
    }

    package var isEmpty: Bool { count == 0 }
    package var byteCount: Int { writer.count }

    /// Whether a command of `bytes` still belongs into this entry.
    package func accepts(bytes: Int) -> Bool {
        count == 0
            || (count < Limits.entryCommandsMax && byteCount + bytes + 4 <= Limits.entryBytesMax)
    }

    /// Appends an encoded command as it came; it becomes command number `count - 1`.
    package mutating func append(_ command: Bytes) {
        precondition(accepts(bytes: command.count), "an entry of \(count) commands is closed")
        writer.lengthPrefixed(command)
        count += 1
    }

    /// Closes the entry: its commands have the versions from `base` on.
    package consuming func finish(base: Timestamp) -> [UInt8] {
        var header = ByteWriter(capacity: CommandBatch.headerBytes)
        header.identifier(logicVersion)
        header.uint16(0)
        header.uint32(UInt32(count))
        header.identifier(base)
        writer.replace(from: 0, with: header.bytes)
        return writer.take()
    }
}
