internal import TenonCore

/// The operations of one tablet with what real time says of their versions: nothing stands below
/// what was answered before it was sent.
struct RealTimeOrder {
    let operations: [HistoryOperation]
    /// By operation: the highest version that the tablet had reached, as somebody was told,
    /// before the operation was sent.
    private(set) var floors: [Timestamp]
    /// The first operation that stands too low.
    private(set) var violation: Violation?

    /// - Complexity: O(n log n).
    init(of operations: [HistoryOperation]) {
        self.operations = operations
        floors = Array(repeating: .zero, count: operations.count)
        let sent = operations.indices.sorted { operations[$0].sentAt < operations[$1].sentAt }
        let answered = operations.indices.filter { operations[$0].tellsTime }
            .sorted { operations[$0].endsAt < operations[$1].endsAt }
        var highest: Int?
        var answeredCount = 0
        for place in sent {
            let sentAt = operations[place].sentAt
            while answeredCount < answered.count,
                operations[answered[answeredCount]].endsAt < sentAt
            {
                let candidate = answered[answeredCount]
                answeredCount += 1
                let reached = operations[candidate].reachedPoint
                if highest.map({ operations[$0].reachedPoint < reached }) ?? true {
                    highest = candidate
                }
            }
            guard let highest else { continue }
            floors[place] = operations[highest].reachedPoint
            if violation == nil { check(place, after: highest) }
        }
        if violation == nil { checkOwnPoints() }
    }

    private mutating func check(_ place: Int, after highest: Int) {
        let operation = operations[place]
        guard operation.tellsTime else { return }
        let floor = operations[highest].reachedPoint
        guard operation.point < floor || (operation.isApplied && operation.point == floor) else {
            return
        }
        violation = Violation(
            explanation: "stands at \(operation.point), but \(floor) was answered before it was "
                + "sent",
            culprit: operation, context: [operations[highest]])
    }

    /// A write's answer comes at or after the write.
    private mutating func checkOwnPoints() {
        let early = operations.first { operation in
            guard operation.isApplied, let version = operation.version else { return false }
            return operation.at.map { $0.version < version } ?? false
        }
        guard let early else { return }
        violation = Violation(
            explanation: "its version lies above the point of its answer", culprit: early)
    }
}

extension HistoryOperation {
    /// Whether its point says how far the tablet had come: not that of a read at a version.
    fileprivate var tellsTime: Bool { asOf == nil && at != nil && result != .unknown }
}
