internal import TenonCore

/// What is to happen under virtual time: the earliest first, and what is due at one instant in
/// the order in which it was entered.
///
/// A binary heap of plain numbers. The actions lie beside it, so that moving an event about does
/// not count references: a simulation spends a tenth of its time here.
struct EventQueue {
    private struct Event {
        let due: UInt64
        let order: UInt64
        let slot: Int

        func comesBefore(_ other: Event) -> Bool {
            due != other.due ? due < other.due : order < other.order
        }
    }

    private var heap: [Event] = []
    private var tasks: [Action?] = []
    private var freeSlots: [Int] = []
    private var nextOrder: UInt64 = 0

    /// What is to be done.
    struct Action {
        /// Whose it is: done only while this life of a node goes on.
        let owner: SimulatedProcess?
        let action: () -> Void
    }

    /// When the next event is due; nil when there is none.
    var nextDue: Instant? { heap.first.map { Instant(nanoseconds: $0.due) } }

    /// Enters `action`. - Complexity: O(log n).
    mutating func enter(
        at due: Instant, for owner: SimulatedProcess? = nil, _ action: @escaping () -> Void
    ) {
        let entry = Action(owner: owner, action: action)
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            tasks[slot] = entry
        } else {
            slot = tasks.count
            tasks.append(entry)
        }
        heap.append(Event(due: due.nanoseconds, order: nextOrder, slot: slot))
        nextOrder += 1
        rise(from: heap.count - 1)
    }

    /// Removes the first event. - Complexity: O(log n).
    mutating func removeFirst() -> Action {
        precondition(!heap.isEmpty, "no event is left")
        let first = heap[0]
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        guard let task = tasks[first.slot].take() else {
            preconditionFailure("slot \(first.slot) holds no task")
        }
        freeSlots.append(first.slot)
        return task
    }

    private mutating func rise(from place: Int) {
        var child = place
        let event = heap[child]
        while child > 0 {
            let parent = (child - 1) / 2
            guard event.comesBefore(heap[parent]) else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = event
    }

    private mutating func sink() {
        var parent = 0
        let event = heap[0]
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].comesBefore(heap[child]) { child += 1 }
            guard heap[child].comesBefore(event) else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = event
    }
}
