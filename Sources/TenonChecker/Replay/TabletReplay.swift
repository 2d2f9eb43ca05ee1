internal import TenonCore

/// The replay of one tablet: for each key a timeline of writes, and checks that ask what it had.
struct TabletReplay {
    /// What an answer says of the state at a point.
    struct Check {
        enum Question {
            case look(key: Int, Footprint.Sight)
            /// Not all of these held.
            case unmet([(key: Int, condition: Condition)])
        }

        var source: Int
        var question: Question
        /// It saw the state at a version from `low` through `high`.
        var low: Timestamp
        var high: Timestamp

        var isExact: Bool { low == high }
    }

    let operations: [HistoryOperation]
    let floors: [Timestamp]
    let placementsMax: Int
    /// Writes of unknown outcome.
    let unknown: [Int]
    /// Every key of the history, ascending.
    private(set) var keys: [Bytes] = []
    private var places: [Bytes: Int] = [:]
    var timelines: [KeyTimeline] = []
    var checks: [Check] = []
    /// Versions that acknowledged writes have.
    private(set) var versions: Set<Timestamp> = []
    /// Checks that do not hold.
    var failing: [Int] = []
    private var firstViolation: Violation?

    init(_ order: RealTimeOrder, placementsMax: Int) {
        operations = order.history
        floors = order.floors
        self.placementsMax = placementsMax
        var answered: [(place: Int, point: Timestamp, footprint: Footprint)] = []
        answered.reserveCapacity(order.places.count)
        var unknown: [Int] = []
        for place in order.places {
            if operations[place].result == .unknown {
                unknown.append(place)
            } else {
                answered.append(
                    (place, operations[place].point, Footprint(answered: operations[place])))
            }
        }
        self.unknown = unknown
        enterKeys(answered.map(\.footprint))
        for part in answered.sorted(by: { ($0.point, $0.place) < ($1.point, $1.place) }) {
            enter(part.footprint, of: part.place, at: part.point)
        }
        enterChecks()
    }

    mutating func run() -> Verdict {
        if let firstViolation { return .violated(firstViolation) }
        guard !failing.isEmpty else { return .holds }
        var search = PlacementSearch(self)
        return search.run()
    }

    // MARK: building

    private mutating func enterKeys(_ footprints: [Footprint]) {
        var all = Set<Bytes>()
        for footprint in footprints {
            for look in footprint.looks { all.insert(look.key) }
            for condition in footprint.unmet { all.insert(condition.key) }
            all.formUnion(footprint.effects.compactMap(\.key))
        }
        for place in unknown {
            for way in Footprint.possible(operations[place]) ?? [] {
                all.formUnion(way.looks.map(\.key) + way.unmet.map(\.key))
                all.formUnion(way.effects.compactMap(\.key))
            }
        }
        keys = all.sorted()
        for (place, key) in keys.enumerated() { places[key] = place }
        timelines = Array(repeating: KeyTimeline(), count: keys.count)
    }

    func place(of key: Bytes) -> Int {
        guard let place = places[key] else { preconditionFailure("\(key) is no key of a history") }
        return place
    }

    private mutating func enter(
        _ footprint: Footprint, of source: Int, at point: Timestamp
    ) {
        if let flaw = footprint.flaw, firstViolation == nil {
            firstViolation = Violation(
                explanation: "its answer contradicts itself: \(flaw)", culprit: operations[source])
        }
        let isApplied = operations[source].isApplied
        if isApplied {
            if !versions.insert(point).inserted, firstViolation == nil {
                firstViolation = Violation(
                    explanation: "version \(point) was given twice", culprit: operations[source],
                    context: operations.filter { $0.isApplied && $0.point == point })
            }
            for (key, value) in netEffect(of: footprint) {
                timelines[key].insert(write(value, at: point, by: source))
            }
        }
        // A write saw the state just before itself. A condition that failed gives no version: a
        // retry is answered later than the first attempt looked.
        let high = isApplied ? point.previous : point
        let low = operations[source].result == .fail ? min(floors[source], high) : high
        enterChecks(of: footprint, source, low: low, high: high)
    }

    func write(_ value: Bytes?, at version: Timestamp, by source: Int) -> KeyTimeline.Write {
        let stored = value.map { StoredValue(bytes: $0, version: version) }
        return KeyTimeline.Write(version: version, value: stored, source: source)
    }

    private mutating func enterChecks(
        of footprint: Footprint, _ source: Int, low: Timestamp, high: Timestamp
    ) {
        checks += self.checks(of: footprint, source, low: low, high: high)
        guard let coverage = footprint.coverage else { return }
        for key in keys.range(from: coverage.from, to: coverage.to, without: coverage.listed) {
            checks.append(
                Check(source: source, question: .look(key: key, .absent), low: low, high: high))
        }
    }

    func checks(
        of footprint: Footprint, _ source: Int, low: Timestamp, high: Timestamp
    ) -> [Check] {
        var found = footprint.looks.map { look in
            Check(
                source: source, question: .look(key: place(of: look.key), look.sight), low: low,
                high: high)
        }
        if !footprint.unmet.isEmpty {
            let unmet = footprint.unmet.map { (key: place(of: $0.key), condition: $0.condition) }
            found.append(Check(source: source, question: .unmet(unmet), low: low, high: high))
        }
        return found
    }

    /// What is left of each key, by place; later effects win.
    func netEffect(of footprint: Footprint) -> [(key: Int, value: Bytes?)] {
        footprint.effects.flatMap { effect -> [(key: Int, value: Bytes?)] in
            switch effect {
            case .put(let key, let value): [(place(of: key), value)]
            case .remove(let key): [(place(of: key), nil)]
            case .removeRange(let from, let to): keys.range(from: from, to: to).map { ($0, nil) }
            }
        }
    }

    private mutating func enterChecks() {
        // Added in order of points but for failed conditions, whose points may lie apart.
        checks.sort { ($0.high, $0.source) < ($1.high, $1.source) }
        for place in checks.indices {
            register(place)
            if !holds(checks[place]) { failing.append(place) }
        }
    }

    mutating func register(_ place: Int) {
        let check = checks[place]
        for key in check.keys {
            if case .look = check.question, check.isExact {
                timelines[key].checks.append(place)
            } else {
                timelines[key].looseChecks.append(place)
            }
        }
    }

    // MARK: asking

    func holds(_ check: Check) -> Bool {
        switch check.question {
        case .look(let key, let sight):
            let timeline = timelines[key]
            if check.isExact { return sight.matches(timeline.last(at: check.high)?.value) }
            return sight.matches(timeline.last(at: check.low)?.value)
                || timeline.writes(above: check.low, through: check.high).contains {
                    sight.matches($0.value)
                }
        case .unmet(let conditions):
            return !conditions.allSatisfy { key, condition in
                condition.holds(of: timelines[key].last(at: check.high)?.value)
            }
        }
    }

    /// The operation that gave a wrong answer, and what it should have been.
    func violation(of check: Check) -> Violation {
        let culprit = operations[check.source]
        switch check.question {
        case .look(let key, let sight):
            let last = timelines[key].last(at: check.high)
            let expected = Footprint.Sight(last?.value)
            var violation = Violation(
                explanation: "at \(culprit.point) it saw \(sight.text) in \(keys[key]), but there "
                    + "was \(expected.text)",
                culprit: culprit, context: last.map { [operations[$0.source]] } ?? [])
            if case .value(let bytes, _) = sight { violation.seenValue = bytes }
            return violation
        case .unmet(let conditions):
            return Violation(
                explanation: "at \(culprit.point) its conditions did not all hold, but they did",
                culprit: culprit,
                context: conditions.compactMap { key, _ in
                    timelines[key].last(at: check.high).map { operations[$0.source] }
                })
        }
    }
}

extension TabletReplay {
    /// A version that somebody was told of a key's value, and the value when it was told too.
    struct SeenVersion {
        var key: Int
        var version: Timestamp
        var value: Bytes?
    }
}

extension TabletReplay.Check {
    /// Nil when it says nothing of a version.
    var seenVersion: TabletReplay.SeenVersion? {
        switch question {
        case .look(let key, .value(let bytes, let version?)):
            TabletReplay.SeenVersion(key: key, version: version, value: bytes)
        case .look(let key, .holds(.version(let version))):
            TabletReplay.SeenVersion(key: key, version: version, value: nil)
        case .look, .unmet: nil
        }
    }

    /// Which keys it looks at, by place.
    var keys: [Int] {
        switch question {
        case .look(let key, _): [key]
        case .unmet(let conditions): conditions.map(\.key)
        }
    }
}

extension Footprint.Effect {
    /// The key of an effect on one key.
    var key: Bytes? {
        switch self {
        case .put(let key, _), .remove(let key): key
        case .removeRange: nil
        }
    }
}

extension Timestamp {
    /// The version before this one; zero stays.
    var previous: Timestamp { Timestamp(rawValue > 0 ? rawValue - 1 : 0) }
}
