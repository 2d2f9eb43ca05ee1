internal import NIOCore
internal import NIOPosix
internal import TenonCore
internal import TenonWire

/// A client of one cluster. Any number of tasks may share it; one is enough for a process.
///
/// ```swift
/// try await withTenonClient(endpoints: ["127.0.0.1:7501"]) { tenon in
///     let accounts = tenon.keyspace("default")
///     let version = try await accounts.put("alice", "100")
///     try await accounts.put("alice", "90", if: .version(version))
/// }
/// ```
///
/// It keeps one connection a node, finds each key's leader, and retries until the deadline.
/// A retried write runs once, because it carries the same session (Rule S3).
public final class TenonClient: Sendable {
    let loop: ClientLoop
    let configuration: Configuration
    private let timeout: TimeSpan
    private let group: MultiThreadedEventLoopGroup

    /// A client of the cluster that has nodes at `endpoints`; one that answers is enough.
    /// It connects when it is first used. End it with ``shutdown()``.
    ///
    /// - Throws: ``TenonError/Kind/invalid`` for no endpoints or a setting out of bounds.
    public init(
        endpoints: [Endpoint], configuration: Configuration = Configuration()
    ) throws(TenonError) {
        try configuration.validate()
        guard !endpoints.isEmpty else {
            throw TenonError(.invalid, .notApplied, "no endpoint given; write HOST:PORT,…")
        }
        self.configuration = configuration
        timeout = TimeSpan(configuration.timeout)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var random = SystemRandomNumberGenerator()
        loop = try ClientLoop(
            endpoints: endpoints, configuration: configuration, eventLoop: group.next(),
            seed: random.next())
    }

    /// The keyspace of this name. Whether it exists shows at the first call.
    public func keyspace(_ name: String) -> Keyspace { Keyspace(name: name, client: self) }

    /// Ends calls under way as `unavailable` and closes the connections. The last call to make.
    public func shutdown() async {
        await loop.shutdown()
        // It fails only when it was done before, and then there is nothing left to do.
        try? await group.shutdownGracefully()
    }

    /// Does a call; `timeout` nil stands for the configuration's.
    func perform(
        _ work: Call.Work, _ route: Call.Route, timeout: Duration?
    ) async throws(TenonError) -> Answer {
        try await loop.perform(Call(work: work, route: route, deadline: deadline(after: timeout)))
            .get()
    }

    /// Does a call that ends by `deadline`.
    func perform(
        _ work: Call.Work, _ route: Call.Route, deadline: Instant
    ) async throws(TenonError) -> Answer {
        try await loop.perform(Call(work: work, route: route, deadline: deadline)).get()
    }

    /// The moment when a call that begins now has to end.
    func deadline(after timeout: Duration?) -> Instant {
        ClientLoop.now + (timeout.map { TimeSpan($0) } ?? self.timeout)
    }
}

/// Runs `body` with a client of the cluster that has nodes at `endpoints` (`HOST:PORT`, an IPv6
/// address as `[::1]:7501`), and shuts it down when `body` ends.
///
/// - Throws: ``TenonError/Kind/invalid`` for an endpoint that is none, and what `body` throws.
public func withTenonClient<Result>(
    endpoints: [String], configuration: TenonClient.Configuration = .init(),
    _ body: (TenonClient) async throws -> Result
) async throws -> Result {
    var parsed: [Endpoint] = []
    for endpoint in endpoints { parsed.append(try Endpoint(endpoint)) }
    let client = try TenonClient(endpoints: parsed, configuration: configuration)
    do {
        let result = try await body(client)
        await client.shutdown()
        return result
    } catch {
        await client.shutdown()
        throw error
    }
}
