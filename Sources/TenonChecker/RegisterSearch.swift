internal import TenonCore

/// The search over the operations of one key.
///
/// Calls and returns stand in one doubly linked list in order of time. An operation whose call
/// comes before the first return may go next: it is *lifted* out of the list with its return and
/// the search goes on; meeting a return means that operation should have gone already, and the
/// last lifted one is put back. A configuration (what was lifted, and the register's state) that
/// was visited before is not entered again.
///
/// The farthest return ever met is the answer's heart: everything before it can be ordered,
/// and nothing that includes it can.
struct RegisterSearch {
    /// What an operation asks of the register and does to it.
    private struct Step {
        /// The operation's place in the history.
        var source: Int
        var sentAt: Instant
        var endsAt: Instant
        var action: RegisterAction
        /// May be left out: an unknown outcome.
        var isOptional: Bool
        /// Of what it left, a removal included; 0 when it left nothing or nobody was told.
        var version: UInt64
        /// Rank among the mandatory or among the optional steps, in order of calls.
        var rank = 0

        /// It must come before every write of a later version; 0 when that is not known.
        var lastVersion: UInt64 { action.versionSeen ?? version }
    }

    /// A call or return of a step in the list. Event 0 is the head.
    private struct Event {
        var step: Int
        var isReturn: Bool
        var previous: Int
        var next: Int
        /// For a call: its return's event; 0 when it never returns.
        var partner = 0
    }

    private struct Lifted {
        var event: Int
        var state: RegisterState
    }

    private let history: [HistoryOperation]
    private var steps: [Step] = []
    private var events: [Event] = [Event(step: -1, isReturn: false, previous: 0, next: 0)]
    private var values = ValueTable()
    private let statesMax: Int

    private var lifted: [Lifted] = []
    private var mandatoryLeft = 0
    private var ordered = OrderedSet()
    private var waiting = VersionOrder()
    private var visited: Set<[UInt32]> = []
    private var farthestReturn = 0

    init(_ parts: [RegisterSteps.Step], of history: [HistoryOperation], statesMax: Int) {
        self.history = history
        self.statesMax = statesMax
        for part in parts { admit(part) }
        leaveOutInvisibleWrites()
        steps.sort { $0.sentAt < $1.sentAt }
        linkEvents()
        waiting = VersionOrder(steps.map { $0.isOptional ? 0 : $0.lastVersion })
    }

    /// Orders the operations, or shows that they have no order.
    mutating func run() -> Verdict {
        var state = RegisterState.initial
        var event = events[0].next
        while mandatoryLeft > 0 {
            guard visited.count < statesMax else {
                return .undecided(reason: "\(visited.count) configurations of one key")
            }
            if event != 0, !events[event].isReturn {
                if let next = stateAfter(event, in: state), isNew(event, next) {
                    lifted.append(Lifted(event: event, state: state))
                    state = next
                    lift(event)
                    event = events[0].next
                } else {
                    event = events[event].next
                }
                continue
            }
            // A return (or the end): what was called in time does not fit. Take the last back.
            farthestReturn = max(farthestReturn, event)
            guard let last = lifted.popLast() else { return .violated(explanation()) }
            unlift(last.event)
            state = last.state
            event = events[last.event].next
        }
        return .holds
    }

    // MARK: building the list

    private mutating func admit(_ part: RegisterSteps.Step) {
        let sights = part.sights.map { RegisterSight($0, values: &values) }
        let left = part.left.map { value in
            value.map {
                RegisterState(value: values.number($0), version: part.version?.rawValue ?? 0)
            } ?? .initial
        }
        guard left != nil || !sights.isEmpty else { return }
        let operation = history[part.source]
        steps.append(
            Step(
                source: part.source, sentAt: operation.sentAt, endsAt: operation.endsAt,
                action: RegisterAction(sights: sights, left: left), isOptional: part.isOptional,
                version: left == nil ? 0 : part.version?.rawValue ?? 0))
    }

    /// An unknown put whose value nobody looked for may as well not have happened, unless the
    /// answer to some condition may rest on it without naming its value.
    private mutating func leaveOutInvisibleWrites() {
        guard !steps.contains(where: { $0.action.dependsBlindly }) else { return }
        var wanted = Set<Int>()
        for step in steps { wanted.formUnion(step.action.valuesLookedFor) }
        steps.removeAll { step in
            guard step.isOptional, step.action.sights.isEmpty, let left = step.action.left,
                left.value != 0
            else { return false }
            return !wanted.contains(left.value)
        }
    }

    private mutating func linkEvents() {
        var moments: [(time: Instant, isReturn: Bool, step: Int)] = []
        var mandatoryCount = 0
        for place in steps.indices {
            moments.append((steps[place].sentAt, false, place))
            steps[place].rank = steps[place].isOptional ? place : mandatoryCount
            guard !steps[place].isOptional else { continue }
            mandatoryCount += 1
            moments.append((steps[place].endsAt, true, place))
        }
        mandatoryLeft = mandatoryCount
        // At one moment calls come first: touching operations count as concurrent.
        moments.sort { left, right in
            let (leftLast, rightLast) = (left.isReturn ? 1 : 0, right.isReturn ? 1 : 0)
            return (left.time, leftLast, left.step) < (right.time, rightLast, right.step)
        }
        var calls = [Int](repeating: 0, count: steps.count)
        for moment in moments {
            let place = events.count
            events.append(
                Event(step: moment.step, isReturn: moment.isReturn, previous: place - 1, next: 0))
            events[place - 1].next = place
            if moment.isReturn {
                events[calls[moment.step]].partner = place
            } else {
                calls[moment.step] = place
            }
        }
        events[0].previous = events.count - 1
    }

    // MARK: moving

    private func stateAfter(_ event: Int, in state: RegisterState) -> RegisterState? {
        let step = steps[events[event].step]
        guard let next = step.action.applied(to: state) else { return nil }
        // Versions of a key rise (Rule S1): what belongs before this one can never come later.
        let place = events[event].step
        if step.version != 0, waiting.hasOlder(than: step.version, beside: place) { return nil }
        // An unknown write that changes nothing need not be ordered.
        return step.isOptional && next == state ? nil : next
    }

    /// Whether ordering `event` next leads to a configuration not seen before.
    private mutating func isNew(_ event: Int, _ state: RegisterState) -> Bool {
        let step = steps[events[event].step]
        ordered.insert(step.rank, isOptional: step.isOptional)
        let isNew = visited.insert(ordered.fingerprint(state)).inserted
        if !isNew { ordered.remove(step.rank, isOptional: step.isOptional) }
        return isNew
    }

    private mutating func lift(_ event: Int) {
        unlink(event)
        waiting.remove(events[event].step)
        if events[event].partner != 0 {
            unlink(events[event].partner)
            mandatoryLeft -= 1
        }
    }

    private mutating func unlift(_ event: Int) {
        let step = steps[events[event].step]
        ordered.remove(step.rank, isOptional: step.isOptional)
        if events[event].partner != 0 {
            relink(events[event].partner)
            mandatoryLeft += 1
        }
        waiting.insert(events[event].step)
        relink(event)
    }

    private mutating func unlink(_ event: Int) {
        events[events[event].previous].next = events[event].next
        events[events[event].next].previous = events[event].previous
    }

    private mutating func relink(_ event: Int) {
        events[events[event].previous].next = event
        events[events[event].next].previous = event
    }

    // MARK: explaining

    /// Names the operation whose answer cannot be, those that were under way beside it, and the
    /// write that it saw or should have seen.
    private func explanation() -> Violation {
        let culprit = steps[events[farthestReturn].step]
        let operation = history[culprit.source]
        let before = steps.filter { $0.sentAt <= culprit.endsAt && $0.source != culprit.source }
        var context = before.filter { $0.endsAt >= culprit.sentAt }
        let lastWrites = before.filter {
            $0.action.changesState && $0.endsAt < culprit.sentAt
        }
        context += lastWrites.sorted { $0.endsAt < $1.endsAt }.suffix(3)
        context += before.filter { $0.action.writes(oneOf: culprit.action.valuesLookedFor) }
        var shown: [Int] = []
        for step in context where !shown.contains(step.source) { shown.append(step.source) }
        return Violation(
            explanation: "no order of the operations up to its answer gives it: "
                + "\(operation.action) answered \(operation.result.rawValue)",
            culprit: operation, context: shown.prefix(16).map { history[$0] })
    }
}

/// The steps that are not ordered yet and belong before writes of a known version.
private struct VersionOrder {
    /// By version.
    private var steps: [(version: UInt64, step: Int)] = []
    /// Where each step stands in ``steps``; nil for one that may come at any time.
    private var places: [Int?] = []
    private var isWaiting: [Bool] = []
    /// All before it are ordered.
    private var first = 0

    init() {}

    /// - Parameter versions: of each step; 0 for none.
    init(_ versions: [UInt64]) {
        steps = versions.enumerated().filter { $0.element != 0 }
            .map { (version: $0.element, step: $0.offset) }.sorted { $0 < $1 }
        places = Array(repeating: nil, count: versions.count)
        for (place, entry) in steps.enumerated() { places[entry.step] = place }
        isWaiting = Array(repeating: true, count: steps.count)
    }

    mutating func remove(_ step: Int) {
        guard let place = places[step] else { return }
        isWaiting[place] = false
        while first < steps.count, !isWaiting[first] { first += 1 }
    }

    mutating func insert(_ step: Int) {
        guard let place = places[step] else { return }
        isWaiting[place] = true
        first = min(first, place)
    }

    /// Whether a step other than `step` waits that belongs before a write of `version`.
    func hasOlder(than version: UInt64, beside step: Int) -> Bool {
        var place = first
        while place < steps.count, steps[place].version < version {
            if isWaiting[place], steps[place].step != step { return true }
            place += 1
        }
        return false
    }
}

/// Which steps were ordered, in a form whose fingerprint is short: mandatory ones are a prefix in
/// order of calls and a few beyond it, optional ones a few.
private struct OrderedSet {
    /// All mandatory ranks below it are ordered.
    private var prefix = 0
    /// Mandatory ranks at or above the prefix, sorted.
    private var beyond: [UInt32] = []
    private var optional: [UInt32] = []

    mutating func insert(_ rank: Int, isOptional: Bool) {
        guard !isOptional else {
            optional.insert(UInt32(rank), at: optional.firstIndex { $0 > rank } ?? optional.count)
            return
        }
        beyond.insert(UInt32(rank), at: beyond.firstIndex { $0 > rank } ?? beyond.count)
        while let first = beyond.first, first == prefix {
            beyond.removeFirst()
            prefix += 1
        }
    }

    mutating func remove(_ rank: Int, isOptional: Bool) {
        guard !isOptional else {
            optional.removeAll { $0 == rank }
            return
        }
        if rank < prefix {
            beyond.insert(contentsOf: (UInt32(rank) + 1)..<UInt32(prefix), at: 0)
            prefix = rank
        } else {
            beyond.removeAll { $0 == rank }
        }
    }

    func fingerprint(_ state: RegisterState) -> [UInt32] {
        var words: [UInt32] = [
            UInt32(state.value), UInt32(truncatingIfNeeded: state.version),
            UInt32(truncatingIfNeeded: state.version >> 32), UInt32(prefix), UInt32(beyond.count),
        ]
        words.append(contentsOf: beyond)
        words.append(contentsOf: optional)
        return words
    }
}
