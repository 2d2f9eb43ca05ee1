import Foundation
import TenonChecker
import TenonCore
import TenonNode
import TenonWire
import Testing

@testable import tenon

/// How the drill `majority-loss` judges what a recovery lost.
@Suite struct MajorityLossTests {
    private let loss = MajorityLoss(
        lostAt: Instant(nanoseconds: 1_000), recoveredAt: Instant(nanoseconds: 9_000),
        lossStarts: [TabletID(2): Timestamp(WallTime(milliseconds: 500))],
        lossEnd: WallTime(milliseconds: 700))

    private func put(
        _ key: Bytes, at milliseconds: UInt64, sentAt: UInt64, answeredAt: UInt64?
    ) -> HistoryOperation {
        var operation = HistoryOperation(
            worker: 1, sentAt: Instant(nanoseconds: sentAt),
            answeredAt: answeredAt.map { Instant(nanoseconds: $0) },
            action: .put(key: key, value: "v"), result: answeredAt == nil ? .unknown : .ok)
        let version = Timestamp(WallTime(milliseconds: milliseconds))
        operation.version = version
        operation.at = .init(tablet: TabletID(2), version: version)
        return operation
    }

    @Test func `only what lies in the tablet's window may be lost`() {
        func mayLose(_ tablet: UInt64, _ milliseconds: UInt64) -> Bool {
            loss.mayLose(TabletID(tablet), Timestamp(WallTime(milliseconds: milliseconds)))
        }
        #expect(!mayLose(2, 499))
        #expect(!mayLose(2, 500), "the write that the window begins with is kept")
        #expect(mayLose(2, 501))
        #expect(mayLose(2, 700))
        #expect(!mayLose(2, 701))
        #expect(!mayLose(3, 600), "a tablet that was not recovered")
    }

    @Test func `keys are uncertain by what was seen of them before the recovery`() {
        let operations = [
            put("before", at: 400, sentAt: 10, answeredAt: 20),
            put("inside", at: 600, sentAt: 10, answeredAt: 20),
            put("later", at: 650, sentAt: 9_500, answeredAt: 9_600),
        ]
        #expect(loss.uncertainKeys(in: operations) == ["inside"])
    }

    @Test func `a write that was sent without a majority and acknowledged cannot be`() {
        let stopped = Instant(nanoseconds: 5_000)
        let operations = [
            put("in flight", at: 600, sentAt: 900, answeredAt: 1_100),
            put("unknown", at: 600, sentAt: 2_000, answeredAt: nil),
            put("after", at: 900, sentAt: 4_000, answeredAt: 9_500),
        ]
        #expect(loss.impossibleWrites(in: operations, stoppedAt: stopped) == 0)
        let wrong = put("wrong", at: 650, sentAt: 2_000, answeredAt: 2_100)
        #expect(loss.impossibleWrites(in: operations + [wrong], stoppedAt: stopped) == 1)
    }

    @Test func `the drill asks for the command within five minutes`() throws {
        let scenario = try #require(Scenario.named("majority-loss"))
        #expect(scenario.nodes == 5)
        #expect(scenario.mayLose)
        #expect(scenario.gapBoundSeconds == 300)
    }

    @Test func `with writes acknowledged in two cities the drill may lose none`() throws {
        let scenario = try #require(Scenario.named("city-destroyed"))
        #expect(!scenario.mayLose && scenario.acknowledgement == .city)
        let cities = try #require(scenario.topology).nodes.map(\.city)
        // A majority is where the operator has nothing left.
        #expect(cities.count { $0 == "shanghai" } * 2 > cities.count)
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let shipped = root.appending(path: "deploy/topologies/two-cities.json").path
        #expect(try TopologyFile.read(from: shipped) == scenario.topology)
    }

    @Test func `reports and plans go through their files, and an edit of the record is seen`()
        throws
    {
        let report = SurvivorReport(
            cluster: ClusterID(high: 1, low: 2), epoch: .first, node: NodeID(2), name: "n2",
            folder: "/data", directory: Directory(nodes: [], keyspaces: [], tablets: []),
            tablets: [])
        let path = NSTemporaryDirectory() + "tenon-report-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try RecoveryFile.write([report], to: path)
        #expect(try RecoveryFile.reports(at: path) == [report])
        #expect(throws: InputError.self) { try RecoveryFile.plan(at: path) }
        let text = try LocalFile.read(path)
        let record = try #require(text.range(of: "\"record\":\""))
        var edited = text
        let first = edited[record.upperBound]
        edited.replaceSubrange(
            record.upperBound...record.upperBound, with: first == "A" ? "B" : "A")
        try LocalFile.write(edited, to: path)
        #expect(throws: InputError.self) { try RecoveryFile.reports(at: path) }
        #expect(throws: InputError.self) { try RecoveryFile.reports(at: path + ".none") }
    }
}
