import Synchronization
import TenonChecker
import TenonClient
import TenonCore
import TenonWire

/// A cluster under load: its clients, the proxies that lose answers, and the load itself.
struct DrillSession: Sendable {
    /// As it is now: drills let nodes come and go.
    var cluster: LocalCluster { members.cluster }
    let members: DrillMembers
    let load: DrillLoad
    let probe: ClusterProbe
    let proxies: [LossyProxy]
    /// What is loaded.
    let homes: DrillHomes
    /// What else goes on; nil when nothing does.
    let business: BusinessSuite?

    /// The tablets that are loaded, in order.
    var tablets: [TabletID] { homes.tablets }

    /// Where nodes stand that say so.
    var cities: [NodeID: String] {
        var cities: [NodeID: String] = [:]
        for node in cluster.layout.nodes { cities[number(of: node)] = node.domain(at: .city) }
        return cities
    }

    var keyspace: Keyspace { load.clients[0].keyspace(homes.keyspace) }

    /// Loads the cluster until ``stopLoad()`` and returns when the last answer is there.
    func run(round: Int, pace: DrillLoad.Pace) async {
        async let working: Void? = business?.run(round: round)
        await load.run(round: round, pace: pace)
        _ = await working
    }

    func stopLoad() {
        load.stop()
        business?.stop()
    }

    /// One answer in so many to the counters' client is lost, with its connection.
    static let dropsOneAnswerIn = 400

    /// Runs `body` with a session and closes all of it.
    ///
    /// - Parameter survive: what the loaded keyspace is to survive when the nodes stand in cities;
    ///   nil for the keyspace `default`.
    /// - Parameter acknowledgement: where that keyspace's writes are to be before they are acknowledged.
    /// - Parameter scenarios: what goes on beside the drill's own load.
    static func with<Result>(
        _ cluster: LocalCluster, seed: UInt64, valueBytes: Int, survive: FailureLevel? = nil,
        acknowledgement: AcknowledgementRule? = nil, scenarios: [BusinessScenario] = [],
        _ body: (DrillSession) async throws -> Result
    ) async throws -> Result {
        let proxies = try makeProxies(of: cluster, seed: seed)
        defer { for proxy in proxies { proxy.stop() } }
        var configuration = DrillLoad.Configuration(seed: seed)
        configuration.valueBytes = valueBytes
        let clients = try makeClients(configuration.workers, endpoints: cluster.endpoints)
        let lossy = try makeClients(1, endpoints: proxies.map(\.address))
        let own = try makeClients(scenarios.isEmpty ? 0 : 1, endpoints: cluster.endpoints)
        let all = clients + lossy + own
        do {
            let run = String(seed, radix: 36)
            let cities = survive == nil ? [] : cluster.layout.cities
            let homes: DrillHomes
            if let survive {
                homes = try await .make(
                    for: run, survive: survive, acknowledgement: acknowledgement,
                    in: cluster.layout, clients[0])
            } else {
                homes = try await .ofDefault(clients[0])
            }
            configuration.keyspace = homes.keyspace
            let load = DrillLoad(
                configuration: configuration, keys: DrillKeys(run: run, cities: cities),
                clients: clients, lossyClient: lossy[0])
            let business = own.first.map { client in
                BusinessSuite(
                    scenarios, on: client.keyspace(homes.keyspace), run: run,
                    prefixes: cities.isEmpty ? [""] : cities.map(DrillKeys.home), seed: seed)
            }
            try await business?.prepare()
            let members = DrillMembers(cluster)
            let probe = ClusterProbe(client: clients[0]) { members.cluster.numbers }
            let result = try await body(
                DrillSession(
                    members: members, load: load, probe: probe, proxies: proxies, homes: homes,
                    business: business))
            for client in all { await client.shutdown() }
            return result
        } catch {
            for client in all { await client.shutdown() }
            throw error
        }
    }

    private static func makeProxies(
        of cluster: LocalCluster, seed: UInt64
    ) throws(ClusterError) -> [LossyProxy] {
        var proxies: [LossyProxy] = []
        var replacements: [String: String] = [:]
        for (place, address) in cluster.endpoints.enumerated() {
            let proxy = try LossyProxy(
                LossyProxy.Configuration(
                    target: address, replacements: [:], dropsOneIn: dropsOneAnswerIn,
                    seed: seed &+ UInt64(place)))
            replacements[address] = proxy.address
            proxies.append(proxy)
        }
        for proxy in proxies {
            proxy.replaceAddresses(replacements)
            proxy.start()
        }
        return proxies
    }

    private static func makeClients(
        _ count: Int, endpoints: [String]
    ) throws(TenonError) -> [TenonClient] {
        var parsed: [Endpoint] = []
        for endpoint in endpoints { parsed.append(try Endpoint(endpoint)) }
        var clients: [TenonClient] = []
        for _ in 0..<count { clients.append(try TenonClient(endpoints: parsed)) }
        return clients
    }
}

/// The cluster that a drill runs on, whose nodes it may change.
final class DrillMembers: Sendable {
    private let current: Mutex<LocalCluster>

    init(_ cluster: LocalCluster) { current = Mutex(cluster) }

    var cluster: LocalCluster { current.withLock { $0 } }

    /// The cluster has other nodes now.
    func change(to cluster: LocalCluster) { current.withLock { $0 = cluster } }
}
