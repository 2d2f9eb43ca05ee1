import TenonChecker
import TenonCore
import Testing

@testable import tenon

@Suite("Parts of drills")
struct DrillTests {
    @Test("More is loaded while a fault is about to come, but not where latencies are compared")
    func pace() {
        let rate = DrillRate(
            maximumPerSecond: 4_000, perSecond: 2_000, perSecondAtFault: 3_000, writesInFlight: 100)
        let kill = rate.pace(in: PlannedRound(injection: .kill, target: .leader))
        #expect(kill.perSecond == 2_000 && kill.perSecondAtFault == 3_000)
        let hang = rate.pace(in: PlannedRound(injection: .hang, target: .follower))
        #expect(hang.perSecond == 1_000 && hang.perSecondAtFault == 1_000)
    }

    @Test("An open loop is due at its rate, whatever the answers do")
    func schedule() {
        var schedule = OpenLoopSchedule(start: Instant(nanoseconds: 1_000), perSecond: 1_000)
        let later = Instant(nanoseconds: 1_000) + .milliseconds(5)
        #expect(schedule.takeDue(at: Instant(nanoseconds: 999), limit: 9).isEmpty)
        #expect(schedule.takeDue(at: later, limit: 4) == 0..<4)
        #expect(schedule.takeDue(at: later, limit: 4) == 4..<6)
        #expect(schedule.takeDue(at: later, limit: 4).isEmpty)
    }

    @Test("An increment whose answer was lost is found and counted once")
    func lostAnswer() {
        var lane = CounterLane(key: "c")
        lane.observe(nil)
        let first = lane.attempt()
        #expect(first.condition == .absent)
        lane.becameUnknown(first)
        #expect(lane.known == nil)
        lane.observe(StoredValue(bytes: first.value, version: Timestamp(5)))
        #expect(lane.foundApplied == 1)
        let second = lane.attempt()
        #expect(second.condition == .version(Timestamp(5)))
        lane.succeeded(second, version: Timestamp(6))
        #expect(lane.acknowledged + lane.foundApplied == lane.known?.count)
        #expect(lane.contradictions.isEmpty)
    }

    @Test("An increment that was refused and is there all the same is a contradiction")
    func refusedButApplied() {
        var lane = CounterLane(key: "c")
        lane.observe(nil)
        let attempt = lane.attempt()
        lane.wasRefused(attempt)
        lane.observe(StoredValue(bytes: attempt.value, version: Timestamp(5)))
        #expect(!lane.contradictions.isEmpty)
    }

    @Test("An increment that was refused because of itself is a contradiction: it ran twice")
    func ranTwice() {
        var lane = CounterLane(key: "c")
        lane.observe(nil)
        let attempt = lane.attempt()
        let own = StoredValue(bytes: attempt.value, version: Timestamp(5))
        lane.conditionFailed(attempt, current: own)
        #expect(!lane.contradictions.isEmpty)
    }

    @Test("Write RTO ends where every tablet takes writes again without a pause")
    func recoveryTime() {
        let fault = Instant.zero + .seconds(10)
        // Tablet 1 never stops; tablet 2 is gone for 1.5 s.
        let one = (0..<400).map { write(at: .seconds(9) + $0 * 10, tablet: 1) }
        let two = (0..<400).map { write(at: .seconds(9) + $0 * 10, tablet: 2) }
            .filter { $0.endsAt < fault || $0.endsAt >= fault + .milliseconds(1_500) }
        let tablets: Set<TabletID> = [TabletID(1), TabletID(2)]
        let found = RecoveryTime.afterFault(at: fault, in: one + two, tablets: tablets)
        #expect(found.map { $0 >= .milliseconds(1_400) && $0 <= .milliseconds(1_500) } == true)
        #expect(RecoveryTime.afterFault(at: fault, in: one, tablets: tablets) == nil)
        let still = RecoveryTime.afterFault(at: fault, in: one, tablets: [TabletID(1)])
        #expect(still == .zero)
    }

    @Test("The median of an even number of gaps lies between the middle two")
    func spread() {
        #expect(DrillReport.Spread([3, 1, 2]).median == 2)
        #expect(DrillReport.Spread([4, 1, 2, 3]).median == 2.5)
        #expect(DrillReport.Spread([4, 1, 2, 3]).max == 4)
        #expect(DrillReport.Spread([]).max == 0)
    }

    @Test("A drill's rounds meet the leader as often as asked, then the others, for each injection")
    func rounds() {
        let rounds = Scenario.leaderKill.rounds(2, injections: [.kill, .silence])
        #expect(
            rounds.map(\.target) == [
                .leader, .leader, .follower, .all, .leader, .leader, .follower, .all,
            ])
        #expect(rounds.prefix(4).allSatisfy { $0.injection == .kill })
    }

    @Test("Keys of a drill spread over the first two bytes from 00 to zz")
    func keys() {
        let keys = DrillKeys(run: "x")
        #expect(keys.key(0, of: 2_000, round: 1).starts(with: "00-"))
        #expect(keys.key(1_999, of: 2_000, round: 1).starts(with: "zz-"))
        #expect(keys.key(1_000, of: 2_000, round: 1).starts(with: "i0-"))
    }

    private func write(at span: TimeSpan, tablet: UInt64) -> HistoryOperation {
        let moment = Instant.zero + span
        return HistoryOperation(
            worker: 0, sentAt: moment, answeredAt: moment, action: .put(key: "k", value: "v"),
            result: .ok, at: .init(tablet: TabletID(tablet), version: Timestamp(1)))
    }
}

extension TimeSpan {
    /// So many milliseconds later.
    fileprivate static func + (span: TimeSpan, milliseconds: Int) -> TimeSpan {
        TimeSpan(nanoseconds: span.nanoseconds + UInt64(milliseconds) * 1_000_000)
    }
}
