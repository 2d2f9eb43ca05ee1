internal import TenonCore

/// What the session table forgets next: a binary heap with the oldest at its head.
///
/// Elements are not taken out when what they stand for goes earlier; the owner skips them at the
/// head and rebuilds the heap when most are dead. So the common case, a write that is soon
/// answered, costs one push that does not sift. The order is total: which element is the oldest
/// does not depend on how the heap came about, on any replica.
struct AgeQueue {
    /// `time`, then `high`, then `low` decide; no two living elements are equal in all three.
    struct Element {
        var time: Timestamp
        var high: UInt64
        var low: UInt64
        /// Where the owner keeps what this stands for.
        var slot: Int

        static func < (left: Element, right: Element) -> Bool {
            if left.time != right.time { return left.time < right.time }
            if left.high != right.high { return left.high < right.high }
            return left.low < right.low
        }
    }

    private var heap: [Element] = []

    var count: Int { heap.count }
    /// The oldest, living or dead.
    var first: Element? { heap.first }

    /// - Complexity: O(log n), O(1) when it is younger than its parent in the heap.
    mutating func push(_ element: Element) {
        heap.append(element)
        siftUp(from: heap.count - 1)
    }

    /// Takes the oldest out. - Complexity: O(log n).
    @discardableResult
    mutating func popFirst() -> Element? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            siftDown(from: 0)
        }
        return first
    }

    /// Keeps what `isLiving` says of and drops the rest. - Complexity: O(n).
    mutating func rebuild(keeping isLiving: (Element) -> Bool) {
        heap.removeAll { !isLiving($0) }
        for place in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(from: place) }
    }

    private mutating func siftUp(from start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard heap[place] < heap[parent] else { return }
            heap.swapAt(place, parent)
            place = parent
        }
    }

    private mutating func siftDown(from start: Int) {
        var place = start
        while true {
            var least = place
            for child in (2 * place + 1)...(2 * place + 2)
            where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            guard least != place else { return }
            heap.swapAt(place, least)
            place = least
        }
    }
}
