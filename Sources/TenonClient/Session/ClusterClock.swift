internal import TenonCore

/// What the client knows of the cluster's time, from which first-issue times are taken (Rule S3).
///
/// A welcome says it; in between it goes on with the client's monotonic clock, and a version seen
/// in an answer to a write pulls it up, or far back: the cluster's time stands still when its
/// clocks have stepped, until an operator accepts it (Rule S2). It needs to be right to seconds,
/// against a window of ten minutes. The client's wall clock plays no part.
struct ClusterClock {
    private var anchor = Timestamp.zero
    private var anchoredAt = Instant.zero
    /// A write that was answered may be that old; what is further behind says that time stands.
    private static let behindMax = TimeSpan.seconds(20)

    /// A node told its cluster time. It replaces what was reckoned: over days the monotonic clock
    /// of the client drifts.
    mutating func welcome(_ clusterTime: Timestamp, at now: Instant) {
        anchor = clusterTime
        anchoredAt = now
    }

    /// A write was committed at `version`, so it is that late at least. A first issue that is too
    /// early is safe: a write is refused sooner. One that is a minute too late is refused at once.
    mutating func observe(_ version: Timestamp, at now: Instant) {
        let estimate = estimate(at: now)
        if version > estimate || version < estimate.earlier(by: ClusterClock.behindMax) {
            welcome(version, at: now)
        }
    }

    /// The cluster's time at `now`; zero before the first welcome.
    func estimate(at now: Instant) -> Timestamp {
        guard anchor > .zero else { return .zero }
        let elapsed = now.since(anchoredAt).wholeMilliseconds
        return Timestamp(WallTime(milliseconds: anchor.wallTime.milliseconds + UInt64(elapsed)))
    }
}
