internal import TenonCore

/// The configurations in a group's log: active on append, back when the entry is truncated
/// (Rule C4).
///
/// - Invariant: never empty; indexes rise strictly.
struct MembershipHistory: Sendable {
    /// A configuration and the entry that brought it; the oldest one's is at or before the base.
    struct Element: Sendable {
        var index: LogIndex
        var membership: Membership
    }

    private(set) var elements: [Element]

    init(base: LogIndex, membership: Membership) {
        elements = [Element(index: base, membership: membership)]
    }

    /// The configuration in force: the newest in the log, committed or not.
    var active: Membership { elements[elements.count - 1].membership }
    /// Where the configuration in force came into the log.
    var activeIndex: LogIndex { elements[elements.count - 1].index }

    mutating func append(_ membership: Membership, at index: LogIndex) {
        precondition(index > activeIndex, "configuration at \(index) after one at \(activeIndex)")
        elements.append(Element(index: index, membership: membership))
    }

    /// Forgets the configurations at `index` and after it.
    /// - Returns: whether another one is in force now.
    mutating func truncate(from index: LogIndex) -> Bool {
        let before = elements.count
        while elements.count > 1, activeIndex >= index { elements.removeLast() }
        return elements.count != before
    }

    /// Forgets what was superseded at or before `index`.
    mutating func trim(through index: LogIndex) {
        while elements.count > 1, elements[1].index <= index { elements.removeFirst() }
    }

    /// The configuration in force as of `index`, which is not before the oldest one's.
    func membership(at index: LogIndex) -> Membership {
        var found = elements[0].membership
        for element in elements.dropFirst() where element.index <= index {
            found = element.membership
        }
        return found
    }
}
