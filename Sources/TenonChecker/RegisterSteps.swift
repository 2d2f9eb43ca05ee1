internal import TenonCore

/// A history taken apart into what each operation did to each key.
struct RegisterSteps {
    /// An operation's part in one key.
    struct Step {
        /// The operation's place in the history.
        var source: Int
        var sights: [Footprint.Sight]
        /// Nil when it changed nothing; `.some(nil)` when it removed the value.
        var left: Bytes??
        /// Of what it left; nil when nobody was told.
        var version: Timestamp?
        /// May be left out: an unknown outcome.
        var isOptional: Bool
    }

    /// An answer that contradicts itself.
    private(set) var flaw: Violation?
    /// Why some part could not be followed.
    private(set) var unfollowed: String?
    private var places: [Bytes: Int] = [:]
    private var keys: [Bytes] = []
    private var groups: [[Step]] = []

    init(of history: [HistoryOperation]) {
        let footprints = history.map { operation -> [Footprint] in
            guard operation.asOf == nil else { return [] }
            guard operation.result == .unknown else { return [Footprint(answered: operation)] }
            return Footprint.possible(operation) ?? []
        }
        enterKeys(footprints)
        for (source, ways) in footprints.enumerated() {
            let isOptional = history[source].result == .unknown
            let version = isOptional ? nil : history[source].version
            for way in ways {
                if let reason = way.flaw, flaw == nil {
                    flaw = Violation(
                        explanation: "its answer contradicts itself: \(reason)",
                        culprit: history[source])
                }
                enter(
                    way,
                    Step(
                        source: source, sights: [], left: nil, version: version,
                        isOptional: isOptional))
            }
            if isOptional, ways.isEmpty, history[source].isWrite,
                Footprint.possible(history[source]) == nil
            {
                unfollowed = "a transaction of unknown outcome with many conditions"
            }
        }
    }

    /// The steps of each key in order of keys.
    mutating func takeGroups() -> [[Step]] {
        defer { groups = [] }
        return groups
    }

    private mutating func enterKeys(_ footprints: [[Footprint]]) {
        var all = Set<Bytes>()
        for footprint in footprints.joined() {
            for look in footprint.looks { all.insert(look.key) }
            for effect in footprint.effects { effect.key.map { _ = all.insert($0) } }
        }
        keys = all.sorted()
        for (place, key) in keys.enumerated() { places[key] = place }
        groups = Array(repeating: [], count: keys.count)
    }

    /// Enters what `footprint` says of each key, each as a part like `empty`.
    private mutating func enter(_ footprint: Footprint, _ empty: Step) {
        var parts: [(key: Int, step: Step)] = []
        var partOfKey: [Int: Int] = [:]
        func note(_ key: Int, _ change: (inout Step) -> Void) {
            // Nearly all operations are about one key.
            let place = parts.first?.key == key ? 0 : partOfKey[key]
            if let place { return change(&parts[place].step) }
            var step = empty
            change(&step)
            if !parts.isEmpty { partOfKey[key] = parts.count }
            parts.append((key, step))
        }
        for look in footprint.looks {
            places[look.key].map { note($0) { $0.sights.append(look.sight) } }
        }
        // That one of several conditions failed says nothing of a single key.
        if footprint.unmet.count == 1, let place = places[footprint.unmet[0].key] {
            note(place) { $0.sights.append(.fails(footprint.unmet[0].condition)) }
        }
        for effect in footprint.effects {
            for (key, value) in left(by: effect) { note(key) { $0.left = .some(value) } }
        }
        for (key, step) in parts where !empty.isOptional || step.left != nil {
            groups[key].append(step)
        }
        if let coverage = footprint.coverage { enter(coverage, of: empty.source) }
    }

    private func left(by effect: Footprint.Effect) -> [(key: Int, value: Bytes?)] {
        switch effect {
        case .put(let key, let value): places[key].map { [($0, value)] } ?? []
        case .remove(let key): places[key].map { [($0, nil)] } ?? []
        case .removeRange(let from, let to): keys.range(from: from, to: to).map { ($0, nil) }
        }
    }

    /// Keys that a scan walked over without finding them.
    private mutating func enter(_ coverage: Footprint.Coverage, of source: Int) {
        for key in keys.range(from: coverage.from, to: coverage.to, without: coverage.listed) {
            groups[key].append(
                Step(source: source, sights: [.absent], version: nil, isOptional: false))
        }
    }
}

/// Sorted keys.
extension [Bytes] {
    /// Places of the keys from `from` up to and without `to`. - Complexity: O(log n).
    func range(from: Bytes, to: Bytes?) -> Range<Int> {
        let start = firstPlace { $0 >= from }
        let end = to.map { to in firstPlace { $0 >= to } } ?? count
        return start..<Swift.max(start, end)
    }

    /// The same without the keys of `listed`, which is sorted too.
    func range(from: Bytes, to: Bytes?, without listed: [Bytes]) -> [Int] {
        var listed = listed[...]
        return range(from: from, to: to).filter { place in
            while let first = listed.first, first < self[place] { listed.removeFirst() }
            return listed.first != self[place]
        }
    }

    private func firstPlace(where isBeyond: (Bytes) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isBeyond(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
