import TenonCore

/// How far ahead of the right time versions may be: what clocks did that were a majority, or that
/// an operator accepted (Rule S2).
struct ClockAllowance {
    /// For so long nodes count a clock that they hear no more, and a second in which it was heard.
    private static let memory = TimeSpan.seconds(6)
    /// A step of up to 10 s is followed.
    private static let stepMax: Int64 = 12_000

    /// The greatest offset that a host's clock had of late.
    private struct Recent {
        var offset: Int64
        var at: Instant
    }

    private var hosts: [Recent] = []
    private(set) var milliseconds: Int64 = 0

    /// - Parameter offsets: of each host's clock from the right time, in milliseconds.
    mutating func note(_ offsets: [Int64], at now: Instant) {
        while hosts.count < offsets.count { hosts.append(Recent(offset: .min, at: now)) }
        for (place, offset) in offsets.enumerated() {
            let isForgotten = now.since(hosts[place].at) > ClockAllowance.memory
            if offset >= hosts[place].offset || isForgotten {
                hosts[place] = Recent(offset: offset, at: now)
            }
        }
        if abs(majority - milliseconds) <= ClockAllowance.stepMax {
            milliseconds = max(milliseconds, majority)
        }
    }

    /// An operator takes the time that most clocks show for right.
    mutating func accept() { milliseconds = max(milliseconds, majority) }

    /// The clock that a majority may come to agree on: the second from above, for some may be out
    /// of reach.
    private var majority: Int64 {
        let offsets = hosts.map(\.offset).sorted(by: >)
        return offsets.isEmpty ? 0 : offsets[min(1, offsets.count - 1)]
    }
}
