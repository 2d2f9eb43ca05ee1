/// A moment on a node's monotonic clock, in nanoseconds since an arbitrary start.
package struct Instant: Hashable, Comparable, Sendable {
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }
    package static let zero = Instant(nanoseconds: 0)
    package static let distantFuture = Instant(nanoseconds: .max)

    package static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
    /// Saturates at the ends of time.
    package static func + (instant: Instant, span: TimeSpan) -> Instant {
        let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(span.nanoseconds)
        return Instant(nanoseconds: overflow ? .max : sum)
    }
    /// The time from `earlier` to this; zero when `earlier` is later.
    package func since(_ earlier: Instant) -> TimeSpan {
        TimeSpan(
            nanoseconds: nanoseconds > earlier.nanoseconds
                ? nanoseconds - earlier.nanoseconds : 0)
    }
}

/// A length of time in nanoseconds, never negative.
package struct TimeSpan: Hashable, Comparable, Sendable {
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }
    package static let zero = TimeSpan(nanoseconds: 0)
    package static func microseconds(_ count: Int) -> TimeSpan {
        TimeSpan(nanoseconds: UInt64(count) * 1_000)
    }
    package static func milliseconds(_ count: Int) -> TimeSpan {
        TimeSpan(nanoseconds: UInt64(count) * 1_000_000)
    }
    package static func seconds(_ count: Int) -> TimeSpan {
        TimeSpan(nanoseconds: UInt64(count) * 1_000_000_000)
    }
    package var wholeMilliseconds: Int { Int(nanoseconds / 1_000_000) }
    package static func < (left: TimeSpan, right: TimeSpan) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
    package static func * (span: TimeSpan, factor: Int) -> TimeSpan {
        TimeSpan(nanoseconds: span.nanoseconds * UInt64(factor))
    }
    package static func / (span: TimeSpan, divisor: Int) -> TimeSpan {
        TimeSpan(nanoseconds: span.nanoseconds / UInt64(divisor))
    }
}

/// Milliseconds of Unix time as some clock shows it: what a wall clock gives, before agreement.
package struct WallTime: Hashable, Comparable, Sendable {
    package let milliseconds: UInt64

    package init(milliseconds: UInt64) { self.milliseconds = milliseconds }
    package static func < (left: WallTime, right: WallTime) -> Bool {
        left.milliseconds < right.milliseconds
    }
}

/// What the outside gives an engine module that needs time of its own accord (the edge, mostly:
/// the engine is handed an `Instant` with each event).
package protocol Clock: Sendable {
    /// The monotonic clock.
    var now: Instant { get }
    /// The wall clock, which may jump.
    var wallTime: WallTime { get }
}

/// A seeded generator (SplitMix64): equal seeds give equal sequences on every machine.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0. The bias is below 2^-32 for bounds below 2^32.
    package mutating func below(_ bound: UInt64) -> UInt64 {
        precondition(bound > 0, "a random number below 0")
        return next().multipliedFullWidth(by: bound).high
    }
}
