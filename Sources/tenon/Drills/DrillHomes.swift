import TenonClient
import TenonCore
import TenonWire

/// The keyspace that a drill loads: `default`, or one of its own with a home in each city.
struct DrillHomes: Sendable {
    let keyspace: String
    /// The loaded tablets, in order.
    let tablets: [TabletID]
    /// Their homes; empty when nobody said where they are led.
    let cities: [TabletID: String]

    private static let waitSecondsMax = 60
    /// After so long leaders are sent home by order: what is drilled begins at home, also where a
    /// control has nodes that never send anybody there.
    private static let ordersAfter = Duration.seconds(10)

    /// The keyspace that is there anyway.
    static func ofDefault(_ client: TenonClient) async throws(TenonError) -> DrillHomes {
        let tablets = try await client.describe().tablets
            .filter { $0.keyspace == .default }.map(\.id)
        return DrillHomes(keyspace: "default", tablets: tablets, cities: [:])
    }

    /// A keyspace made for the drill: each city of the cluster is the home of its own prefix.
    static func make(
        for run: String, survive: FailureLevel, acknowledgement: AcknowledgementRule?,
        in cluster: ClusterLayout, _ client: TenonClient
    ) async throws -> DrillHomes {
        let name = "drill-\(run)"
        let homes = cluster.cities.map {
            PlacementPolicy.Home(prefix: Bytes(DrillKeys.home(of: $0)), city: $0)
        }
        try await client.direct(
            .createKeyspace(
                name: name,
                KeyspaceSettings(
                    replicas: acknowledgement == nil ? nil : cluster.nodes.count,
                    survive: survive, homes: homes, acknowledgement: acknowledgement)))
        let begin = ContinuousClock.now
        let deadline = begin + .seconds(waitSecondsMax)
        while ContinuousClock.now < deadline {
            let directory = try await client.describe()
            if let made = DrillHomes(name, homes, in: directory), made.areLedFromHome(directory),
                try await made.haveAllReplicas(directory, client)
            {
                return made
            }
            if ContinuousClock.now > begin + ordersAfter {
                await DrillHomes(name, homes, in: directory)?.sendHome(directory, client)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ClusterError.notServing(
            seconds: waitSecondsMax, reason: "the tablets of \(name) are not led from their homes")
    }

    private init(keyspace: String, tablets: [TabletID], cities: [TabletID: String]) {
        self.keyspace = keyspace
        self.tablets = tablets
        self.cities = cities
    }

    private init?(_ name: String, _ homes: [PlacementPolicy.Home], in directory: Directory) {
        guard let keyspace = directory.keyspace(named: name) else { return nil }
        var cities: [TabletID: String] = [:]
        for home in homes {
            guard let tablet = directory.tablet(of: keyspace.id, holding: home.prefix),
                tablet.lower == home.prefix
            else { return nil }
            cities[tablet.id] = home.city
        }
        self.init(keyspace: name, tablets: cities.keys.sorted(), cities: cities)
    }

    /// Has leaders that are elsewhere hand over to a voter at home. What is refused is asked again.
    private func sendHome(_ directory: Directory, _ client: TenonClient) async {
        for tablet in directory.tablets {
            guard let city = cities[tablet.id],
                city != DrillHomes.city(of: tablet.leader, directory),
                let home = tablet.voters.first(where: {
                    DrillHomes.city(of: $0.node, directory) == city
                })
            else { continue }
            try? await client.transferLeadership(of: tablet.id, to: home.node)
        }
    }

    private static func city(of node: NodeID, _ directory: Directory) -> String? {
        directory.node(node).flatMap { (try? Locality(parsing: $0.locality))?.name(at: "city") }
    }

    /// Whether the voters that the directory names are there: what is drilled is what is promised.
    private func haveAllReplicas(
        _ directory: Directory, _ client: TenonClient
    ) async throws(TenonError) -> Bool {
        let statuses = try await StatusReport(asking: client).nodes.compactMap(\.status)
        let missing = MissingReplicas(directory, statuses)
        return tablets.allSatisfy { missing.voters(of: $0).isEmpty }
    }

    /// Whether every loaded tablet has all its voters and a leader in its home.
    func areLedFromHome(_ directory: Directory) -> Bool {
        tablets.allSatisfy { id in
            guard let tablet = directory.tablets.first(where: { $0.id == id }),
                tablet.target.isEmpty, !tablet.voters.isEmpty,
                let city = DrillHomes.city(of: tablet.leader, directory)
            else { return false }
            return city == cities[id]
        }
    }
}
