import ArgumentParser
import Foundation
import TenonClient

/// How a client command finds the cluster.
struct ConnectionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Nodes to ask first; an IPv6 address as [::1]:7501. Default: TENON_ENDPOINTS.",
            valueName: "host:port,…"))
    var endpoints: String?

    @Option(help: ArgumentHelp("How long a call may take: 500ms, 5s, 2m.", valueName: "time"))
    var timeout: TimeOption?

    /// The endpoints of the flag, else of the environment.
    private func parsedEndpoints() throws -> [Endpoint] {
        let text = endpoints ?? ProcessInfo.processInfo.environment["TENON_ENDPOINTS"] ?? ""
        guard !text.isEmpty else {
            throw ValidationError("Give --endpoints HOST:PORT,… or set TENON_ENDPOINTS.")
        }
        do throws(TenonError) {
            return try Endpoint.list(text)
        } catch {
            throw ValidationError(error.message)
        }
    }

    /// Runs `body` with a client; its errors become messages and exit codes.
    ///
    /// - Parameter locality: where the client stands; empty when nobody said.
    func withClient(
        defaultTimeout: Duration = .seconds(5), locality: String = "",
        _ body: (TenonClient) async throws -> Void
    ) async throws {
        let endpoints = try parsedEndpoints()
        try await reportingErrors {
            var configuration = TenonClient.Configuration()
            configuration.timeout = timeout?.duration ?? defaultTimeout
            configuration.locality = locality
            let client = try TenonClient(endpoints: endpoints, configuration: configuration)
            do {
                try await body(client)
                await client.shutdown()
            } catch {
                await client.shutdown()
                throw error
            }
        }
    }
}

/// The connection and the keyspace of a data command.
struct KeyspaceOptions: ParsableArguments {
    @OptionGroup var connection: ConnectionOptions

    @Option(help: "The keyspace.")
    var keyspace = "default"

    /// Runs `body` with the keyspace; its errors become messages and exit codes.
    func withKeyspace(
        defaultTimeout: Duration = .seconds(5), locality: String = "",
        _ body: (Keyspace) async throws -> Void
    ) async throws {
        try await connection.withClient(
            defaultTimeout: defaultTimeout, locality: locality
        ) { client in
            try await body(client.keyspace(keyspace))
        }
    }
}

/// A length of time: a number with `ms`, `s` (also without a unit), `m` or `h`.
struct TimeOption: ExpressibleByArgument, Hashable, Sendable {
    let duration: Duration

    init?(argument: String) {
        let units: [(suffix: String, milliseconds: Double)] = [
            ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("", 1_000),
        ]
        guard let unit = units.first(where: { argument.hasSuffix($0.suffix) }),
            let count = Double(argument.dropLast(unit.suffix.count)),
            count > 0, count * unit.milliseconds <= 1e12
        else { return nil }
        duration = .milliseconds(Int64((count * unit.milliseconds).rounded(.up)))
    }
}
