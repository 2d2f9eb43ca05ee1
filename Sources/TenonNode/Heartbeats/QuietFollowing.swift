import TenonCore

/// The quiet groups that one peer leads and this node follows (Rule C9): the follower's side of
/// the peer's ``QuietSet``.
///
/// A heartbeat of the peer speaks for the groups only when it names the number that is held here.
/// What this node leaves by itself (it voted, or knows of a newer term) it tells with each answer
/// until the peer's set is without it.
struct QuietFollowing {
    /// What a change asks for.
    enum Action: Equatable {
        /// It does not follow on what is held here: dropped.
        case none
        /// The groups of `rest` rest from now on as far as their replicas stand there; the others
        /// do not any longer.
        case take(rest: [QuietGroup], wake: [TabletID])
    }

    /// The peer's boot.
    private(set) var boot = BootNumber(0)
    /// The number of the set that is held here; 0: none.
    private(set) var number: UInt64 = 0
    private var groups = Set<TabletID>()
    private var leftByItself = Set<TabletID>()
    /// When a heartbeat last spoke for the groups.
    private(set) var heardAt: Instant?

    var isEmpty: Bool { groups.isEmpty }
    var count: Int { groups.count }
    func contains(_ tablet: TabletID) -> Bool { groups.contains(tablet) }
    /// What the peer is to take out of its set, in rising order.
    var left: [TabletID] { leftByItself.sorted() }
    /// The groups, in rising order.
    var tablets: [TabletID] { groups.sorted() }

    /// Another process of the peer: it leads nothing that it led.
    /// - Returns: the groups to wake.
    mutating func meet(_ boot: BootNumber) -> [TabletID] {
        guard boot != self.boot else { return [] }
        self.boot = boot
        return giveUp()
    }

    /// The peer was silent for too long: nothing is held any more.
    /// - Returns: the groups to wake.
    mutating func giveUp() -> [TabletID] {
        let all = tablets
        groups = []
        leftByItself = []
        number = 0
        return all
    }

    /// A heartbeat of the peer's present boot.
    /// - Returns: whether it speaks for the groups held here.
    @discardableResult
    mutating func heard(_ heartbeat: NodeHeartbeat, now: Instant) -> Bool {
        guard heartbeat.boot == boot, heartbeat.set == number else { return false }
        heardAt = now
        return true
    }

    /// The peer's set changed.
    mutating func apply(_ change: QuietChange, now: Instant) -> Action {
        guard change.boot == boot, change.to > number,
            change.from == number || change.from == 0
                || isPlanted(.quietSetNumberIgnored)
        else { return .none }
        var wake: [TabletID] = []
        if change.from == 0 {
            let joined = Set(change.joined.map(\.tablet))
            wake = tablets.filter { !joined.contains($0) }
            groups = []
            leftByItself = []
            heardAt = now
        }
        for tablet in change.gone {
            if groups.remove(tablet) != nil { wake.append(tablet) }
            leftByItself.remove(tablet)
        }
        for group in change.joined {
            groups.insert(group.tablet)
            leftByItself.remove(group.tablet)
        }
        number = change.to
        return .take(rest: change.joined, wake: wake)
    }

    /// The replica here does not rest with its group any more, or never did.
    mutating func leave(_ tablet: TabletID) {
        if groups.remove(tablet) != nil { leftByItself.insert(tablet) }
    }

    /// When silence makes the groups wake; nil when there are none.
    func deadline(after bound: TimeSpan) -> Instant? {
        groups.isEmpty ? nil : (heardAt ?? .zero) + bound
    }
}
