import Foundation
import TenonChecker
import TenonCore
import Testing

@testable import tenon

@Suite("Drills in several cities")
struct CityDrillTests {
    private static func moment(_ milliseconds: Int) -> Instant {
        .zero + .milliseconds(milliseconds)
    }

    private func put(
        _ key: Bytes, sent: Int, answered: Int?, tablet: UInt64
    ) -> HistoryOperation {
        var operation = HistoryOperation(
            worker: 0, sentAt: CityDrillTests.moment(sent),
            answeredAt: answered.map(CityDrillTests.moment), action: .put(key: key, value: "v"),
            result: answered == nil ? .unknown : .ok)
        operation.at = HistoryOperation.Point(tablet: TabletID(tablet), version: Timestamp(1))
        return operation
    }

    private func line() -> TimeLine {
        TimeLine(
            title: "a < b",
            operations: [
                put("sh/1", sent: 10, answered: 50, tablet: 4),
                put("sh/2", sent: 20, answered: 60, tablet: 4),
                put("sh/3", sent: 150, answered: 990, tablet: 4),
                put("bj/1", sent: 30, answered: 250, tablet: 6),
                put("bj/2", sent: 30, answered: nil, tablet: 6),
            ], homes: [TabletID(4): "sh", TabletID(6): "bj"],
            claims: [
                TabletID(4): [
                    .init(at: CityDrillTests.moment(500), term: 2, node: NodeID(3)),
                    .init(at: CityDrillTests.moment(5_000), term: 3, node: NodeID(1)),
                ],
                TabletID(9): [.init(at: CityDrillTests.moment(1), term: 1, node: NodeID(1))],
            ], names: [NodeID(3): "n3"], span: .zero..<CityDrillTests.moment(1_000),
            fault: CityDrillTests.moment(100)..<CityDrillTests.moment(600))
    }

    @Test("Successes are counted by city and tenth of a second, leaders by when they were seen")
    func timeLine() throws {
        let line = line()
        #expect(line.throughput.map(\.city) == ["bj", "sh"])
        #expect(line.throughput[0].counts == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(line.throughput[1].counts == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0])
        #expect(line.changes.map(\.node) == ["n3"] && line.changes.map(\.city) == ["sh"])
        #expect(line.fault.from == .milliseconds(100) && line.fault.to == .milliseconds(600))
    }

    @Test("The picture is well-formed XML, its words escaped")
    func picture() throws {
        let svg = line().svg
        #expect(svg.contains("a &lt; b") && svg.contains("|n3"))
        let parser = XMLDocumentProbe(Data(svg.utf8))
        #expect(parser.isWellFormed)
        #expect(TimeLine.path(beside: "a/b.json") == "a/b.svg")
        #expect(TimeLine.path(beside: "report") == "report.svg")
    }

    @Test("The topologies of the drills can be kept, and are lost room by room and city by city")
    func topologies() throws {
        for (topology, level, count) in [
            (TopologyFile.threeRooms, FailureLevel.dc, 2), (.threeCities, .city, 3),
        ] {
            var layout = ClusterLayout(
                addresses: topology.nodes.indices.map { "127.0.0.1:\($0 + 1)" }, tablets: nil,
                serveOptions: [])
            layout.spread(over: topology)
            let domains = Set(layout.nodes.compactMap { $0.domain(at: level) }).sorted()
            #expect(domains.count == 3)
            for domain in domains {
                #expect(layout.nodes.count { $0.domain(at: level) == domain } == count)
            }
        }
    }

    @Test("Keys begin with each city in turn")
    func keys() {
        let keys = DrillKeys(run: "r", cities: ["a", "b"])
        #expect(keys.key(0, of: 4, round: 1).starts(with: "a/00"))
        #expect(keys.key(1, of: 4, round: 1).starts(with: "b/"))
        #expect(keys.counter(2, of: 4).starts(with: "a/"))
    }

    private func wayHome(
        _ claims: [LeaderWatch.Claim], back: Int? = 10_000, home: Int? = 12_000
    ) -> WayHome {
        WayHome(
            homes: [TabletID(4): "sh", TabletID(6): "bj"],
            places: [NodeID(1): "sh", NodeID(2): "sh", NodeID(3): "bj"],
            claims: [TabletID(4): claims], struck: [NodeID(1), NodeID(2)],
            lostAt: CityDrillTests.moment(1_000), backAt: back.map(CityDrillTests.moment),
            homeAt: home.map(CityDrillTests.moment))
    }

    @Test("The way home is there and back: led from elsewhere meanwhile, and from home in time")
    func wayHome() {
        let elsewhere = LeaderWatch.Claim(
            at: CityDrillTests.moment(1_500), term: 2, node: NodeID(3))
        let good = wayHome([elsewhere])
        #expect(good.seconds == 2 && good.complaints.isEmpty)
        #expect(good.complaintsAboutFailover.isEmpty)
        #expect(!wayHome([elsewhere], home: nil).complaints.isEmpty)
        #expect(!wayHome([elsewhere], home: 40_001).complaints.isEmpty)
        #expect(wayHome([elsewhere], home: 40_000).complaints.isEmpty)
        // Nobody else led it, or only after the home was back.
        let unseen = wayHome([]).complaintsAboutFailover
        #expect(unseen == ["tablet 4 was not led from elsewhere meanwhile"])
        let late = LeaderWatch.Claim(at: CityDrillTests.moment(10_001), term: 2, node: NodeID(3))
        #expect(!wayHome([late]).complaintsAboutFailover.isEmpty)
        let neighbour = LeaderWatch.Claim(
            at: CityDrillTests.moment(1_500), term: 2, node: NodeID(2))
        #expect(!wayHome([neighbour]).complaintsAboutFailover.isEmpty)
    }

    @Test("Rounds meet whom the scenario says, for as long as it says")
    func rounds() throws {
        let scenario = try #require(Scenario.named("city-loss"))
        let rounds = scenario.rounds(2, injections: scenario.injections)
        #expect(rounds.map(\.target) == [.city, .city, .city, .city])
        #expect(rounds.allSatisfy { $0.duration == .seconds(10) })
    }
}

/// Whether a text is XML: tags that are closed in order.
private struct XMLDocumentProbe {
    let isWellFormed: Bool

    init(_ data: Data) {
        var open: [Substring] = []
        var isGood = true
        for part in String(decoding: data, as: UTF8.self).split(separator: "<").dropFirst(0) {
            guard let end = part.firstIndex(of: ">") else {
                isGood = false
                break
            }
            let tag = part[..<end]
            let name = tag.drop { $0 == "/" }.prefix { $0.isLetter }
            if tag.hasPrefix("/") {
                if open.popLast() != name { isGood = false }
            } else if !tag.hasSuffix("/") {
                open.append(name)
            }
        }
        isWellFormed = isGood && open.isEmpty
    }
}
