package import TenonCore
package import TenonStore

extension StateMachine {
    /// Which blocks ``apply(_:blocks:)`` will need for this entry: those of keys that conditional
    /// writes, deletes and transactions read (Rule S9). Changes nothing. On `.needs` the node
    /// loads them into `blocks` and asks again; a follower does so when the entry arrives.
    ///
    /// A malformed entry is `.ready`: applying it says what is wrong.
    package func prepare(_ entry: Entry, blocks: PinnedBlocks) -> StoreRead<Void> {
        prefetch(StateMachine.keysRead(by: entry), blocks: blocks)
    }

    /// The keys that an entry reads when it is applied; none for plain puts. They share the
    /// entry's payload. A malformed entry reads nothing: applying it says what is wrong.
    package static func keysRead(by entry: Entry) -> [Bytes] {
        guard entry.kind == .commands else { return [] }
        var keys: [Bytes] = []
        do throws(DecodingError) {
            let batch = try CommandBatch(payload: entry.payload)
            var commands = batch.commandReaders()
            while let command = try commands.next() {
                // A byte decides for most commands: a plain put reads nothing.
                guard try CommandReads.mayRead(command) else { continue }
                keys += try CommandReads.keys(of: command)
            }
        } catch {
            return []
        }
        return keys
    }

    private func gather(_ key: Bytes, _ blocks: PinnedBlocks, _ missing: inout BlockRead?) {
        guard case .needs(let read) = store.get(.user(key), at: .newest, blocks: blocks) else {
            return
        }
        if missing == nil { missing = read } else { missing?.merge(read) }
    }

    /// The blocks in which `keys` stand: those that a command not proposed yet will read, or an
    /// entry (Rule S9). Once this is `.ready`, an apply that reads these keys and has `blocks`
    /// finds them all, as long as ``Store/contentGeneration`` stays what it is.
    package func prefetch(_ keys: [Bytes], blocks: PinnedBlocks) -> StoreRead<Void> {
        var missing: BlockRead?
        for key in keys { gather(key, blocks, &missing) }
        return missing.map { .needs($0) } ?? .ready(())
    }
}

/// Which keys an encoded command reads when it is applied.
enum CommandReads {
    /// Where the condition of a put stands: after kind, flags and session.
    static func mayRead(_ command: Bytes) throws(DecodingError) -> Bool {
        var reader = ByteReader(command)
        let header = try CommandHeader(from: &reader)
        switch header.kind {
        case .put: return try reader.uint8() != 0
        case .delete, .transaction: return true
        case .deleteRange, .get, .raiseHistoryFloor, .contentDigest: return false
        }
    }

    static func keys(of command: Bytes) throws(DecodingError) -> [Bytes] {
        var reader = ByteReader(command)
        let header = try CommandHeader(from: &reader)
        return keys(of: try Operation(kind: header.kind, from: &reader))
    }

    /// Each key at most as often as it stands in the operation. For a transaction the keys of
    /// both lists: which one runs is known only when it is applied.
    static func keys(of operation: Operation) -> [Bytes] {
        switch operation {
        case .put(_, _, .none), .deleteRange, .raiseHistoryFloor, .contentDigest: return []
        case .put(let key, _, _), .delete(let key, _), .get(let key): return [key]
        case .transaction(let transaction):
            var keys = transaction.conditions.map(\.key)
            for operations in [transaction.then, transaction.else] {
                for operation in operations {
                    // Lists hold no transactions, so this goes no deeper.
                    switch operation {
                    case .put(_, _, .none): continue
                    case .put(let key, _, _), .delete(let key, _), .get(let key): keys.append(key)
                    default: continue
                    }
                }
            }
            return keys
        }
    }
}
