import TenonCore
import TenonStore

/// What entries will read when they are applied, and the blocks that were fetched for it while
/// they were on their way through Raft (Rule S9).
struct FetchedAhead {
    /// One entry.
    struct Element {
        let term: Term
        /// The keys that it reads; none for plain puts.
        let keys: [Bytes]
        /// Holds the blocks that are there.
        var blocks = PinnedBlocks()
        /// The content of the store for which no block is missing; nil before that.
        var generation: UInt64?
        /// Whether a job reads more.
        var isLoading = false
        /// What it counts for.
        fileprivate var bytes = 0

        init(term: Term, keys: [Bytes]) {
            self.term = term
            self.keys = keys
        }
    }

    /// Bytes of blocks that are kept for entries to come. Beyond it entries are looked at when
    /// they are applied, and what went from the cache by then is read then.
    private static let bytesMax = 32 << 20
    /// Entries that are remembered.
    private static let entriesMax = 8_192

    /// By index. Replaced when another leader's entry takes the place of one.
    private var elements: [LogIndex: Element] = [:]
    private var bytes = 0

    /// What is known of the entry.
    func element(_ index: LogIndex, _ term: Term) -> Element? {
        guard let element = elements[index], element.term == term else { return nil }
        return element
    }

    /// Whether another entry may be remembered ahead of its turn.
    var hasRoom: Bool {
        elements.count < FetchedAhead.entriesMax && bytes < FetchedAhead.bytesMax
    }

    mutating func set(_ element: Element, at index: LogIndex) {
        remove(index)
        var element = element
        element.bytes = element.blocks.bytes
        bytes += element.bytes
        elements[index] = element
    }

    /// Forgets an entry: it is applied.
    mutating func remove(_ index: LogIndex) {
        bytes -= elements.removeValue(forKey: index)?.bytes ?? 0
    }

    mutating func removeAll() { self = FetchedAhead() }
}

/// Writes that wait for the blocks of the keys they read, before they are proposed.
struct FetchingWrites {
    struct Write {
        var command: Bytes
        var keys: [Bytes]
        var waiter: WriteWaiter
        var blocks = PinnedBlocks()
    }

    /// Writes that may wait, and bytes of commands and of blocks that they wait for. More are
    /// `overloaded`: the disk is behind.
    private static let writesMax = 4_096
    private static let bytesMax = 64 << 20

    private var writes: [UInt64: (write: Write, bytes: Int)] = [:]
    private var bytes = 0
    private var nextNumber: UInt64 = 1

    /// Keeps a write that waits for `read`; nil when too much waits already.
    mutating func add(_ write: Write, for read: BlockRead) -> UInt64? {
        let size = write.command.count + read.bytes
        guard writes.isEmpty || bytes + size <= FetchingWrites.bytesMax,
            writes.count < FetchingWrites.writesMax
        else { return nil }
        let number = nextNumber
        nextNumber += 1
        writes[number] = (write, size)
        bytes += size
        return number
    }

    mutating func take(_ number: UInt64) -> Write? {
        guard let found = writes.removeValue(forKey: number) else { return nil }
        bytes -= found.bytes
        return found.write
    }

    /// Everything, in the order of arrival.
    mutating func removeAll() -> [Write] {
        let all = writes.sorted { $0.key < $1.key }.map(\.value.write)
        writes = [:]
        bytes = 0
        return all
    }
}
