internal import TenonCore

/// Where a cursor stands.
enum CursorState {
    /// On an entry.
    case entry
    /// Behind the last entry.
    case end
    /// Before an entry whose block is not in memory; the supply knows which one.
    case blocked
}

/// Walks the entries of one source, in order of key and version newest first.
///
/// A class, so that a merge can move one of many in place. Subclasses keep the key of the current
/// entry in `key`, whose buffer is reused from step to step.
class EntryCursor {
    final var state = CursorState.end
    /// The prefixed key, version and kind of the current entry.
    final var key: [UInt8] = []
    final var version = Timestamp.zero
    final var isTombstone = false

    /// The current entry's value, empty for a tombstone.
    var value: Bytes { preconditionFailure("a cursor without a source") }
    /// The length of the current entry's value.
    var valueCount: Int { preconditionFailure("a cursor without a source") }
    /// Moves to the first entry at or after (`key`, `version`).
    func seek(to key: [UInt8], _ version: Timestamp) {
        preconditionFailure("a cursor without a source")
    }
    /// Moves to the next entry.
    func advance() { preconditionFailure("a cursor without a source") }

    /// Whether this one's entry comes before `other`'s. Both stand on entries.
    final func isBefore(_ other: EntryCursor) -> Bool {
        compareEntries(key, version, other.key, other.version) < 0
    }
}

/// Walks a memtable.
final class MemtableCursor: EntryCursor {
    private let memtable: Memtable
    private var node = 0

    init(_ memtable: Memtable) { self.memtable = memtable }

    override var value: Bytes { memtable.value(of: node) }
    override var valueCount: Int { memtable.valueCount(of: node) }

    override func seek(to key: [UInt8], _ version: Timestamp) {
        stand(on: memtable.firstNode(atOrAfter: key, version))
    }

    override func advance() { stand(on: memtable.node(after: node)) }

    private func stand(on found: Int?) {
        guard let found else { return state = .end }
        node = found
        memtable.copyKey(of: found, to: &key)
        version = memtable.version(of: found)
        isTombstone = memtable.isTombstone(found)
        state = .entry
    }
}
