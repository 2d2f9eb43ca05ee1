/// What a drill asks of a round besides losses, stale reads and gaps (drills.md, section 3).
enum RoundJudgement {
    /// A leader whose disk hangs is replaced within the stall bound (Rule C1) and a second.
    static let otherLeaderSecondsMax = 1.5
    /// In a partial partition, and by one that is over, within five minutes.
    static let leaderChangesMax = 2
    static let availabilityMin = 0.95
    /// Of a fault that meets no majority's node, on the latency of puts.
    static let putP99FactorMax = 2.0
    /// Below this the noise of a machine with two cores is larger than any fault.
    static let putP99MillisFloor = 25.0
    /// How far the agreed clock lets a version stand from the true time (Rule S2), and a second
    /// in which the answer was under way.
    static let versionErrorSecondsMax = 1.5

    /// The three nodes' clocks jump one after the other, there and back: each time the one that
    /// is alone in its time hands over, and the two that are may follow each other.
    static let allClocksChangesMax = 6

    /// Write RTO: a pass below it (drills.md, section 2).
    static let writeRtoSecondsMax = 8.0
    /// The same when all nodes were down (drills.md, D01): what waited meanwhile comes on top.
    static let restartSecondsMax = 30.0

    /// The same when an operator has to give a command (drills.md, D14).
    static let recoverySecondsMax = 300.0

    static func complaints(about round: DrillReport.Round) -> [String] {
        recovery(round) + particulars(of: round) + wayHome(round)
    }

    /// Reads alone are no recovery. Where no disk has room nobody can write, of course.
    private static func recovery(_ round: DrillReport.Round) -> [String] {
        if round.injection == .fill, round.target == .all { return [] }
        let bound =
            round.injection == .loseMajority
            ? recoverySecondsMax : round.target == .all ? restartSecondsMax : writeRtoSecondsMax
        guard let seconds = round.writeRtoSeconds, seconds >= bound else { return [] }
        return ["writes flowed again after \(seconds) s; the bound is \(bound) s"]
    }

    /// Leaders go back to a home that is well again by handing over.
    static let homeGapSecondsMax = 0.5

    private static func wayHome(_ round: DrillReport.Round) -> [String] {
        guard let seconds = round.homeGapSeconds, seconds > homeGapSecondsMax else { return [] }
        return ["a gap of \(seconds) s on the way back; the bound is \(homeGapSecondsMax) s"]
    }

    private static func particulars(of round: DrillReport.Round) -> [String] {
        switch (round.injection, round.target) {
        case (.hang, .leader), (.stall2s, .leader):
            return round.otherLeaderSeconds == nil ? ["the leader stayed with a dead disk"] : []
        case (.hang, .follower), (.stall2s, .follower), (.stall100, .follower):
            return slowPuts(round)
        case (.delay, _), (.lossy, _), (.capped, _):
            return followsSlowLink(round) + changes(round, atMost: 0)
        case (.single, _), (.chain, _), (.hub, _), (.constrained, _), (.deaf, _), (.mute, _):
            return changes(round, atMost: leaderChangesMax) + availability(round)
        case (.cut, .leader):
            return changes(round, atMost: leaderChangesMax) + availability(round)
        case (.cut, .follower): return changes(round, atMost: 0) + availability(round)
        case (.renew, _): return gap(round, below: renewalGapSecondsMax) + refusals(round)
        case (.destroy, .follower): return slowPuts(round)
        case (.drainStop, _), (.drainCancel, _): return refusals(round)
        case (.clone, _), (.rolledBack, _), (.stranger, _), (.doctored, _):
            return gap(round, below: intrusionGapSecondsMax)
        case (.clockAhead, _), (.clockBehind, _), (.clockDecade, _), (.clockDrift, _):
            return versions(round)
                + changes(round, atMost: round.target == .all ? allClocksChangesMax : 1)
        default: return []
        }
    }

    /// What counts over rounds: medians.
    static func complaints(aboutAll rounds: [DrillReport.Round]) -> [String] {
        let hung = rounds.filter { $0.injection == .hang && $0.target == .leader }
        let spans = hung.compactMap(\.otherLeaderSeconds)
        guard !spans.isEmpty else { return [] }
        let median = DrillReport.Spread(spans).median
        guard median > otherLeaderSecondsMax else { return [] }
        return [
            "another led \(median) s after a disk hung (median); the bound is "
                + "\(otherLeaderSecondsMax) s"
        ]
    }

    /// Whether puts under the fault are held against those before it.
    static func comparesPuts(_ round: PlannedRound) -> Bool {
        switch (round.injection, round.target) {
        case (.hang, .follower), (.stall2s, .follower), (.stall100, .follower),
            (.destroy, .follower):
            true
        default: false
        }
    }

    private static func slowPuts(_ round: DrillReport.Round) -> [String] {
        let bound = max(putP99MillisFloor, round.putP99MillisBefore * putP99FactorMax)
        guard round.putP99MillisDuring > bound else { return [] }
        return [
            "put p99 went from \(round.putP99MillisBefore) to \(round.putP99MillisDuring) ms"
        ]
    }

    /// Half of the delay that is injected: who waits for the slow link waits for all of it.
    static let putP50MillisMax = 100.0

    private static func followsSlowLink(_ round: DrillReport.Round) -> [String] {
        guard round.putP50MillisDuring > putP50MillisMax else { return [] }
        return ["puts took \(round.putP50MillisDuring) ms (median): they wait for the slow link"]
    }

    private static func changes(_ round: DrillReport.Round, atMost bound: Int) -> [String] {
        guard round.leaderChanges > bound else { return [] }
        return ["\(round.leaderChanges) leader changes; at most \(bound) are allowed"]
    }

    private static func availability(_ round: DrillReport.Round) -> [String] {
        guard let share = round.writeAvailability, share < availabilityMin else { return [] }
        return ["of writes after 8 s only \(share * 100) % were acknowledged within 1 s"]
    }

    /// While nodes are replaced one by one, and while one that is no member knocks.
    static let renewalGapSecondsMax = 1.0
    static let intrusionGapSecondsMax = 1.0

    private static func gap(_ round: DrillReport.Round, below bound: Double) -> [String] {
        guard round.gapSeconds >= bound else { return [] }
        return ["a gap of \(round.gapSeconds) s; the bound is \(bound) s"]
    }

    /// Planned work is no reason for a client to see an error.
    private static func refusals(_ round: DrillReport.Round) -> [String] {
        let failed = round.refused + round.unknown
        return failed == 0 ? [] : ["\(failed) writes failed after the client's retries"]
    }

    /// When the clocks of all jump the agreed time stands still until they are right again: a
    /// version is late by that time, and never in the time that the clocks show.
    private static func versions(_ round: DrillReport.Round) -> [String] {
        let standstill =
            round.target == .all && round.injection != .clockDrift ? round.faultSeconds : 0
        guard round.versionErrorSeconds > versionErrorSecondsMax + standstill else { return [] }
        return ["a version stands \(round.versionErrorSeconds) s from the true time"]
    }
}
