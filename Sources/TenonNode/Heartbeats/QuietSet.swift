import TenonCore
import TenonRaft

/// The quiet groups that this node leads and one peer follows, as a numbered set (Rule C9): the
/// leader's side.
///
/// The number rises with every group that joins or goes. The peer is sent what changed, and says
/// with each answer which number it holds. A group is *held* when the peer has answered with a
/// number at or after that at which the group joined: then both ends hold it in the same set, and
/// such an answer speaks for it. Numbers are never used twice in a boot.
struct QuietSet {
    private struct Element {
        var group: QuietGroup
        /// The number of the set that it came with.
        var joinedAt: UInt64
    }

    /// The number of the set as it is now.
    private(set) var number: UInt64 = 0
    private var elements: [TabletID: Element] = [:]
    /// What changed after ``base``, in order.
    private var changes: [(number: UInt64, tablet: TabletID)] = []
    /// A peer that holds this number or a later one can be sent what changed since.
    private var base: UInt64 = 0
    /// The peer was sent everything up to this number; 0: it must be sent the whole set.
    private var sentNumber: UInt64 = 0
    /// The newest number that the peer has said it holds.
    private(set) var heldNumber: UInt64 = 0
    /// The peer's boot; what it holds is gone with it.
    private(set) var peerBoot = BootNumber(0)

    /// Changes that are remembered at most; a peer further behind is sent the whole set.
    private static let changesMax = 65_536

    var isEmpty: Bool { elements.isEmpty }
    var count: Int { elements.count }
    func contains(_ tablet: TabletID) -> Bool { elements[tablet] != nil }
    /// Where the group rests as the peer was told.
    func point(of tablet: TabletID) -> Raft.RestPoint? { elements[tablet]?.group.point }

    /// Whether the peer holds the group.
    func isHeld(_ tablet: TabletID) -> Bool {
        elements[tablet].map { $0.joinedAt <= heldNumber } ?? false
    }

    /// The tablets of the set, in rising order.
    var tablets: [TabletID] { elements.keys.sorted() }

    mutating func join(_ group: QuietGroup) {
        number += 1
        elements[group.tablet] = Element(group: group, joinedAt: number)
        note(group.tablet)
    }

    /// The group is quiet no more. One that is not here changes nothing.
    mutating func leave(_ tablet: TabletID) {
        guard elements.removeValue(forKey: tablet) != nil else { return }
        number += 1
        note(tablet)
    }

    private mutating func note(_ tablet: TabletID) {
        changes.append((number, tablet))
        guard changes.count > QuietSet.changesMax else { return }
        base = changes[changes.count / 2].number
        changes.removeFirst(changes.count / 2 + 1)
    }

    /// Another process of the peer: every group leaves the set.
    /// - Returns: the groups that left.
    mutating func meet(_ boot: BootNumber) -> [TabletID] {
        guard boot != peerBoot else { return [] }
        let left = tablets
        peerBoot = boot
        number += 1
        elements = [:]
        changes = []
        base = number
        sentNumber = 0
        heldNumber = 0
        return left
    }

    /// What the peer is to be told; nil when it was told everything.
    mutating func takeChange(boot: BootNumber, epoch: Epoch) -> QuietChange? {
        guard sentNumber != number, peerBoot > BootNumber(0) else { return nil }
        var change = QuietChange(
            boot: boot, peerBoot: peerBoot, epoch: epoch, from: sentNumber, to: number,
            joined: [], gone: [])
        if sentNumber == 0 {
            for tablet in tablets {
                if let element = elements[tablet] { change.joined.append(element.group) }
            }
        } else {
            for tablet in changed(after: sentNumber) {
                if let element = elements[tablet] {
                    change.joined.append(element.group)
                } else {
                    change.gone.append(tablet)
                }
            }
        }
        sentNumber = number
        return change
    }

    private func changed(after start: UInt64) -> [TabletID] {
        let first = changes.firstIndex { $0.number > start } ?? changes.endIndex
        var seen = Set<TabletID>()
        return changes[first...].map(\.tablet).filter { seen.insert($0).inserted }
    }

    /// The peer says what it holds, in answer to the newest heartbeat that it answered.
    ///
    /// - Parameters:
    ///   - held: the number that it holds; 0 when it holds no set.
    ///   - named: the number that it was asked about; everything up to it was sent before.
    /// - Returns: the groups that it holds from now on, and some that left again.
    @discardableResult
    mutating func answered(held: UInt64, named: UInt64) -> [TabletID] {
        let isKnown = held >= base && held <= number
        heldNumber = held <= number ? held : 0
        // So far as nothing was sent after it, what was sent up to `named` did not arrive.
        if !isKnown || held < named, named >= sentNumber { sentNumber = isKnown ? held : 0 }
        guard isKnown else { return [] }
        let taken = changes.prefix { $0.number <= held }
        changes.removeFirst(taken.count)
        base = held
        return taken.map(\.tablet)
    }
}
