import ArgumentParser
import Foundation
import TenonClient
import TenonCore
import TenonWire
import Testing

@testable import tenon

@Suite("Parts of the command")
struct CommandPartTests {
    @Test("Exit codes tell a negative answer, not applied and unknown apart")
    func exitCodes() {
        let kinds: [TenonError.Kind] = [
            .unavailable, .overloaded, .invalid, .tooLarge, .diskFull, .sessionExpired,
            .historyGone, .denied, .cancelled,
        ]
        for kind in kinds {
            #expect(TenonError(kind, .notApplied, "").exitCode.rawValue == 2)
            #expect(TenonError(kind, .unknown, "").exitCode.rawValue == 3)
        }
        #expect(TenonError(.conditionFailed, .notApplied, "").exitCode.rawValue == 1)
        #expect(Exit.usage.rawValue == 64)
    }

    @Test("An error that a person can do something about says what")
    func advice() {
        for kind in [TenonError.Kind.unavailable, .overloaded, .diskFull, .historyGone] {
            #expect(TenonError(kind, .notApplied, "").advice != nil)
        }
        let lost = TenonError(.unavailable, .unknown, "")
        #expect(lost.advice?.contains("read the key") == true)
    }

    @Test("A digest that an election may have lost is ordered again, until one is made")
    func digestOrder() {
        func report(term: UInt64, digestedAt version: UInt64) -> StatusReport {
            var tablet = NodeStatus.Tablet(tablet: TabletID(2), role: "leader")
            tablet.term = term
            tablet.contentDigestVersion = Timestamp(version)
            var status = NodeStatus(
                node: NodeID(1), name: "n1", cluster: ClusterID(high: 1, low: 1),
                boot: BootNumber(1), epoch: Epoch(1), state: "serving")
            status.tablets = [tablet]
            let node = Directory.Node(id: NodeID(1), name: "n1", address: "", locality: "")
            return StatusReport([StatusReport.Node(node: node, status: status, problem: "")])
        }
        func isLost(_ report: StatusReport) -> Bool {
            report.mayHaveLostOrder(of: TabletID(2), from: 3, after: Version(10))
        }
        #expect(!isLost(report(term: 3, digestedAt: 10)))
        #expect(isLost(report(term: 4, digestedAt: 10)))
        #expect(!isLost(report(term: 4, digestedAt: 11)))
    }

    @Test("A removal says what it waits for, to the end")
    func removal() {
        let nodes = (1...3).map { number in
            Directory.Node(
                id: NodeID(UInt32(number)), name: "n\(number)", address: "", locality: "")
        }
        let tablet = TabletDescriptor(
            id: TabletID(2), keyspace: .default, generation: .first, lower: "", upper: nil,
            voters: [Member(replica: ReplicaID(1), node: NodeID(1))],
            learners: [Member(replica: ReplicaID(2), node: NodeID(2))])
        let directory = Directory(nodes: nodes, keyspaces: [], tablets: [tablet])
        for node in ["n1", "n2"] {
            #expect(NodeCommand.rest(of: node, in: directory)?.hasPrefix("1 ") == true)
        }
        let last = NodeCommand.rest(of: "n3", in: directory)
        #expect(last?.contains("leader has to confirm") == true)
        #expect(NodeCommand.rest(of: "n4", in: directory) == nil)
    }

    @Test("Keys of a benchmark are a permutation: none comes twice, each is 16 digits")
    func benchKeys() {
        let keys = BenchKeys(count: 50_000, valueSize: 100)
        var seen: Set<Bytes> = []
        for place in 0..<keys.count {
            let key = keys.key(place)
            #expect(seen.insert(key).inserted)
            #expect(key.count == 16 && UInt64(key.utf8Text ?? "", radix: 16) != nil)
        }
        let halves = Set(seen.compactMap { $0.array.first })
        // Spread over the keyspace, not one behind the other.
        #expect(halves.count == 16)
        let atHome = BenchKeys(count: 50_000, valueSize: 100, prefix: "sh/")
        #expect(atHome.key(7).array == Array("sh/".utf8) + keys.key(7).array)
    }

    @Test(
        "Values of a benchmark are known again, others are not", arguments: [1, 8, 16, 17, 1_000])
    func benchValues(size: Int) {
        let keys = BenchKeys(count: 10, valueSize: size)
        for sequence in [UInt64(0), 1, .max] {
            let value = keys.value(3, sequence: sequence)
            #expect(value.count == size)
            #expect(keys.isOurs(value, at: 3))
            #expect(!keys.isOurs(value.array.count > 1 ? Bytes(value.array.dropLast()) : "", at: 3))
        }
        // One of 16 bytes is a sequence number and nothing else: any other is a value, too.
        guard size != 16 else { return }
        var changed = keys.value(3, sequence: 1).array
        changed[size - 1] ^= 1
        #expect(!keys.isOurs(Bytes(changed), at: 3))
        if size >= 8 { #expect(!keys.isOurs(keys.value(4, sequence: 1), at: 3)) }
    }

    @Test("Lengths of time are read with and without a unit, others refused")
    func times() {
        let known: [(String, Duration)] = [
            ("500ms", .milliseconds(500)), ("5s", .seconds(5)), ("5", .seconds(5)),
            ("1.5s", .milliseconds(1_500)), ("2m", .seconds(120)), ("1h", .seconds(3_600)),
        ]
        for (text, duration) in known { #expect(TimeOption(argument: text)?.duration == duration) }
        for text in ["", "0", "0s", "-1s", "s", "1d", "soon", "nans", "infs", "1e99h"] {
            #expect(TimeOption(argument: text) == nil, "\(text)")
        }
    }

    @Test("Lines come whole and numbered, however long, with and without a last line feed")
    func inputLines() async throws {
        let path = NSTemporaryDirectory() + "tenon-lines-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let long = [UInt8](repeating: 0x61, count: 700_000)
        let texts: [[UInt8]] = [[], [0x62], long, [0xFF, 0x00, 0x0D], long + [0x63]]
        try Data(texts.joined(separator: [10])).write(to: URL(fileURLWithPath: path))
        var lines = try InputLines(path: path)
        var found: [[UInt8]] = []
        while let line = try await lines.next() {
            found.append(Array(line))
            #expect(lines.lineNumber == found.count)
        }
        #expect(found == texts)
        #expect(throws: InputError.self) { try InputLines(path: path + "-missing") }
    }

    @Test("A table is as wide as its cells, numbers to the right")
    func table() {
        let table = TextTable(
            header: ["node", "lag"], rows: [["n1", "5"], ["long name", "1000"], ["n3", "-"]])
        #expect(
            table.description == """
                node        lag
                n1            5
                long name  1000
                n3            -
                """)
    }

    @Test("Sizes are told in the largest unit that leaves a whole number")
    func sizes() {
        #expect(StatusReport.size(0) == "0 B")
        #expect(StatusReport.size(9_999) == "9999 B")
        #expect(StatusReport.size(10_240) == "10 KiB")
        #expect(StatusReport.size(64 << 20) == "64 MiB")
        #expect(StatusReport.size(.max).hasSuffix("TiB"))
    }
}
