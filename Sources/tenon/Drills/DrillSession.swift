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
    /// The tablets of the cluster, in order.
    let tablets: [TabletID]

    /// One answer in so many to the counters' client is lost, with its connection.
    static let dropsOneAnswerIn = 400

    /// Runs `body` with a session and closes all of it.
    static func with<Result>(
        _ cluster: LocalCluster, seed: UInt64, valueBytes: Int,
        _ body: (DrillSession) async throws -> Result
    ) async throws -> Result {
        let proxies = try makeProxies(of: cluster, seed: seed)
        defer { for proxy in proxies { proxy.stop() } }
        var configuration = DrillLoad.Configuration(seed: seed)
        configuration.valueBytes = valueBytes
        let clients = try makeClients(configuration.workers, endpoints: cluster.endpoints)
        let lossy = try makeClients(1, endpoints: proxies.map(\.address))
        let all = clients + lossy
        do {
            let load = DrillLoad(
                configuration: configuration, keys: DrillKeys(run: String(seed, radix: 36)),
                clients: clients, lossyClient: lossy[0])
            let members = DrillMembers(cluster)
            let probe = ClusterProbe(client: clients[0]) { members.cluster.numbers }
            let tablets = try await clients[0].describe().tablets
                .filter { $0.keyspace == .default }.map(\.id)
            let result = try await body(
                DrillSession(
                    members: members, load: load, probe: probe, proxies: proxies, tablets: tablets))
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
