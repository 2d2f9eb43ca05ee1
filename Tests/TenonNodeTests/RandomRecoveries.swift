import TenonCore
import TenonRaft
import TenonSimulator
import Testing

@testable import TenonNode

/// Operator recoveries (Rule C10) of clusters that were in trouble before: any three of five are
/// lost at any moment, some were cut off or down, and the command itself dies in the middle.
struct RandomRecoveries {
    @Test(arguments: UInt64(1)...30)
    func `what is lost lies in the window, and the old majority never serves again`(
        seed: UInt64
    ) throws {
        var run = try RecoveryRun(seed: seed)
        run.writeUnderFaults()
        run.loseMajority()
        let plan = try run.recover()
        run.expectOnlyTheWindowLost(plan)
        run.returnOfTheLost()
    }
}

private struct RecoveryRun {
    private let cluster: SimulatedCluster
    private var random: SeededGenerator
    private let lost: [Int]
    private let survivors: [Int]
    private var acknowledged: [(key: Bytes, version: Timestamp)] = []

    init(seed: UInt64) throws {
        var options = ClusterOptions(seed: seed)
        options.nodeCount = 5
        options.tabletCount = 2
        cluster = SimulatedCluster(options)
        random = SeededGenerator(seed: seed)
        let shuffled = (1...5).shuffled(using: &random)
        lost = shuffled.prefix(3).sorted()
        survivors = shuffled.dropFirst(3).sorted()
        try #require(cluster.form())
        // The directory is set up, and its copies are saved.
        cluster.run(for: .seconds(3))
    }

    private mutating func below(_ bound: Int) -> Int { Int(random.below(UInt64(bound))) }

    /// Writes while survivors do not hear some of the others, or are down for a while.
    mutating func writeUnderFaults() {
        var number = 0
        for _ in 0..<4 {
            let survivor = survivors[below(2)]
            switch below(4) {
            case 0:
                cluster.crash(survivor)
                cluster.run(for: .milliseconds(below(400)))
                cluster.start(survivor)
            case 1: for node in lost { cluster.cut(from: node, to: survivor) }
            case 2: cluster.heal()
            default: for node in lost { cluster.cut(from: node, to: survivors[0]) }
            }
            for _ in 0..<(1 + below(6)) {
                let key = Bytes("k\(number)")
                number += 1
                if let version = cluster.put(key, "v", within: .seconds(3)) {
                    acknowledged.append((key, version))
                }
            }
        }
        #expect(!acknowledged.isEmpty)
    }

    /// Until the command nothing is accepted, however the survivors fare.
    mutating func loseMajority() {
        for node in lost { cluster.cutPower(node) }
        cluster.heal()
        cluster.run(for: .milliseconds(below(3_000)))
        #expect(cluster.put("without a majority", "v", within: .seconds(2)) == nil)
        for node in survivors { cluster.cutPower(node) }
    }

    mutating func recover() throws -> RecoveryPlan {
        let reports = try survivors.map { node in
            try SurvivorReport.read(
                SimulatedHost.directory, fileSystem: cluster.host(node).disk,
                log: cluster.options.log)
        }
        let plan = try RecoveryPlan.make(
            from: reports, lost: lost.map { cluster.configuration(of: cluster.host($0)).name },
            lossEnd: cluster.wallTime, using: &random)
        for node in survivors {
            let disk = cluster.host(node).disk
            // The command dies once or twice, and is given again.
            for _ in 0..<below(3) {
                disk.crashAfter(operations: below(20))
                _ = try? apply(plan, to: disk)
                disk.crashAfter(operations: nil)
                disk.cutPower(keeping: .random)
            }
            _ = try apply(plan, to: disk)
        }
        for node in survivors { try #require(cluster.start(node)) }
        try #require(cluster.awaitLeaders())
        return plan
    }

    private func apply(
        _ plan: RecoveryPlan, to disk: SimulatedDisk
    ) throws -> FolderRecovery.Outcome {
        try FolderRecovery.apply(
            plan, to: SimulatedHost.directory, fileSystem: disk, log: cluster.options.log)
    }

    func expectOnlyTheWindowLost(_ plan: RecoveryPlan) {
        for (key, version) in acknowledged where cluster.text(of: key) == nil {
            let tablet = cluster.tablet(holding: key)
            let window = plan.tablets.first { $0.tablet == tablet }
            #expect(
                window.map { version > $0.lossStart && version.wallTime <= plan.lossEnd } == true,
                "\(key) at \(version) is lost, and no window of \(tablet) says so")
        }
        #expect(cluster.put("after", "v") != nil)
    }

    func returnOfTheLost() {
        for node in lost { cluster.start(node) }
        let areGone = cluster.run(within: .seconds(5), every: .milliseconds(5)) {
            lost.allSatisfy { !cluster.host($0).isRunning }
        }
        #expect(areGone)
        #expect(cluster.text(of: "after") == "v")
        #expect(cluster.put("after that", "v") != nil)
    }
}
