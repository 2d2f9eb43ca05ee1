internal import TenonCore

/// Elements by number, in an array with a free list. A number is not used twice: its upper half
/// counts the uses of its place, so a late answer to an old request finds nothing.
///
/// A place is used again only after ``reuseEmptied()``: whoever keeps something of its own by
/// place has to be told first that the element is gone.
struct SlotMap<Element> {
    private struct Slot {
        var use: UInt32
        var element: Element?
    }

    private var slots: [Slot] = []
    private var free: [UInt32] = []
    /// Places whose element was taken out, not to be used again yet.
    private var emptied: [UInt32] = []

    /// How many elements there are.
    private(set) var count = 0

    /// The number of places, used and free.
    var capacity: Int { slots.count }

    /// Where in the array the element of `id` is.
    static func place(of id: RequestID) -> Int { Int(UInt32(truncatingIfNeeded: id.rawValue)) }

    /// Puts an element in. - Complexity: O(1) amortised.
    mutating func insert(_ element: Element) -> RequestID {
        count += 1
        if let place = free.popLast() {
            slots[Int(place)].element = element
            return id(at: Int(place))
        }
        slots.append(Slot(use: 1, element: element))
        return id(at: slots.count - 1)
    }

    /// The number of the element at a place in `0..<capacity`; of a free place, its next one.
    func id(at place: Int) -> RequestID {
        RequestID(UInt64(slots[place].use) << 32 | UInt64(place))
    }

    /// Whether the place in `0..<capacity` holds an element.
    func isUsed(_ place: Int) -> Bool { slots[place].element != nil }

    /// The element of `id`; nil when it was taken out. Cannot be used to put one in.
    subscript(id: RequestID) -> Element? {
        _read {
            let place = SlotMap.place(of: id)
            if place < slots.count, slots[place].use == UInt32(id.rawValue >> 32) {
                yield slots[place].element
            } else {
                yield nil
            }
        }
        _modify {
            let place = SlotMap.place(of: id)
            if place < slots.count, slots[place].use == UInt32(id.rawValue >> 32) {
                yield &slots[place].element
            } else {
                var none: Element?
                yield &none
            }
        }
    }

    /// Takes the element of `id` out; nil when it was taken out before.
    mutating func remove(_ id: RequestID) -> Element? {
        let place = SlotMap.place(of: id)
        // Taken, not copied: an element holds a dozen references.
        guard let element = self[id].take() else { return nil }
        // 2^32 uses of one place take a day at 50,000 calls a second; the next use of the place
        // is answered long before the number comes round.
        slots[place].use &+= 1
        emptied.append(UInt32(place))
        count -= 1
        return element
    }

    /// Lets the places of elements that were taken out be used again.
    mutating func reuseEmptied() {
        guard !emptied.isEmpty else { return }
        free += emptied
        emptied.removeAll(keepingCapacity: true)
    }
}
