import TenonChecker
import TenonCore

/// Write RTO: how long after a fault it takes until writes flow again.
enum RecoveryTime {
    /// What counts as flowing.
    static let window = TimeSpan.seconds(1)
    /// No tablet may go longer than this without a successful write inside the window.
    static let pauseMax = TimeSpan.milliseconds(100)
    /// Of the writes that end in the window so many in a hundred end well.
    static let successPercentMin = 99

    /// From `fault` to the start of the first window of a second in which, on every tablet, writes
    /// succeed without a longer pause, and 99 of 100 writes that end in it end well. Nil when the
    /// history has no such window.
    ///
    /// - Complexity: O(n log n) for n operations.
    static func afterFault(
        at fault: Instant, in history: [HistoryOperation], tablets: Set<TabletID>
    ) -> TimeSpan? {
        var endings = Endings(history)
        guard let last = endings.last else { return nil }
        // A window can only begin at the fault or where a run of writes begins again: at a success.
        for start in [fault] + endings.successes where start >= fault && start + window <= last {
            if endings.flow(from: start, tablets: tablets) { return start.since(fault) }
        }
        return nil
    }

    /// Writes by the moment they ended, in order.
    private struct Endings {
        private var moments: [(at: Instant, tablet: TabletID?)] = []

        init(_ history: [HistoryOperation]) {
            moments = history.compactMap { operation in
                guard operation.isWrite, let at = operation.answeredAt else { return nil }
                let isSuccess = operation.result == .ok
                return (at, isSuccess ? operation.at?.tablet : nil)
            }.sorted { $0.at < $1.at }
        }

        var last: Instant? { moments.last?.at }

        var successes: [Instant] { moments.compactMap { $0.tablet == nil ? nil : $0.at } }

        /// Where a search from the last start left off: starts only go forward.
        private var cursor = 0

        mutating func flow(from start: Instant, tablets: Set<TabletID>) -> Bool {
            while cursor < moments.count, moments[cursor].at < start { cursor += 1 }
            var latest: [TabletID: Instant] = [:]
            for tablet in tablets { latest[tablet] = start }
            var count = 0
            var successCount = 0
            var place = cursor
            while place < moments.count, moments[place].at < start + window {
                let moment = moments[place]
                count += 1
                if let tablet = moment.tablet {
                    successCount += 1
                    if moment.at.since(latest[tablet] ?? start) > pauseMax { return false }
                    latest[tablet] = moment.at
                }
                place += 1
            }
            let end = start + window
            return successCount * 100 >= count * successPercentMin
                && latest.values.allSatisfy { end.since($0) <= pauseMax }
        }
    }
}
