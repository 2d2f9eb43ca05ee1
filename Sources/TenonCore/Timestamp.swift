/// A version: when a value was committed, on the tablet's hybrid logical clock.
///
/// 64 bits: Unix milliseconds << 16 | logical counter. A tablet never hands out one at or below
/// one it has seen (Rule S1), so versions of a key increase strictly.
///
/// Source: Kulkarni et al., "Logical physical clocks", 2014.
public struct Timestamp: NumericIdentifier {
    /// Unix milliseconds << 16 | logical counter.
    public let rawValue: UInt64
    /// The timestamp with these 64 bits.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Before all versions.
    public static let zero = Timestamp(0)
    /// After all versions: a read at it sees the newest.
    public static let newest = Timestamp(UInt64.max)

    /// How many bits the logical counter has.
    static let logicalBitCount = 16

    /// The first timestamp of a millisecond of wall time.
    package init(_ wall: WallTime) { rawValue = wall.milliseconds << Timestamp.logicalBitCount }

    /// The millisecond part.
    package var wallTime: WallTime {
        WallTime(milliseconds: rawValue >> Timestamp.logicalBitCount)
    }

    package func advanced(by steps: UInt64) -> Timestamp { Timestamp(rawValue + steps) }

    /// This less `span` of wall time; zero when there is not so much.
    package func earlier(by span: TimeSpan) -> Timestamp {
        let steps = (span.nanoseconds / 1_000_000) << Timestamp.logicalBitCount
        return Timestamp(rawValue > steps ? rawValue - steps : 0)
    }
}

/// Hands out a tablet's versions on its leader.
///
/// - Invariant: what it hands out is above everything it has handed out or observed (Rule S1).
package struct HybridClock: Sendable {
    /// The greatest timestamp handed out or observed.
    package private(set) var last: Timestamp

    package init(last: Timestamp) { self.last = last }

    /// Takes notice of a timestamp from elsewhere (an applied entry, a read at a version).
    package mutating func observe(_ timestamp: Timestamp) {
        last = max(last, timestamp)
    }

    /// Reserves `count` timestamps and returns the first: the wall clock's when it is ahead,
    /// otherwise a logical step above the last.
    package mutating func reserve(_ count: Int, at wall: WallTime) -> Timestamp {
        precondition(count > 0, "a reservation of \(count) timestamps")
        let first = max(last.next, Timestamp(wall))
        last = first.advanced(by: UInt64(count - 1))
        return first
    }
}
