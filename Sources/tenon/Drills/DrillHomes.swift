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

    /// The keyspace that is there anyway.
    static func ofDefault(_ client: TenonClient) async throws(TenonError) -> DrillHomes {
        let tablets = try await client.describe().tablets
            .filter { $0.keyspace == .default }.map(\.id)
        return DrillHomes(keyspace: "default", tablets: tablets, cities: [:])
    }

    /// A keyspace made for the drill: each city of the cluster is the home of its own prefix.
    static func make(
        for run: String, survive: FailureLevel, in cities: [String], _ client: TenonClient
    ) async throws -> DrillHomes {
        let name = "drill-\(run)"
        let homes = cities.map {
            PlacementPolicy.Home(prefix: Bytes(DrillKeys.home(of: $0)), city: $0)
        }
        try await client.direct(
            .createKeyspace(name: name, KeyspaceSettings(survive: survive, homes: homes)))
        let deadline = ContinuousClock.now + .seconds(waitSecondsMax)
        while ContinuousClock.now < deadline {
            let directory = try await client.describe()
            if let made = DrillHomes(name, homes, in: directory), made.areLedFromHome(directory) {
                return made
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

    /// Whether every loaded tablet has all its voters and a leader in its home.
    func areLedFromHome(_ directory: Directory) -> Bool {
        tablets.allSatisfy { id in
            guard let tablet = directory.tablets.first(where: { $0.id == id }),
                let leader = directory.node(tablet.leader), tablet.target.isEmpty,
                !tablet.voters.isEmpty
            else { return false }
            return (try? Locality(parsing: leader.locality))?.name(at: "city") == cities[id]
        }
    }
}
