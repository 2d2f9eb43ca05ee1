import TenonChecker
import TenonCore
import Testing

@Suite("Version replay")
struct VersionReplayTests {
    private func verdict(_ fill: (inout HistoryBuilder) -> Void) -> Verdict {
        var history = HistoryBuilder()
        fill(&history)
        return VersionReplay().verdict(of: history.operations)
    }

    @Test("A history that its versions explain holds")
    func explainedHistory() {
        #expect(
            verdict {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("b", "2", 0...1, at: 11)
                $0.get("a", "1", 2...3, version: 10, at: 11)
                $0.scan("", nil, [("a", "1"), ("b", "2")], 4...5, at: 11)
                $0.compareAndSet("a", .version(Timestamp(10)), "3", 6...7, at: 12)
                $0.compareAndSet("a", .absent, "4", 8...9, .fail, saw: .value("3"), at: 12)
                $0.delete("b", 10...11, found: true, at: 13)
                $0.scan("", nil, [("a", "3")], 12...13, at: 13)
                $0.deleteRange("a", "z", 14...15, at: 14)
                $0.scan("", nil, [], 16...17, at: 14)
            } == .holds)
    }

    @Test("A read that stands below an answered write is found")
    func staleRead() {
        #expect(
            verdict {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("a", "2", 2...3, at: 11)
                $0.get("a", "1", 4...5, version: 10, at: 10)
            }.isViolation)
    }

    @Test("A lost write is found by the read that missed it")
    func lostWrite() {
        #expect(
            verdict {
                $0.put("a", "1", 0...1, at: 10)
                $0.get("a", nil, 2...3, at: 12)
            }.isViolation)
    }

    /// Seed 279 of the simulator's `handover`: the first was placed right before the delete of the
    /// range, and left no version between the two for the second.
    @Test("Two lost transactions find room before one write")
    func roomForTwo() {
        #expect(
            verdict {
                $0.put("a", "1", 0...1, at: 100)
                $0.put("b", "2", 2...3, at: 200)
                $0.put("c", "3", 4...5, at: 300)
                $0.put("d", "4", 6...7, at: 400)
                $0.unknownTransaction(
                    if: [KeyCondition(key: "b", condition: .value("2"))],
                    then: [.deleteRange(from: "a", to: "b"), .delete("d"), .put("b", "5")], 8...9)
                $0.unknownTransaction(
                    then: [.deleteRange(from: "a", to: "d"), .put("a", "6")], 10...11)
                $0.deleteRange("a", "c", 12...13, at: 500)
                $0.delete("d", 14...15, found: false, at: 600)
                $0.getMany(["a", "b", "c", "d"], [nil, nil, nil, nil], 16...17, at: 700)
            } == .holds)
    }

    @Test("A version given twice is found")
    func versionTwice() {
        #expect(
            verdict {
                $0.put("a", "1", 0...10, at: 10)
                $0.put("b", "1", 0...10, at: 10)
            }.isViolation)
    }

    @Test("A write below one that was answered before it was sent is found")
    func versionBelow() {
        #expect(
            verdict {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("b", "1", 2...3, at: 9)
            }.isViolation)
    }

    @Test("A scan that misses a key, or shows one too many, is found")
    func wrongScans() {
        let missing = verdict {
            $0.put("a", "1", 0...1, at: 10)
            $0.put("b", "2", 2...3, at: 11)
            $0.scan("", nil, [("b", "2")], 4...5, at: 11)
        }
        let extra = verdict {
            $0.put("a", "1", 0...1, at: 10)
            $0.delete("a", 2...3, found: true, at: 11)
            $0.scan("", nil, [("a", "1")], 4...5, at: 11)
        }
        let unordered = verdict {
            $0.put("a", "1", 0...1, at: 10)
            $0.put("b", "2", 2...3, at: 11)
            $0.scan("", nil, [("b", "2"), ("a", "1")], 4...5, at: 11)
        }
        #expect(missing.isViolation)
        #expect(extra.isViolation)
        #expect(unordered.isViolation)
    }

    @Test("A full page says nothing of what lies beyond its last key")
    func fullPage() {
        #expect(
            verdict {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("b", "2", 2...3, at: 11)
                $0.scan("", nil, [("a", "1")], 4...5, at: 11, limit: 1)
                $0.scan("", nil, [("b", "2")], 4...5, at: 11, limit: 1, isReverse: true)
            } == .holds)
        #expect(
            verdict {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("b", "2", 2...3, at: 11)
                $0.scan("", nil, [("b", "2")], 4...5, at: 11, limit: 1)
            }.isViolation)
    }

    @Test("A condition that was not met is found")
    func wrongCondition() {
        #expect(
            verdict {
                $0.put("a", "0", 0...1, at: 10)
                $0.compareAndSet("a", .value("1"), "2", 2...3, at: 11)
                $0.compareAndSet("a", .value("0"), "1", 4...5, at: 12)
            }.isViolation)
    }

    @Test("An increment that ran twice is found")
    func duplicateIncrement() {
        #expect(
            verdict {
                $0.put("n", "0", 0...1, at: 10)
                $0.compareAndSet("n", .value("0"), "1", 2...3, at: 11)
                $0.get("n", "2", 4...5, version: 12, at: 12)
            }.isViolation)
    }

    @Test("A write whose answer was lost is placed by who saw it, once")
    func lostAnswer() {
        let once = verdict {
            $0.put("a", "1", 0...1, at: 10)
            $0.put("a", "2", 2...3, .unknown)
            $0.get("a", "1", 4...5, version: 10, at: 10)
            $0.get("a", "2", 6...7, version: 12, at: 13)
        }
        let twice = verdict {
            $0.put("a", "2", 2...3, .unknown)
            $0.get("a", "2", 6...7, version: 12, at: 13)
            $0.put("a", "3", 8...9, at: 14)
            $0.get("a", "2", 10...11, version: 15, at: 15)
        }
        #expect(once == .holds)
        #expect(twice.isViolation)
    }

    @Test("A delete whose answer was lost explains a missing key")
    func lostDelete() {
        #expect(
            verdict {
                $0.put("a", "1", 0...1, at: 10)
                $0.delete("a", 2...3, .unknown)
                $0.get("a", nil, 4...5, at: 12)
            } == .holds)
        #expect(
            verdict {
                $0.put("a", "1", 0...1, at: 10)
                $0.get("a", nil, 4...5, at: 12)
                $0.delete("a", 6...7, .unknown)
            }.isViolation)
    }

    @Test("A delete that reports wrongly whether it found a value is found")
    func wrongFound() {
        #expect(verdict { $0.delete("a", 0...1, found: true, at: 10) }.isViolation)
        #expect(
            verdict {
                $0.put("a", "1", 0...1, at: 10)
                $0.delete("a", 2...3, found: false, at: 11)
            }.isViolation)
    }

    @Test("What is not modelled makes the verdict say so, and a write without a point too")
    func notModelled() {
        guard case .undecided = verdict({ $0.add(.other(name: "watch"), 0...1, .ok) }) else {
            Issue.record("an unknown operation passed")
            return
        }
        guard case .undecided = verdict({ $0.put("a", "1", 0...1) }) else {
            Issue.record("a write without a point passed")
            return
        }
    }
}
