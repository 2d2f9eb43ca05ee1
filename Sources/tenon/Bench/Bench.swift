import ArgumentParser
import CTenon
import Foundation
import TenonClient
import TenonCore

/// What the clients of a benchmark do.
enum BenchWorkload: String, ExpressibleByArgument, CaseIterable, Sendable {
    case put, get, mixed, scan
}

struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure what a cluster does.",
        discussion: """
            Each client has one request in flight; with --rate requests are due at fixed times \
            and latency counts from then. Afterwards every written value is read back and \
            compared. Exits with 1 when one is wrong.

            EXAMPLES
              tenon bench --local 3 --workload put --clients 256 --value-size 100 \\
                --keys 1000000 --seconds 30
              tenon bench --keyspace accounts --key-prefix sh/ --workload get --clients 1
            """)

    @OptionGroup var connection: ConnectionOptions
    @Option(help: "put, get, mixed (half and half) or scan (pages of 100).")
    var workload: BenchWorkload
    @Option(help: "Clients, one request in flight each.")
    var clients = 256
    @Option(help: ArgumentHelp("Bytes of a value.", valueName: "bytes"))
    var valueSize = 100
    @Option(help: "Different keys, drawn uniformly.")
    var keys = 1_000_000
    @Option(help: "The keyspace of a cluster that runs.")
    var keyspace = "default"
    @Option(help: "What all keys begin with: a home of the keyspace, to measure that one alone.")
    var keyPrefix = ""
    @Option(help: "How long it is measured.")
    var seconds = 30.0
    @Option(help: ArgumentHelp("Operations a second of all clients.", valueName: "ops"))
    var rate: Double?
    @Option(help: ArgumentHelp("Start an own cluster of so many nodes.", valueName: "nodes"))
    var local: Int?
    @Option(help: ArgumentHelp("Tablets of the own cluster.", valueName: "n"))
    var tablets = 1
    @Option(help: ArgumentHelp("Where the own cluster's folder is made.", valueName: "folder"))
    var dir: String?
    @Flag(help: "Accept a file system that forgets at power-off (tmpfs).")
    var allowVolatile = false
    @Flag(help: "Print the report as JSON.")
    var json = false

    func validate() throws {
        guard (1...10_000).contains(clients), keys > 0, seconds > 0, rate ?? 1 > 0 else {
            throw ValidationError(
                "--clients is 1 to 10000; --keys, --seconds and --rate are above 0.")
        }
        guard (1...Limits.valueBytesMax).contains(valueSize) else {
            throw ValidationError("--value-size is 1 to \(Limits.valueBytesMax).")
        }
        guard (1...9).contains(local ?? 1) else { throw ValidationError("--local is 1 to 9.") }
        guard local == nil || connection.endpoints == nil else {
            throw ValidationError("Give --local or --endpoints.")
        }
        guard local == nil || keyspace == "default" else {
            throw ValidationError("An own cluster (--local) has the keyspace default only.")
        }
        guard keyPrefix.utf8.count + 16 <= Limits.keyBytesMax else {
            throw ValidationError("--key-prefix has at most \(Limits.keyBytesMax - 16) bytes.")
        }
    }

    func run() async throws {
        guard let local else {
            try await connection.withClient(defaultTimeout: .seconds(30), measure)
            return
        }
        try await withFolder { folder in
            let request = LocalCluster.Request(nodes: local, basePort: nil, tablets: tablets)
            try await reportingClusterErrors {
                try await LocalCluster.withOwned(directory: folder, request: request) { cluster in
                    var connection = connection
                    connection.endpoints = cluster.endpoints.joined(separator: ",")
                    try await connection.withClient(defaultTimeout: .seconds(30), measure)
                }
            }
        }
    }

    /// Makes a folder for the own cluster and removes it afterwards.
    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let parent = dir ?? FileManager.default.currentDirectoryPath
        if unsafe ctenon_is_volatile(parent) == 1, !allowVolatile {
            Console.error(
                "\(parent) is on a file system that forgets at power-off, which would measure "
                    + "nothing; give --dir another folder, or --allow-volatile")
            throw Exit.notApplied
        }
        let folder = parent + "/.tenon-bench-\(getpid())"
        do {
            try await body(folder)
            try? FileManager.default.removeItem(atPath: folder)
        } catch {
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
    }

    private func measure(_ client: TenonClient) async throws {
        let plan = BenchPlan(
            workload: workload, keyspace: keyspace, clients: clients,
            keys: BenchKeys(
                count: UInt64(keys), valueSize: valueSize, prefix: Bytes(keyPrefix)),
            seconds: seconds, rate: rate)
        let report = try await BenchRun(client: client, plan: plan).run()
        print(json ? report.json.text : report.text)
        guard report.isVerified else {
            Console.error(
                "\(report.mismatches) values are not what was written: keep the data folders")
            throw Exit.negative
        }
    }
}
