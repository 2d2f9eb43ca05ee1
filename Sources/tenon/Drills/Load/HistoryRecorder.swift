import Synchronization
import TenonChecker
import TenonCore

/// Collects what the load did. Any task may record; one lock for all, held for an append.
final class HistoryRecorder: Sendable {
    private struct State {
        var operations: [HistoryOperation] = []
        /// From when each operation was due, of those that were answered.
        var latencies: [TimeSpan] = []
        var writesInFlight = 0
        var operationsInFlight = 0
        /// Operations that were never sent: the load's own bound, or what they needed was missing.
        var unsent = 0
    }

    private let state = Mutex(State())

    /// More operations under way than this are not sent: the load stays within memory when a
    /// cluster does not come back.
    static let inFlightMax = 50_000

    var writesInFlight: Int { state.withLock { $0.writesInFlight } }

    /// Notes that an operation begins; false when too many are under way.
    func begin(isWrite: Bool) -> Bool {
        state.withLock { state in
            guard state.operationsInFlight < HistoryRecorder.inFlightMax else {
                state.unsent += 1
                return false
            }
            state.operationsInFlight += 1
            if isWrite { state.writesInFlight += 1 }
            return true
        }
    }

    /// Notes how an operation ended that began.
    func end(_ operation: HistoryOperation, due: Instant) {
        state.withLock { state in
            state.operationsInFlight -= 1
            if operation.isWrite { state.writesInFlight -= 1 }
            state.operations.append(operation)
            if operation.result == .ok, let answered = operation.answeredAt {
                state.latencies.append(answered.since(due))
            }
        }
    }

    func noteUnsent() { state.withLock { $0.unsent += 1 } }

    /// All that was recorded since the last call, in the order in which it was sent.
    func take() -> Recording {
        let (operations, latencies, unsent) = state.withLock { state in
            let taken = (state.operations, state.latencies, state.unsent)
            state.operations = []
            state.latencies = []
            state.unsent = 0
            return taken
        }
        return Recording(
            operations: operations.sorted { $0.sentAt < $1.sentAt }, latencies: latencies.sorted(),
            unsent: unsent)
    }
}

/// What the load did in one round.
struct Recording: Sendable {
    /// By the moment they were sent.
    var operations: [HistoryOperation]
    /// Ascending.
    var latencies: [TimeSpan]
    var unsent: Int

    /// The latency below which `percent` of a hundred answers stayed; zero without answers.
    func latency(percent: Int) -> TimeSpan {
        guard let last = latencies.indices.last else { return .zero }
        return latencies[min(last, latencies.count * percent / 100)]
    }

    /// Writes that ended so.
    func writes(_ result: HistoryOperation.Result) -> Int {
        operations.count { $0.isWrite && $0.result == result }
    }
}

/// The one clock of a drill: CLOCK_MONOTONIC of this machine.
enum DrillClock {
    static var now: Instant {
        let (seconds, attoseconds) = origin.duration(to: ContinuousClock.now).components
        return Instant(
            nanoseconds: UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000))
    }

    /// Instants count from the first use: only their order and distance mean anything.
    private static let origin = ContinuousClock.now
}
