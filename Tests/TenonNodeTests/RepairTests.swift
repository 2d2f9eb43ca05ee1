import TenonCore
import TenonLog
import TenonRaft
import TenonSimulator
import TenonStore
import TenonWire
import Testing

@testable import TenonNode

/// Replicas whose logs lost entries, in a running cluster (Rule L7).
@Suite("Repair of logs")
struct RepairTests {
    /// Turns a bit over in the first place of a node's log that holds `marker`.
    private func damage(_ marker: String, of node: Int, in cluster: SimulatedCluster) -> Bool {
        cluster.host(node).disk.damageLog(at: Array(marker.utf8))
    }

    private func health(_ cluster: SimulatedCluster, _ node: Int) -> String {
        cluster.status(node)?.health ?? "down"
    }

    private func counters(_ cluster: SimulatedCluster, _ node: Int) -> NodeStatus.Counters {
        cluster.host(node).node?.status(now: cluster.now).counters ?? NodeStatus.Counters()
    }

    /// Ten keys, of which number 3 and number 6 can be found in the logs.
    private func loaded(_ seed: UInt64) -> SimulatedCluster? {
        let cluster = SimulatedCluster(ClusterOptions(seed: seed))
        guard cluster.form() else { return nil }
        for number in 0..<10 {
            guard cluster.put(Bytes("key\(number)"), Bytes("value <\(number)>")) != nil else {
                return nil
            }
            cluster.run(for: .milliseconds(30))
        }
        return cluster.awaitEqualReplicas() ? cluster : nil
    }

    private func readsAll(_ cluster: SimulatedCluster) -> Bool {
        (0..<10).allSatisfy { cluster.text(of: Bytes("key\($0)")) == "value <\($0)>" }
    }

    @Test func `a follower that lost entries gets them from its leader`() throws {
        let cluster = try #require(loaded(1))
        let leader = try #require(cluster.leader())
        let victim = leader % 3 + 1
        cluster.crash(victim)
        let isDamaged = damage("value <3>", of: victim, in: cluster)
        #expect(isDamaged)
        cluster.start(victim)
        #expect(health(cluster, victim).hasPrefix("repairing"))
        #expect(counters(cluster, victim).damagedEntries > 0)
        #expect(cluster.host(victim).noticed("does not vote"))
        let isWhole = cluster.run(within: .seconds(3)) { health(cluster, victim) == "whole" }
        #expect(isWhole)
        let isEqual = cluster.awaitEqualReplicas()
        #expect(isEqual)
        cluster.run(for: .milliseconds(200))
        #expect(counters(cluster, victim).tabletsRepaired == 1)
        // It is a voter like any other: the cluster lives on it and one more.
        cluster.crash(leader)
        let version = cluster.put("after", "1", within: .seconds(5))
        #expect(version != nil)
        #expect(readsAll(cluster))
    }

    @Test func `a leader that lost entries comes back as a follower and gets them`() throws {
        let cluster = try #require(loaded(2))
        let leader = try #require(cluster.leader())
        cluster.crash(leader)
        let isDamaged = damage("value <6>", of: leader, in: cluster)
        #expect(isDamaged)
        cluster.start(leader)
        let version = cluster.put("after", "1", within: .seconds(5))
        #expect(version != nil)
        let isWhole = cluster.run(within: .seconds(5)) { health(cluster, leader) == "whole" }
        #expect(isWhole)
        let isEqual = cluster.awaitEqualReplicas()
        #expect(isEqual)
        #expect(readsAll(cluster))
    }

    @Test func `two of three that lost the same entry get it from the third`() throws {
        for seed in UInt64(3)...6 {
            let cluster = try #require(loaded(seed))
            for node in 1...3 { cluster.crash(node) }
            for node in [1, 2] {
                let isDamaged = damage("value <3>", of: node, in: cluster)
                #expect(isDamaged)
            }
            cluster.startAll()
            #expect(health(cluster, 1).hasPrefix("repairing"))
            let isServing = cluster.awaitLeaders()
            #expect(isServing)
            let isWhole = cluster.run(within: .seconds(5), every: .milliseconds(10)) {
                health(cluster, 1) == "whole" && health(cluster, 2) == "whole"
            }
            #expect(isWhole, "\(health(cluster, 1)), \(health(cluster, 2))")
            #expect(readsAll(cluster))
            #expect(counters(cluster, 1).entriesRepaired + counters(cluster, 2).entriesRepaired > 0)
            let isEqual = cluster.awaitEqualReplicas()
            #expect(isEqual)
        }
    }

    @Test func `replicas that lost different entries help each other`() throws {
        let cluster = try #require(loaded(7))
        for node in 1...3 { cluster.crash(node) }
        for (node, number) in [(1, 3), (2, 6), (3, 8)] {
            let isDamaged = damage("value <\(number)>", of: node, in: cluster)
            #expect(isDamaged)
        }
        cluster.startAll()
        let isServing = cluster.awaitLeaders()
        #expect(isServing)
        #expect(readsAll(cluster))
        let isEqual = cluster.awaitEqualReplicas()
        #expect(isEqual)
    }

    @Test func `an entry that no copy is left of is waited for, never dropped`() throws {
        let cluster = try #require(loaded(8))
        for node in 1...3 { cluster.crash(node) }
        for node in 1...3 {
            let isDamaged = damage("value <3>", of: node, in: cluster)
            #expect(isDamaged)
        }
        cluster.startAll()
        cluster.run(for: .seconds(10))
        #expect(cluster.leader() == nil)
        for node in 1...3 {
            #expect(health(cluster, node).contains("it waits for them"), "\(health(cluster, node))")
        }
        // Nothing went: the next start finds as much.
        let lost = counters(cluster, 1).damagedEntries
        for node in 1...3 { cluster.crash(node) }
        cluster.startAll()
        #expect(counters(cluster, 1).damagedEntries == lost)
    }

    @Test func `a replica that lost what it acknowledged does not elect one without it`() throws {
        let cluster = try #require(loaded(9))
        let leader = try #require(cluster.leader())
        let (victim, absent) = (leader % 3 + 1, (leader + 1) % 3 + 1)
        cluster.crash(absent)
        let version = cluster.put("late", "value <late>")
        #expect(version != nil)
        for number in 0..<3 { _ = cluster.put(Bytes("more\(number)"), "x") }
        cluster.run(for: .milliseconds(100))
        cluster.crash(leader)
        cluster.crash(victim)
        let isDamaged = damage("value <late>", of: victim, in: cluster)
        #expect(isDamaged)
        cluster.start(victim)
        cluster.start(absent)
        // The only whole copy is down: these two must not go on without it.
        cluster.run(for: .seconds(10))
        #expect(cluster.leader() == nil)
        // Not over a restart either, in the middle of the repair.
        cluster.crash(victim)
        cluster.start(victim)
        cluster.run(for: .seconds(5))
        #expect(cluster.leader() == nil)
        cluster.start(leader)
        let isServing = cluster.awaitLeaders()
        #expect(isServing)
        #expect(cluster.text(of: "late") == "value <late>")
        let isEqual = cluster.awaitEqualReplicas()
        #expect(isEqual)
    }

    @Test func `damage below the flush takes nothing away`() throws {
        var options = ClusterOptions(seed: 10)
        options.store.memtableBytesMax = 8 << 10
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        #expect(cluster.put("a", "value <a>") != nil)
        for number in 0..<30 {
            _ = cluster.put(Bytes("key\(number)"), Bytes(Array(repeating: 7, count: 1_000)))
        }
        let isEqual = cluster.awaitEqualReplicas()
        #expect(isEqual)
        let status = try #require(cluster.status(1))
        #expect(status.flushed > 5 && status.first < 5)
        cluster.crash(1)
        let isDamaged = damage("value <a>", of: 1, in: cluster)
        #expect(isDamaged)
        cluster.start(1)
        #expect(health(cluster, 1) == "whole")
        cluster.crash(cluster.leader() == 2 ? 2 : 3)
        let version = cluster.put("b", "1", within: .seconds(5))
        #expect(version != nil)
        #expect(cluster.text(of: "a") == "value <a>")
    }
}

/// What of a log a replica goes on with.
@Suite("Repair plan")
struct RepairPlanTests {
    private func log(
        base: UInt64 = 0, _ indexes: [UInt64], lost: [ClosedRange<UInt64>], term: UInt64 = 2
    ) -> RecoveredTablet {
        let last = max(indexes.last ?? base, lost.last?.upperBound ?? 0)
        return RecoveredTablet(
            tablet: TabletID(2), replica: ReplicaID(1),
            verdict: lost.isEmpty
                ? .whole
                : .damaged(
                    lost.map { LogIndex($0.lowerBound)...LogIndex($0.upperBound) }),
            hardState: HardState(term: Term(term), vote: .none, commit: .zero),
            baseIndex: LogIndex(base), baseTerm: Term(base == 0 ? 0 : 1),
            entries: indexes.map {
                Entry(index: LogIndex($0), term: Term(1), kind: .noop, payload: [])
            }, last: LogIndex(last), lastTerm: Term(1))
    }

    private func plan(
        _ log: RecoveredTablet, flushed: UInt64 = 0, note: RepairNote? = nil
    ) -> RepairPlan {
        RepairPlan(
            log,
            flushed: LogPosition(index: LogIndex(flushed), term: Term(flushed == 0 ? 0 : 1)),
            note: note)
    }

    private func indexes(_ entries: [Entry]) -> [UInt64] { entries.map(\.index.rawValue) }

    @Test func `a whole log is taken as it is`() {
        let plan = plan(log([1, 2, 3], lost: []))
        #expect(indexes(plan.entries) == [1, 2, 3])
        #expect(plan.lost == nil)
    }

    @Test func `what stands behind lost entries is set aside`() {
        let plan = plan(log([1, 2, 5, 6], lost: [3...4]))
        #expect(indexes(plan.entries) == [1, 2])
        #expect(plan.lost?.last.index == LogIndex(6))
        #expect(plan.lost?.term == Term(2))
        #expect(indexes(plan.lost?.aside ?? []) == [5, 6])
        #expect(plan.lostCount == 2)
    }

    @Test func `a lost end is remembered`() {
        let plan = plan(log([1, 2], lost: [3...4]))
        #expect(
            plan.lost
                == Raft.Lost(
                    last: LogPosition(index: LogIndex(4), term: Term(1)), term: Term(2)))
    }

    @Test func `below the flush nothing is missed`() {
        let plan = plan(log([1, 4, 5, 6], lost: [2...3]), flushed: 5)
        #expect(plan.base == LogPosition(index: LogIndex(5), term: Term(1)))
        #expect(indexes(plan.entries) == [6])
        #expect(plan.lost == nil)
    }

    @Test func `behind a flush whose own entry is lost nothing is known to belong to it`() {
        let plan = plan(log([1, 4, 5], lost: [2...3]), flushed: 3)
        #expect(plan.base.index == LogIndex(3))
        #expect(plan.entries.isEmpty)
        #expect(plan.lost?.last.index == LogIndex(5))
    }

    @Test func `a log of another branch than the flush is left to the group to drop`() {
        var log = log([1, 4, 5], lost: [2...3])
        log.entries[1].term = Term(2)
        let plan = plan(log, flushed: 4)
        #expect(plan.base == .zero)
        #expect(plan.entries.isEmpty)
    }

    @Test func `a damaged log that ends before the flush is left to the group to drop`() {
        let plan = plan(log([1, 4], lost: [2...3]), flushed: 9)
        #expect(plan.base == .zero)
        #expect(plan.entries.isEmpty)
        #expect(plan.lost == nil)
        let note = RepairNote(
            replica: ReplicaID(1), last: LogPosition(index: LogIndex(12), term: Term(1)),
            term: Term(1))
        #expect(
            self.plan(log([1, 4], lost: [2...3]), flushed: 9, note: note).lost?.last.index
                == LogIndex(12))
    }

    @Test func `a note holds until the log is as long, or of a newer term`() {
        let note = RepairNote(
            replica: ReplicaID(1), last: LogPosition(index: LogIndex(9), term: Term(1)),
            term: Term(1))
        #expect(plan(log([1, 2], lost: []), note: note).lost?.last.index == LogIndex(9))
        #expect(plan(log(Array(1...9), lost: []), note: note).lost == nil)
        var newer = log([1, 2], lost: [])
        newer.entries[1].term = Term(2)
        #expect(plan(newer, note: note).lost == nil)
        let damagedAgain = plan(log([1, 2, 5], lost: [3...4]), note: note)
        #expect(damagedAgain.lost?.last.index == LogIndex(9))
    }

    @Test func `notes, questions and answers are read back, truncated ones are not`() throws {
        let note = RepairNote(
            replica: ReplicaID(1), last: LogPosition(index: LogIndex(9), term: Term(3)),
            term: Term(4))
        #expect(try RepairNote(decoding: note.encoded()) == note)
        for count in 0..<note.encoded().count {
            #expect(throws: DecodingError.self) {
                try RepairNote(decoding: Bytes(Array(note.encoded().array[..<count])))
            }
        }
        #expect(RepairNote.tablet(ofKey: RepairNote.key(of: TabletID(7))) == TabletID(7))
        #expect(RepairNote.tablet(ofKey: 7) == nil)
        let range = Raft.LostRange(
            first: LogIndex(3), anchor: LogPosition(index: LogIndex(5), term: Term(1)))
        let answer = RepairAnswer(
            tablet: TabletID(2), range: range, state: .entries,
            entries: [Entry(index: LogIndex(3), term: Term(1), kind: .noop, payload: [1])])
        var writer = ByteWriter()
        answer.encode(to: &writer)
        let bytes = writer.take()
        var reader = ByteReader(bytes)
        #expect(try RepairAnswer(from: &reader) == answer)
        for count in bytes.indices {
            #expect(throws: DecodingError.self) {
                var reader = ByteReader(Array(bytes[..<count]))
                _ = try RepairAnswer(from: &reader)
            }
        }
    }
}
