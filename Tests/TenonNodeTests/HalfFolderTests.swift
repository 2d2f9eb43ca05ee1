import TenonCore
import TenonRaft
import TenonSimulator
import TenonWire
import Testing

@testable import TenonKV
@testable import TenonNode

/// The folder of a half, while its tablet is split and nothing else knows of it.
struct `The folder of a half` {
    private static let whole = TabletID(2)
    private static let half = TabletID(3)
    private static let tablets = SimulatedHost.directory + "/cell-0/tablets"

    /// A cluster that is told to split its tablet.
    private func splitting(_ seed: UInt64) -> SimulatedCluster {
        let cluster = SimulatedCluster(ClusterOptions(seed: seed))
        #expect(cluster.form())
        for letter in "abcmnoxyz" { #expect(cluster.put(Bytes("\(letter)"), "v") != nil) }
        #expect(cluster.direct(.splitTablet(Self.whole, at: "m")) == nil)
        return cluster
    }

    private func comes(_ cluster: SimulatedCluster, _ condition: @escaping () -> Bool) -> Bool {
        cluster.run(within: .seconds(20), every: .microseconds(20), until: condition)
    }

    @Test func `one whose files rot before it is opened begins anew, and gets all by a snapshot`()
        throws
    {
        let cluster = splitting(21)
        #expect(comes(cluster) { cluster.host(3).node?.splitWork.recording[Self.whole] != nil })
        let disk = cluster.host(3).disk
        let folder = try #require(try disk.list(Self.tablets).first { $0.hasPrefix("3-") })
        disk.flipBit(1, at: 20, of: "\(Self.tablets)/\(folder)/MANIFEST")
        let isWhole = comes(cluster) {
            guard let half = cluster.host(3).node?.tablet(Self.half) else { return false }
            return half.machine.appliedIndex > half.record.birth.index
        }
        #expect(isWhole)
        let counters = try #require(cluster.host(3).node).counters
        #expect(counters.snapshotsInstalled > 0)
        let isEqual = cluster.awaitEqualReplicas()
        #expect(isEqual)
        #expect(cluster.text(of: "x") == "v")
    }

    @Test func `one that is being filled goes with the tablet`() throws {
        let cluster = splitting(22)
        let isFilling = comes(cluster) {
            cluster.host(3).node?.tablet(Self.whole)?.split.half.folderUnderWay != nil
        }
        #expect(isFilling)
        let node = try #require(cluster.host(3).node)
        let tablet = try #require(node.tablet(Self.whole))
        let folder = try #require(tablet.split.half.folderUnderWay)
        // Nobody is there to tell it to make the half in another way.
        for other in 1...2 { cluster.crash(other) }
        node.remove(Self.whole, tablet.replica, by: .last, now: cluster.now)
        cluster.run(for: .seconds(2))
        #expect(cluster.host(3).isRunning)
        let remains = try cluster.host(3).disk.exists(folder)
        #expect(!remains)
    }
}
