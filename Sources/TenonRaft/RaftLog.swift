internal import TenonCore

/// A group's log in memory, from its trim point on: exactly what its log on disk holds, or will
/// hold once the writes under way have ended.
///
/// A queue in one array with an offset: trimming moves the offset, and moves the entries only when
/// half of the array is behind it.
///
/// - Invariant: indexes are contiguous from `base.index + 1`, terms never fall.
struct RaftLog: Sendable {
    /// The last entry that is not held any more; the log starts after it.
    private(set) var base: LogPosition
    /// Bytes of all payloads held.
    private(set) var payloadBytes = 0
    private var storage: [Entry] = []
    private var head = 0

    init(base: LogPosition) { self.base = base }

    var count: Int { storage.count - head }
    var firstIndex: LogIndex { base.index.next }
    var lastIndex: LogIndex { base.index.advanced(by: count) }
    var last: LogPosition { count == 0 ? base : storage[storage.count - 1].position }

    /// The entry at `index`, which is held.
    subscript(index: LogIndex) -> Entry { storage[offset(of: index)] }

    /// The term of the entry at `index`; nil when it is before the base or after the end.
    func term(at index: LogIndex) -> Term? {
        if index == base.index { return base.term }
        guard index > base.index, index <= lastIndex else { return nil }
        return storage[offset(of: index)].term
    }

    mutating func append(_ entry: Entry) {
        precondition(
            entry.index == lastIndex.next && entry.term >= last.term,
            "appending \(entry.index) of term \(entry.term) after \(lastIndex) of \(last.term)")
        payloadBytes += entry.payload.count
        storage.append(entry)
    }

    /// Drops the entries at `index` and after it.
    mutating func truncate(from index: LogIndex) {
        let start = offset(of: index)
        for entry in storage[start...] { payloadBytes -= entry.payload.count }
        storage.removeSubrange(start...)
    }

    /// Drops the entries up to `index`, which becomes the base.
    /// - Complexity: amortised O(1) for each entry dropped.
    mutating func trim(through index: LogIndex) {
        let start = head
        let end = offset(of: index) + 1
        base = storage[end - 1].position
        for position in start..<end {
            payloadBytes -= storage[position].payload.count
            storage[position].payload = []
        }
        head = end
        if head * 2 >= storage.count {
            storage.removeSubrange(..<head)
            head = 0
        }
    }

    /// Drops everything; the log goes on after `position`.
    mutating func reset(to position: LogPosition) { self = RaftLog(base: position) }

    /// The entries from `start` through `end` at most, cut before the one that would pass
    /// `bytesMax`; the first is always among them. Payloads are shared, not copied.
    func entries(from start: LogIndex, through end: LogIndex, bytesMax: Int) -> [Entry] {
        guard start <= end else { return [] }
        let first = offset(of: start)
        let bound = offset(of: end) + 1
        var position = first
        var bytes = 0
        repeat {
            bytes += storage[position].encodedBytes
            position += 1
        } while position < bound && bytes + storage[position].encodedBytes <= bytesMax
        return Array(storage[first..<position])
    }

    /// The last position at or before `index` whose term is at most `term`: where a log that holds
    /// (`index`, `term`) may still agree with this one. The base when all held are above.
    /// - Complexity: O(log count), for terms never fall.
    func lastPosition(atMost index: LogIndex, term: Term) -> LogPosition {
        let bound = min(index, lastIndex)
        var low = head
        var high = bound > base.index ? offset(of: bound) + 1 : head
        while low < high {
            let middle = low + (high - low) / 2
            if storage[middle].term <= term { low = middle + 1 } else { high = middle }
        }
        return low == head ? base : storage[low - 1].position
    }

    private func offset(of index: LogIndex) -> Int {
        precondition(
            index > base.index && index <= lastIndex,
            "entry \(index) of a log that holds \(firstIndex) through \(lastIndex)")
        return head + firstIndex.distance(to: index)
    }
}

extension RaftLog {
    /// The last place, not above `bound`, whose entries and those before it can go while at least
    /// `bytes` of payloads stay, at most `entriesMax` of them at a time; nil when nothing can.
    /// - Complexity: O(entries looked at), each of which is then trimmed.
    func trimPoint(
        notAbove bound: LogIndex, keepingBytes bytes: Int, entriesMax: Int = .max
    ) -> LogPosition? {
        var left = payloadBytes
        var point: LogPosition?
        var index = firstIndex
        let end = min(bound, lastIndex, base.index.advanced(by: min(entriesMax, count)))
        while index <= end {
            left -= self[index].payload.count
            guard left >= bytes else { break }
            point = self[index].position
            index = index.next
        }
        return point
    }
}
