internal import TenonCore

/// What one key had over the versions of its tablet.
struct KeyTimeline {
    /// A change of the key.
    struct Write {
        var version: Timestamp
        /// Nil for a delete.
        var value: StoredValue?
        /// Which operation made it.
        var source: Int
    }

    /// Ascending by version.
    private(set) var writes: [Write] = []
    /// Checks that look at this key at one point, ascending by it.
    var checks: [Int] = []
    /// Checks that may have looked at any point of a stretch, or at several keys.
    var looseChecks: [Int] = []

    /// The last write at or below `point`. - Complexity: O(log n).
    func last(at point: Timestamp) -> Write? {
        let place = count(through: point)
        return place > 0 ? writes[place - 1] : nil
    }

    /// The first write above `point`.
    func next(after point: Timestamp) -> Write? {
        let place = count(through: point)
        return place < writes.count ? writes[place] : nil
    }

    /// Writes above `low` and at or below `high`.
    func writes(above low: Timestamp, through high: Timestamp) -> ArraySlice<Write> {
        let start = count(through: low)
        return writes[start..<max(start, count(through: high))]
    }

    /// How many writes lie at or below `point`.
    private func count(through point: Timestamp) -> Int {
        var (low, high) = (0, writes.count)
        while low < high {
            let middle = (low + high) / 2
            if writes[middle].version <= point { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Enters a write; one at the same version is of the same operation and gives way.
    mutating func insert(_ write: Write) {
        let place = count(through: write.version)
        if place > 0, writes[place - 1].version == write.version {
            writes[place - 1] = write
        } else {
            writes.insert(write, at: place)
        }
    }

    mutating func remove(at version: Timestamp) {
        let place = count(through: version)
        guard place > 0, writes[place - 1].version == version else { return }
        writes.remove(at: place - 1)
    }
}
