import TenonCore
import Testing

@testable import TenonRaft

@Suite struct RaftLogs {
    private func makeLog(_ terms: [Int]) -> RaftLog {
        var made = RaftLog(base: .zero)
        for entry in log(terms: terms) { made.append(entry) }
        return made
    }

    @Test func `a log knows its ends and the terms between`() {
        let made = makeLog([1, 1, 2])
        #expect(made.firstIndex == 1)
        #expect(made.last == LogPosition(index: 3, term: 2))
        #expect(made.term(at: 0) == 0)
        #expect(made.term(at: 2) == 1)
        #expect(made.term(at: 4) == nil)
    }

    @Test func `a piece holds one entry at least and ends before the bound`() {
        let made = makeLog([1, 1, 1])
        let size = made[1].encodedBytes
        for (bound, count) in [(1, 1), (size, 1), (2 * size - 1, 1), (2 * size, 2), (.max, 3)] {
            #expect(made.entries(from: 1, through: 3, bytesMax: bound).count == count)
        }
        #expect(made.entries(from: 2, through: 2, bytesMax: .max).map(\.index) == [2])
        #expect(made.entries(from: 3, through: 2, bytesMax: .max).isEmpty)
    }

    @Test func `the last position of a term is found among equal ones and at the ends`() {
        var made = makeLog([1, 1, 3, 3, 5])
        func last(_ index: Int, _ term: Int) -> LogPosition {
            made.lastPosition(atMost: LogIndex(UInt64(index)), term: Term(UInt64(term)))
        }
        #expect(last(9, 9) == LogPosition(index: 5, term: 5))
        #expect(last(5, 4) == LogPosition(index: 4, term: 3))
        #expect(last(3, 4) == LogPosition(index: 3, term: 3))
        #expect(last(5, 2) == LogPosition(index: 2, term: 1))
        #expect(last(5, 0) == .zero)
        made.trim(through: 4)
        #expect(last(5, 4) == LogPosition(index: 4, term: 3))
        #expect(last(2, 9) == LogPosition(index: 4, term: 3))
        made.trim(through: 5)
        #expect(last(9, 9) == LogPosition(index: 5, term: 5))
    }

    /// Random appends, truncations and trims against a plain array.
    @Test(arguments: 0..<20)
    func `a log behaves like an array that forgets its beginning`(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var made = RaftLog(base: .zero)
        var model: [Entry] = []
        var trimmed = 0
        for step in 0..<300 {
            switch random.below(6) {
            case 0 where model.count > trimmed:
                let index = trimmed + 1 + Int(random.below(UInt64(model.count - trimmed)))
                made.truncate(from: LogIndex(UInt64(index)))
                model.removeSubrange((index - 1)...)
            case 1 where model.count > trimmed:
                trimmed += 1 + Int(random.below(UInt64(model.count - trimmed)))
                made.trim(through: LogIndex(UInt64(trimmed)))
            default:
                model.append(entry(model.count + 1, term: step / 10))
                made.append(model[model.count - 1])
            }
            #expect(made.lastIndex.rawValue == UInt64(model.count))
            #expect(made.count == model.count - trimmed)
            #expect(made.payloadBytes == model[trimmed...].reduce(0) { $0 + $1.payload.count })
            let held = made.entries(from: made.firstIndex, through: made.lastIndex, bytesMax: .max)
            #expect(held == Array(model[trimmed...]))
        }
    }
}
