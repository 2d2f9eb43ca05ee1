internal import TenonCore

/// Deletions of whole key ranges, cut into pieces that do not overlap.
///
/// Each fragment names the versions at which everything in it was deleted. Because fragments are
/// disjoint and sorted, asking whether an entry is hidden is a binary search, however many
/// deletions overlap. The price is a version for each fragment that a deletion crosses; it counts
/// in ``bytes`` and so in the memtable's bound.
///
/// A deletion at version t hides the entries of its range with versions at or below t from reads
/// at or above t.
struct RangeTombstones: Sendable, Equatable {
    /// A half-open range of prefixed keys, and when it was deleted, newest first, never empty.
    struct Fragment: Sendable, Equatable {
        var lower: [UInt8]
        var upper: [UInt8]
        var versions: [Timestamp]

        /// Memory in use, roughly.
        var bytes: Int { lower.count + upper.count + 8 * versions.count + 96 }
    }

    /// In key order, disjoint.
    private(set) var fragments: [Fragment] = []
    /// Memory in use, roughly.
    private(set) var bytes = 0
    /// The greatest version of any; zero when there is none.
    private(set) var newestVersion = Timestamp.zero

    init() {}

    /// The tombstones of `fragments`, which are sorted, disjoint and not empty.
    init(fragments: [Fragment]) {
        self.fragments = fragments
        for fragment in fragments {
            bytes += fragment.bytes
            newestVersion = max(newestVersion, fragment.versions.first ?? .zero)
        }
        checkInvariants()
    }

    var isEmpty: Bool { fragments.isEmpty }
    /// How many (fragment, version) pairs there are.
    var count: Int { fragments.reduce(0) { $0 + $1.versions.count } }

    // MARK: Asking

    /// The newest deletion of `key` at or below `version`; nil when there is none.
    /// - Complexity: O(log fragments + log versions).
    func newest(covering key: [UInt8], atOrBelow version: Timestamp) -> Timestamp? {
        guard !fragments.isEmpty, let fragment = fragment(containing: key) else { return nil }
        let versions = fragments[fragment].versions
        var low = 0
        var high = versions.count
        while low < high {
            let middle = (low + high) / 2
            if versions[middle] <= version { high = middle } else { low = middle + 1 }
        }
        return low < versions.count ? versions[low] : nil
    }

    /// Whether a read at `time` finds the entry (`key`, `version`) deleted.
    func hides(_ key: [UInt8], _ version: Timestamp, at time: Timestamp) -> Bool {
        guard let deletion = newest(covering: key, atOrBelow: time) else { return false }
        return deletion >= version
    }

    private func fragment(containing key: [UInt8]) -> Int? {
        let index = firstFragment(endingAfter: key)
        guard index < fragments.count, compareKeys(fragments[index].lower, key) <= 0 else {
            return nil
        }
        return index
    }

    /// The first fragment whose end is above `key`; the number of fragments when there is none.
    private func firstFragment(endingAfter key: [UInt8]) -> Int {
        var low = 0
        var high = fragments.count
        while low < high {
            let middle = (low + high) / 2
            if compareKeys(fragments[middle].upper, key) > 0 {
                high = middle
            } else {
                low = middle + 1
            }
        }
        return low
    }

    // MARK: Adding

    /// Deletes the range at `version`, whatever the order in which deletions arrive.
    /// - Complexity: O(fragments).
    mutating func add(from lower: [UInt8], to upper: [UInt8], at version: Timestamp) {
        guard compareKeys(lower, upper) < 0 else { return }
        split(at: lower)
        split(at: upper)
        var start = lower
        var index = firstFragment(endingAfter: lower)
        while index < fragments.count, compareKeys(fragments[index].lower, upper) < 0 {
            let gapEnd = fragments[index].lower
            if compareKeys(start, gapEnd) < 0 {
                insert(Fragment(lower: start, upper: gapEnd, versions: [version]), at: index)
                index += 1
            }
            start = fragments[index].upper
            mark(index, version)
            index += 1
        }
        if compareKeys(start, upper) < 0 {
            insert(Fragment(lower: start, upper: upper, versions: [version]), at: index)
        }
        newestVersion = max(newestVersion, version)
        checkInvariants()
    }

    /// Takes `key` out of the deletions at `version`: it was written again at that same version,
    /// later in the same transaction. Older versions of it stay hidden behind the new one.
    mutating func uncover(_ key: [UInt8], at version: Timestamp) {
        guard let covering = fragment(containing: key),
            fragments[covering].versions.contains(version)
        else { return }
        split(at: key)
        split(at: key + [0])
        guard let index = fragment(containing: key) else { return }
        fragments[index].versions.removeAll { $0 == version }
        bytes -= 8
        if fragments[index].versions.isEmpty {
            bytes -= fragments[index].bytes
            fragments.remove(at: index)
        }
        checkInvariants()
    }

    private mutating func insert(_ fragment: Fragment, at index: Int) {
        bytes += fragment.bytes
        fragments.insert(fragment, at: index)
    }

    private mutating func mark(_ index: Int, _ version: Timestamp) {
        let versions = fragments[index].versions
        let place = versions.firstIndex { $0 <= version } ?? versions.count
        if place < versions.count, versions[place] == version { return }
        fragments[index].versions.insert(version, at: place)
        bytes += 8
    }

    /// Makes `key` a border of fragments when it lies inside one.
    private mutating func split(at key: [UInt8]) {
        guard let index = fragment(containing: key),
            compareKeys(fragments[index].lower, key) < 0
        else { return }
        var left = fragments[index]
        bytes -= left.bytes
        var right = left
        left.upper = key
        right.lower = key
        bytes += left.bytes
        fragments[index] = left
        insert(right, at: index + 1)
    }

    // MARK: Merging

    /// Adds all of `other`.
    mutating func merge(_ other: RangeTombstones) {
        for fragment in other.fragments {
            for version in fragment.versions.reversed() {
                add(from: fragment.lower, to: fragment.upper, at: version)
            }
        }
    }

    /// The parts inside the half-open range; nil is without an end.
    func clipped(from lower: [UInt8]?, to upper: [UInt8]?) -> RangeTombstones {
        var kept: [Fragment] = []
        for var fragment in fragments {
            if let lower, compareKeys(fragment.lower, lower) < 0 { fragment.lower = lower }
            if let upper, compareKeys(fragment.upper, upper) > 0 { fragment.upper = upper }
            if compareKeys(fragment.lower, fragment.upper) < 0 { kept.append(fragment) }
        }
        return RangeTombstones(fragments: kept)
    }

    /// Without what no read at or above `floor` needs: of the deletions at or below it a fragment
    /// keeps the newest, and not even that one where `isLast` says that nothing older lies below.
    func pruned(
        floor: Timestamp, whereLast isLast: (_ lower: [UInt8], _ upper: [UInt8]) -> Bool
    ) -> RangeTombstones {
        var kept: [Fragment] = []
        for var fragment in fragments {
            if let newest = fragment.versions.firstIndex(where: { $0 <= floor }) {
                let isNeeded = !isLast(fragment.lower, fragment.upper)
                fragment.versions.removeSubrange((isNeeded ? newest + 1 : newest)...)
            }
            if !fragment.versions.isEmpty { kept.append(fragment) }
        }
        return RangeTombstones(fragments: kept)
    }

    /// Checks order, disjointness and the versions' order. - Complexity: O(n).
    func checkInvariants() {
        #if INVARIANT_CHECKS || DEBUG
            for (index, fragment) in fragments.enumerated() {
                precondition(
                    compareKeys(fragment.lower, fragment.upper) < 0, "fragment \(index) is empty")
                precondition(!fragment.versions.isEmpty, "fragment \(index) has no version")
                for place in fragment.versions.indices.dropFirst() {
                    precondition(
                        fragment.versions[place] < fragment.versions[place - 1],
                        "versions of fragment \(index) out of order at \(place)")
                }
                guard index > 0 else { continue }
                precondition(
                    compareKeys(fragments[index - 1].upper, fragment.lower) <= 0,
                    "fragments \(index - 1) and \(index) overlap")
            }
        #endif
    }
}
