import TenonCore

/// When the operations of an open loop are due: at a fixed rate, whatever the answers do.
///
/// Latencies count from here, so a stalled cluster is charged with all who had to wait (no
/// coordinated omission).
struct OpenLoopSchedule: Sendable {
    let start: Instant
    let perSecond: Int
    private var nextNumber: UInt64 = 0

    init(start: Instant, perSecond: Int) {
        precondition(perSecond > 0, "a rate of \(perSecond) operations a second")
        self.start = start
        self.perSecond = perSecond
    }

    /// When operation `number` is due, the first being 0.
    func dueTime(of number: UInt64) -> Instant {
        start + TimeSpan(nanoseconds: number * 1_000_000_000 / UInt64(perSecond))
    }

    /// The operations that have become due since the last call, at most `limit` of them: who lags
    /// behind catches up in pieces.
    mutating func takeDue(at now: Instant, limit: Int) -> Range<UInt64> {
        let first = nextNumber
        while nextNumber - first < UInt64(limit), dueTime(of: nextNumber) <= now {
            nextNumber += 1
        }
        return first..<nextNumber
    }
}
