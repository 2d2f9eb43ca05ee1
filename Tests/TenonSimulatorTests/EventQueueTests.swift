import TenonCore
import Testing

@testable import TenonSimulator

/// The order in which things happen under virtual time.
@Suite struct EventQueueTests {
    @Test func `events happen by time, and at one instant in the order of their entry`() {
        var generator = SeededGenerator(seed: 1)
        var queue = EventQueue()
        var expected: [(due: UInt64, number: Int)] = []
        var happened: [Int] = []
        for number in 0..<500 {
            let due = generator.below(40)
            expected.append((due, number))
            queue.enter(at: Instant(nanoseconds: due)) { happened.append(number) }
        }
        var last = Instant.zero
        while let due = queue.nextDue {
            #expect(due >= last)
            last = due
            queue.removeFirst().action()
        }
        let order = expected.sorted { ($0.due, $0.number) < ($1.due, $1.number) }
        #expect(happened == order.map(\.number))
    }

    @Test func `an empty queue has nothing due`() {
        #expect(EventQueue().nextDue == nil)
    }
}
