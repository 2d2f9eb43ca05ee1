import Foundation
import TenonCore
import TenonPlacement
import TenonWire
import Testing

@testable import tenon

@Suite("Topologies of local clusters, and what they survive")
struct TopologyTests {
    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static let places = """
        {"nodes": [{"name": "n1", "city": "sh", "dc": "a"}, {"name": "n2", "city": "sh", "dc": "b"},
        {"name": "n3", "city": "bj", "dc": "a"}],
        "roundTrips": [{"between": ["sh", "bj"], "milliseconds": 15}], "roundTripBetweenRooms": 2}
        """

    private func read(_ text: String) throws -> TopologyFile {
        let path = NSTemporaryDirectory() + "tenon-topology-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return try TopologyFile.read(from: path)
    }

    private func complaint(_ text: String) -> String {
        do {
            _ = try read(text)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test("Distances there and back are the round trip, and each node gets its own")
    func distances() throws {
        let file = try read(TopologyTests.places)
        #expect(file.nodes.map(file.distances) == ["2=1,3=7", "1=1,3=7", "1=8,2=8"])
        var layout = ClusterLayout(
            addresses: ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"], tablets: nil,
            serveOptions: [])
        #expect(!layout.stands(on: file))
        layout.spread(over: file)
        #expect(layout.stands(on: file) && layout.takesFaults)
        let arguments = layout.serveArguments(of: layout.nodes[2], data: "/d")
        #expect(
            arguments.suffix(5) == [
                "--locality", "city=bj,dc=a", "--distances", "1=8,2=8", "--enable-fault-injection",
            ])
    }

    @Test(
        "What is wrong in a topology is said, with what to write",
        arguments: [
            ("\"dc\": \"b\"", "\"room\": \"b\"", "\"dc\" is missing in \"nodes\", place 2"),
            ("\"n2\"", "\"n1\"", "two nodes are called n1"),
            ("\"n2\"", "\"x\"", "call it n2"),
            ("\"city\": \"bj\"", "\"city\": \"\"", "n3 has no usable city"),
            ("\"bj\"], ", "\"sz\"], ", "there is no city sz; there are bj, sh"),
            ("\"bj\"], ", "\"sh\"], ", "between two cities, not between sh and sh"),
            ("{\"between\": [\"sh\", \"bj\"], \"milliseconds\": 15}", "", "between bj and sh"),
            ("15}", "51}", "50 at the most"), ("\"b\"", "\"b,rack=1\"", "leave the comma out"),
            ("15}", "\"far\"}", "\"milliseconds\""),
            ("{\"nodes\"", "\"nodes\"", "not JSON"),
        ])
    func complaints(place: String, wrong: String, words: String) {
        let text = TopologyTests.places.replacingOccurrences(of: place, with: wrong)
        #expect(text != TopologyTests.places)
        let said = complaint(text)
        #expect(said.contains(words), "\(said)")
    }

    @Test(
        "The topologies that are shipped can be read",
        arguments: ["1x3", "three-rooms", "2-2-1", "3-3-3", "two-cities", "two-cities-witness"])
    func shipped(name: String) throws {
        let path = TopologyTests.root.appending(path: "deploy/topologies/\(name).json").path
        #expect(try TopologyFile.read(from: path).nodes.count >= 3)
    }

    /// Nodes at these places, and one tablet with voters on some of them.
    private func directory(_ places: [String], voters: [UInt32]) -> Directory {
        Directory(
            nodes: places.enumerated().map { place, locality in
                Directory.Node(
                    id: NodeID(UInt32(place + 1)), name: "n\(place + 1)", address: "",
                    locality: locality)
            },
            keyspaces: [Directory.Keyspace(id: .default, name: "default")],
            tablets: [
                TabletDescriptor(
                    id: TabletID(2), keyspace: .default, generation: .first, lower: "", upper: nil,
                    voters: voters.map { Member(replica: ReplicaID(UInt64($0)), node: NodeID($0)) })
            ])
    }

    @Test("A keyspace is what its worst tablet and the worst loss make of it")
    func check() throws {
        let places = ["city=sh,dc=1", "city=sh,dc=2", "city=bj,dc=1"]
        let check = TopologyCheck(directory(places, voters: [1, 2, 3]), down: [])
        #expect(check.risks.isEmpty && check.problems.isEmpty)
        #expect(check.text.contains("by operator command: sh (1 of 2 left)"))
        let keyspace = try #require(check.keyspaces.first)
        #expect(
            keyspace.findings.map(\.worst?.loss.verdict.name) == [
                "by itself", "by itself", "by operator command",
            ])
    }

    @Test("One node more down, too few voters, and labels that are missing are said")
    func risks() throws {
        let places = ["city=sh,dc=1", "city=sh,dc=2", ""]
        let down = TopologyCheck(directory(places, voters: [1, 2, 3]), down: [NodeID(1)])
        #expect(down.risks.count == 1 && down.text.contains("AT RISK: default would not survive"))
        #expect(down.problems.contains { $0.contains("no city is known of n3") })
        #expect(down.keyspaces.first?.findings.last?.worst == nil)
        let few = TopologyCheck(directory(places, voters: [1]), down: [])
        #expect(few.risks == ["default has a tablet with 1 voters and should have 3"])
        #expect(few.json.text.contains("\"risks\":[\"default has a tablet"))
    }
}
