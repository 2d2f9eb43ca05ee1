internal import TenonCore

/// Elements by number, in an array with a free list. A number is not used twice: its upper half
/// counts the uses of its place, so a late answer to an old request finds nothing.
///
/// A place is used again only after ``reuseEmptied()``: whoever keeps something of its own by
/// place has to be told first that the element is gone.
///
/// Elements are used where they lie: taking one out of an `Optional` copies it, and a call under
/// way is some 200 bytes with half a dozen references.
struct SlotMap<Element> {
    private struct Slot {
        var use: UInt32
        var isUsed: Bool
        var element: Element
    }

    /// What an unused place holds.
    private let vacant: Element
    private var slots: [Slot] = []
    private var free: [UInt32] = []
    /// Places whose element was taken out, not to be used again yet.
    private var emptied: [UInt32] = []

    /// How many elements there are.
    private(set) var count = 0

    /// The number of places, used and free.
    var capacity: Int { slots.count }

    /// No elements; `vacant` lies in places that are not used.
    init(vacant: Element) { self.vacant = vacant }

    /// Where in the array the element of `id` is, or was.
    static func place(of id: RequestID) -> Int { Int(UInt32(truncatingIfNeeded: id.rawValue)) }

    /// Where the element of `id` is; nil when it was taken out.
    func find(_ id: RequestID) -> Int? {
        let place = SlotMap.place(of: id)
        guard place < slots.count, slots[place].use == UInt32(id.rawValue >> 32),
            slots[place].isUsed
        else { return nil }
        return place
    }

    /// Puts an element in. - Complexity: O(1) amortised.
    mutating func insert(_ element: Element) -> RequestID {
        count += 1
        guard let place = free.popLast() else {
            slots.append(Slot(use: 1, isUsed: true, element: element))
            return id(at: slots.count - 1)
        }
        slots[Int(place)].isUsed = true
        slots[Int(place)].element = element
        return id(at: Int(place))
    }

    /// The number of the element at a place in `0..<capacity`; of a free place, its next one.
    func id(at place: Int) -> RequestID {
        RequestID(UInt64(slots[place].use) << 32 | UInt64(place))
    }

    /// Whether the place in `0..<capacity` holds an element.
    func isUsed(_ place: Int) -> Bool { slots[place].isUsed }

    /// The element at a place that ``find(_:)`` gave.
    subscript(place: Int) -> Element {
        _read { yield slots[place].element }
        _modify { yield &slots[place].element }
    }

    /// Takes the element at a used place out.
    mutating func remove(at place: Int) {
        precondition(slots[place].isUsed, "removing from place \(place), which is empty")
        slots[place].element = vacant
        slots[place].isUsed = false
        // 2^32 uses of one place take a day at 50,000 calls a second; the next use of the place
        // is answered long before the number comes round.
        slots[place].use &+= 1
        emptied.append(UInt32(place))
        count -= 1
    }

    /// Lets the places of elements that were taken out be used again.
    mutating func reuseEmptied() {
        guard !emptied.isEmpty else { return }
        free += emptied
        emptied.removeAll(keepingCapacity: true)
    }
}
