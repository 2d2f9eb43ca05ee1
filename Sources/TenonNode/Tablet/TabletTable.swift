import TenonCore

/// What the node's table keeps with a tablet.
struct TabletAgenda {
    /// Whether the next turn looks at the tablet.
    var isTouched = false
    /// Its slot in ``TabletTimers``; -1 before it has one.
    var slot = -1
}

/// The tablets of a node, and which of them a turn is to look at: those that an event touched,
/// and those whose moment has come. A turn costs nothing for the others, however many they are.
///
/// Whoever changes a tablet touches it. Looking one up touches it, so that this is not forgotten:
/// ``subscript(_:)`` is for events, ``peek(_:)`` for those who only look.
struct TabletTable {
    /// Every tablet, in rising order of its id.
    private(set) var all: [Tablet] = []
    private var byID: [TabletID: Tablet] = [:]
    /// To be looked at in the next turn, in the order in which they were touched.
    private var touched: [Tablet] = []
    private var timers = TabletTimers()
    /// Tablets that one turn looks at because their moment has come. When a node was lost it may
    /// have come for thousands: the others get the loop in between (Rule S9, C9).
    static let duePerTurnMax = 1_024

    var isEmpty: Bool { all.isEmpty }
    var count: Int { all.count }

    /// When the next turn must come even if nothing happens; nil when never.
    var nextDeadline: Instant? { timers.first }

    /// Takes in a tablet, and lets the next turn look at it.
    ///
    /// - Precondition: none of its id is here.
    /// - Complexity: O(tablets with a higher id).
    mutating func insert(_ tablet: Tablet) {
        precondition(byID[tablet.id] == nil, "tablet \(tablet.id) is here already")
        byID[tablet.id] = tablet
        let place = all.lastIndex { $0.id < tablet.id }.map { $0 + 1 } ?? 0
        all.insert(tablet, at: place)
        touch(tablet)
    }

    /// Lets go of a tablet; nil when it is not here. What it was about to do is forgotten.
    /// - Complexity: O(tablets).
    @discardableResult
    mutating func remove(_ id: TabletID) -> Tablet? {
        guard let tablet = byID.removeValue(forKey: id) else { return nil }
        all.removeAll { $0 === tablet }
        touched.removeAll { $0 === tablet }
        timers.remove(tablet)
        tablet.agenda = TabletAgenda()
        return tablet
    }

    /// The tablet, to be changed: the next turn looks at it. - Complexity: O(1).
    subscript(_ id: TabletID) -> Tablet? {
        mutating get {
            guard let tablet = byID[id] else { return nil }
            touch(tablet)
            return tablet
        }
    }

    /// The tablet, only to be looked at. - Complexity: O(1).
    func peek(_ id: TabletID) -> Tablet? { byID[id] }

    /// Lets the next turn look at `tablet`.
    mutating func touch(_ tablet: Tablet) {
        guard !tablet.agenda.isTouched else { return }
        tablet.agenda.isTouched = true
        touched.append(tablet)
    }

    /// Lets the next turn look at every tablet.
    mutating func touchAll() {
        for tablet in all { touch(tablet) }
    }

    /// Takes out the tablets that a turn at `now` is to look at.
    /// - Complexity: O(those taken · log tablets).
    mutating func takeTouched(now: Instant) -> [Tablet] {
        for _ in 0..<TabletTable.duePerTurnMax {
            guard let tablet = timers.takeDue(now: now) else { break }
            touch(tablet)
        }
        let taken = touched
        touched = []
        for tablet in taken { tablet.agenda.isTouched = false }
        return taken
    }

    /// Lets a turn look at `tablet` again by its ``Tablet/nextDeadline``.
    mutating func schedule(_ tablet: Tablet) {
        timers.require(tablet, by: tablet.nextDeadline)
    }

    /// Traps when a tablet that the next turn passes over has something to do: somebody changed it
    /// and touched it not. Runs after every turn in debug builds and under `InvariantChecks`.
    func checkUntouched() {
        #if INVARIANT_CHECKS || DEBUG
            for tablet in all where !tablet.agenda.isTouched {
                precondition(!tablet.hasWork, "tablet \(tablet.id) has work and nobody touched it")
                precondition(
                    timers.due(of: tablet) <= tablet.nextDeadline,
                    "tablet \(tablet.id) is looked at by \(timers.due(of: tablet)), not by "
                        + "\(tablet.nextDeadline)")
            }
        #endif
    }
}
