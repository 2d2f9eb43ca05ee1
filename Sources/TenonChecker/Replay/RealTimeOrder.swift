internal import TenonCore

/// The operations of one tablet with what real time says of their versions: nothing stands below
/// what was answered before it was sent.
struct RealTimeOrder {
    /// The whole history; an operation is named by its place in it.
    let history: [HistoryOperation]
    /// The tablet's operations, and writes of unknown outcome.
    let places: [Int]
    /// By place: the highest version that the tablet had reached, as somebody was told, before
    /// the operation was sent.
    private(set) var floors: [Timestamp]
    /// The first operation that stands too low.
    private(set) var violation: Violation?

    /// What is looked at often, without the operation around it.
    private struct Moment {
        var place: Int
        var sentAt: Instant
        var endsAt: Instant
        var point: Timestamp
        var reached: Timestamp
        /// Whether its point says how far the tablet had come: not that of a read at a version.
        var tellsTime: Bool
        var isApplied: Bool

        init(_ operation: HistoryOperation, at place: Int) {
            self.place = place
            sentAt = operation.sentAt
            endsAt = operation.endsAt
            point = operation.point
            reached = operation.reachedPoint
            tellsTime =
                operation.asOf == nil && operation.at != nil && operation.result != .unknown
            isApplied = operation.isApplied
        }
    }

    /// - Complexity: O(n log n).
    init(of history: [HistoryOperation], places: [Int]) {
        self.history = history
        self.places = places
        floors = Array(repeating: .zero, count: history.count)
        let moments = places.map { Moment(history[$0], at: $0) }
        let sent = moments.sorted { $0.sentAt < $1.sentAt }
        let answered = moments.filter(\.tellsTime).sorted { $0.endsAt < $1.endsAt }
        var highest: Moment?
        var answeredCount = 0
        for moment in sent {
            while answeredCount < answered.count, answered[answeredCount].endsAt < moment.sentAt {
                let candidate = answered[answeredCount]
                answeredCount += 1
                if highest.map({ $0.reached < candidate.reached }) ?? true { highest = candidate }
            }
            guard let highest else { continue }
            floors[moment.place] = highest.reached
            if violation == nil { check(moment, after: highest) }
        }
        if violation == nil { checkOwnPoints() }
    }

    private mutating func check(_ moment: Moment, after highest: Moment) {
        guard moment.tellsTime else { return }
        let floor = highest.reached
        guard moment.point < floor || (moment.isApplied && moment.point == floor) else { return }
        violation = Violation(
            explanation: "stands at \(moment.point), but \(floor) was answered before it was "
                + "sent",
            culprit: history[moment.place], context: [history[highest.place]])
    }

    /// A write's answer comes at or after the write.
    private mutating func checkOwnPoints() {
        let early = places.first { place in
            guard history[place].isApplied, let version = history[place].version else {
                return false
            }
            return history[place].at.map { $0.version < version } ?? false
        }
        guard let early else { return }
        violation = Violation(
            explanation: "its version lies above the point of its answer", culprit: history[early])
    }
}
