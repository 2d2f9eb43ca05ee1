import TenonChecker
import TenonCore
import Testing

@Suite("Drill measures")
struct DrillMeasuresTests {
    private func history(_ fill: (inout HistoryBuilder) -> Void) -> [HistoryOperation] {
        var history = HistoryBuilder()
        fill(&history)
        return history.operations
    }
    private func instant(_ nanoseconds: UInt64) -> Instant { Instant(nanoseconds: nanoseconds) }

    @Test("An acknowledged write that is missing or older afterwards is lost")
    func lostWrites() {
        let history = history {
            $0.put("kept", "1", 0...1, at: 10)
            $0.put("gone", "1", 0...1, at: 11)
            $0.put("old", "1", 0...1, at: 12)
            $0.put("old", "2", 2...3, at: 13)
            $0.put("never sure", "1", 2...3, .unknown)
        }
        let lost = DrillMeasures.lostWrites(in: history) { key in
            switch key {
            case "kept": StoredValue(bytes: "1", version: Timestamp(10))
            case "old": StoredValue(bytes: "1", version: Timestamp(12))
            default: nil
            }
        }
        #expect(lost.map(\.key) == ["gone", "old"])
    }

    @Test("A write is not lost when a newer one, known or not, stands over it")
    func overwrittenWrites() {
        let history = history {
            $0.put("a", "1", 0...1, at: 10)
            $0.put("a", "2", 2...3, .unknown)
            $0.put("b", "1", 0...1, at: 11)
            $0.delete("b", 2...3, .unknown)
            $0.put("c", "1", 0...1, at: 12)
            $0.deleteRange("c", "d", 2...3, at: 14)
        }
        let lost = DrillMeasures.lostWrites(in: history) { key in
            key == "a" ? StoredValue(bytes: "2", version: Timestamp(20)) : nil
        }
        #expect(lost.isEmpty)
    }

    @Test("A delete is lost when the older value came back")
    func lostDelete() {
        let history = history {
            $0.put("a", "1", 0...1, at: 10)
            $0.delete("a", 2...3, found: true, at: 11)
        }
        let returned = StoredValue(bytes: "1", version: Timestamp(10))
        #expect(DrillMeasures.lostWrites(in: history) { _ in returned }.count == 1)
        #expect(DrillMeasures.lostWrites(in: history) { _ in nil }.isEmpty)
    }

    @Test("A read below what was acknowledged before it was sent is stale")
    func staleReads() {
        let history = history {
            $0.put("a", "1", 0...1, at: 10)
            $0.put("a", "2", 2...3, at: 11)
            $0.get("a", "1", 3...9, version: 10)
            $0.get("a", "1", 4...9, version: 10)
            $0.get("a", "2", 4...9, version: 11)
            $0.get("a", nil, 5...9)
        }
        #expect(DrillMeasures.staleReads(in: history).map(\.worker) == [3, 5])
    }

    @Test("A missing value is not stale when a removal may account for it")
    func removedValue() {
        let history = history {
            $0.put("a", "1", 0...1, at: 10)
            $0.delete("a", 2...3, .unknown)
            $0.get("a", nil, 5...9)
            $0.put("b", "1", 0...1, at: 11)
            $0.delete("b", 2...3, found: true, at: 12)
            $0.get("b", nil, 5...9)
        }
        #expect(DrillMeasures.staleReads(in: history).isEmpty)
    }

    @Test("The gap is the longest time between successes that overlaps the fault")
    func gap() {
        let successes = [10, 20, 30, 130, 140, 400].map { instant($0) }
        let gap = DrillMeasures.longestGap(
            successes: successes, overlapping: instant(40)..<instant(60), from: instant(0),
            to: instant(500))
        #expect(gap.nanoseconds == 100)
    }

    @Test("A gap that never ends reaches to the end of the run")
    func endlessGap() {
        let gap = DrillMeasures.longestGap(
            successes: [instant(10)], overlapping: instant(40)..<instant(60), from: instant(0),
            to: instant(500))
        #expect(gap.nanoseconds == 490)
    }

    @Test("The worst tablet's gap counts")
    func worstTablet() {
        var operations = history { history in
            for step in 0..<10 {
                history.put("a", "1", UInt64(step * 10)...UInt64(step * 10 + 1), at: UInt64(step))
            }
        }
        for place in [4, 5, 6] { operations[place].at?.tablet = TabletID(3) }
        let gap = DrillMeasures.worstGap(
            in: operations, overlapping: instant(45)..<instant(46), from: instant(0),
            to: instant(91))
        #expect(gap.nanoseconds == 40)
    }

    @Test("Writes in flight are those sent and not answered")
    func inFlight() {
        let history = history {
            $0.put("a", "1", 0...10)
            $0.put("b", "1", 5...15)
            $0.put("c", "1", 7...8, .unknown)
            $0.get("d", nil, 0...20)
            $0.put("e", "1", 11...12)
        }
        #expect(DrillMeasures.writesInFlight(in: history, at: instant(9)) == 3)
    }

    @Test("Counters are exact, short or over")
    func counters() {
        let increments: [CounterCheck.Increment] = [
            .init(key: "a", result: .ok), .init(key: "a", result: .ok),
            .init(key: "a", result: .fail),
            .init(key: "b", amount: 5, result: .ok), .init(key: "b", amount: 2, result: .unknown),
        ]
        let exact = CounterCheck(increments) { $0 == "a" ? 2 : 7 }
        let lost = CounterCheck(increments) { $0 == "a" ? 1 : 5 }
        let doubled = CounterCheck(increments) { $0 == "a" ? 3 : 8 }
        #expect(exact.isExact)
        #expect(lost.findings.map(\.lost) == [1, 0])
        #expect(doubled.findings.map(\.duplicated) == [1, 1])
    }
}
