internal import Synchronization
package import TenonCore
package import TenonWire

/// The clocks of this machine, of which the wall clock can be ordered to be wrong. The monotonic
/// clock stays right: what goes by the wall clock and should not shows itself.
package final class FaultyClock<Base: Clock>: Clock {
    private let base: Base
    /// The fault, and since when it drifts.
    private let state = Mutex<(fault: ClockDisorder, since: Instant)?>(nil)

    package init(_ base: Base) { self.base = base }

    package var now: Instant { base.now }

    /// What is wrong with it; nil for nothing.
    package var fault: ClockDisorder? {
        get { state.withLock { $0?.fault } }
        set {
            let now = base.now
            state.withLock { $0 = newValue.map { ($0, now) } }
        }
    }

    package var wallTime: WallTime {
        let right = base.wallTime
        guard let (fault, since) = state.withLock({ $0 }) else { return right }
        let drift =
            Int64(base.now.since(since).wholeMilliseconds) * Int64(fault.driftPartsPerMillion)
            / 1_000_000
        let wrong = Int64(clamping: right.milliseconds) + fault.shiftMilliseconds + drift
        return WallTime(milliseconds: UInt64(max(0, wrong)))
    }
}
