import ArgumentParser
import TenonCore
import TenonWire

/// What a keyspace is to be like, as `create` and `alter` take it.
struct PolicyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Copies of each tablet, an odd number; fewer while there are fewer nodes. "
                + "3 when nothing is said, 5 with --survive city."))
    var replicas: Int?
    @Option(help: "How long old versions can be read: 500ms, 60s, 5m, 2h.")
    var retention: TimeOption?
    @Option(
        help: ArgumentHelp(
            "The largest loss that takes away neither data nor service: node, dc or city.",
            valueName: "level"))
    var survive: FailureLevel?
    @Option(
        help: ArgumentHelp(
            "Keys that begin with PREFIX are led from a city; several may be given. An empty prefix "
                + "stands for all keys.", valueName: "prefix=city"))
    var home: [HomeOption] = []
    @Option(
        name: .customLong("then"),
        help: ArgumentHelp(
            "The cities that lead when a home is lost, in this order.", valueName: "city,…"))
    var failover: CityList?
    @Option(
        help: ArgumentHelp(
            "quorum: each read asks a majority; lease: the leader reads alone while voters promise "
                + "it their votes, and a lost leader is followed half a second later.",
            valueName: "mode"))
    var reads: PlacementPolicy.ReadMode?
    @Option(
        name: .customLong("ack"),
        help: ArgumentHelp(
            "Where a write must be durable before it is acknowledged, beside a majority: majority "
                + "asks for nothing more, dc for two machine rooms, city for two cities. When no "
                + "voter elsewhere answers, writes stop.", valueName: "rule"))
    var acknowledgement: AcknowledgementRule?
    @Option(
        help: ArgumentHelp(
            "Every city with nodes gets a copy, a learner where no voter stands, so that a client "
                + "there reads (--stale-within) from its own city: 500ms, 2s.", valueName: "age"))
    var localReadsWithin: TimeOption?
    @Option(
        help: ArgumentHelp(
            "A tablet with more bytes on disk than this becomes two: 512MiB, 1GiB, never. 1GiB when "
                + "nothing is said.", valueName: "size"))
    var splitAbove: SizeOption?

    /// What was said.
    var settings: KeyspaceSettings {
        KeyspaceSettings(
            replicas: replicas, retention: retention.map { TimeSpan(milliseconds: $0) },
            survive: survive, homes: home.isEmpty ? nil : home.map(\.home),
            failover: failover?.cities, reads: reads, acknowledgement: acknowledgement,
            localReadsWithin: localReadsWithin.map { TimeSpan(milliseconds: $0) },
            splitAboveBytes: splitAbove?.bytes)
    }

    func validate() throws {
        if let replicas, !(1...255).contains(replicas) {
            throw ValidationError("--replicas: give an odd number from 1 to 7")
        }
        if let localReadsWithin,
            !PlacementPolicy.localReadsBounds.contains(TimeSpan(milliseconds: localReadsWithin))
        {
            throw ValidationError("--local-reads-within: give an age from 1ms to 24h")
        }
        if let splitAbove, !Directory.Keyspace.isSplitBound(splitAbove.bytes) {
            throw ValidationError("--split-above: give a size from 16KiB to 1PiB, or never")
        }
    }
}

extension FailureLevel: ExpressibleByArgument {
    package init?(argument: String) { self.init(named: argument) }
    package static var allValueStrings: [String] { allCases.map(\.name) }
}

extension PlacementPolicy.ReadMode: ExpressibleByArgument {
    package init?(argument: String) {
        guard let mode = Self.allCases.first(where: { $0.name == argument }) else { return nil }
        self = mode
    }
    package static var allValueStrings: [String] { allCases.map(\.name) }
}

extension AcknowledgementRule: ExpressibleByArgument {
    package init?(argument: String) {
        guard let rule = Self.allCases.first(where: { $0.name == argument }) else { return nil }
        self = rule
    }
    package static var allValueStrings: [String] { allCases.map(\.name) }
}

/// `PREFIX=CITY`; the prefix may have more of these signs, a city has none.
struct HomeOption: ExpressibleByArgument {
    let home: PlacementPolicy.Home

    init?(argument: String) {
        guard let sign = argument.lastIndex(of: "=") else { return nil }
        let city = argument[argument.index(after: sign)...]
        guard CityList.isCity(city) else { return nil }
        home = PlacementPolicy.Home(prefix: Bytes(argument[..<sign]), city: String(city))
    }
}

/// Names of cities with commas between them.
struct CityList: ExpressibleByArgument {
    let cities: [String]

    init?(argument: String) {
        cities = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard cities.allSatisfy(CityList.isCity) else { return nil }
    }

    static func isCity(_ name: some StringProtocol) -> Bool {
        (1...Limits.nameBytesMax).contains(name.utf8.count)
    }
}

/// Keyspaces are the same words wherever they are shown.
extension PlacementPolicy {
    /// As the command line takes it.
    var text: String {
        var parts = ["--survive \(survive.name)"]
        parts += homes.map { "--home '\($0.text)'" }
        if !failover.isEmpty { parts.append("--then \(failover.joined(separator: ","))") }
        if reads != .quorum { parts.append("--reads \(reads.name)") }
        if acknowledgement != .majority { parts.append("--ack \(acknowledgement.name)") }
        if let localReadsWithin { parts.append("--local-reads-within \(localReadsWithin.text)") }
        return parts.joined(separator: " ")
    }

    var json: [JSON.Member] {
        [
            .init("survive", .string(survive.name)),
            .init(
                "homes",
                .array(
                    homes.map { ["prefix": .string($0.prefixText), "city": .string($0.city)] })),
            .init("then", .array(failover.map { .string($0) })),
            .init("reads", .string(reads.name)),
            .init("ack", .string(acknowledgement.name)),
            .init(
                "localReadsWithinMs",
                localReadsWithin.map { .integer($0.wholeMilliseconds) } ?? .null),
        ]
    }
}

extension PlacementPolicy.Home {
    fileprivate var prefixText: String { String(decoding: prefix.array, as: UTF8.self) }

    var text: String { "\(prefixText)=\(city)" }
}

extension TimeSpan {
    /// As the command line takes it, in the largest unit of which it is a whole number.
    var text: String {
        let milliseconds = wholeMilliseconds
        let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        let unit = units.first { milliseconds >= $0.0 && milliseconds % $0.0 == 0 } ?? (1, "ms")
        return "\(milliseconds / unit.0)\(unit.1)"
    }
}
