package import TenonCore

/// Exactly-once: counters that were raised by writes with sessions have exactly the sums that the
/// outcomes say.
package struct CounterCheck: Hashable, Sendable {
    /// One increment as its caller saw it end.
    package struct Increment: Hashable, Sendable {
        package var key: Bytes
        package var amount: Int
        package var result: HistoryOperation.Result

        package init(key: Bytes, amount: Int = 1, result: HistoryOperation.Result) {
            self.key = key
            self.amount = amount
            self.result = result
        }
    }

    /// How one counter ended.
    package struct Finding: Hashable, Sendable {
        package var key: Bytes
        /// The sums that the outcomes allow; one sum when no outcome is unknown.
        package var allowed: ClosedRange<Int>
        package var actual: Int

        /// Acknowledged increments that are missing.
        package var lost: Int { max(0, allowed.lowerBound - actual) }
        /// Increments too many: something ran twice, or ran although it was refused.
        package var duplicated: Int { max(0, actual - allowed.upperBound) }
        package var isExact: Bool { lost == 0 && duplicated == 0 }
    }

    /// Every counter, in key order.
    package var findings: [Finding]
    package var isExact: Bool { findings.allSatisfy(\.isExact) }

    /// - Parameter actual: what a counter holds at the end; 0 when it has no value.
    package init(_ increments: [Increment], actual: (Bytes) -> Int) {
        var sums: [Bytes: (known: Int, unknown: Int)] = [:]
        for increment in increments {
            precondition(increment.amount > 0, "an increment by \(increment.amount)")
            var sum = sums[increment.key] ?? (0, 0)
            switch increment.result {
            case .ok: sum.known += increment.amount
            case .unknown: sum.unknown += increment.amount
            case .fail: break
            }
            sums[increment.key] = sum
        }
        findings = sums.keys.sorted().map { key in
            let sum = sums[key] ?? (0, 0)
            return Finding(
                key: key, allowed: sum.known...(sum.known + sum.unknown), actual: actual(key))
        }
    }
}
