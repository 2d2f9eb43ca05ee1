import Foundation
import TenonCore

/// Where the nodes of a local cluster pretend to stand, and how far apart: what
/// `tenon cluster start --topology FILE` reads.
struct TopologyFile: Codable, Hashable, Sendable {
    struct Node: Codable, Hashable, Sendable {
        /// `n1`, `n2`, …, as the nodes of every local cluster.
        var name: String
        var city: String
        /// The machine room.
        var dc: String
        /// Whether it joins as a witness (Rule C7) once the others serve; not when it is left out.
        var witness: Bool?

        var locality: String { "city=\(city),dc=\(dc)" }
    }

    /// How far two cities are apart.
    struct RoundTrip: Codable, Hashable, Sendable {
        /// Two cities.
        var between: [String]
        var milliseconds: UInt32
    }

    var nodes: [Node]
    /// One for each pair of cities.
    var roundTrips: [RoundTrip]
    /// Between rooms of one city; 0 when it is left out.
    var roundTripBetweenRooms: UInt32?

    /// A tenth of the shortest election timeout (Rule C1).
    static let millisecondsMax: UInt32 = 50

    static func read(from path: String) throws(ClusterError) -> TopologyFile {
        let text = try LocalFile.read(path)
        let file: TopologyFile
        do {
            file = try JSONDecoder().decode(TopologyFile.self, from: Data(text.utf8))
        } catch {
            throw .badFile(path: path, reason: "no topology: \(TopologyFile.words(for: error))")
        }
        if let problem = file.problem { throw .badFile(path: path, reason: problem) }
        return file
    }

    var cities: [String] { Set(nodes.map(\.city)).sorted() }

    /// From one node to another and back, in milliseconds.
    func roundTrip(_ one: Node, _ other: Node) -> UInt32 {
        if one.city != other.city {
            return roundTrips.first { Set($0.between) == [one.city, other.city] }?.milliseconds ?? 0
        }
        return one.dc == other.dc ? 0 : roundTripBetweenRooms ?? 0
    }

    /// How long what `node` sends to each other node is on its way, as `tenon serve --distances`
    /// takes it. Of a round trip that is no whole number of twice a millisecond the way back has
    /// the rest.
    func distances(of node: Node) -> String {
        nodes.enumerated().compactMap { place, other in
            let roundTrip = roundTrip(node, other)
            let isFirst = (nodes.firstIndex(of: node) ?? 0) < place
            let oneWay = isFirst ? roundTrip / 2 : roundTrip - roundTrip / 2
            return other == node || oneWay == 0 ? nil : "\(place + 1)=\(oneWay)"
        }.joined(separator: ",")
    }

    // MARK: What may be wrong

    /// What to change; nil when all is well.
    private var problem: String? { problemOfNodes ?? problemOfRoundTrips }

    private var problemOfNodes: String? {
        guard (1...ClusterLayout.nodesMax).contains(nodes.count) else {
            return "it has \(nodes.count) nodes: give 1 to \(ClusterLayout.nodesMax)"
        }
        if let problem = problemOfWitnesses { return problem }
        for (place, node) in nodes.enumerated() {
            if nodes[..<place].contains(where: { $0.name == node.name }) {
                return "two nodes are called \(node.name): give each a name of its own"
            }
            guard node.name == "n\(place + 1)" else {
                return "the node at place \(place + 1) is called \"\(node.name)\": call it "
                    + "n\(place + 1)"
            }
            for (label, text) in [("city", node.city), ("dc", node.dc)] {
                do throws(LocalityError) {
                    guard try Locality(parsing: "\(label)=\(text)").tiers.count == 1 else {
                        return "\(node.name) has no usable \(label): leave the comma out"
                    }
                } catch {
                    return "\(node.name) has no usable \(label): \(error.problem)"
                }
            }
        }
        return nil
    }

    /// Founders are numbered by the rank of their names, and nodes that join come after them: with
    /// witnesses at the end every node has the number of its place, by which distances go.
    private var problemOfWitnesses: String? {
        let data = nodes.prefix { $0.witness != true }
        if data.isEmpty { return "it has witnesses only: a cluster is founded by nodes with data" }
        return nodes.dropFirst(data.count).allSatisfy { $0.witness == true }
            ? nil : "a witness stands before a node with data: put witnesses last"
    }

    private var problemOfRoundTrips: String? {
        for (place, trip) in roundTrips.enumerated() {
            let pair = trip.between.joined(separator: " and ")
            guard Set(trip.between).count == 2, trip.between.count == 2 else {
                return "a round trip is between two cities, not between \(pair)"
            }
            if let unknown = trip.between.first(where: { !cities.contains($0) }) {
                return "there is no city \(unknown); there are \(cities.joined(separator: ", "))"
            }
            let earlier = roundTrips[..<place].map { Set($0.between) }
            if earlier.contains(Set(trip.between)) { return "two round trips are between \(pair)" }
        }
        for (place, one) in cities.enumerated() {
            for other in cities[(place + 1)...]
            where !roundTrips.contains(where: { Set($0.between) == [one, other] }) {
                return "no round trip is given between \(one) and \(other)"
            }
        }
        let longest = (roundTrips.map(\.milliseconds) + [roundTripBetweenRooms ?? 0]).max() ?? 0
        return longest > TopologyFile.millisecondsMax
            ? "a round trip of \(longest) ms: \(TopologyFile.millisecondsMax) at the most" : nil
    }

    /// What is missing or of the wrong type, and where.
    private static func words(for error: any Error) -> String {
        switch error {
        case Swift.DecodingError.keyNotFound(let key, let context):
            "\"\(key.stringValue)\" is missing\(place(of: context.codingPath))"
        case Swift.DecodingError.typeMismatch(_, let context),
            Swift.DecodingError.valueNotFound(_, let context):
            "\(context.debugDescription)\(place(of: context.codingPath))"
        default: "it is not JSON of the right form"
        }
    }

    private static func place(of path: [any CodingKey]) -> String {
        let names = path.map { key in
            key.intValue.map { "place \($0 + 1)" } ?? "\"\(key.stringValue)\""
        }
        return names.isEmpty ? "" : " in " + names.joined(separator: ", ")
    }
}
