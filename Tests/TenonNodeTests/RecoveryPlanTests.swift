import TenonCore
import TenonRaft
import TenonWire
import Testing

@testable import TenonNode

/// The plan of an operator's recovery, as a function of reports (Rule C10).
@Suite struct RecoveryPlanTests {
    private let cluster = ClusterID(high: 1, low: 2)
    private let now = WallTime(milliseconds: 1_000_000)

    /// n1 … n5, and tablets 1 and 2 with a voter on each.
    private var directory: Directory {
        let nodes = (1...5).map { number in
            Directory.Node(
                id: NodeID(UInt32(number)), name: "n\(number)", address: "10.0.0.\(number):7501",
                locality: "")
        }
        return StaticDirectory.content(nodes, count: 1)
    }

    private func membership(_ nodes: [Int]) throws -> Membership {
        try Membership(incoming: nodes.map(member))
    }

    private func member(_ node: Int) -> Member {
        Member(replica: ReplicaID(UInt64(node)), node: NodeID(UInt32(node)))
    }

    /// A copy on a node that begins at 0 and has entries of these terms.
    private func copy(
        _ tablet: UInt64, on node: Int, terms: [UInt64], commit: UInt64 = 0,
        committedAt: UInt64 = 0, voters: [Int] = [1, 2, 3, 4, 5],
        verdict: SurvivorReport.Verdict = .whole
    ) throws -> SurvivorReport.Tablet {
        var starts = [SurvivorReport.TermStart(index: .zero, term: .zero)]
        for (place, term) in terms.enumerated() where starts.last?.term != Term(term) {
            starts.append(
                SurvivorReport.TermStart(index: LogIndex(UInt64(place + 1)), term: Term(term)))
        }
        return SurvivorReport.Tablet(
            tablet: TabletID(tablet), replica: ReplicaID(UInt64(node)), keyspace: .default,
            lower: Bytes(), upper: nil, verdict: verdict, term: Term(terms.last ?? 0),
            commit: LogIndex(commit), committedVersion: Timestamp(committedAt),
            last: LogPosition(
                index: LogIndex(UInt64(terms.count)), term: Term(terms.last ?? 0)),
            lastVersion: Timestamp(committedAt + 1), terms: starts,
            membership: try membership(voters))
    }

    private func report(_ node: Int, _ tablets: [SurvivorReport.Tablet]) -> SurvivorReport {
        SurvivorReport(
            cluster: cluster, epoch: .first, node: NodeID(UInt32(node)), name: "n\(node)",
            folder: "/n\(node)", directory: directory, tablets: tablets)
    }

    private func plan(
        _ reports: [SurvivorReport], lost: [String], abandoned: Set<TabletID> = [], seed: UInt64 = 1
    ) throws(RecoveryError) -> RecoveryPlan {
        var generator = SeededGenerator(seed: seed)
        return try RecoveryPlan.make(
            from: reports, lost: lost, lossEnd: now, abandoned: abandoned, using: &generator)
    }

    private func problem(
        _ reports: [SurvivorReport], lost: [String], abandoned: Set<TabletID> = []
    ) -> String {
        do throws(RecoveryError) {
            _ = try plan(reports, lost: lost, abandoned: abandoned)
            return "no problem"
        } catch {
            return "\(error)"
        }
    }

    /// n2 and n5 of both tablets; n5 is ahead in tablet 2.
    private var twoOfFive: [SurvivorReport] {
        get throws {
            [
                report(
                    2,
                    [
                        try copy(1, on: 2, terms: [1, 1, 3], commit: 2, committedAt: 20),
                        try copy(2, on: 2, terms: [1, 1, 2, 2], commit: 1, committedAt: 10),
                    ]),
                report(
                    5,
                    [
                        try copy(1, on: 5, terms: [1, 1], commit: 1, committedAt: 10),
                        try copy(2, on: 5, terms: [1, 1, 3], commit: 2, committedAt: 20),
                    ]),
            ]
        }
    }

    @Test func `each tablet goes on from the copy with the highest term, then index`() throws {
        let plan = try plan(try twoOfFive, lost: ["n1", "n3", "n4"])
        #expect(plan.tablets.map(\.tablet) == [.directory, TabletID(2)])
        #expect(plan.tablets.map(\.chosen) == [member(2), member(5)])
        for tablet in plan.tablets {
            #expect(tablet.last == LogPosition(index: LogIndex(3), term: Term(3)))
            #expect(tablet.term == Term(4), "above all that anybody knows")
            #expect(tablet.membership.incoming == [member(2), member(5)])
            #expect(tablet.commit == LogIndex(2), "what any survivor knows to be committed")
            #expect(tablet.lossStart == Timestamp(20))
            #expect(tablet.membership.generation > .first)
            #expect(tablet.configurationEntry.index == LogIndex(4))
        }
        #expect(plan.lossEnd.milliseconds == now.milliseconds + 500)
        #expect(plan.missing == [])
        #expect(
            plan.confirmation == "recover \(cluster) losing n1,n3,n4")
    }

    @Test func `entries of the others that are cut are named`() throws {
        let plan = try plan(try twoOfFive, lost: ["n1", "n3", "n4"])
        #expect(plan.tablets[0].copies.map(\.cut) == [nil, nil], "n5 only lags")
        #expect(plan.tablets[1].copies.map(\.cut) == [LogIndex(3)...LogIndex(4), nil])
    }

    @Test func `a tablet with a majority left stays as it is`() throws {
        var reports = try twoOfFive
        for place in reports.indices {
            reports[place].tablets[1] = try copy(
                2, on: [2, 5][place], terms: [1], voters: [1, 2, 5])
        }
        let plan = try plan(reports, lost: ["n1", "n3", "n4"])
        #expect(plan.tablets.map(\.tablet) == [.directory])
    }

    @Test func `nothing is done when every tablet has a majority`() throws {
        let reports = try (2...5).map { node in
            try report(node, [copy(1, on: node, terms: [1]), copy(2, on: node, terms: [1])])
        }
        #expect(problem(reports, lost: ["n1"]).contains("nothing to recover"))
    }

    @Test func `of a joint configuration both halves need a majority`() throws {
        var joint = try copy(1, on: 4, terms: [1])
        joint.membership = try Membership(
            incoming: [member(3), member(4), member(5)],
            outgoing: [member(1), member(2), member(4)])
        var other = try copy(1, on: 5, terms: [1])
        other.membership = joint.membership
        // 4 and 5 are a majority of those that come, and none of those that go.
        let reports = [report(4, [joint]), report(5, [other])]
        let plan = try plan(reports, lost: ["n1", "n2"], abandoned: [TabletID(2)])
        #expect(plan.tablets.map(\.tablet) == [.directory])
        #expect(plan.tablets[0].membership.outgoing == [])
        #expect(plan.missing.map(\.name) == ["n3"])
    }

    @Test func `a damaged copy is named and never chosen`() throws {
        var reports = try twoOfFive
        reports[1].tablets[1].verdict = .damaged("a hole")
        let tablet = try plan(reports, lost: ["n1", "n3", "n4"]).tablets[1]
        #expect(tablet.chosen == member(2))
        #expect(tablet.membership.incoming == [member(2)])
        #expect(tablet.copies[1].problem == "damaged on n5: a hole")
        #expect(
            tablet.lossStart == Timestamp(10), "wider: what only the damaged one knew is not used")
        #expect(tablet.term == Term(4), "its term counts all the same")
    }

    @Test func `a tablet without a whole copy is refused, unless it is given up`() throws {
        var reports = try twoOfFive
        for place in reports.indices { reports[place].tablets[1].verdict = .suspect("a loss") }
        let text = problem(reports, lost: ["n1", "n3", "n4"])
        #expect(text.contains("tablet 2 (suspect on n2: a loss; suspect on n5: a loss)"))
        #expect(text.contains("--abandon 2"))
        for place in reports.indices { reports[place].tablets.removeLast() }
        #expect(
            problem(reports, lost: ["n1", "n3", "n4"]).contains("tablet 2 (no survivor has it)"))
        let plan = try plan(reports, lost: ["n1", "n3", "n4"], abandoned: [TabletID(2)])
        #expect(plan.abandoned == [TabletID(2)])
        #expect(plan.tablets.map(\.tablet) == [.directory])
    }

    @Test func `what is asked wrongly is refused with what to change`() throws {
        let reports = try twoOfFive
        #expect(problem([], lost: ["n1"]).contains("tenon recover inspect"))
        #expect(problem(reports, lost: []).contains("--lost"))
        #expect(problem(reports, lost: ["n9"]).contains("no node n9; there are n1, n2"))
        #expect(problem(reports, lost: ["n2"]).contains("take it off --lost"))
        #expect(problem(reports + [reports[0]], lost: ["n1"]).contains("two reports of n2"))
        var other = reports
        other[1].cluster = ClusterID(high: 5, low: 5)
        #expect(problem(other, lost: ["n1"]).contains("reports of one cluster"))
        other = reports
        other[1].epoch = Epoch(7)
        #expect(problem(other, lost: ["n1"]).contains("between them lies a recovery"))
    }

    @Test func `two plans never begin the same epoch, and each is above the one it ends`() throws {
        let reports = try twoOfFive
        let epochs = try (1...100).map {
            try plan(reports, lost: ["n1", "n3", "n4"], seed: $0).newEpoch
        }
        #expect(Set(epochs).count == 100)
        #expect(epochs.allSatisfy { $0 > .first })
        var later = reports
        for place in later.indices { later[place].epoch = epochs.max() ?? .first }
        let next = try plan(later, lost: ["n1", "n3", "n4"], seed: 5).newEpoch
        #expect(epochs.allSatisfy { $0 < next })
    }

    @Test func `of random reports the choice is never behind another whole copy`() throws {
        var generator = SeededGenerator(seed: 42)
        var recovered = 0
        for round in 0..<2_000 {
            let lost = Set((1...5).shuffled(using: &generator).prefix(3))
            let reports = try (1...5).filter { !lost.contains($0) }.map { node in
                try randomReport(node, &generator)
            }
            let names = lost.sorted().map { "n\($0)" }
            guard
                let plan = try? plan(
                    reports, lost: names, abandoned: [.directory, TabletID(2)],
                    seed: UInt64(round)),
                let tablet = plan.tablets.first
            else { continue }
            recovered += 1
            let whole = reports.compactMap { $0.tablet(.directory) }.filter(\.verdict.isWhole)
            #expect(whole.allSatisfy { $0.last <= tablet.last })
            #expect(whole.allSatisfy { $0.term < tablet.term })
            #expect(whole.allSatisfy { $0.committedVersion <= tablet.lossStart })
            #expect(tablet.membership.incoming.contains(tablet.chosen))
            for member in tablet.membership.incoming {
                #expect(!lost.contains(Int(member.node.rawValue)))
                #expect(whole.contains { $0.replica == member.replica })
            }
        }
        #expect(recovered > 1_000)
    }

    private func randomReport(
        _ node: Int, _ generator: inout SeededGenerator
    ) throws -> SurvivorReport {
        var terms: [UInt64] = []
        for _ in 0..<generator.below(12) {
            terms.append((terms.last ?? 1) + generator.below(2))
        }
        let verdicts: [SurvivorReport.Verdict] = [
            .whole, .whole, .whole, .damaged(""), .suspect(""),
        ]
        let commit = generator.below(UInt64(terms.count + 1))
        return report(
            node,
            [
                try copy(
                    1, on: node, terms: terms, commit: commit, committedAt: commit * 10,
                    verdict: verdicts[Int(generator.below(5))])
            ])
    }

    // MARK: Bytes

    @Test func `a report and a plan are read back`() throws {
        for report in try twoOfFive {
            #expect(try SurvivorReport(decoding: report.encoded()) == report)
        }
        let plan = try plan(try twoOfFive, lost: ["n1", "n3", "n4"])
        #expect(try RecoveryPlan(decoding: plan.encoded()) == plan)
    }

    @Test func `no truncated and no changed report or plan is taken`() throws {
        let report = try twoOfFive[0].encoded()
        let plan = try plan(try twoOfFive, lost: ["n1", "n3", "n4"]).encoded()
        for count in report.indices {
            #expect(throws: DecodingError.self) {
                try SurvivorReport(decoding: Array(report[..<count]))
            }
        }
        for count in plan.indices {
            #expect(throws: DecodingError.self) {
                try RecoveryPlan(decoding: Array(plan[..<count]))
            }
            var changed = plan
            changed[count] ^= 4
            #expect(throws: DecodingError.self) { try RecoveryPlan(decoding: changed) }
        }
    }
}
