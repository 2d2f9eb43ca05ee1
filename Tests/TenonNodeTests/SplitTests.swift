import TenonCore
import TenonRaft
import TenonSimulator
import TenonStore
import TenonWire
import Testing

@testable import TenonKV
@testable import TenonNode

/// A tablet becomes two, whatever crashes in between.
struct Splits {
    private static let whole = TabletID(2)
    private static let half = TabletID(3)

    private func formed(_ seed: UInt64, spares: Int = 0) -> SimulatedCluster {
        var options = ClusterOptions(seed: seed)
        options.spareCount = spares
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        return cluster
    }

    private func comes(
        _ cluster: SimulatedCluster, within span: TimeSpan = .seconds(30),
        _ condition: @escaping () -> Bool
    ) -> Bool {
        cluster.run(within: span, every: .milliseconds(10), until: condition)
    }

    private func fill(_ cluster: SimulatedCluster, _ value: String = "v") {
        for letter in "abcmnoxyz" { #expect(cluster.put(Bytes("\(letter)"), Bytes(value)) != nil) }
    }

    private func expectAll(_ cluster: SimulatedCluster, _ value: String = "v") {
        for letter in "abcmnoxyz" {
            let found = cluster.get(Bytes("\(letter)"))
            #expect(cluster.text(of: Bytes("\(letter)")) == value, "\(letter) \(found)")
        }
    }

    /// Gives the order and waits until the directory's part in it is over too.
    private func split(
        _ cluster: SimulatedCluster, _ tablet: TabletID = Splits.whole, at key: Bytes
    ) {
        #expect(cluster.direct(.splitTablet(tablet, at: key)) == nil)
        #expect(comes(cluster) { isSplit(cluster, at: key) })
    }

    private func isSplit(_ cluster: SimulatedCluster, at key: Bytes) -> Bool {
        guard let directory = cluster.directory,
            let half = directory.tablets.first(where: { $0.lower == key }),
            cluster.leader(of: half.id) != nil
        else { return false }
        return cluster.hosts.allSatisfy { $0.node?.probeSplits.isEmpty ?? true }
    }

    private func replica(
        _ node: Int, _ tablet: TabletID, _ cluster: SimulatedCluster
    ) -> Tablet? {
        cluster.host(node).node?.tablet(tablet)
    }

    @Test func `a tablet becomes two, and every key is where it belongs`() throws {
        let cluster = formed(1)
        fill(cluster)
        split(cluster, at: "m")
        let directory = try #require(cluster.directory)
        let parts = directory.tablets.filter { $0.keyspace == .default }
        #expect(parts.map(\.id) == [Splits.whole, Splits.half])
        #expect(parts.map(\.lower) == [Bytes(), "m"])
        #expect(parts.map(\.upper) == ["m", nil])
        #expect(parts.map(\.generation) == [Generation(2), Generation(2)])
        expectAll(cluster)
        fill(cluster, "w")
        expectAll(cluster, "w")
        #expect(comes(cluster) { (1...3).allSatisfy { replica($0, Splits.half, cluster) != nil } })
        for node in 1...3 {
            let own = try #require(replica(node, Splits.half, cluster))
            #expect(own.machine.bounds.lower == "m" && own.machine.bounds.upper == nil)
            #expect(own.record.birth > .zero)
            #expect(own.record.parent == Splits.whole)
        }
    }

    @Test func `both parts can be split again, and a restart of all finds all of them`() throws {
        let cluster = formed(2)
        fill(cluster)
        split(cluster, at: "m")
        split(cluster, Splits.half, at: "x")
        split(cluster, at: "b")
        expectAll(cluster)
        for node in 1...3 { cluster.cutPower(node) }
        cluster.startAll()
        let tablets = (1...5).map { TabletID($0) }
        #expect(comes(cluster) { tablets.allSatisfy { cluster.leader(of: $0) != nil } })
        expectAll(cluster)
        fill(cluster, "w")
        expectAll(cluster, "w")
    }

    @Test func `a write that ran before the split is answered by the half, and not run again`()
        throws
    {
        let cluster = formed(3)
        fill(cluster)
        // An increment by condition: run twice it would fail the second time.
        let body = cluster.client.write(.put(key: "x", value: "once", condition: .value("v")))
        guard case .answer(.outcome(.written(let version), _)) = cluster.call(body) else {
            Issue.record("the write was refused")
            return
        }
        split(cluster, at: "m")
        // The same bytes once more: as a client does that missed the answer.
        guard case .answer(.outcome(let outcome, _)) = cluster.call(body, tablet: Splits.half)
        else {
            Issue.record("the half does not answer")
            return
        }
        #expect(outcome == .written(version: version))
    }

    @Test func `a split is refused with what to do instead`() throws {
        let cluster = formed(4, spares: 1)
        #expect(comes(cluster) { cluster.directory?.version ?? .zero > .zero })
        fill(cluster)
        split(cluster, at: "m")
        let refusals: [(DirectoryOrder, String)] = [
            (.splitTablet(TabletID(9), at: "m"), "there is no tablet 9"),
            (.splitTablet(.directory, at: "m"), "cannot be split"),
            (.splitTablet(Splits.whole, at: "m"), "begins or ends at this key already"),
            (.splitTablet(Splits.half, at: "m"), "begins or ends at this key already"),
            (.splitTablet(Splits.whole, at: "x"), "not one of tablet 2"),
            (.splitTablet(Splits.half, at: "a"), "not one of tablet 3"),
        ]
        for (order, part) in refusals {
            let answer = cluster.direct(order)
            #expect(answer?.contains(part) == true, "\(order): \(answer ?? "done")")
        }
    }

    @Test func `no split while members change, and no change while a split is under way`() throws {
        let founded = try DirectoryRecords().state
        let order = DirectoryOrder.splitTablet(Splits.whole, at: "m")
        let move = DirectoryOrder.moveReplica(Splits.whole, from: "n1", to: "n4")
        var moving = DirectoryRecords()
        moving.take(try founded.change(for: move))
        #expect(refusal(order, moving)?.contains("members of tablet 2 are changing") == true)
        var splitting = DirectoryRecords()
        splitting.take(try founded.change(for: order))
        #expect(try splitting.state.splits.map(\.half) == [Splits.half])
        #expect(refusal(move, splitting)?.contains("is being split") == true)
        #expect(refusal(order, splitting)?.contains("is being split") == true)
        let drop = DirectoryOrder.dropKeyspace(name: "default")
        #expect(refusal(drop, splitting)?.contains("is being split") == true)
        var dropped = DirectoryRecords()
        dropped.take(try founded.change(for: drop))
        #expect(refusal(order, dropped)?.contains("is dropped") == true)
    }

    private func refusal(_ order: DirectoryOrder, _ records: DirectoryRecords) -> String? {
        do {
            _ = try records.state.change(for: order)
            return nil
        } catch let refusal as Refusal {
            return refusal.message
        } catch {
            return "\(error)"
        }
    }

    @Test func `an intent goes when the half has a leader, and is planned anew for new members`()
        throws
    {
        var records = DirectoryRecords()
        records.take(try records.state.change(for: .splitTablet(Splits.whole, at: "m")))
        var controller = DirectoryController()
        controller.state = try records.state
        #expect(controller.splitChange().isEmpty)
        // Nobody knows who leads the tablet: each of its nodes is told.
        #expect(controller.splitOrders.map(\.nodes) == [[1, 2, 3].map { NodeID($0) }])
        // The members changed before the entry was applied: it had no effect, and never will.
        var report = try #require(controller.state.tablet(Splits.whole))
        report.configuration = report.configuration.next
        report.leader = NodeID(1)
        controller.take(report, knowing: .zero)
        records.take(controller.reportedChange())
        controller.state = try records.state
        records.take(controller.splitChange())
        controller.state = try records.state
        let anew = try #require(controller.state.splits.first)
        #expect(anew.half == TabletID(4) && anew.configuration == report.configuration)
        #expect(controller.splitOrders.map(\.nodes) == [[NodeID(1)]])
        // The tablet reports its new bounds: both are written down together.
        report.generation = anew.newGeneration
        report.upper = "m"
        controller.take(report, knowing: .zero)
        records.take(controller.reportedChange())
        controller.state = try records.state
        let half = try #require(controller.state.tablet(TabletID(4)))
        #expect(half.lower == "m" && half.upper == nil && half.voters.count == 3)
        #expect(controller.state.tablet(Splits.whole)?.upper == "m")
        #expect(controller.splitOrders.map(\.nodes) == [[1, 2, 3].map { NodeID($0) }])
        #expect(controller.isHeld(half) && controller.splitChange().isEmpty)
        var born = half
        born.leader = NodeID(2)
        controller.take(born, knowing: .zero)
        records.take(controller.splitChange())
        controller.state = try records.state
        #expect(controller.state.splits.isEmpty && controller.splitOrders.isEmpty)
        #expect(!controller.isHeld(half))
    }

    @Test(arguments: 1...12)
    func `a crash at any step is made good: nothing is lost, nothing stays half done`(
        seed: UInt64
    ) throws {
        let cluster = formed(seed)
        fill(cluster)
        #expect(cluster.direct(.splitTablet(Splits.whole, at: "m")) == nil)
        var draws = SeededGenerator(seed: seed)
        for _ in 0..<4 {
            cluster.run(for: .microseconds(Int(draws.below(60_000))))
            let all = draws.below(3) == 0
            let nodes = all ? [1, 2, 3] : [1 + Int(draws.below(3))]
            for node in nodes { cluster.cutPower(node) }
            cluster.run(for: .milliseconds(Int(draws.below(400))))
            for node in nodes { cluster.start(node) }
        }
        #expect(comes(cluster, within: .seconds(60)) { isSplit(cluster, at: "m") })
        expectAll(cluster)
        fill(cluster, "w")
        expectAll(cluster, "w")
        #expect(
            comes(cluster) { (1...3).allSatisfy { replica($0, Splits.half, cluster) != nil } })
    }

    @Test func `a half whose record is on its way is opened once, though the tablet goes`() throws {
        let cluster = formed(15)
        fill(cluster)
        #expect(cluster.direct(.splitTablet(Splits.whole, at: "m")) == nil)
        let isRecording = cluster.run(within: .seconds(10), every: .microseconds(20)) {
            cluster.host(3).node?.splitWork.recording[Splits.whole] != nil
        }
        #expect(isRecording)
        let node = try #require(cluster.host(3).node)
        let record = try #require(node.splitWork.recording[Splits.whole])
        let parent = try #require(replica(3, Splits.whole, cluster)).replica
        node.remove(Splits.whole, parent, by: .last, now: cluster.now)
        // The half's leader does not know that there is one under way.
        node.create(record, by: .none, now: cluster.now)
        let isOpen = comes(cluster) { self.replica(3, Splits.half, cluster) != nil }
        #expect(isOpen && cluster.host(3).isRunning)
        let half = replica(3, Splits.half, cluster)
        #expect(half?.raft.lastPosition.index != .zero, "not a blank one")
    }

    @Test func `a node that was away makes its own half of the log`() throws {
        let cluster = formed(6)
        fill(cluster)
        let away = try #require(cluster.leader()) % 3 + 1
        cluster.crash(away)
        split(cluster, at: "m")
        fill(cluster, "w")
        cluster.start(away)
        #expect(
            comes(cluster) {
                guard let half = replica(away, Splits.half, cluster) else { return false }
                return half.machine.appliedIndex > half.record.birth.index
            })
        expectAll(cluster, "w")
    }

    @Test func `a node that gets the tablet by a snapshot gets the half by one too`() throws {
        var options = ClusterOptions(seed: 7)
        options.retainedLogBytes = 0
        options.store.memtableBytesMax = 4 << 10
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        fill(cluster)
        let away = try #require(cluster.leader()) % 3 + 1
        cluster.crash(away)
        split(cluster, at: "m")
        for number in 0..<200 {
            let value = Bytes(String(repeating: "v", count: 200))
            #expect(cluster.put(Bytes("a\(number)"), value) != nil)
            #expect(cluster.put(Bytes("n\(number)"), value) != nil)
        }
        cluster.start(away)
        #expect(
            comes(cluster) {
                guard let half = replica(away, Splits.half, cluster) else { return false }
                return half.machine.appliedIndex > half.record.birth.index
                    && half.raft.leader != nil
            })
        let half = try #require(replica(away, Splits.half, cluster))
        #expect(half.machine.bounds.lower == "m")
        #expect(cluster.awaitEqualReplicas())
        // It counts: the two that it is a majority with serve both parts.
        let other = away % 3 + 1
        cluster.crash(other)
        #expect(cluster.put("n1", "w") != nil)
        #expect(cluster.put("a1", "w") != nil)
    }

    @Test func `a voter that holds the split makes its own half before a snapshot skips it`() throws
    {
        var options = ClusterOptions(seed: 9)
        options.retainedLogBytes = 0
        options.store.memtableBytesMax = 4 << 10
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        fill(cluster)
        #expect(comes(cluster) { cluster.directory?.version ?? .zero > .zero })
        let leader = try #require(cluster.leader())
        let away = leader % 3 + 1
        var isHeld = false
        cluster.client.start(
            .direct(.splitTablet(Splits.whole, at: "m")), tablet: .directory, within: .seconds(5)
        ) { _ in }
        // Cut off in the moment in which it has the entry and knows nothing of its commit.
        isHeld = cluster.run(within: .seconds(5)) {
            guard let raft = replica(away, Splits.whole, cluster)?.raft,
                let entry = raft.entry(at: raft.lastPosition.index)
            else { return false }
            return entry.kind == .split && raft.durableIndex == entry.index
                && raft.commit < entry.index
        }
        #expect(isHeld)
        cluster.cutPower(away)
        #expect(comes(cluster) { isSplit(cluster, at: "m") })
        for number in 0..<100 {
            let value = Bytes(String(repeating: "v", count: 200))
            #expect(cluster.put(Bytes("a\(number)"), value) != nil)
        }
        let split = try #require(replica(leader, Splits.whole, cluster)?.machine.lastSplit)
        #expect(
            comes(cluster) {
                (1...3).filter { $0 != away }.allSatisfy {
                    replica($0, Splits.whole, cluster).map {
                        $0.raft.basePosition.index > split.index.next
                    } ?? false
                }
            })
        cluster.start(away)
        #expect(replica(away, Splits.half, cluster) == nil)
        #expect(comes(cluster) { replica(away, Splits.half, cluster) != nil })
        let half = try #require(replica(away, Splits.half, cluster))
        #expect(half.machine.appliedIndex == split.index, "a blank one has nothing applied")
        #expect(cluster.awaitEqualReplicas())
        let counters = try #require(cluster.host(away).node).counters
        #expect(counters.snapshotsInstalled > 0)
    }

    @Test func `the half moves like any tablet, once it has reported`() throws {
        let cluster = formed(8, spares: 1)
        fill(cluster)
        #expect(cluster.join(4) == nil)
        // A node that the directory does not hear gets nothing.
        cluster.run(for: .seconds(2))
        split(cluster, at: "m")
        #expect(
            comes(cluster) {
                cluster.direct(.moveReplica(Splits.half, from: "n1", to: "n4")) == nil
                    || voters(of: Splits.half, cluster).contains(NodeID(4))
            })
        #expect(comes(cluster) { voters(of: Splits.half, cluster).contains(NodeID(4)) })
        expectAll(cluster)
        // A node that has no part in the first split may lead when the next one comes.
        #expect(
            comes(cluster) {
                cluster.direct(.moveReplica(Splits.whole, from: "n1", to: "n4")) == nil
                    || voters(of: Splits.whole, cluster).contains(NodeID(4))
            })
        #expect(comes(cluster) { voters(of: Splits.whole, cluster).contains(NodeID(4)) })
        let leader = try #require(cluster.leader())
        if leader != 4 {
            guard case .answer(.done) = cluster.call(.transferLeadership(to: NodeID(4))) else {
                Issue.record("the leadership is not handed over")
                return
            }
            #expect(comes(cluster) { cluster.leader() == 4 })
        }
        split(cluster, at: "c")
        for node in 1...4 { cluster.cutPower(node) }
        cluster.startAll()
        #expect(comes(cluster) { (1...4).allSatisfy { cluster.leader(of: TabletID($0)) != nil } })
        expectAll(cluster)
    }

    private func voters(of tablet: TabletID, _ cluster: SimulatedCluster) -> [NodeID] {
        guard let leader = cluster.leader(of: tablet),
            let membership = replica(leader, tablet, cluster)?.raft.membership,
            !membership.isJoint, membership.learners.isEmpty
        else { return [] }
        return membership.incoming.map(\.node)
    }
}
