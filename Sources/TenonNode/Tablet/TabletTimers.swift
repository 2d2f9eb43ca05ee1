import TenonCore

/// When each tablet of a node is to be looked at though nothing happens: a binary heap, the
/// earliest first and among equals the lowest tablet.
///
/// A moment that moves away is left where it is: the tablet is looked at once too often, and then
/// set anew. So a follower whose election timeout each heartbeat moves costs the heap nothing.
///
/// - Invariant: a tablet stands here at most once, and its ``TabletAgenda/place`` says where.
struct TabletTimers {
    private var heap: [(due: Instant, id: TabletID, tablet: Tablet)] = []

    /// The earliest moment; nil when there is none.
    var first: Instant? { heap.first?.due }

    /// Makes sure that `tablet` is looked at by `due`. - Complexity: O(log tablets).
    mutating func require(_ tablet: Tablet, by due: Instant) {
        let place = tablet.agenda.place
        if place < 0 {
            guard due < .distantFuture else { return }
            heap.append((due, tablet.id, tablet))
            tablet.agenda.place = heap.count - 1
            moveUp(heap.count - 1)
        } else if due < heap[place].due {
            heap[place].due = due
            moveUp(place)
        }
    }

    /// When `tablet` will be looked at; the distant future when never.
    func due(of tablet: Tablet) -> Instant {
        tablet.agenda.place < 0 ? .distantFuture : heap[tablet.agenda.place].due
    }

    /// Takes out the earliest tablet, when its moment has come.
    mutating func takeDue(now: Instant) -> Tablet? {
        guard let first = heap.first, first.due <= now else { return nil }
        remove(first.tablet)
        return first.tablet
    }

    /// Forgets a tablet. One that is not here changes nothing.
    mutating func remove(_ tablet: Tablet) {
        let place = tablet.agenda.place
        guard place >= 0 else { return }
        tablet.agenda.place = -1
        let last = heap.removeLast()
        guard place < heap.count else { return }
        heap[place] = last
        last.tablet.agenda.place = place
        moveUp(place)
        moveDown(last.tablet.agenda.place)
    }

    private func isEarlier(_ left: Int, _ right: Int) -> Bool {
        // Field by field: a copy of an element would count a reference.
        heap[left].due != heap[right].due
            ? heap[left].due < heap[right].due : heap[left].id < heap[right].id
    }

    private mutating func moveUp(_ start: Int) {
        var place = start
        while place > 0, isEarlier(place, (place - 1) / 2) {
            exchange(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private mutating func moveDown(_ start: Int) {
        var place = start
        while true {
            var earliest = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < heap.count && isEarlier(child, earliest) {
                earliest = child
            }
            guard earliest != place else { return }
            exchange(place, earliest)
            place = earliest
        }
    }

    private mutating func exchange(_ left: Int, _ right: Int) {
        heap.swapAt(left, right)
        heap[left].tablet.agenda.place = left
        heap[right].tablet.agenda.place = right
    }
}
