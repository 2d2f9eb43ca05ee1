import TenonCore

/// When each tablet of a node is to be looked at though nothing happens: a binary heap, the
/// earliest first and among equals the lowest tablet.
///
/// A moment that moves away is left where it is: the tablet is looked at once too often, and then
/// set anew. So a follower whose election timeout each heartbeat moves costs the heap nothing.
///
/// - Invariant: a tablet stands here at most once; `places` says where, by its slot.
struct TabletTimers {
    /// No reference to the tablet: moving it would count references, which was most of the cost.
    private struct Element {
        var due: Instant
        let id: TabletID
        let slot: Int

        func isBefore(_ other: Element) -> Bool {
            due != other.due ? due < other.due : id < other.id
        }
    }

    private var heap: [Element] = []
    /// By slot: where in the heap the tablet stands; -1 when nowhere.
    private var places: [Int] = []
    /// By slot.
    private var tablets: [Tablet?] = []
    private var freeSlots: [Int] = []

    /// The earliest moment; nil when there is none.
    var first: Instant? { heap.first?.due }

    /// Makes sure that `tablet` is looked at by `due`. - Complexity: O(log tablets).
    mutating func require(_ tablet: Tablet, by due: Instant) {
        guard due < .distantFuture else { return }
        let slot = slot(of: tablet)
        let place = places[slot]
        if place < 0 {
            heap.append(Element(due: due, id: tablet.id, slot: slot))
            moveUp(heap.count - 1)
        } else if due < heap[place].due {
            heap[place].due = due
            moveUp(place)
        }
    }

    /// When `tablet` will be looked at; the distant future when never.
    func due(of tablet: Tablet) -> Instant {
        let slot = tablet.agenda.slot
        guard slot >= 0, places[slot] >= 0 else { return .distantFuture }
        return heap[places[slot]].due
    }

    /// Takes out the earliest tablet, when its moment has come.
    mutating func takeDue(now: Instant) -> Tablet? {
        guard let first = heap.first, first.due <= now else { return nil }
        removeElement(at: 0)
        return tablets[first.slot]
    }

    /// Forgets a tablet. One that is not here changes nothing.
    mutating func remove(_ tablet: Tablet) {
        let slot = tablet.agenda.slot
        guard slot >= 0 else { return }
        if places[slot] >= 0 { removeElement(at: places[slot]) }
        tablets[slot] = nil
        freeSlots.append(slot)
        tablet.agenda.slot = -1
    }

    private mutating func slot(of tablet: Tablet) -> Int {
        if tablet.agenda.slot >= 0 { return tablet.agenda.slot }
        let slot = freeSlots.popLast() ?? tablets.count
        if slot == tablets.count {
            tablets.append(tablet)
            places.append(-1)
        } else {
            tablets[slot] = tablet
        }
        tablet.agenda.slot = slot
        return slot
    }

    private mutating func removeElement(at place: Int) {
        places[heap[place].slot] = -1
        let last = heap.removeLast()
        guard place < heap.count else { return }
        set(last, at: place)
        moveUp(place)
        moveDown(places[last.slot])
    }

    private mutating func set(_ element: Element, at place: Int) {
        heap[place] = element
        places[element.slot] = place
    }

    private mutating func moveUp(_ start: Int) {
        var place = start
        let moving = heap[place]
        while place > 0, moving.isBefore(heap[(place - 1) / 2]) {
            set(heap[(place - 1) / 2], at: place)
            place = (place - 1) / 2
        }
        set(moving, at: place)
    }

    private mutating func moveDown(_ start: Int) {
        var place = start
        let moving = heap[place]
        while 2 * place + 1 < heap.count {
            var child = 2 * place + 1
            if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
            guard heap[child].isBefore(moving) else { break }
            set(heap[child], at: place)
            place = child
        }
        set(moving, at: place)
    }
}
