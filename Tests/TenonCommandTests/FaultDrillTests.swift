import Foundation
import TenonChecker
import TenonCore
import Testing

@testable import tenon

@Suite("What drills make of a fault")
struct FaultDrillTests {
    private func at(_ milliseconds: Int) -> Instant { Instant.zero + .milliseconds(milliseconds) }

    private func claim(_ milliseconds: Int, term: UInt64, node: UInt32) -> LeaderWatch.Claim {
        LeaderWatch.Claim(at: at(milliseconds), term: term, node: NodeID(node))
    }

    @Test("A change of leader is a new term, and counts from the fault on")
    func changes() {
        let claims = [
            TabletID(1): [
                claim(10, term: 1, node: 1), claim(50, term: 2, node: 2),
                claim(160, term: 4, node: 3), claim(400, term: 5, node: 3),
            ],
            TabletID(2): [claim(10, term: 1, node: 1), claim(300, term: 2, node: 3)],
        ]
        let findings = LeaderWatch.Findings(claims, since: at(100))
        #expect(findings.changes == 2)
        #expect(findings.allElsewhereAfter == .milliseconds(200))
    }

    @Test("A tablet that keeps its leader has none elsewhere, also when it is elected again")
    func kept() {
        let again = [TabletID(1): [claim(10, term: 1, node: 1), claim(200, term: 2, node: 1)]]
        let findings = LeaderWatch.Findings(again, since: at(100))
        #expect(findings.changes == 1)
        #expect(findings.allElsewhereAfter == nil)
    }

    private func put(
        _ sent: Int, takes: Int?, version: UInt64 = 1_000_000
    ) -> HistoryOperation {
        var put = HistoryOperation(
            worker: 0, sentAt: at(sent), answeredAt: takes.map { at(sent + $0) },
            action: .put(key: "k", value: "v"), result: takes == nil ? .unknown : .ok)
        put.version = Timestamp(WallTime(milliseconds: version))
        return put
    }

    private func measures(_ operations: [HistoryOperation]) -> FaultMeasures {
        FaultMeasures(
            operations, from: at(0), fault: at(1_000), end: at(21_000),
            wallTime: Date(timeIntervalSince1970: 1_001))
    }

    @Test("Availability counts writes after the first 8 s that are answered within a second")
    func availability() {
        let early = (0..<10).map { put(2_000 + $0, takes: nil) }
        let served = (0..<18).map { put(9_000 + $0 * 100, takes: 10) }
        let late = [put(11_000, takes: 1_500), put(11_001, takes: nil)]
        let afterwards = [put(20_500, takes: nil)]
        #expect(measures(early + served + late + afterwards).writeAvailability == 0.9)
        #expect(measures(early).writeAvailability == nil)
    }

    @Test("Latencies before and during a fault are told apart by when a put was sent")
    func latencies() {
        let before = (0..<100).map { put($0, takes: 2) }
        let during = (0..<100).map { put(1_000 + $0, takes: $0 == 98 ? 50 : $0 == 99 ? 70 : 4) }
        let measures = measures(before + during)
        #expect(measures.putP99Before == .milliseconds(2))
        #expect(measures.putP99During == .milliseconds(70))
        #expect(measures.putP50During == .milliseconds(4))
    }

    @Test("A version is as wrong as it is away from the true time of its answer")
    func versions() {
        // Answered at 2 s on the drill's clock, which is 1002 s of Unix time.
        let right = put(1_900, takes: 100, version: 1_002_000)
        #expect(measures([right]).versionErrorSeconds == 0)
        let behind = put(1_900, takes: 100, version: 998_500)
        #expect(measures([right, behind]).versionErrorSeconds == 3.5)
        let earlier = put(400, takes: 100, version: 1_000_500)
        #expect(measures([earlier]).versionErrorSeconds == 0)
    }

    private func round(
        _ injection: Injection, _ target: FaultTarget, _ change: (inout DrillReport.Round) -> Void
    ) -> DrillReport.Round {
        var round = DrillReport.Round(
            faultAt: "", injection: injection, target: target, node: "n1",
            faultSeconds: 8, gapSeconds: 0,
            acknowledged: 0, refused: 0, unknown: 0, lost: 0, stale: 0, inFlightAtFault: 0,
            latencyMillis: .init(p50: 0, p99: 0, max: 0), linearizability: "holds",
            leaderChanges: 0, putP99MillisBefore: 20, putP99MillisDuring: 20,
            putP50MillisDuring: 2, versionErrorSeconds: 0, problems: [])
        change(&round)
        return round
    }

    @Test("Each fault has bounds of its own")
    func judgement() {
        func complains(
            _ injection: Injection, _ target: FaultTarget,
            _ change: (inout DrillReport.Round) -> Void
        ) -> Bool {
            !RoundJudgement.complaints(about: round(injection, target, change)).isEmpty
        }
        #expect(complains(.hang, .leader) { $0.otherLeaderSeconds = nil })
        #expect(!complains(.hang, .leader) { $0.otherLeaderSeconds = 1 })
        #expect(complains(.hang, .follower) { $0.putP99MillisDuring = 41 })
        #expect(!complains(.hang, .follower) { $0.putP99MillisDuring = 40 })
        #expect(complains(.chain, .leader) { $0.leaderChanges = 3 })
        #expect(complains(.hub, .leader) { $0.writeAvailability = 0.94 })
        #expect(!complains(.hub, .leader) { $0.writeAvailability = 0.95 })
        #expect(complains(.capped, .leader) { $0.leaderChanges = 1 })
        #expect(complains(.delay, .leader) { $0.putP50MillisDuring = 200 })
        #expect(complains(.cut, .leader) { $0.writeRtoSeconds = 9 })
        #expect(!complains(.fill, .all) { $0.writeRtoSeconds = 9 })
        #expect(complains(.clockDecade, .leader) { $0.versionErrorSeconds = 3 })
        // While all clocks are wrong time stands still, for as long as that lasts.
        #expect(!complains(.clockDecade, .all) { $0.versionErrorSeconds = 9 })
        #expect(complains(.clockDecade, .all) { $0.versionErrorSeconds = 10 })
        #expect(complains(.clockDrift, .all) { $0.versionErrorSeconds = 3 })
        #expect(complains(.clockAhead, .leader) { $0.leaderChanges = 2 })
        #expect(!complains(.clockAhead, .all) { $0.leaderChanges = 6 })
        #expect(!complains(.kill, .leader) { $0.leaderChanges = 9 })
        #expect(complains(.renew, .leader) { $0.gapSeconds = 1 })
        #expect(complains(.renew, .leader) { $0.unknown = 1 })
        #expect(complains(.drainStop, .leader) { $0.refused = 1 })
        #expect(complains(.clone, .leader) { $0.gapSeconds = 1 })
        #expect(complains(.destroy, .follower) { $0.putP99MillisDuring = 41 })
        #expect(!complains(.destroy, .leader) { $0.putP99MillisDuring = 41 })
        let slow = [1.0, 2.0, 2.5].map { seconds in
            round(.hang, .leader) { $0.otherLeaderSeconds = seconds }
        }
        #expect(!RoundJudgement.complaints(aboutAll: slow).isEmpty)
        #expect(RoundJudgement.complaints(aboutAll: Array(slow.prefix(1))).isEmpty)
    }

    @Test("A bit is turned, and turned back unless the file was written anew")
    func flip() throws {
        let path = NSTemporaryDirectory() + "tenon-flip-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let original = Data((0..<10_000).map { UInt8($0 % 251) })
        try original.write(to: URL(filePath: path))
        let flip = try BitFlip(path: path, offset: 5_000)
        var flipped = original
        flipped[5_000] ^= 1
        #expect(try Data(contentsOf: URL(filePath: path)) == flipped)
        try flip.undo()
        #expect(try Data(contentsOf: URL(filePath: path)) == original)
        try original.write(to: URL(filePath: path))
        try flip.undo()
        #expect(try Data(contentsOf: URL(filePath: path)) == original)
    }

    @Test("Every drill names the rule whose breach it must notice")
    func controls() {
        #expect(Scenario.all.allSatisfy { !$0.control.isEmpty })
        #expect(Set(Scenario.all.map(\.name)).count == Scenario.all.count)
    }

    @Test("Clocks are set ahead and behind")
    func shifts() {
        #expect(InjectClock.milliseconds("10s") == 10_000)
        #expect(InjectClock.milliseconds("-1h") == -3_600_000)
        #expect(InjectClock.milliseconds("0") == 0)
        #expect(InjectClock.milliseconds("soon") == nil)
    }
}
