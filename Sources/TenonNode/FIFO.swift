/// First in, first out, over one array: appending and removing cost O(1) amortised.
struct FIFO<Element> {
    private var elements: [Element] = []
    private var head = 0

    var isEmpty: Bool { head == elements.count }
    var count: Int { elements.count - head }
    var first: Element? { isEmpty ? nil : elements[head] }

    mutating func append(_ element: Element) { elements.append(element) }
    mutating func append(contentsOf more: [Element]) { elements.append(contentsOf: more) }

    mutating func removeFirst() -> Element {
        precondition(!isEmpty, "removing from an empty queue")
        let element = elements[head]
        head += 1
        // The array is moved down when most of it is behind the head, so each element is moved
        // at most once.
        if head >= 64 && head * 2 >= elements.count {
            elements.removeSubrange(0..<head)
            head = 0
        }
        return element
    }

    mutating func removeAll() -> [Element] {
        let rest = Array(elements[head...])
        elements = []
        head = 0
        return rest
    }
}
