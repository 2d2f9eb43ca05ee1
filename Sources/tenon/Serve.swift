internal import ArgumentParser
internal import Foundation
internal import Logging
internal import ServiceLifecycle
internal import TenonCore
import TenonServer
import UnixSignals

/// `tenon serve`: one node of a cluster, until it is told to stop.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run one node of a cluster.",
        discussion: """
            Example, one of three nodes on this machine:
              tenon serve --name n1 --data ./n1 --listen 127.0.0.1:7501 \\
                --cluster n1=127.0.0.1:7501,n2=127.0.0.1:7502,n3=127.0.0.1:7503

            A node that joins a cluster which is there already:
              tenon serve --name n4 --data ./n4 --listen 127.0.0.1:7504 --join 127.0.0.1:7501

            One that only votes, for a third site beside two cities with data:
              tenon serve --name n5 --data ./n5 --listen 127.0.0.1:7505 --join 127.0.0.1:7501 \\
                --witness --locality city=third,dc=t1

            Settings come from these flags, then from the environment (TENON_NAME, TENON_DATA, …),
            then from a JSON file (--config) with the flags' names as keys. The node logs to
            standard error, and stops in good order on SIGTERM or SIGINT.
            """)

    @Option(help: "The node's name in --cluster.") var name: String?
    @Option(help: "Its data folder; made when missing.") var data: String?
    @Option(help: "The address it serves clients and peers on, HOST:PORT or [IPV6]:PORT.")
    var listen: String?
    @Option(help: "All nodes: NAME=HOST:PORT,… The same list on every node.")
    var cluster: String?
    @Option(help: "Nodes of a cluster to join, HOST:PORT,… instead of --cluster.")
    var join: String?
    @Flag(help: "Join as a witness: replicas here vote and keep the log, and have no data.")
    var witness = false
    @Option(help: "Where others reach this node, when that is not --listen.")
    var advertise: String?
    @Option(help: "Where the node is, outermost first: city=…,dc=…") var locality: String?
    @Option(help: "How many tablets the keyspace has (default 1). The same on every node.")
    var tablets: String?
    @Option(help: "How long old versions can be read: 500ms, 60s, 5m, 2h (default 60s).")
    var retention: String?
    @Option(help: "A JSON file with settings.") var config: String?
    @Option(help: "Bytes of a log segment (default 67108864).") var segmentBytes: String?
    @Option(help: "Log segments kept in reserve (default 8).") var segments: String?
    @Option(help: "Bytes of a memtable before it is flushed (default 33554432).")
    var memtableBytes: String?
    @Option(help: "Bytes of the block cache (default 268435456).") var cacheBytes: String?
    @Option(help: "Bytes of entries kept for followers that were away (default 33554432).")
    var retainedLogBytes: String?
    @Option(help: "trace, debug, info, warning or error (default info).") var logLevel: String?
    @Flag(help: "Allow other addresses than loopback: there is no TLS yet.") var insecure = false
    @Flag(help: "Allow a data folder that forgets everything at power-off (tmpfs).")
    var allowVolatile = false
    @Flag(help: "Take orders to be faulty (tenon drill inject). For tests: shown in status.")
    var enableFaultInjection = false

    @Option(help: "Pretend that nodes are far away, in milliseconds one way: 2=7,3=15. For tests.")
    var distances: String?

    func run() async throws {
        try plantWhatIsAsked()
        let settings: ServeSettings
        do {
            settings = try await ServeSettings.load(
                flags: flags, file: config, fileKeys: try fileKeys())
        } catch let error as SettingError {
            throw ValidationError("\(error)")
        }
        guard let level = Logger.Level(rawValue: settings.logLevel) else {
            throw ValidationError("log-level: \"\(settings.logLevel)\" is not a level of the log")
        }
        var logger = Logger(label: "tenon") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = level
        try await joinCluster(settings, logger)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(
                        service: TenonServer(settings: settings, logger: logger),
                        successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .cancelGroup)
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        do {
            try await group.run()
        } catch let error as ServerError {
            FileHandle.standardError.write(Data("tenon: \(error)\n".utf8))
            throw ExitCode(2)
        }
    }

    /// Breaks one rule of the engine on purpose (`TENON_PLANT`), for a drill's negative control.
    /// Only a build with the trait `PlantedFaults` can.
    private func plantWhatIsAsked() throws {
        guard let name = ProcessInfo.processInfo.environment["TENON_PLANT"], !name.isEmpty else {
            return
        }
        #if PLANTED_FAULTS
            guard let fault = PlantedFault(name: name) else {
                throw ValidationError("TENON_PLANT: there is no planted fault \(name)")
            }
            unsafe plantedFault = fault
            Console.note("\(NegativeControl.announcement) \(name)")
        #else
            throw ValidationError(
                "TENON_PLANT=\(name): this program cannot break its rules; build it with "
                    + "`swift build -c release --traits PlantedFaults`")
        #endif
    }

    private var flags: [String: String] {
        var flags: [String: String] = [:]
        let given = [
            ("name", name), ("data", data), ("listen", listen), ("cluster", cluster),
            ("join", join), ("advertise", advertise),
            ("locality", locality), ("tablets", tablets), ("retention", retention),
            ("segment-bytes", segmentBytes), ("segments", segments),
            ("memtable-bytes", memtableBytes), ("cache-bytes", cacheBytes),
            ("retained-log-bytes", retainedLogBytes), ("log-level", logLevel),
            ("distances", distances),
            ("witness", witness ? "true" : nil),
            ("insecure", insecure ? "true" : nil),
            ("allow-volatile", allowVolatile ? "true" : nil),
            ("enable-fault-injection", enableFaultInjection ? "true" : nil),
        ]
        for (key, value) in given {
            if let value { flags[key] = value }
        }
        return flags
    }

    /// The keys of the settings file: swift-configuration does not tell unknown ones.
    private func fileKeys() throws -> [String] {
        guard let config else { return [] }
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: config))
        } catch {
            throw ValidationError("config: \(config) cannot be read: \(error)")
        }
        guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
            throw ValidationError("config: \(config) is not a JSON object")
        }
        return Array(object.keys)
    }
}
