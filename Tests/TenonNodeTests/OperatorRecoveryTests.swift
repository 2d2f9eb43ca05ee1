import TenonCore
import TenonRaft
import TenonSimulator
import TenonWire
import Testing

@testable import TenonNode

/// A majority is gone for good, and an operator recovers the cluster (Rule C10).
struct OperatorRecovery {
    private static let survivors = [2, 5]
    private static let lost = ["n1", "n3", "n4"]

    private func formed(_ seed: UInt64, spares: Int = 0) -> SimulatedCluster {
        var options = ClusterOptions(seed: seed)
        options.nodeCount = 5
        options.spareCount = spares
        options.tabletCount = 2
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        // The directory is set up, and its copies are saved.
        cluster.run(for: .seconds(3))
        return cluster
    }

    /// A cluster of five that took writes and of which n1, n3 and n4 are gone; all are stopped.
    private func struck(_ seed: UInt64, spares: Int = 0) -> SimulatedCluster {
        let cluster = formed(seed, spares: spares)
        for number in 0..<20 { #expect(cluster.put(Bytes("k\(number)"), "v") != nil) }
        for node in [1, 3, 4] { cluster.cutPower(node) }
        return cluster
    }

    private func stopSurvivors(_ cluster: SimulatedCluster) {
        for node in OperatorRecovery.survivors { cluster.cutPower(node) }
    }

    private func reports(_ cluster: SimulatedCluster) throws -> [SurvivorReport] {
        try OperatorRecovery.survivors.map { node in
            try SurvivorReport.read(
                SimulatedHost.directory, fileSystem: cluster.host(node).disk,
                log: cluster.options.log)
        }
    }

    private func plan(_ cluster: SimulatedCluster, seed: UInt64 = 1) throws -> RecoveryPlan {
        var generator = SeededGenerator(seed: seed)
        return try RecoveryPlan.make(
            from: try reports(cluster), lost: OperatorRecovery.lost, lossEnd: cluster.wallTime,
            using: &generator)
    }

    private func apply(
        _ plan: RecoveryPlan, to node: Int, of cluster: SimulatedCluster
    ) throws -> FolderRecovery.Outcome {
        try FolderRecovery.apply(
            plan, to: SimulatedHost.directory, fileSystem: cluster.host(node).disk,
            log: cluster.options.log)
    }

    /// Starts the survivors and waits until they serve.
    private func restart(_ cluster: SimulatedCluster) {
        for node in OperatorRecovery.survivors { #expect(cluster.start(node)) }
        #expect(cluster.awaitLeaders())
    }

    @Test func `two of five serve again, and until then nothing is accepted`() throws {
        let cluster = struck(1)
        cluster.run(for: .seconds(3))
        #expect(cluster.put("a", "1", within: .seconds(3)) == nil)
        stopSurvivors(cluster)
        let plan = try plan(cluster)
        #expect(plan.tablets.map(\.tablet) == [1, 2, 3].map { TabletID($0) })
        for node in OperatorRecovery.survivors { _ = try apply(plan, to: node, of: cluster) }
        restart(cluster)
        for number in 0..<20 { #expect(cluster.text(of: Bytes("k\(number)")) == "v") }
        #expect(cluster.put("a", "2") != nil)
        #expect(cluster.text(of: "a") == "2")
    }

    @Test func `what is lost lies in the stated window`() throws {
        for seed in 10..<15 as Range<UInt64> {
            let cluster = formed(seed)
            // Survivors that hear nothing for a while: what is acknowledged meanwhile is lost.
            for survivor in OperatorRecovery.survivors {
                for other in [1, 3, 4] where seed % 3 != 0 {
                    cluster.cut(from: other, to: survivor)
                }
            }
            var versions: [(key: Bytes, version: Timestamp)] = []
            for number in 0..<10 {
                let key = Bytes("k\(number)")
                if let version = cluster.put(key, "v") { versions.append((key, version)) }
            }
            for node in 1...5 { cluster.cutPower(node) }
            cluster.heal()
            let plan = try plan(cluster)
            for node in OperatorRecovery.survivors { _ = try apply(plan, to: node, of: cluster) }
            restart(cluster)
            var lost = 0
            for (key, version) in versions where cluster.text(of: key) == nil {
                lost += 1
                let tablet = cluster.tablet(holding: key)
                let window = try #require(plan.tablets.first { $0.tablet == tablet })
                #expect(version > window.lossStart)
                #expect(version.wallTime <= plan.lossEnd)
            }
            if seed % 3 != 0 { #expect(lost > 0, "seed \(seed) loses nothing") }
        }
    }

    @Test func `who was declared lost is refused for ever, and its folder says why`() throws {
        let cluster = struck(2)
        stopSurvivors(cluster)
        let plan = try plan(cluster)
        for node in OperatorRecovery.survivors { _ = try apply(plan, to: node, of: cluster) }
        restart(cluster)
        // All three come back: a majority of the old epoch.
        for node in [1, 3, 4] { #expect(cluster.start(node)) }
        let areGone = cluster.run(within: .seconds(5), every: .milliseconds(5)) {
            [1, 3, 4].allSatisfy { !cluster.host($0).isRunning }
        }
        #expect(areGone)
        for node in [1, 3, 4] {
            let reason = cluster.host(node).endReason
            #expect(reason?.contains("a recovery ended this node's epoch") == true)
            #expect(!cluster.start(node))
            let again = cluster.host(node).endReason
            #expect(again?.contains("which a recovery ended") == true, "\(again ?? "")")
        }
        #expect(cluster.put("a", "2") != nil)
    }

    @Test func `a survivor that was left out ends when it meets the others, and can still come`()
        throws
    {
        let cluster = struck(3)
        stopSurvivors(cluster)
        let plan = try plan(cluster)
        _ = try apply(plan, to: 2, of: cluster)
        #expect(cluster.start(2))
        #expect(cluster.start(5))
        let isGone = cluster.run(within: .seconds(5), every: .milliseconds(5)) {
            !cluster.host(5).isRunning
        }
        #expect(isGone)
        #expect(!cluster.start(5))
        #expect(try apply(plan, to: 5, of: cluster) != .alreadyApplied)
        #expect(cluster.start(5))
        #expect(cluster.awaitLeaders())
        #expect(cluster.text(of: "k7") == "v")
    }

    @Test func `the lost nodes leave the directory, and joining ones make all copies again`()
        throws
    {
        let cluster = struck(4, spares: 3)
        stopSurvivors(cluster)
        let plan = try plan(cluster)
        for node in OperatorRecovery.survivors { _ = try apply(plan, to: node, of: cluster) }
        restart(cluster)
        let isRemoved = cluster.run(within: .seconds(20), every: .milliseconds(50)) {
            cluster.directory?.nodes.map(\.name) == ["n2", "n5"]
        }
        #expect(isRemoved, "\(String(describing: cluster.directory?.nodes))")
        // Two copies stay two.
        cluster.run(for: .seconds(5))
        #expect(cluster.directory?.tablets.allSatisfy { $0.voters.count == 2 } == true)
        for node in [6, 7, 8] { #expect(cluster.join(node) == nil) }
        let isWhole = cluster.run(within: .seconds(60), every: .milliseconds(50)) {
            cluster.directory?.tablets.allSatisfy { tablet in
                tablet.voters.count == 5 && tablet.target.isEmpty && !tablet.isJoint
            } ?? false
        }
        #expect(isWhole, "\(String(describing: cluster.directory?.tablets))")
        for number in 0..<20 { #expect(cluster.text(of: Bytes("k\(number)")) == "v") }
    }

    @Test func `a second time changes nothing, and another plan is refused`() throws {
        let cluster = struck(5)
        stopSurvivors(cluster)
        let first = try plan(cluster, seed: 1)
        let second = try plan(cluster, seed: 2)
        #expect(try apply(first, to: 2, of: cluster) != .alreadyApplied)
        let before = try reports(cluster)
        #expect(try apply(first, to: 2, of: cluster) == .alreadyApplied)
        #expect(try reports(cluster) == before)
        #expect(throws: RecoveryError.self) { try apply(second, to: 2, of: cluster) }
        #expect(try reports(cluster) == before)
    }

    @Test func `a folder that is not as the plan has it is refused, and nothing is done`() throws {
        let cluster = struck(6)
        stopSurvivors(cluster)
        let plan = try plan(cluster)
        // The cluster went on after the plan was made: the lost were not lost.
        cluster.startAll()
        #expect(cluster.awaitLeaders())
        #expect(cluster.put("later", "1") != nil)
        #expect(cluster.awaitEqualReplicas())
        for node in 1...5 { cluster.cutPower(node) }
        let chosen = Set(plan.tablets.map { Int($0.chosen.node.rawValue) })
        for node in chosen {
            do {
                _ = try apply(plan, to: node, of: cluster)
                Issue.record("the plan was carried out")
            } catch {
                #expect("\(error)".contains("not as it was when the plan was made"), "\(error)")
            }
            #expect(try !cluster.host(node).disk.exists(SimulatedHost.directory + "/recovery"))
        }
        do {
            _ = try apply(plan, to: 1, of: cluster)
            Issue.record("a lost node was recovered")
        } catch {
            #expect("\(error)".contains("which the plan declares lost"), "\(error)")
        }
    }

    @Test func `a node that runs is in the way`() throws {
        let cluster = struck(7)
        do {
            _ = try plan(cluster)
            Issue.record("a running node was read")
        } catch {
            #expect("\(error)".contains("stop the node"), "\(error)")
        }
    }

    @Test func `a damaged log is named, and its replicas are not gone on from`() throws {
        let cluster = struck(8)
        stopSurvivors(cluster)
        let disk = cluster.host(5).disk
        _ = disk.rotBatchHeader(seed: 3)
        _ = disk.rotBatchHeader(seed: 4)
        let reports = try reports(cluster)
        let wrong = reports[1].tablets.filter { !$0.verdict.isWhole }
        #expect(!wrong.isEmpty)
        let plan = try plan(cluster)
        for tablet in plan.tablets where wrong.contains(where: { $0.tablet == tablet.tablet }) {
            #expect(tablet.voters == [NodeID(2)])
            #expect(tablet.copies.contains { !$0.problem.isEmpty })
        }
    }

    @Test(arguments: [Survival.nothing, .everything, .random])
    func `a crash at any step of an apply is finished by the same command`(
        _ survival: Survival
    ) throws {
        let cluster = struck(9)
        stopSurvivors(cluster)
        let plan = try plan(cluster)
        for node in OperatorRecovery.survivors {
            var step = 0
            while try !isThrough(plan, node, crashingAfter: step, survival, cluster) { step += 1 }
            #expect(step > 8, "too few steps to be all of them")
        }
    }

    /// Applies the plan to a copy of a survivor's disk that dies during one operation, and again.
    ///
    /// - Returns: whether the disk lived through it.
    private func isThrough(
        _ plan: RecoveryPlan, _ node: Int, crashingAfter step: Int, _ survival: Survival,
        _ cluster: SimulatedCluster
    ) throws -> Bool {
        let disk = cluster.host(node).disk.copy(seed: UInt64(step))
        func apply() throws -> FolderRecovery.Outcome {
            try FolderRecovery.apply(
                plan, to: SimulatedHost.directory, fileSystem: disk, log: cluster.options.log)
        }
        disk.crashAfter(operations: step)
        let first = try? apply()
        disk.cutPower(keeping: survival)
        if let first {
            #expect(first != .alreadyApplied)
        } else {
            try expectNothingHalf(plan, disk, cluster, node)
            _ = try apply()
        }
        let report = try SurvivorReport.read(
            SimulatedHost.directory, fileSystem: disk, log: cluster.options.log)
        #expect(report.epoch == plan.newEpoch)
        #expect(try !disk.exists(SimulatedHost.directory + "/recovery"))
        for tablet in plan.tablets where tablet.chosen.node == report.node {
            let copy = try #require(report.tablet(tablet.tablet))
            #expect(copy.last == tablet.configurationEntry.position)
            #expect(copy.membership == tablet.membership)
            #expect(copy.term == tablet.term)
        }
        #expect(try apply() == .alreadyApplied)
        return first != nil
    }

    /// After a crash the folder either serves in one of the epochs, whole, or not at all.
    private func expectNothingHalf(
        _ plan: RecoveryPlan, _ disk: SimulatedDisk, _ cluster: SimulatedCluster, _ node: Int
    ) throws {
        let copy = disk.copy(seed: 99)
        let report = try SurvivorReport.read(
            SimulatedHost.directory, fileSystem: copy, log: cluster.options.log)
        let own = plan.tablets.filter { $0.chosen.node == report.node }
        let done = own.count { tablet in
            report.tablet(tablet.tablet)?.last == tablet.configurationEntry.position
        }
        var generator = SeededGenerator(seed: 5)
        do {
            _ = try NodeFolder.open(
                fileSystem: copy, directory: SimulatedHost.directory,
                configuration: cluster.configuration(of: cluster.host(node)),
                generator: &generator)
            #expect(done == (report.epoch == plan.epoch ? 0 : own.count))
        } catch {
            #expect("\(error)".contains("did not come to its end"), "\(error)")
        }
    }
}

/// Who is told what about epochs (Rule C10).
@Suite struct EpochFence {
    private func identity(_ node: Int, epoch: Epoch) -> PeerIdentity {
        PeerIdentity(
            cluster: ClusterID(high: 7, low: 7), node: NodeID(UInt32(node)),
            folder: FolderID(high: 0, low: 1), boot: BootNumber(1), nonce: 1, epoch: epoch,
            hasEntries: true, logPosition: 1, memberListDigest: 1)
    }

    @Test func `a lost node hears of the recovery, also when it is no member any more`() {
        let registry = PeerRegistry(
            me: NodeID(1), members: [NodeID(1)], memberListDigest: 1)
        let hello = PeerHello(
            stream: .consensus, receiver: NodeID(1), identity: identity(2, epoch: .first))
        let reason = registry.refusal(
            of: hello, cluster: ClusterID(high: 7, low: 7), epoch: Epoch(5))
        #expect(reason?.contains("was ended by a recovery (now 5)") == true)
    }

    @Test func `a stranger of a higher epoch ends nobody, one of the cluster does`() throws {
        let cluster = SimulatedCluster(ClusterOptions(seed: 1))
        #expect(cluster.form())
        let node = try #require(cluster.host(1).node)
        var stranger = identity(2, epoch: Epoch(9))
        #expect(node.cutOff(by: stranger) == nil)
        stranger.cluster = node.identity.cluster
        stranger.epoch = node.identity.epoch
        #expect(node.cutOff(by: stranger) == nil)
        stranger.epoch = Epoch(9)
        #expect(node.cutOff(by: stranger)?.contains("is of epoch 9") == true)
        #expect(node.identity.fencedBy == Epoch(9))
        cluster.run(for: .milliseconds(100))
        #expect(!cluster.host(1).isRunning)
        #expect(!cluster.start(1))
    }
}
