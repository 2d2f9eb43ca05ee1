import Glibc
import TenonChecker
import TenonCore
import TenonNode
import TenonSimulator
import TenonStore
import TenonWire
import Testing

/// Whole clusters under random faults and a register workload: linearizable, nothing lost,
/// nothing stale, and alive again when all is healed.
@Suite struct RandomScheduleTests {
    private func options(_ seed: UInt64) -> ClusterOptions {
        var options = ClusterOptions(seed: seed)
        options.tabletCount = seed % 2 == 0 ? 1 : 3
        if seed % 3 != 0 {
            // Flushes, compactions, trimmed logs and snapshots within a few hundred writes.
            options.store.memtableBytesMax = 4 << 10
            options.store.tableBytesMax = 4 << 10
            options.store.levelBytesBase = 16 << 10
            options.store.blockBytes = 256
            options.retainedLogBytes = 1 << 10
            options.retention = .seconds(2)
            options.blockCacheBytes = 4 << 10
        }
        return options
    }

    /// How many seeds are run: 6, or what the environment's TENON_SCHEDULE_SEEDS says, for a
    /// sweep by hand.
    private static var seedCount: UInt64 {
        guard let text = unsafe getenv("TENON_SCHEDULE_SEEDS") else { return 6 }
        return unsafe UInt64(String(cString: text)) ?? 6
    }

    @Test(arguments: 1...seedCount)
    func `a cluster under faults is linearizable and loses nothing`(seed: UInt64) {
        let cluster = SimulatedCluster(options(seed))
        #expect(cluster.form())
        let workload = RegisterWorkload(cluster, clientCount: 4, keyCount: 4, seed: seed)
        let faults = RandomFaults(cluster, seed: seed &* 7_919)
        faults.run(for: .seconds(15))
        let serves = cluster.awaitLeaders(within: .seconds(20))
        #expect(serves, "seed \(seed): \(faults.story)")
        workload.end()
        let history = workload.history
        #expect(history.count { $0.result == .ok } > 30)
        let verdict = RegisterCheck().verdict(of: history)
        if verdict != .holds { Issue.record("seed \(seed): \(verdict), \(faults.story)") }
        #expect(DrillMeasures.staleReads(in: history) == [])
        let lost = DrillMeasures.lostWrites(in: history) { key in
            guard case .answer(.value(let value, _)) = cluster.get(key) else { return nil }
            return value
        }
        #expect(lost == [], "seed \(seed): \(faults.story)")
        expectEqualReplicas(cluster, seed: seed, faults.story)
    }

    private func expectEqualReplicas(
        _ cluster: SimulatedCluster, seed: UInt64, _ story: [String]
    ) {
        #expect(cluster.awaitEqualReplicas(within: .seconds(30)), "seed \(seed): \(story)")
        for tablet in StaticDirectory.tablets(count: cluster.options.tabletCount) {
            let states = (1...3).compactMap { cluster.status($0, tablet.id) }
            #expect(Set(states.map(\.logDigest)).count == 1, "seed \(seed)")
            #expect(states.allSatisfy { $0.health == "whole" }, "seed \(seed): \(states)")
        }
    }

    @Test func `one seed makes one run`() {
        func run() -> [UInt64] {
            let cluster = SimulatedCluster(options(2))
            _ = cluster.form()
            let workload = RegisterWorkload(cluster, clientCount: 3, keyCount: 3, seed: 1)
            RandomFaults(cluster, seed: 5).run(for: .seconds(5))
            workload.end()
            return workload.history.map { ($0.answeredAt ?? .zero).nanoseconds }
                + (1...3).compactMap { cluster.status($0)?.logDigest }
        }
        #expect(run() == run())
    }
}
