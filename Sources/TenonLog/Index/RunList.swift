internal import TenonCore

/// Entries of one replica that lie together in one batch.
struct Run: Hashable, Sendable {
    var first: LogIndex
    var last: LogIndex
    /// Of the last entry of the record; kept for damaged runs only to mean something.
    var term: Term
    var batch: BatchNumber
    /// Bytes of the record; of a part of one, too.
    var bytes: Int
    /// Whether the entries are lost: the run is a mark.
    var isDamaged: Bool
}

/// The runs of one replica's log, by index, none overlapping.
///
/// - Complexity: appending and dropping either end are O(runs that go); overlaying is O(runs).
struct RunList: Hashable, Sendable {
    private var storage: [Run] = []
    /// Runs before this one were trimmed; their room is taken back when they are the most.
    private var head = 0
    /// Bytes of all runs.
    private(set) var bytes = 0

    /// The runs, lowest index first.
    var runs: ArraySlice<Run> { storage[head...] }
    var isEmpty: Bool { head == storage.count }
    /// The last entry's index; nil when there is none.
    var lastIndex: LogIndex? { isEmpty ? nil : storage[storage.count - 1].last }

    /// Adds `run` and drops everything from its first index on.
    mutating func append(_ run: Run) {
        truncate(from: run.first)
        storage.append(run)
        bytes += run.bytes
    }

    /// Drops everything from `index` on.
    mutating func truncate(from index: LogIndex) {
        while let run = runs.last, run.last >= index {
            if run.first >= index {
                storage.removeLast()
                bytes -= run.bytes
            } else {
                storage[storage.count - 1].last = index.previous
            }
        }
    }

    /// Drops everything up to `index`.
    mutating func trim(through index: LogIndex) {
        while let run = runs.first, run.first <= index {
            if run.last <= index {
                head += 1
                bytes -= run.bytes
            } else {
                storage[head].first = index.next
            }
        }
        if head > 64, head > storage.count / 2 {
            storage.removeFirst(head)
            head = 0
        }
    }

    mutating func removeAll() { self = RunList() }

    /// Puts `run` in the place of whatever the list has at its indexes, and keeps the rest.
    mutating func overlay(_ run: Run) {
        let start = runs.partitioningIndex { $0.last >= run.first }
        let end = runs.partitioningIndex { $0.first > run.last }
        var pieces: [Run] = []
        for old in storage[start..<end] {
            bytes -= old.bytes
            if old.first < run.first {
                var before = old
                before.last = run.first.previous
                pieces.append(before)
            }
        }
        pieces.append(run)
        if let old = storage[start..<end].last, old.last > run.last {
            var after = old
            after.first = run.last.next
            pieces.append(after)
        }
        for piece in pieces { bytes += piece.bytes }
        storage.replaceSubrange(start..<end, with: pieces)
    }

    /// Marks the run that holds `index` as lost.
    mutating func markDamaged(at index: LogIndex) {
        let place = runs.partitioningIndex { $0.last >= index }
        if place < storage.count, storage[place].first <= index {
            storage[place].isDamaged = true
        }
    }

    /// What is left of `run`, which the list held once: the parts that still lie in its batch.
    func pieces(of run: Run) -> [Run] {
        runs[runs.partitioningIndex { $0.last >= run.first }...]
            .prefix { $0.first <= run.last }
            .filter { $0.batch == run.batch }
    }

    /// Traps unless the runs are in order and their bytes add up.
    func checkInvariants() {
        var sum = 0
        var previous: Run?
        for run in runs {
            precondition(run.first <= run.last, "a run from \(run.first) to \(run.last)")
            if let previous {
                precondition(
                    previous.last < run.first, "run \(run.first) behind \(previous.last)")
            }
            sum += run.bytes
            previous = run
        }
        precondition(sum == bytes, "runs of \(sum) B, counted \(bytes) B")
    }
}

extension ArraySlice {
    /// The first place whose element, as all after it, is in the second half.
    fileprivate func partitioningIndex(where isInSecondHalf: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if isInSecondHalf(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
