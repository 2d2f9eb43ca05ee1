internal import Glibc
package import TenonCore

/// The clocks of this machine.
package struct SystemClock: Clock {
    package init() {}

    /// CLOCK_BOOTTIME: monotonic, and it counts the time a suspended machine slept (Rule C3).
    package var now: Instant {
        Instant(nanoseconds: SystemClock.read(CLOCK_BOOTTIME))
    }

    package var wallTime: WallTime {
        WallTime(milliseconds: SystemClock.read(CLOCK_REALTIME) / 1_000_000)
    }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        let result = unsafe clock_gettime(clock, &time)
        precondition(result == 0, "clock_gettime(\(clock)) failed: \(errno)")
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
