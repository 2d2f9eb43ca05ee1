import TenonChecker
import TenonCore
import Testing

@Suite("Register check")
struct RegisterCheckTests {
    private func verdict(_ fill: (inout HistoryBuilder) -> Void) -> Verdict {
        var history = HistoryBuilder()
        fill(&history)
        return RegisterCheck().verdict(of: history.operations)
    }

    @Test("An empty history holds")
    func emptyHistory() {
        #expect(verdict { _ in } == .holds)
    }

    @Test("Operations one after another hold when each sees the last")
    func sequentialHistory() {
        #expect(
            verdict {
                $0.get("k", nil, 0...1)
                $0.put("k", "a", 2...3)
                $0.get("k", "a", 4...5)
                $0.compareAndSet("k", .value("a"), "b", 6...7)
                $0.delete("k", 8...9)
                $0.get("k", nil, 10...11)
            } == .holds)
    }

    @Test("A stale read is found and named")
    func staleRead() throws {
        let verdict = verdict {
            $0.put("k", "a", 0...1)
            $0.put("k", "b", 2...3)
            $0.get("k", "a", 4...5)
        }
        guard case .violated(let violation) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(violation.culprit.action == .get(key: "k"))
        #expect(violation.context.contains { $0.action == .put(key: "k", value: "a") })
        #expect(violation.context.contains { $0.action == .put(key: "k", value: "b") })
    }

    @Test("A lost write is found")
    func lostWrite() {
        #expect(
            verdict {
                $0.put("k", "a", 0...1)
                $0.get("k", nil, 2...3)
            }.isViolation)
    }

    @Test("A value that nobody wrote is found")
    func inventedValue() {
        #expect(
            verdict {
                $0.put("k", "a", 0...1)
                $0.get("k", "z", 2...3)
            }.isViolation)
    }

    @Test("Concurrent reads may see either value, but not go back")
    func concurrentReads() {
        let forward = verdict {
            $0.put("k", "a", 0...1)
            $0.put("k", "b", 2...20)
            $0.get("k", "a", 3...4)
            $0.get("k", "b", 5...6)
        }
        let back = verdict {
            $0.put("k", "a", 0...1)
            $0.put("k", "b", 2...20)
            $0.get("k", "b", 3...4)
            $0.get("k", "a", 5...6)
        }
        #expect(forward == .holds)
        #expect(back.isViolation)
    }

    @Test("An unknown write may take effect late, or never, but once")
    func unknownWrite() {
        let late = verdict {
            $0.put("k", "a", 0...1)
            $0.put("k", "b", 2...3, .unknown)
            $0.get("k", "a", 4...5)
            $0.get("k", "b", 6...7)
        }
        let twice = verdict {
            $0.put("k", "a", 0...1)
            $0.put("k", "b", 2...3, .unknown)
            $0.get("k", "b", 4...5)
            $0.put("k", "c", 6...7)
            $0.get("k", "b", 8...9)
        }
        #expect(late == .holds)
        #expect(twice.isViolation)
    }

    @Test("A write that surely failed is never seen")
    func failedWrite() {
        #expect(
            verdict {
                $0.put("k", "a", 0...1, .fail)
                $0.get("k", "a", 2...3)
            }.isViolation)
    }

    @Test("Two compare-and-sets from one value cannot both have held")
    func doubleCompareAndSet() {
        #expect(
            verdict {
                $0.put("k", "0", 0...1)
                $0.compareAndSet("k", .value("0"), "1", 2...10)
                $0.compareAndSet("k", .value("0"), "1", 2...10)
            }.isViolation)
    }

    @Test("Compare-and-sets that hold only in the other order are found")
    func reorderedCompareAndSet() {
        let inOrder = verdict {
            $0.put("k", "0", 0...1)
            $0.compareAndSet("k", .value("0"), "1", 2...3)
            $0.compareAndSet("k", .value("1"), "2", 4...5)
        }
        let reordered = verdict {
            $0.put("k", "0", 0...1)
            $0.compareAndSet("k", .value("1"), "2", 2...3)
            $0.compareAndSet("k", .value("0"), "1", 4...5)
        }
        #expect(inOrder == .holds)
        #expect(reordered.isViolation)
    }

    @Test("A condition that failed says what it saw")
    func failedCondition() {
        let honest = verdict {
            $0.put("k", "a", 0...1)
            $0.compareAndSet("k", .absent, "b", 2...3, .fail, saw: .value("a"))
        }
        let wrong = verdict {
            $0.put("k", "a", 0...1)
            $0.compareAndSet("k", .value("a"), "b", 2...3, .fail, saw: .value("a"))
        }
        #expect(honest == .holds)
        #expect(wrong.isViolation)
    }

    @Test("A condition on a version is met by that version only")
    func conditionOnVersion() {
        let met = verdict {
            $0.put("k", "a", 0...1, at: 7)
            $0.compareAndSet("k", .version(Timestamp(7)), "b", 2...3, at: 8)
        }
        let unmet = verdict {
            $0.put("k", "a", 0...1, at: 7)
            $0.compareAndSet("k", .version(Timestamp(6)), "b", 2...3, at: 8)
        }
        #expect(met == .holds)
        #expect(unmet.isViolation)
    }

    @Test("Versions that fall are found, although the values have an order")
    func fallingVersions() {
        // Both writes are concurrent: by their values alone a, then b is an order.
        let verdict = verdict {
            $0.put("k", "a", 0...5, at: 8)
            $0.put("k", "b", 1...6, at: 7)
            $0.get("k", "b", 7...8, version: 7)
        }
        #expect(verdict.isViolation)
    }

    /// Many writes at a time: without their versions every order of them is tried.
    @Test("Concurrent writes are ordered by their versions, not by trial")
    func manyConcurrentWrites() {
        var history = HistoryBuilder()
        let count: UInt64 = 24
        for number in 0..<count {
            history.put("k", Bytes("v\(number)"), 0...100, at: 100 + number * 7 % count)
        }
        // The last two of the order that the versions tell.
        let last = (0..<count).sorted { $0 * 7 % count < $1 * 7 % count }.suffix(2)
        for (place, number) in last.enumerated() {
            history.get(
                "k", Bytes("v\(number)"), 50...(101 + UInt64(place)),
                version: 100 + number * 7 % count)
        }
        var check = RegisterCheck()
        check.statesMax = 1_000
        #expect(check.verdict(of: history.operations) == .holds)
    }

    @Test("Keys are checked apart, and the broken one is named")
    func keysApart() {
        let verdict = verdict {
            $0.put("a", "1", 0...1)
            $0.put("b", "1", 0...1)
            $0.get("a", "1", 2...3)
            $0.get("b", nil, 2...3)
        }
        guard case .violated(let violation) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(violation.culprit.key == "b")
    }

    @Test("A search over its bound is undecided, and so is what is not modelled")
    func undecided() {
        var history = HistoryBuilder()
        for writer in 0..<12 { history.put("k", Bytes("\(writer)"), 0...100) }
        for reader in 0..<12 { history.get("k", Bytes("\(reader)"), 101...200) }
        var check = RegisterCheck()
        check.statesMax = 1_000
        guard case .undecided = check.verdict(of: history.operations) else {
            Issue.record("a search of 12! orders within 1,000 states")
            return
        }
        var transaction = HistoryBuilder()
        transaction.add(.other(name: "watch"), 0...1, .ok)
        guard case .undecided = RegisterCheck().verdict(of: transaction.operations) else {
            Issue.record("a watch taken for a register's operation")
            return
        }
    }

    @Test(
        "Histories of a real register hold, and most with one answer changed do not",
        arguments: 0..<40)
    func randomHistories(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let history = SimulatedRegister.history(operations: 60, using: &generator)
        #expect(RegisterCheck().verdict(of: history) == .holds)
        let reads = history.indices.filter { history[$0].read != nil && history[$0].result == .ok }
        guard let broken = reads.randomElement(using: &generator) else { return }
        var changed = history
        changed[broken].read = .value("never written")
        #expect(RegisterCheck().verdict(of: changed).isViolation)
    }

    @Test("A verdict equals that of trying every order")
    func agreesWithEveryOrder() {
        var brokenCount = 0
        for seed in UInt64(0)..<300 {
            var generator = SeededGenerator(seed: 1_000 + seed)
            var history = SimulatedRegister.history(operations: 6, using: &generator)
            // Half of them get a read changed to another plausible value.
            let reads = history.indices.filter { history[$0].read != nil }
            if seed.isMultiple(of: 2), let place = reads.last {
                history[place].read = .value(Bytes("v\(generator.below(6))"))
            }
            let isLinearizable = EveryOrder.isLinearizable(history)
            if !isLinearizable { brokenCount += 1 }
            #expect((RegisterCheck().verdict(of: history) == .holds) == isLinearizable)
        }
        // The comparison means something only when both answers are common.
        #expect((50..<250).contains(brokenCount), "\(brokenCount) of 300 are broken")
    }
}

/// A register that takes each operation at a random moment between its call and its answer.
enum SimulatedRegister {
    static func history(
        operations count: Int, using generator: inout SeededGenerator
    ) -> [HistoryOperation] {
        var history: [HistoryOperation] = []
        var value: Bytes?
        // Effects happen at 10, 20, …; calls begin up to 35 before and answers come up to 35 after.
        for step in 0..<count {
            let effect = UInt64(step + 10) * 10
            let sentAt = Instant(nanoseconds: effect - generator.below(35))
            let answeredAt = Instant(nanoseconds: effect + generator.below(35))
            var operation = HistoryOperation(
                worker: step, sentAt: sentAt, answeredAt: answeredAt, action: .get(key: "k"),
                result: .ok)
            let isLost = generator.below(8) == 0
            let isApplied = !isLost || generator.below(2) == 0
            let written = Bytes("v\(step)")
            switch generator.below(4) {
            case 0:
                operation.action = .put(key: "k", value: written)
                if isApplied { value = written }
            case 1:
                operation.action = .delete(key: "k")
                if isApplied { value = nil }
            case 2:
                let expect: Condition = value.map { .value($0) } ?? .absent
                operation.action = .compareAndSet(key: "k", value: written, expect: expect)
                if isApplied { value = written }
            default:
                operation.read = value.map { .value($0) } ?? .absent
            }
            if isLost && operation.isWrite {
                operation.result = .unknown
                operation.answeredAt = nil
            }
            history.append(operation)
        }
        return history
    }
}

/// The definition of linearizability itself, for short histories: some subset with all answered
/// operations, in some order that agrees with real time, is what a register does.
enum EveryOrder {
    static func isLinearizable(_ history: [HistoryOperation]) -> Bool {
        search(history, value: nil)
    }

    private static func search(_ left: [HistoryOperation], value: Bytes?) -> Bool {
        if left.allSatisfy({ $0.result == .unknown }) { return true }
        for (place, operation) in left.enumerated() {
            let isFirst = left.allSatisfy { $0.endsAt >= operation.sentAt }
            guard isFirst, let next = apply(operation, to: value) else { continue }
            var rest = left
            rest.remove(at: place)
            if search(rest, value: next.value) { return true }
        }
        return false
    }

    private static func apply(_ operation: HistoryOperation, to value: Bytes?) -> (
        value: Bytes?, Void
    )? {
        switch operation.action {
        case .put(_, let written): return (written, ())
        case .delete: return (nil, ())
        case .compareAndSet(_, let written, let expect):
            let holds = expect.holds(of: value.map { StoredValue(bytes: $0, version: .zero) })
            return holds ? (written, ()) : nil
        case .get:
            let seen: HistoryOperation.Reading = value.map { .value($0) } ?? .absent
            return operation.read == seen ? (value, ()) : nil
        case .getMany, .compareAndDelete, .scan, .deleteRange, .transaction, .other: return nil
        }
    }
}
