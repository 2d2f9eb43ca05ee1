import ArgumentParser
import TenonClient
import TenonCore
import TenonWire

struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prove that all replicas hold the same, byte for byte.",
        discussion: """
            Every replica hashes what it holds at one version of its tablet, and this command \
            scans the same tablet at the same version and hashes what it is given. All must be \
            equal. It goes on under load; what it reads must stay above the history floor, so \
            serve with a longer --retention when a tablet takes longer to read.

            Exits with 1 when a replica differs, is damaged, or did not answer.

            EXAMPLE
              tenon verify --json
            """)

    @OptionGroup var connection: ConnectionOptions
    @Option(help: ArgumentHelp("How long a tablet's replicas may take.", valueName: "time"))
    var patience: TimeOption?
    @Flag(help: "Print it as JSON.")
    var json = false

    func run() async throws {
        try await connection.withClient(defaultTimeout: .seconds(10)) { client in
            let directory = try await client.describe()
            var tablets: [TabletVerification] = []
            for descriptor in directory.tablets where descriptor.keyspace != .directory {
                Console.progress("tablet \(descriptor.id), \(tablets.count) verified")
                tablets.append(
                    try await TabletVerification(
                        of: descriptor, in: directory, asking: client,
                        patience: patience?.duration ?? .seconds(60)))
            }
            Console.progressEnded()
            print(json ? Verify.json(tablets).text : Verify.table(tablets))
            guard tablets.allSatisfy(\.holds) else { throw Exit.negative }
        }
    }

    private static func json(_ tablets: [TabletVerification]) -> JSON {
        [
            "verified": .bool(tablets.allSatisfy(\.holds)),
            "tablets": .array(tablets.map(\.json)),
        ]
    }

    private static func table(_ tablets: [TabletVerification]) -> String {
        let rows = tablets.flatMap(\.rows)
        let verdict =
            tablets.allSatisfy(\.holds)
            ? "all replicas hold the same" : "NOT VERIFIED: look at the rows that are not equal"
        return TextTable(
            header: ["tablet", "who", "version", "content digest", "items", "verdict"], rows: rows
        ).description + "\n" + verdict
    }
}

/// What the replicas of a tablet say they hold at one version, and what a scan at it returns.
struct TabletVerification: Sendable {
    /// A replica's word.
    struct Replica: Sendable {
        let node: String
        /// Nil when it has none at the version.
        let digest: UInt64?
        /// Why there is no digest, or what is wrong besides it; empty when nothing is.
        let problem: String
    }

    let tablet: TabletID
    let version: Version
    let scanned: UInt64
    let items: Int
    let replicas: [Replica]

    /// Whether every replica is whole and holds what the scan returned.
    var holds: Bool {
        replicas.allSatisfy { $0.digest == scanned && $0.problem.isEmpty }
    }
}

extension TabletVerification {
    /// Orders the digests, waits until each replica has one or has a reason not to, and scans.
    init(
        of descriptor: TabletDescriptor, in directory: Directory,
        asking client: TenonClient, patience: Duration
    ) async throws {
        let watch = Stopwatch()
        let limit = Double(patience.components.seconds)
        var report = try await StatusReport(asking: client)
        let before = report.newestDigest(of: descriptor.id)
        var term = report.newestTerm(of: descriptor.id)
        try await client.computeContentDigest(of: descriptor.id)
        while !report.isDigested(descriptor, after: before), watch.seconds < limit {
            // The status is asked for again and again: there is nothing to wait on.
            try await Task.sleep(for: .milliseconds(50))
            report = try await StatusReport(asking: client)
            if report.mayHaveLostOrder(of: descriptor.id, from: term, after: before) {
                term = report.newestTerm(of: descriptor.id)
                try await client.computeContentDigest(of: descriptor.id)
            }
        }
        let version = report.newestDigest(of: descriptor.id)
        guard version > before else {
            throw TenonError(
                .unavailable, .notApplied,
                "no replica of tablet \(descriptor.id) made its digest in \(patience)")
        }
        tablet = descriptor.id
        self.version = version
        let members = Set(descriptor.voters.withData.map(\.node))
        replicas = report.nodes.filter { members.contains($0.node.id) }
            .map { $0.replica(of: descriptor.id, at: version) }
        let keyspace = directory.keyspace(descriptor.keyspace)?.name ?? "default"
        (scanned, items) = try await TabletVerification.scan(
            descriptor, at: version, client.keyspace(keyspace))
    }

    /// The digest of what a client is given, made as replicas make theirs (Rule S5).
    private static func scan(
        _ tablet: TabletDescriptor, at version: Version, _ keyspace: Keyspace
    ) async throws -> (digest: UInt64, items: Int) {
        var digest = Digest()
        var items = 0
        let range = ScanRange(from: tablet.lower, to: tablet.upper)
        for try await page in keyspace.scan(range, at: version).pages {
            for item in page.items {
                digest.combine(item.key)
                digest.combine(item.value.bytes)
                digest.combine(item.value.version.rawValue)
            }
            items += page.items.count
        }
        return (digest.value, items)
    }

    var json: JSON {
        [
            "tablet": .integer(tablet.rawValue), "version": .string("\(version)"),
            "scanned": .string(hexadecimal(scanned, digits: 16)), "items": .integer(UInt64(items)),
            "equal": .bool(holds),
            "replicas": .array(
                replicas.map {
                    [
                        "node": .string($0.node),
                        "digest": $0.digest.map { .string(hexadecimal($0, digits: 16)) } ?? .null,
                        "problem": .string($0.problem),
                    ]
                }),
        ]
    }

    /// For a person: the scan, then each replica.
    var rows: [[String]] {
        let scan = [
            "\(tablet)", "scan", "\(version)", hexadecimal(scanned, digits: 16), "\(items)", "",
        ]
        return [scan]
            + replicas.map { replica in
                let verdict = replica.digest == scanned ? "equal" : "DIFFERS"
                return [
                    "\(tablet)", replica.node, "\(version)",
                    replica.digest.map { hexadecimal($0, digits: 16) } ?? "-", "",
                    replica.problem.isEmpty ? verdict : replica.problem,
                ]
            }
    }
}

extension StatusReport {
    /// The newest version at which some replica has a digest.
    fileprivate func newestDigest(of tablet: TabletID) -> Version {
        nodes.compactMap { $0.tablet(tablet)?.contentDigestVersion }.max() ?? .zero
    }

    fileprivate func newestTerm(of tablet: TabletID) -> UInt64 {
        nodes.compactMap { $0.tablet(tablet)?.term }.max() ?? 0
    }

    /// Whether a digest that was ordered in `term` may never be made: it is an entry like any
    /// other, and an election since may have lost it. None is made yet that is newer than
    /// `version`; each order begins anew what an earlier one began.
    func mayHaveLostOrder(
        of tablet: TabletID, from term: UInt64, after version: Version
    ) -> Bool {
        newestDigest(of: tablet) <= version && newestTerm(of: tablet) > term
    }

    /// Whether each replica that can has its digest at one version after `version`. Witnesses have
    /// no data, and no digest (Rule S5).
    fileprivate func isDigested(_ tablet: TabletDescriptor, after version: Version) -> Bool {
        let newest = newestDigest(of: tablet.id)
        let able = nodes.filter { !tablet.witnesses.contains($0.node.id) }
            .compactMap { $0.tablet(tablet.id) }.filter { $0.health == "whole" }
        return newest > version && able.allSatisfy { $0.contentDigestVersion == newest }
    }
}

extension StatusReport.Node {
    fileprivate func tablet(_ id: TabletID) -> NodeStatus.Tablet? {
        status?.tablets.first { $0.tablet == id }
    }

    /// What its replica says at `version`.
    fileprivate func replica(of id: TabletID, at version: Version) -> TabletVerification.Replica {
        guard let tablet = tablet(id) else {
            return .init(node: node.name, digest: nil, problem: "unreachable: \(problem)")
        }
        let isWhole = tablet.health == "whole"
        guard tablet.contentDigestVersion == version else {
            return .init(
                node: node.name, digest: nil,
                problem: isWhole ? "has not come so far: try a longer --patience" : tablet.health)
        }
        return .init(
            node: node.name, digest: tablet.contentDigest, problem: isWhole ? "" : tablet.health)
    }
}
