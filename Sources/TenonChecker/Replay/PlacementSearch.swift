internal import TenonCore

/// Places writes of unknown outcome into a tablet's replay until every check holds.
///
/// The earliest check that fails can only come to hold by an unknown write that changes its key
/// before it: each way to do that is tried, depth first. A write of one key alone goes before
/// the check, above the last look at the key; one of several keys (a range, a transaction) also
/// before each write of a key that it changes or looks at. Writes whose version was seen are
/// placed there first.
///
/// At a dead end only those decisions are tried anew that have to do with it: the ones that took
/// a write which could have helped, or changed a key that the check looks at
/// (conflict-directed backjumping: Prosser, "Hybrid algorithms for the constraint satisfaction
/// problem", 1993).
struct PlacementSearch {
    /// One way that an unknown operation may have gone.
    private struct Way {
        var source: Int
        var footprint: Footprint
        var net: [(key: Int, value: Bytes?)]
        /// All keys that it changed or looked at.
        var keys: [Int]

        /// Whether what was seen may be what it left.
        func mayBe(_ seen: TabletReplay.SeenVersion) -> Bool {
            guard let left = net.last(where: { $0.key == seen.key })?.value else { return false }
            return seen.value == nil || seen.value == left
        }
    }

    private struct Option {
        var way: Int
        var version: Timestamp
    }

    /// An operation whose version was seen, and the ways that it may have gone to be seen so.
    private struct Pin {
        var version: Timestamp
        var ways: [Int]
    }

    /// A decision that may be taken back.
    private struct Choice {
        var options: [Option]
        var next = 0
        /// Sources of the ways that have to do with the check, and with dead ends below.
        var conflict: Set<Int>
        /// What the option under way changed.
        var placed: Option?
        var checkCount = 0
        var failing: [Int] = []
    }

    /// A check that could not be made to hold.
    private struct DeadEnd {
        var isAnswered: Bool
        var point: Timestamp
        var violation: Violation
    }

    private var replay: TabletReplay
    private var ways: [Way] = []
    private var waysByKey: [[Int]]
    private var isPlaced: Set<Int> = []
    /// By source.
    private var pins: [Int: Pin] = [:]
    /// Sources of pins by version.
    private var pinned: [Int] = []
    private var choices: [Choice] = []
    private var placementCount = 0
    private var farthest: DeadEnd?
    private var hasUnfollowedWays = false

    init(_ replay: TabletReplay) {
        self.replay = replay
        waysByKey = Array(repeating: [], count: replay.keys.count)
        for source in replay.unknown {
            guard let footprints = Footprint.possible(replay.operations[source]) else {
                hasUnfollowedWays = true
                continue
            }
            for footprint in footprints { add(footprint, of: source) }
        }
    }

    private mutating func add(_ footprint: Footprint, of source: Int) {
        let net = replay.netEffect(of: footprint)
        for key in Set(net.map(\.key)).sorted() { waysByKey[key].append(ways.count) }
        let seen = footprint.looks.map(\.key) + footprint.unmet.map(\.key)
        let keys = Set(net.map(\.key) + seen.map { replay.place(of: $0) })
        ways.append(Way(source: source, footprint: footprint, net: net, keys: keys.sorted()))
    }

    mutating func run() -> Verdict {
        pinWhatWasSeen()
        while let choice = nextChoice() {
            choices.append(choice)
            if !tryNext() {
                guard goBack() else { return failure() }
            }
            if placementCount > replay.placementsMax {
                return .undecided(reason: tooMany)
            }
        }
        return .holds
    }

    /// What is to be decided next, in order of versions: which way a write went whose version
    /// is known, or what makes a check hold that fails. Nil when all is well.
    private mutating func nextChoice() -> Choice? {
        let earliest = replay.failing.min {
            (replay.checks[$0].high, $0) < (replay.checks[$1].high, $1)
        }
        if let source = pinned.first(where: { !isPlaced.contains($0) }), let pin = pins[source],
            earliest.map({ pin.version <= replay.checks[$0].high }) ?? true
        {
            let options = pin.ways.map { Option(way: $0, version: pin.version) }
            let keys = Set(pin.ways.flatMap { ways[$0].keys })
            return Choice(
                options: bestFirst(options), conflict: sources(touching: keys).union([source]))
        }
        guard let earliest else { return nil }
        let check = replay.checks[earliest]
        let options = self.options(for: check)
        if options.isEmpty { note(check) }
        return Choice(
            options: bestFirst(options),
            conflict: sources(touching: Set(check.keys)).union([check.source]))
    }

    /// First those that find the keys as they need them.
    private func bestFirst(_ options: [Option]) -> [Option] {
        guard options.count > 1 else { return options }
        let areRight = options.map(seemsRight)
        return options.indices.filter { areRight[$0] }.map { options[$0] }
            + options.indices.filter { !areRight[$0] }.map { options[$0] }
    }

    private var tooMany: String {
        "\(placementCount) placements of writes of unknown outcome"
            + (farthest.map { "; the farthest dead end: \($0.violation.text)" } ?? "")
    }

    private func failure() -> Verdict {
        if hasUnfollowedWays {
            return .undecided(reason: "a transaction of unknown outcome with many conditions")
        }
        guard let farthest else { preconditionFailure("a search that failed nowhere") }
        return .violated(farthest.violation)
    }

    /// Keeps the dead end that tells the most: the farthest of those that an answer shows.
    private mutating func note(_ check: TabletReplay.Check) {
        let isAnswered = replay.operations[check.source].result != .unknown
        if let farthest {
            if farthest.isAnswered && !isAnswered { return }
            if farthest.isAnswered == isAnswered && farthest.point >= check.high { return }
        }
        farthest = DeadEnd(
            isAnswered: isAnswered, point: check.high, violation: replay.violation(of: check))
    }

    /// Places the next option of the last choice; false when it has none left.
    private mutating func tryNext() -> Bool {
        guard var choice = choices.popLast() else { return false }
        defer { choices.append(choice) }
        guard choice.next < choice.options.count else { return false }
        let option = choice.options[choice.next]
        choice.next += 1
        choice.checkCount = replay.checks.count
        choice.failing = replay.failing
        choice.placed = option
        place(option)
        return true
    }

    /// From a dead end: takes choices back until one that has to do with it has an option left,
    /// and places that; false when none has.
    private mutating func goBack() -> Bool {
        guard var conflict = choices.popLast()?.conflict else { return false }
        while var choice = choices.popLast() {
            guard let placed = choice.placed else { continue }
            takeBack(&choice)
            guard conflict.contains(ways[placed.way].source) else { continue }
            choice.conflict.formUnion(conflict)
            conflict = choice.conflict
            choices.append(choice)
            if tryNext() { return true }
            choices.removeLast()
        }
        return false
    }

    /// Sources of the ways that change one of `keys`, and of those that change a key together
    /// with one of them.
    private func sources(touching keys: Set<Int>) -> Set<Int> {
        var near = keys
        for key in keys {
            for way in waysByKey[key] { near.formUnion(ways[way].keys) }
        }
        var sources = Set<Int>()
        for key in near { sources.formUnion(waysByKey[key].map { ways[$0].source }) }
        return sources
    }

    // MARK: what was seen

    /// A version that was seen and that no acknowledged write has tells where an unknown write was placed,
    /// when only one can be meant.
    private mutating func pinWhatWasSeen() {
        for place in replay.failing {
            guard let seen = replay.checks[place].seenVersion else { continue }
            let version = seen.version
            let writers = waysByKey[seen.key].filter { ways[$0].mayBe(seen) }
            guard let first = writers.first else { continue }
            let source = ways[first].source
            guard writers.allSatisfy({ ways[$0].source == source }),
                isPossible(version, for: ways[first])
            else { continue }
            if let pin = pins[source] {
                // Seen at two versions: the check fails, as it should.
                guard pin.version == version else { continue }
                pins[source]?.ways = pin.ways.filter(writers.contains)
            } else {
                pins[source] = Pin(version: version, ways: writers)
                pinned.append(source)
            }
        }
        pinned.sort { (pins[$0]?.version ?? .zero, $0) < (pins[$1]?.version ?? .zero, $1) }
        for source in pinned {
            guard let pin = pins[source], pin.ways.count == 1 else { continue }
            place(Option(way: pin.ways[0], version: pin.version))
        }
    }

    private func isPossible(_ version: Timestamp, for way: Way) -> Bool {
        version > replay.floors[way.source] && !replay.versions.contains(version)
    }

    /// Whether the keys look as the way needs it, so far.
    private func seemsRight(_ option: Option) -> Bool {
        let way = ways[option.way]
        let point = option.version.previous
        return replay.checks(of: way.footprint, way.source, low: point, high: point)
            .allSatisfy { replay.holds($0) }
    }

    // MARK: options

    private func options(for check: TabletReplay.Check) -> [Option] {
        var options: [Option] = []
        for key in check.keys {
            for way in waysByKey[key] where !isPlaced.contains(ways[way].source) {
                for version in slots(for: ways[way], key, check)
                where mayHelp(ways[way], key, at: version, check) {
                    options.append(Option(way: way, version: version))
                }
            }
        }
        // What changes one key only can be put off the longest.
        return options.filter { ways[$0.way].keys.count == 1 }
            + options.filter { ways[$0.way].keys.count > 1 }
    }

    /// Whether the key looks as the check says right after `way`.
    private func mayHelp(
        _ way: Way, _ key: Int, at version: Timestamp, _ check: TabletReplay.Check
    ) -> Bool {
        guard case .look(_, let sight) = check.question else { return true }
        guard let left = way.net.last(where: { $0.key == key }) else { return false }
        return sight.matches(replay.write(left.value, at: version, by: way.source).value)
    }

    /// Versions that `way` may have been given so that `check` may hold; the latest first.
    private func slots(for way: Way, _ key: Int, _ check: TabletReplay.Check) -> [Timestamp] {
        if let pin = pins[way.source] {
            return pin.version <= check.high ? [pin.version] : []
        }
        if let seen = check.seenVersion {
            let isFitting =
                way.mayBe(seen) && seen.version <= check.high
                && isPossible(seen.version, for: way)
            return isFitting ? [seen.version] : []
        }
        // An exact check sees the last write at or below it; a loose one any of a stretch.
        let lastWrite = replay.timelines[key].last(at: check.high)?.version ?? .zero
        let low = max(
            replay.floors[way.source], check.isExact ? lastWrite : min(lastWrite, check.low))
        var bounds: Set<Timestamp> = [check.high]
        for touched in way.keys where way.keys.count > 1 || !check.isExact {
            let between = replay.timelines[touched].writes(above: low, through: check.high)
            bounds.formUnion(between.map(\.version.previous))
        }
        for (changed, _) in way.net {
            // What other unknown writes needed to see.
            let looks = replay.timelines[changed].looseChecks.map { replay.checks[$0].high }
            bounds.formUnion(looks.filter { $0 > low && $0 < check.high })
        }
        let sorted = bounds.filter { $0 > low }.sorted(by: >)
        var slots: [Timestamp] = []
        for (place, bound) in sorted.enumerated() {
            let below = place + 1 < sorted.count ? sorted[place + 1] : low
            let free = lastFreeVersion(through: bound, above: below, for: way)
            if let free, slots.last != free { slots.append(free) }
        }
        return slots
    }

    /// A version of the latest stretch that has one free: a stretch ends where somebody looked at
    /// a key that `way` changes.
    private func lastFreeVersion(
        through bound: Timestamp, above low: Timestamp, for way: Way
    ) -> Timestamp? {
        var bound = bound
        while bound > low {
            let look = max(low, lastLook(before: bound, way))
            if let free = freeVersion(through: bound, above: look, for: way) { return free }
            bound = look
        }
        return nil
    }

    /// The highest point below `bound` at which somebody looked at a key that `way` changes.
    private func lastLook(before bound: Timestamp, _ way: Way) -> Timestamp {
        var point = Timestamp.zero
        for (key, _) in way.net {
            let timeline = replay.timelines[key]
            let place = timeline.firstCheck(from: bound, in: replay.checks)
            if place > 0 { point = max(point, replay.checks[timeline.checks[place - 1]].high) }
        }
        return point
    }

    /// A version in the middle of a stretch in which it makes no difference where, so that there
    /// is room for others before and after it; nil when all of the stretch is taken.
    private func freeVersion(
        through bound: Timestamp, above low: Timestamp, for way: Way
    ) -> Timestamp? {
        guard bound > low else { return nil }
        let middle = Timestamp(low.rawValue + (bound.rawValue - low.rawValue + 1) / 2)
        var version = middle
        while version > low {
            if !isTaken(version, by: way) { return version }
            version = version.previous
        }
        version = middle
        while version < bound {
            version = Timestamp(version.rawValue + 1)
            if !isTaken(version, by: way) { return version }
        }
        return nil
    }

    /// Whether the version is given, or guessed for another write of one of the keys.
    private func isTaken(_ version: Timestamp, by way: Way) -> Bool {
        replay.versions.contains(version)
            || way.net.contains {
                replay.timelines[$0.key].last(at: version)?.version == version
            }
    }

    // MARK: placing

    private mutating func place(_ option: Option) {
        placementCount += 1
        let way = ways[option.way]
        isPlaced.insert(way.source)
        for (key, value) in way.net {
            replay.timelines[key].insert(replay.write(value, at: option.version, by: way.source))
        }
        let point = option.version.previous
        for check in replay.checks(of: way.footprint, way.source, low: point, high: point) {
            replay.checks.append(check)
            replay.register(loosely: replay.checks.count - 1)
            update(replay.checks.count - 1)
        }
        for key in Set(way.net.map(\.key)).sorted() { recheck(key, from: option.version) }
    }

    private mutating func takeBack(_ choice: inout Choice) {
        guard let option = choice.placed else { return }
        choice.placed = nil
        let way = ways[option.way]
        isPlaced.remove(way.source)
        for (key, _) in way.net { replay.timelines[key].remove(at: option.version) }
        replay.forget(checksFrom: choice.checkCount)
        replay.failing = choice.failing
    }

    /// Looks anew at all checks that may see the write of `key` at `version`.
    private mutating func recheck(_ key: Int, from version: Timestamp) {
        let timeline = replay.timelines[key]
        let end = timeline.next(after: version)?.version
        for place in timeline.checks[timeline.firstCheck(from: version, in: replay.checks)...] {
            if let end, replay.checks[place].high >= end { break }
            update(place)
        }
        for place in timeline.looseChecks { update(place) }
    }

    private mutating func update(_ place: Int) {
        let known = replay.failing.firstIndex(of: place)
        let holds = replay.holds(replay.checks[place])
        if holds, let known {
            replay.failing.remove(at: known)
        } else if !holds, known == nil {
            replay.failing.append(place)
        }
    }
}

extension KeyTimeline {
    /// Where the exact checks at or above `point` begin.
    fileprivate func firstCheck(from point: Timestamp, in all: [TabletReplay.Check]) -> Int {
        var (low, high) = (0, checks.count)
        while low < high {
            let middle = (low + high) / 2
            if all[checks[middle]].high < point { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension TabletReplay {
    /// Enters a check whose place in the order is not that of its point.
    fileprivate mutating func register(loosely place: Int) {
        for key in checks[place].keys { timelines[key].looseChecks.append(place) }
    }

    /// Takes back the checks that were entered last, down to `count`.
    fileprivate mutating func forget(checksFrom count: Int) {
        for place in checks.indices.reversed() where place >= count {
            for key in checks[place].keys { timelines[key].looseChecks.removeLast() }
        }
        checks.removeLast(checks.count - count)
    }
}
