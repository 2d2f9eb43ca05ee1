import TenonChecker
import TenonCore
import Testing

/// Wrong histories that only a whole tablet's replay, or a whole operation's view, can refuse.
@Suite("Replay of wrong histories")
struct ReplayViolationTests {
    private func history(_ fill: (inout HistoryBuilder) -> Void) -> [HistoryOperation] {
        var history = HistoryBuilder()
        fill(&history)
        return history.operations
    }

    /// Both checkers see it.
    private func isRefusedByBoth(_ fill: (inout HistoryBuilder) -> Void) -> Bool {
        let history = history(fill)
        return VersionReplay().verdict(of: history).isViolation
            && RegisterCheck().verdict(of: history).isViolation
    }

    private func isRefused(_ fill: (inout HistoryBuilder) -> Void) -> Bool {
        VersionReplay().verdict(of: history(fill)).isViolation
    }

    /// Both checkers accept it.
    private func isAccepted(_ fill: (inout HistoryBuilder) -> Void) -> Bool {
        let history = history(fill)
        return VersionReplay().verdict(of: history) == .holds
            && RegisterCheck().verdict(of: history) == .holds
    }

    @Test("A message names the operation, what was there and what was seen")
    func message() throws {
        let history = history {
            $0.put("a", "1", 0...1, at: 10)
            $0.put("a", "2", 2...3, at: 11)
            $0.get("a", "1", 4...5, version: 10, at: 12)
        }
        guard case .violated(let violation) = VersionReplay().verdict(of: history) else {
            Issue.record("a stale read passed")
            return
        }
        #expect(violation.culprit == history[2])
        #expect(violation.context.first == history[1])
        #expect(
            violation.explanation
                == #"at 12 it saw "1" of version 10 in "a", but there was "2" of version 11"#)
    }

    @Test("A value that only a refused write carried is a dirty read")
    func dirtyRead() {
        let history = history {
            $0.put("a", "1", 0...1, at: 10)
            $0.put("a", "2", 2...3, .fail)
            $0.get("a", "2", 4...5, version: 12, at: 12)
        }
        guard case .violated(let violation) = VersionReplay().verdict(of: history) else {
            Issue.record("a dirty read passed")
            return
        }
        #expect(violation.explanation.contains("only an operation that failed"))
        #expect(violation.context.contains(history[1]))
        #expect(RegisterCheck().verdict(of: history).isViolation)
    }

    @Test("A condition that failed leaves nothing")
    func appliedAlthoughFailed() {
        #expect(
            isRefusedByBoth {
                $0.put("a", "1", 0...1, at: 10)
                $0.compareAndSet("a", .absent, "2", 2...3, .fail, saw: .value("1"), at: 11)
                $0.get("a", "2", 4...5, version: 11, at: 12)
            })
    }

    @Test("A write that ran twice shows by its second version")
    func duplicate() {
        #expect(
            isRefusedByBoth {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("a", "2", 2...3, at: 11)
                $0.get("a", "1", 4...5, version: 12, at: 12)
            })
        #expect(
            isRefused {
                $0.put("a", "1", 0...1, at: 10)
                $0.get("a", "1", 4...5, version: 12, at: 12)
            })
    }

    @Test("A read that shows a value before its own version is found")
    func future() {
        #expect(
            isRefused {
                $0.put("a", "1", 0...9, at: 12)
                $0.get("a", "1", 0...9, version: 12, at: 11)
            })
    }

    @Test("An answer that stands below its own version is found")
    func answerBelowVersion() {
        #expect(
            isRefused {
                $0.add(.put(key: "a", value: "1"), 0...1, .ok, version: 11, at: 10)
            })
    }

    @Test("The answer to a retry stands above its write, and the write keeps its version")
    func retriedWrite() {
        #expect(
            isAccepted {
                $0.add(.put(key: "a", value: "1"), 0...9, .ok, version: 10, at: 14)
                $0.put("a", "2", 2...3, at: 12)
                $0.get("a", "2", 4...5, version: 12, at: 13)
                $0.get("a", "2", 10...11, version: 12, at: 14)
            })
        // It was answered at 14, so nothing below that may be answered later.
        #expect(
            isRefused {
                $0.add(.put(key: "a", value: "1"), 0...9, .ok, version: 10, at: 14)
                $0.get("a", "1", 10...11, version: 10, at: 13)
            })
    }

    @Test("A retried condition may have failed before its answer's point, but after its sending")
    func retriedCondition() {
        let asBefore: (inout HistoryBuilder) -> Void = {
            $0.put("a", "1", 0...1, at: 10)
            $0.compareAndSet("a", .absent, "3", 2...9, .fail, saw: .value("1"), at: 14)
            $0.put("a", "2", 4...5, at: 12)
        }
        #expect(isAccepted(asBefore))
        #expect(
            isRefusedByBoth {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("a", "2", 2...3, at: 12)
                $0.compareAndSet("a", .absent, "3", 4...9, .fail, saw: .value("1"), at: 14)
            })
    }

    // MARK: several keys

    @Test("A getMany shows one moment")
    func tornGetMany() {
        #expect(
            isAccepted {
                $0.put("a", "1", 0...1, at: 10)
                $0.getMany(["a", "b"], [StoredValue("1", 10), nil], 2...3, at: 10)
            })
        // Each value was there at some moment of the read; both never were.
        #expect(
            isRefused {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("a", "2", 2...9, at: 11)
                $0.put("b", "1", 2...9, at: 12)
                $0.getMany(
                    ["a", "b"], [StoredValue("1", 10), StoredValue("1", 12)], 2...9, at: 12)
            })
        #expect(
            isRefusedByBoth {
                $0.getMany(["a", "b"], [nil], 2...3, at: 10)
            })
    }

    @Test("A scan that misses a key is found by both checkers")
    func scanMisses() {
        #expect(
            isRefusedByBoth {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("b", "2", 2...3, at: 11)
                $0.scan("a", "c", [("b", "2")], 4...5, at: 11)
            })
        #expect(
            isRefusedByBoth {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("b", "2", 2...3, at: 11)
                $0.scan("a", "c", [("b", "2")], 4...5, at: 11, limit: 2, isReverse: true)
            })
    }

    @Test("A page says nothing of what lies in its rest, and all of what lies before")
    func pageWithRest() {
        let page = { (rest: Bytes) -> Bool in
            isAccepted {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("c", "2", 2...3, at: 11)
                $0.scan("a", "z", [("a", "1")], 4...5, at: 11, rest: rest)
            }
        }
        #expect(page("b"))
        #expect(page("c"))
        #expect(!page("d"))
        #expect(
            isAccepted {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("c", "2", 2...3, at: 11)
                $0.scan("a", "z", [("c", "2")], 4...5, at: 11, isReverse: true, rest: "c")
            })
    }

    @Test("A page with more than its limit, or with keys not asked for, is found")
    func wrongPages() {
        #expect(
            isRefusedByBoth {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("b", "2", 2...3, at: 11)
                $0.scan("", nil, [("a", "1"), ("b", "2")], 4...5, at: 11, limit: 1)
            })
        #expect(
            isRefusedByBoth {
                $0.put("a", "1", 0...1, at: 10)
                $0.scan("b", nil, [("a", "1")], 4...5, at: 11)
            })
    }

    @Test("A key that a range delete covered does not come back")
    func rangeDelete() {
        #expect(
            isRefusedByBoth {
                $0.put("a", "1", 0...1, at: 10)
                $0.deleteRange("a", "c", 2...3, at: 11)
                $0.get("a", "1", 4...5, version: 10, at: 11)
            })
        #expect(
            isAccepted {
                $0.put("c", "1", 0...1, at: 10)
                $0.deleteRange("a", "c", 2...3, at: 11)
                $0.get("c", "1", 4...5, version: 10, at: 11)
            })
    }

    // MARK: transactions

    private static let transfer: [TenonCore.Operation] = [.put("x", "4"), .put("y", "6")]

    @Test("A transaction that holds")
    func transaction() {
        #expect(
            isAccepted {
                $0.put("x", "5", 0...1, at: 10)
                $0.transaction(
                    if: [KeyCondition(key: "x", condition: .version(Timestamp(10)))],
                    then: [
                        .get(key: "x"), .put("x", "4"), .get(key: "x"),
                        .deleteRange(from: "x", to: nil),
                        .get(key: "x"), .delete("x"), .put("y", "6", if: .present), .put("z", "1"),
                    ], 2...3,
                    [
                        .value(StoredValue("5", 10)), .written, .value(StoredValue("4", 11)),
                        .written,
                        .value(nil), .deleted(found: false), .conditionFailed(current: nil),
                        .written,
                    ], at: 11)
                $0.transaction(
                    if: [
                        KeyCondition(key: "z", condition: .present),
                        KeyCondition(key: "x", condition: .present),
                    ], then: [.put("z", "2")], else: [.get(key: "z")], 4...5, succeeded: false,
                    [.value(StoredValue("1", 11))], at: 12)
                $0.scan("", nil, [("z", "1")], 6...7, at: 12)
            })
    }

    @Test("A torn transaction is found")
    func tornTransaction() {
        // Half of its writes are there.
        #expect(
            isRefusedByBoth {
                $0.put("x", "5", 0...1, at: 10)
                $0.transaction(
                    then: ReplayViolationTests.transfer, 2...3, [.written, .written], at: 11)
                $0.scan("", nil, [("x", "4")], 4...5, at: 12)
            })
        // Seen between its writes.
        #expect(
            isRefused {
                $0.put("x", "5", 0...1, at: 10)
                $0.transaction(
                    then: ReplayViolationTests.transfer, 2...9, [.written, .written], at: 12)
                $0.scan("", nil, [("x", "5"), ("y", "6")], 2...9, at: 12)
            })
    }

    @Test("A transaction that was torn although nobody was told its outcome is found")
    func tornUnknownTransaction() {
        let seen = { (y: [(Bytes, Bytes)]) -> Bool in
            isAccepted {
                $0.put("x", "5", 0...1, at: 10)
                $0.unknownTransaction(then: ReplayViolationTests.transfer, 2...3)
                $0.get("x", "4", 4...5, version: 12, at: 12)
                $0.scan("", nil, [("x", "4")] + y, 6...7, at: 13)
            }
        }
        #expect(seen([("y", "6")]))
        #expect(
            isRefused {
                $0.put("x", "5", 0...1, at: 10)
                $0.unknownTransaction(then: ReplayViolationTests.transfer, 2...3)
                $0.get("x", "4", 4...5, version: 12, at: 12)
                $0.scan("", nil, [("x", "4")], 6...7, at: 13)
            })
    }

    @Test("The wrong list is found")
    func wrongList() {
        #expect(
            isRefusedByBoth {
                $0.put("x", "5", 0...1, at: 10)
                $0.transaction(
                    if: [KeyCondition(key: "x", condition: .present)], then: [.put("x", "1")],
                    else: [.put("x", "2")], 2...3, succeeded: false, [.written], at: 11)
            })
        #expect(
            isRefusedByBoth {
                $0.transaction(
                    if: [KeyCondition(key: "x", condition: .present)], then: [.put("x", "1")],
                    2...3, [.written], at: 11)
            })
        #expect(
            isRefused {
                $0.transaction(
                    if: [
                        KeyCondition(key: "x", condition: .absent),
                        KeyCondition(key: "y", condition: .absent),
                    ], then: [], else: [.put("x", "1")], 2...3, succeeded: false, [.written],
                    at: 11)
            })
    }

    @Test("A transaction that does not see its own writes is found")
    func ownWrites() {
        #expect(
            isRefusedByBoth {
                $0.transaction(
                    then: [.put("x", "1"), .get(key: "x")], 2...3, [.written, .value(nil)], at: 11)
            })
        #expect(
            isRefusedByBoth {
                $0.transaction(then: [.put("x", "1")], 2...3, [.deleted(found: true)], at: 11)
            })
        #expect(
            isRefusedByBoth {
                $0.transaction(then: [.put("x", "1")], 2...3, [], at: 11)
            })
    }

    // MARK: outcomes that nobody was told

    @Test("A range delete without an answer removes all of its keys at once")
    func unknownRange() {
        let base: (inout HistoryBuilder) -> Void = {
            $0.put("a", "1", 0...1, at: 10)
            $0.put("b", "2", 2...3, at: 11)
            $0.deleteRange("a", "c", 4...5, .unknown)
        }
        #expect(
            isAccepted {
                base(&$0)
                $0.get("a", nil, 6...7, at: 13)
                $0.scan("", nil, [], 8...9, at: 14)
            })
        #expect(
            isRefused {
                base(&$0)
                $0.get("a", nil, 6...7, at: 13)
                $0.get("b", "2", 8...9, version: 11, at: 14)
            })
    }

    @Test("A range delete is placed before the write that outlived it")
    func unknownRangeBeforeWrite() {
        #expect(
            isAccepted {
                $0.put("a", "1", 0...1, at: 10)
                $0.deleteRange("a", "c", 4...5, .unknown)
                $0.put("b", "2", 6...7, at: 20)
                $0.get("a", nil, 8...9, at: 30)
                $0.get("b", "2", 8...9, version: 20, at: 30)
            })
    }

    @Test("A write without an answer explains one thing only")
    func usedTwice() {
        #expect(
            isRefusedByBoth {
                $0.put("a", "1", 0...1, at: 10)
                $0.delete("a", 2...3, .unknown)
                $0.get("a", nil, 4...5, at: 12)
                $0.put("a", "2", 6...7, at: 13)
                $0.get("a", nil, 8...9, at: 15)
            })
        #expect(
            isAccepted {
                $0.put("a", "1", 0...1, at: 10)
                $0.delete("a", 2...3, .unknown)
                $0.deleteRange("", nil, 2...3, .unknown)
                $0.get("a", nil, 4...5, at: 12)
                $0.put("a", "2", 6...7, at: 13)
                $0.get("a", nil, 8...9, at: 15)
            })
    }

    @Test("A write without an answer does not run before it was sent")
    func beforeSent() {
        #expect(
            isRefusedByBoth {
                $0.put("a", "1", 0...1, at: 10)
                $0.get("a", nil, 4...5, at: 12)
                $0.delete("a", 6...7, .unknown)
            })
        #expect(
            isRefused {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("b", "1", 2...3, at: 20)
                $0.put("a", "2", 4...5, .unknown)
                $0.get("a", "2", 6...7, version: 15, at: 21)
            })
    }

    @Test("A chain of writes without answers is followed")
    func chain() {
        #expect(
            isAccepted {
                $0.put("a", "1", 0...1, at: 10)
                $0.put("a", "2", 2...3, .unknown)
                $0.compareAndSet("a", .value("2"), "3", 4...5, .unknown)
                $0.compareAndSet("a", .value("3"), "4", 6...7, at: 20)
            })
        #expect(
            isRefusedByBoth {
                $0.put("a", "1", 0...1, at: 10)
                $0.compareAndSet("a", .value("2"), "3", 4...5, .unknown)
                $0.compareAndSet("a", .value("3"), "4", 6...7, at: 20)
            })
    }
}
