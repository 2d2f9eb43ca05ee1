internal import Configuration
internal import SystemPackage
package import TenonCore
import TenonLog
import TenonNode
import TenonStore
import TenonWire

/// Everything `tenon serve` can be told. Flags win over the environment (`TENON_…`), which wins
/// over the JSON file of `--config`.
package struct ServeSettings: Sendable {
    package var name: String
    package var data: String
    package var listen: NetworkAddress
    /// The founders; empty when the node joins.
    package var members: [(name: String, address: NetworkAddress)]
    /// Nodes of the cluster to join, `HOST:PORT,…`; nil for a founder.
    package var join: String?
    /// Whether it joins as a witness (Rule C7). What it joined as it stays.
    package var isWitness = false
    /// Where others reach this node, when that is not where it listens.
    package var advertised: NetworkAddress?
    package var locality = ""
    package var tablets = 1
    package var retentionMilliseconds = 60_000
    package var isInsecure = false
    package var allowsVolatile = false
    package var segmentBytes = 64 << 20
    package var segments = 8
    package var memtableBytes = 32 << 20
    package var cacheBytes = 256 << 20
    package var retainedLogBytes = 32 << 20
    package var logLevel = "info"
    /// Whether it takes orders to be faulty (``FaultOrder``); for tests and drills only.
    package var takesFaults = false
    /// How long frames to other nodes are on their way, in milliseconds; for tests and drills only.
    package var distances: [NodeID: UInt32] = [:]

    /// The names of all settings, as in a file; flags have the same names after `--`, the
    /// environment in capitals with `_` after `TENON_`.
    package static let kinds: [(name: String, kind: SettingKind)] = [
        ("name", .text), ("data", .text), ("listen", .text), ("cluster", .text),
        ("join", .text), ("witness", .flag), ("advertise", .text),
        ("locality", .text), ("tablets", .integer), ("retention", .text), ("insecure", .flag),
        ("allow-volatile", .flag), ("segment-bytes", .integer), ("segments", .integer),
        ("memtable-bytes", .integer), ("cache-bytes", .integer),
        ("retained-log-bytes", .integer), ("log-level", .text),
        ("enable-fault-injection", .flag), ("distances", .text),
    ]

    /// Reads the settings from all three places.
    ///
    /// - Parameters:
    ///   - flags: what was given on the command line, by setting name.
    ///   - file: the path of a JSON file, if any.
    ///   - fileKeys: the keys of that file, which are checked against the known ones.
    /// - Throws: ``SettingError`` for an unknown key, a missing setting and a value that does not
    ///   convert: never a default in place of what was written.
    package static func load(
        flags: [String: String], file: String?, fileKeys: [String]
    ) async throws(SettingError) -> ServeSettings {
        for key in fileKeys.sorted() where !kinds.contains(where: { $0.name == key }) {
            throw SettingError(
                setting: key, problem: "\(file ?? "the file") sets it, but there is no such setting"
            )
        }
        let reader = try await SettingReader(flags: flags, file: file, kinds: kinds)
        var settings = ServeSettings(
            name: try await reader.required("name"), data: try await reader.required("data"),
            listen: try NetworkAddress(
                parsing: await reader.required("listen"), setting: "listen"),
            members: [])
        settings.join = try await reader.text("join")
        try await settings.takeUp(\.isWitness, reader.flag("witness"))
        if let text = try await reader.text("advertise") {
            settings.advertised = try NetworkAddress(parsing: text, setting: "advertise")
        }
        try await settings.takeMembers(reader)
        settings.locality = try locality(await reader.text("locality") ?? "")
        if let text = try await reader.text("retention") {
            settings.retentionMilliseconds = try milliseconds(text, setting: "retention")
        }
        try await settings.takeUp(\.isInsecure, reader.flag("insecure"))
        try await settings.takeUp(\.allowsVolatile, reader.flag("allow-volatile"))
        try await settings.takeUp(\.tablets, reader.integer("tablets"))
        try await settings.takeUp(\.segmentBytes, reader.integer("segment-bytes"))
        try await settings.takeUp(\.segments, reader.integer("segments"))
        try await settings.takeUp(\.memtableBytes, reader.integer("memtable-bytes"))
        try await settings.takeUp(\.cacheBytes, reader.integer("cache-bytes"))
        try await settings.takeUp(\.retainedLogBytes, reader.integer("retained-log-bytes"))
        try await settings.takeUp(\.logLevel, reader.text("log-level"))
        try await settings.takeUp(\.takesFaults, reader.flag("enable-fault-injection"))
        settings.distances = try distances(await reader.text("distances") ?? "")
        try settings.check()
        return settings
    }

    /// A node is one of the founders or it joins; not both.
    private mutating func takeMembers(_ reader: SettingReader) async throws(SettingError) {
        if join == nil {
            return members = try ServeSettings.memberList(await reader.required("cluster"))
        }
        guard try await reader.text("cluster") == nil else {
            throw SettingError(
                setting: "join",
                problem: "--cluster is for the nodes that found a cluster: give one of the two")
        }
    }

    private mutating func takeUp<Value>(
        _ field: WritableKeyPath<ServeSettings, Value>, _ value: Value?
    ) {
        if let value { self[keyPath: field] = value }
    }

    /// `n1=HOST:PORT,n2=HOST:PORT,…`
    package static func memberList(
        _ text: String
    ) throws(SettingError) -> [(name: String, address: NetworkAddress)] {
        var members: [(name: String, address: NetworkAddress)] = []
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let equals = item.firstIndex(of: "="), equals > item.startIndex else {
                throw SettingError(
                    setting: "cluster", problem: "\"\(item)\" is not of the form NAME=HOST:PORT")
            }
            let address = String(item[item.index(after: equals)...])
            members.append(
                (
                    String(item[..<equals]),
                    try NetworkAddress(parsing: address, setting: "cluster")
                ))
        }
        return members
    }

    private static func locality(_ text: String) throws(SettingError) -> String {
        do throws(LocalityError) {
            return try Locality(parsing: text).description
        } catch {
            throw SettingError(setting: "locality", problem: error.problem)
        }
    }

    /// `2=7,3=15`: so many milliseconds to nodes of these numbers.
    private static func distances(_ text: String) throws(SettingError) -> [NodeID: UInt32] {
        var distances: [NodeID: UInt32] = [:]
        for item in text.split(separator: ",", omittingEmptySubsequences: false)
        where !text.isEmpty {
            let parts = item.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, let node = UInt32(parts[0]), node > 0,
                let span = UInt32(parts[1]), span <= LinkDisorder.millisecondsMax,
                distances.updateValue(span, forKey: NodeID(node)) == nil
            else {
                throw SettingError(
                    setting: "distances",
                    problem: "\"\(item)\" is not of the form NODE=MILLISECONDS, as in 2=7, each "
                        + "node once and not over \(LinkDisorder.millisecondsMax) ms")
            }
        }
        return distances
    }

    /// `500ms`, `60s`, `5m`, `2h`.
    package static func milliseconds(
        _ text: String, setting: String
    ) throws(SettingError) -> Int {
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
        for (unit, factor) in units where text.hasSuffix(unit) {
            if let count = Int(text.dropLast(unit.count)), count > 0,
                count <= Int.max / factor / 1_000_000
            {
                return count * factor
            }
        }
        throw SettingError(
            setting: setting,
            problem: "\"\(text)\" is no length of time: write 500ms, 60s, 5m or 2h")
    }

    private func check() throws(SettingError) {
        guard isInsecure || listen.isLoopback else {
            throw SettingError(
                setting: "listen",
                problem: "\(listen) can be reached from other machines and there is no TLS yet: "
                    + "listen on 127.0.0.1 or [::1], or give --insecure")
        }
        guard !isWitness || join != nil else {
            throw SettingError(
                setting: "witness",
                problem: "a cluster is founded by nodes with data: start the witness with --join, "
                    + "once they serve")
        }
        guard distances.isEmpty || takesFaults else {
            throw SettingError(
                setting: "distances",
                problem: "they are for tests: give --enable-fault-injection too")
        }
        try checkSizes()
    }

    /// A disk of this size has other worries; sums of larger figures could overflow.
    private static let bytesMax = 1 << 50

    private func checkSizes() throws(SettingError) {
        let smallest = LogConfiguration.smallestServingSegmentBytes
        guard (smallest...1 << 30).contains(segmentBytes), segmentBytes % 4_096 == 0 else {
            throw SettingError(
                setting: "segment-bytes",
                problem: "\(segmentBytes) is not a multiple of 4096 from \(smallest) "
                    + "(what the largest write needs) to \(1 << 30): leave it out, or give one")
        }
        guard (5...1_024).contains(segments) else {
            throw SettingError(
                setting: "segments", problem: "\(segments) is not between 5 and 1024")
        }
        let sizes = [
            ("memtable-bytes", memtableBytes, 64 << 10), ("cache-bytes", cacheBytes, 0),
            ("retained-log-bytes", retainedLogBytes, 0),
        ]
        for (setting, bytes, least) in sizes
        where !(least...ServeSettings.bytesMax).contains(bytes) {
            throw SettingError(
                setting: setting, problem: "\(bytes) is not between \(least) and 2^50")
        }
    }

    /// What the engine needs of this.
    var nodeConfiguration: NodeConfiguration {
        var configuration = NodeConfiguration(
            name: name, members: ClusterMember.ranked(members.map { ($0.name, "\($0.address)") }))
        configuration.isJoining = join != nil
        configuration.address = "\(advertised ?? listen)"
        configuration.locality = locality
        configuration.tabletCount = tablets
        configuration.retention = .milliseconds(retentionMilliseconds)
        configuration.store.memtableBytesMax = memtableBytes
        configuration.blockCacheBytes = cacheBytes
        // More than a part of the reserve would only be trimmed under pressure.
        configuration.retainedLogBytes = min(
            retainedLogBytes, (segments - 4) * segmentBytes / 4)
        return configuration
    }

    var logConfiguration: LogConfiguration {
        var configuration = LogConfiguration(segmentBytes: segmentBytes)
        configuration.segmentsReserved = segments
        return configuration
    }
}
