package import TenonCore
package import TenonLog
package import TenonNode

/// Somebody who looks at every step of a simulated cluster, and changes nothing.
package protocol ClusterObserver: AnyObject {
    /// A process opened its log, and this is what it found. The host has no process yet.
    func opened(_ host: SimulatedHost, _ recovery: LogRecovery)
    /// The process of `host` is about to take part.
    func started(_ host: SimulatedHost)
    /// A turn ended; its effects are not performed yet.
    func turned(_ host: SimulatedHost, _ effects: Effects)
    /// The log thread begins a piece of work.
    func logBegins(_ work: LogWork, on host: SimulatedHost)
    /// The piece of work is done, or failed, and the node does not know it yet.
    func logEnded(_ work: LogWork, on host: SimulatedHost, _ result: LogResult)
    /// The process of `host` ended; its disk is as the end left it.
    func ended(_ host: SimulatedHost, isPowerCut: Bool)
}

/// The clocks of a host, each as it is off from the time of the simulation.
package struct HostClock: Sendable {
    /// What the wall clock is ahead by, in milliseconds; negative when it is behind.
    package private(set) var wallOffset: Int64 = 0
    /// How much too fast the monotonic clock runs, in millionths.
    package private(set) var driftPerMillion: Int64 = 0
    /// Where the drift began, in the simulation's time and in this clock's.
    private var anchor = Instant.zero
    private var localAnchor = Instant.zero

    package init() {}

    /// Makes the wall clock jump.
    package mutating func jump(byMilliseconds step: Int64) { wallOffset += step }

    /// Lets the monotonic clock run at another pace from `now` on.
    package mutating func drift(perMillion: Int64, from now: Instant) {
        localAnchor = local(at: now)
        anchor = now
        driftPerMillion = perMillion
    }

    /// What this clock shows at `moment` of the simulation.
    package func local(at moment: Instant) -> Instant {
        guard driftPerMillion != 0 || localAnchor != anchor else { return moment }
        let passed = Int64(moment.since(anchor).nanoseconds)
        return localAnchor
            + TimeSpan(nanoseconds: UInt64(passed + passed / 1_000_000 * driftPerMillion))
    }

    /// When this clock shows `local`, or a moment later; never before `localAnchor`.
    package func moment(at local: Instant) -> Instant {
        guard driftPerMillion != 0 || localAnchor != anchor else { return local }
        guard local != .distantFuture else { return local }
        let passed = Int64(local.since(localAnchor).nanoseconds)
        let pace = 1_000_000 + driftPerMillion
        return anchor
            + TimeSpan(nanoseconds: UInt64((passed / pace + 1) * 1_000_000))
    }
}
