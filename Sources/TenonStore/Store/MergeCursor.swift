internal import TenonCore

/// Walks several sources as one, in order of key and version newest first. Of entries with equal
/// key and version the one of the newer source comes first; the others follow.
///
/// The sources are kept sorted by where they stand. A step moves the first one and sinks it to
/// its new place, which costs one comparison while it stays ahead of the others.
struct MergeCursor {
    /// Sources that stand on an entry, sorted; ends are left out.
    private var active: [(cursor: EntryCursor, age: Int)] = []
    private let sources: [EntryCursor]
    /// Whether some source waits for a block. Nothing can be said about order until it has it.
    private(set) var isBlocked = false

    /// Over `sources`, newest first. Stands nowhere until ``seek(to:_:)``.
    init(_ sources: [EntryCursor]) { self.sources = sources }

    /// The source with the current entry; nil at the end, or when blocked.
    var current: EntryCursor? { isBlocked ? nil : active.first?.cursor }

    /// Moves to the first entry at or after (`key`, `version`). Every source is asked even when
    /// one is blocked, so that all missing blocks are known at once.
    mutating func seek(to key: [UInt8], _ version: Timestamp) {
        active.removeAll(keepingCapacity: true)
        isBlocked = false
        for (age, source) in sources.enumerated() {
            source.seek(to: key, version)
            place(source, age)
        }
    }

    /// Moves to the next entry.
    mutating func advance() {
        precondition(!isBlocked && !active.isEmpty, "a step of a cursor that stands nowhere")
        let first = active[0]
        first.cursor.advance()
        if first.cursor.state == .entry {
            sinkFirst()
        } else {
            active.removeFirst()
            isBlocked = first.cursor.state == .blocked
        }
    }

    private mutating func place(_ source: EntryCursor, _ age: Int) {
        switch source.state {
        case .entry:
            active.insert((source, age), at: 0)
            sinkFirst()
        case .blocked: isBlocked = true
        case .end: break
        }
    }

    private mutating func sinkFirst() {
        var index = 0
        while index + 1 < active.count, comesBefore(active[index + 1], active[index]) {
            active.swapAt(index, index + 1)
            index += 1
        }
    }

    private func comesBefore(
        _ left: (cursor: EntryCursor, age: Int), _ right: (cursor: EntryCursor, age: Int)
    ) -> Bool {
        let order = compareEntries(
            left.cursor.key, left.cursor.version, right.cursor.key, right.cursor.version)
        return order < 0 || (order == 0 && left.age < right.age)
    }
}
