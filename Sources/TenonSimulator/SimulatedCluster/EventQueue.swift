internal import TenonCore

/// What is to happen under virtual time: the earliest first, and what is due at one instant in
/// the order in which it was entered. A binary heap.
struct EventQueue {
    private struct Event {
        let due: Instant
        let order: UInt64
        let action: () -> Void

        func comesBefore(_ other: Event) -> Bool {
            (due, order) < (other.due, other.order)
        }
    }

    private var heap: [Event] = []
    private var nextOrder: UInt64 = 0

    /// When the next event is due; nil when there is none.
    var nextDue: Instant? { heap.first?.due }

    /// Enters `action`. - Complexity: O(log n).
    mutating func enter(at due: Instant, _ action: @escaping () -> Void) {
        heap.append(Event(due: due, order: nextOrder, action: action))
        nextOrder += 1
        var child = heap.count - 1
        while child > 0, heap[child].comesBefore(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Removes the first event. - Complexity: O(log n).
    mutating func removeFirst() -> () -> Void {
        precondition(!heap.isEmpty, "no event is left")
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].comesBefore(heap[least]) { least = child }
            }
            if least == parent { return first.action }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
