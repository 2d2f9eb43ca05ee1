import TenonCore
import Testing

@testable import TenonRaft

struct RandomSchedules {
    /// Safety at every step, and liveness when the faults end.
    @Test(arguments: [(1, 10), (2, 10), (3, 60), (5, 30)])
    func keepEveryPromise(voters: Int, seeds: Int) throws {
        var elections = 0
        var reads = 0
        var snapshots = 0
        var closed = 0
        for seed in 0..<seeds {
            var schedule = RandomSchedule(count: voters, seed: UInt64(seed))
            do {
                try schedule.run(steps: 2_000)
                try schedule.recover()
            } catch {
                Issue.record("\(voters) voters, seed \(seed), at \(schedule.now): \(error)")
                return
            }
            elections += schedule.electionCount
            reads += schedule.confirmedReadCount
            snapshots += schedule.snapshotCount
            closed += schedule.closedCount
        }
        // A schedule in which nothing happens would keep every promise.
        #expect(elections >= 2 * seeds)
        #expect(reads >= 20 * seeds)
        #expect(voters < 3 || snapshots >= seeds / 2)
        #expect(voters < 2 || closed >= 200 * seeds)
    }

    /// Reads by leases, under clocks that differ and members that change.
    @Test(arguments: [(3, 0, 40), (5, 0, 20), (3, 2, 10)])
    func keepEveryPromiseWithLeases(voters: Int, spares: Int, seeds: Int) throws {
        var weather = Weather()
        weather.usesLeases = true
        weather.membersChangeEvery = spares == 0 ? 0 : 25
        weather.transferEvery = 60
        Coverage.clear()
        for seed in 0..<seeds {
            var schedule = RandomSchedule(
                count: voters, spares: spares, seed: UInt64(2_000 + seed), weather: weather)
            do {
                try schedule.run(steps: 2_000)
                try schedule.recover()
            } catch {
                Issue.record("\(voters) voters, seed \(seed), at \(schedule.now): \(error)")
                return
            }
        }
        #expect(Coverage.count(of: .readByLease) > 0)
        #expect(Coverage.count(of: .electionPutOffByPromise) > 0)
    }

    /// Replicas come and go: learners, joint configurations, leaders that remove themselves.
    @Test(arguments: [(1, 4, 6), (3, 3, 16), (3, 4, 6)])
    func keepEveryPromiseWhileMembersChange(voters: Int, spares: Int, seeds: Int) throws {
        var weather = Weather()
        weather.membersChangeEvery = 25
        var configurations = 0
        for seed in 0..<seeds {
            var schedule = RandomSchedule(
                count: voters, spares: spares, seed: UInt64(1_000 + seed), weather: weather)
            do {
                try schedule.run(steps: 2_000)
                try schedule.recover()
            } catch {
                Issue.record(
                    "\(voters) voters, \(spares) spares, seed \(seed), at \(schedule.now): \(error)"
                )
                return
            }
            configurations += schedule.configurationCount
        }
        #expect(configurations >= 4 * seeds)
    }
}
