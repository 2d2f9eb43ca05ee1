import TenonCore
import TenonRaft
import TenonSimulator
import TenonWire
import Testing

@testable import TenonNode

/// Keyspaces that say what they survive and where they are led, on nodes in several cities.
struct Homes {
    private static let places = [
        "city=sh,dc=sh1", "city=sh,dc=sh2", "city=bj,dc=bj1", "city=bj,dc=bj2", "city=sz,dc=sz1",
    ]

    /// Five nodes in three cities.
    private func formed(seed: UInt64 = 1, spares: Int = 0) -> SimulatedCluster {
        var options = ClusterOptions(seed: seed)
        options.nodeCount = Homes.places.count
        options.spareCount = spares
        let cluster = SimulatedCluster(options)
        for (place, locality) in Homes.places.enumerated() {
            cluster.host(place + 1).adjust = { $0.locality = locality }
        }
        #expect(cluster.form())
        #expect(
            comes(cluster) {
                cluster.directory?.nodes.map(\.locality) == Homes.places
            })
        return cluster
    }

    private func comes(
        _ cluster: SimulatedCluster, within span: TimeSpan = .seconds(60),
        _ condition: @escaping () -> Bool
    ) -> Bool {
        cluster.run(within: span, every: .milliseconds(50), until: condition)
    }

    private func city(leading tablet: TabletID, _ cluster: SimulatedCluster) -> String? {
        // "city=sh,…"
        cluster.leader(of: tablet).map { String(Homes.places[$0 - 1].dropFirst(5).prefix(2)) }
    }

    /// Of the keyspace `accounts`, in order of keys.
    private func tablets(_ cluster: SimulatedCluster) -> [TabletDescriptor] {
        guard let directory = cluster.directory,
            let keyspace = directory.keyspace(named: "accounts")
        else { return [] }
        return directory.tablets.filter { $0.keyspace == keyspace.id }
    }

    private static let homes: [PlacementPolicy.Home] = [
        .init(prefix: "bj/", city: "bj"), .init(prefix: "sh/", city: "sh"),
        .init(prefix: "sz/", city: "sz"),
    ]

    private func created() -> SimulatedCluster {
        let cluster = formed()
        let settings = KeyspaceSettings(survive: .city, homes: Homes.homes)
        #expect(cluster.direct(.createKeyspace(name: "accounts", settings)) == nil)
        return cluster
    }

    private func areHome(_ cluster: SimulatedCluster) -> Bool {
        Homes.homes.allSatisfy { home in
            let tablet = tablets(cluster).first { $0.lower == home.prefix }
            return tablet.flatMap { city(leading: $0.id, cluster) } == home.city
        }
    }

    @Test func `each home gets a tablet, five voters in three cities, and its leader`() throws {
        let cluster = created()
        #expect(comes(cluster) { areHome(cluster) })
        let all = tablets(cluster)
        #expect(
            all.map(\.lower) == ["", "bj/", "bj0", "sh/", "sh0", "sz/", "sz0"])
        #expect(all.allSatisfy { $0.voters.count == 5 })
        let keyspace = try #require(cluster.directory?.keyspace(named: "accounts"))
        #expect(keyspace.replicas == 5 && keyspace.policy.homes == Homes.homes)
    }

    @Test func `a lost home is led from elsewhere, and again from home when it is back`() throws {
        let cluster = created()
        #expect(comes(cluster) { areHome(cluster) })
        let tablet = try #require(tablets(cluster).first { $0.lower == "sh/" }?.id)
        for node in 1...2 { cluster.crash(node) }
        #expect(
            comes(cluster, within: .seconds(10)) {
                city(leading: tablet, cluster).map { $0 != "sh" } ?? false
            })
        for node in 1...2 { cluster.start(node) }
        #expect(comes(cluster) { areHome(cluster) })
    }

    @Test func `a keyspace that gets homes later is split at their borders`() throws {
        let cluster = formed()
        #expect(cluster.direct(.createKeyspace(name: "accounts", KeyspaceSettings())) == nil)
        #expect(comes(cluster) { tablets(cluster).count == 1 })
        let settings = KeyspaceSettings(survive: .city, homes: Homes.homes)
        #expect(cluster.direct(.alterKeyspace(name: "accounts", settings)) == nil)
        #expect(comes(cluster) { tablets(cluster).count == 7 })
        #expect(comes(cluster) { tablets(cluster).allSatisfy { $0.voters.count == 5 } })
        #expect(comes(cluster) { areHome(cluster) })
        #expect(cluster.direct(.alterKeyspace(name: "accounts", settings)) == nil)
    }

    @Test func `a policy out of reach is refused, and nothing is changed`() throws {
        let cluster = created()
        #expect(comes(cluster) { tablets(cluster).count == 7 })
        let order = DirectoryOrder.alterKeyspace(
            name: "accounts", KeyspaceSettings(homes: [.init(prefix: "g", city: "gz")]))
        #expect(cluster.direct(order)?.contains("no node is in gz") == true)
        #expect(cluster.directory?.keyspace(named: "accounts")?.policy.homes == Homes.homes)
    }

    @Test func `the last node of a city that a policy needs is not removed`() throws {
        let cluster = formed(spares: 1)
        cluster.host(6).adjust = { $0.locality = "city=bj,dc=bj3" }
        let settings = KeyspaceSettings(replicas: 3, survive: .city)
        #expect(cluster.direct(.createKeyspace(name: "accounts", settings)) == nil)
        #expect(cluster.join(6) == nil)
        let refusal = cluster.direct(.remove(node: "n5", replacement: nil))
        #expect(refusal?.contains("the policy of keyspace accounts cannot be kept") == true)
        #expect(cluster.direct(.remove(node: "n4", replacement: nil)) == nil)
    }

    /// What the tablets of `accounts` need of a commit, as their own logs say; nil while that is not
    /// the same on all leaders, or a change is under way.
    private func rule(_ cluster: SimulatedCluster) -> AcknowledgementRule? {
        let rules = tablets(cluster).map { tablet -> AcknowledgementRule? in
            guard let leader = cluster.leader(of: tablet.id),
                let membership = cluster.host(leader).node?.tablet(tablet.id)?.raft.membership,
                !membership.isJoint
            else { return nil }
            return membership.acknowledgement.rule
        }
        return Set(rules).count == 1 ? rules[0] : nil
    }

    /// Rule C6, from the order of an operator to the logs of tablets, halves of splits included.
    @Test func `every tablet gets the rule of its keyspace, and another when it is altered`() throws
    {
        let cluster = formed()
        let settings = KeyspaceSettings(survive: .city, acknowledgement: .city)
        #expect(cluster.direct(.createKeyspace(name: "accounts", settings)) == nil)
        #expect(comes(cluster) { rule(cluster) == .city })
        let homes = KeyspaceSettings(homes: Homes.homes)
        #expect(cluster.direct(.alterKeyspace(name: "accounts", homes)) == nil)
        #expect(comes(cluster) { tablets(cluster).count == 7 && rule(cluster) == .city })
        #expect(
            comes(cluster) {
                tablets(cluster).allSatisfy {
                    $0.acknowledgement.leastElsewhere == 3 && $0.target.isEmpty
                        && $0.targetAcknowledgement == .majority
                }
            })
        for wanted in [AcknowledgementRule.dc, .majority, .city] {
            let order = KeyspaceSettings(acknowledgement: wanted)
            #expect(cluster.direct(.alterKeyspace(name: "accounts", order)) == nil)
            #expect(comes(cluster) { rule(cluster) == wanted })
        }
        #expect(cluster.directory?.keyspace(named: "accounts")?.policy.acknowledgement == .city)
    }

    @Test func `a rule that too few voters elsewhere could keep is refused`() throws {
        let cluster = formed()
        for settings in [
            KeyspaceSettings(replicas: 1, acknowledgement: .dc),
            KeyspaceSettings(replicas: 1, acknowledgement: .city),
        ] {
            let refusal = cluster.direct(.createKeyspace(name: "accounts", settings))
            #expect(refusal?.contains("none stands outside") == true, "\(refusal ?? "")")
        }
        let settings = KeyspaceSettings(replicas: 3, acknowledgement: .city)
        #expect(cluster.direct(.createKeyspace(name: "accounts", settings)) == nil)
        #expect(
            comes(cluster) {
                tablets(cluster).contains { $0.voters.count == 3 && $0.target.isEmpty }
            })
        // One of three cities less would leave a voter alone elsewhere.
        let tablet = try #require(tablets(cluster).first)
        let names = tablet.voters.map { "n\($0.node)" }
        let spare = try #require(["n1", "n2", "n3", "n4"].first { !names.contains($0) })
        let other = try #require(
            tablet.voters.first { Homes.places[Int($0.node.rawValue) - 1].contains("sz") })
        let refusal = cluster.direct(
            .moveReplica(tablet.id, from: "n\(other.node)", to: spare))
        #expect(refusal?.contains("--ack city needs two") == true, "\(refusal ?? "")")
    }

    /// The directory may know less of where nodes stand than it did.
    @Test func `a leader takes no rule that the loss of one voter would turn against it`() throws {
        let cluster = formed()
        let leader = try #require(cluster.leader(of: TabletID(2)))
        let node = try #require(cluster.host(leader).node)
        let before = try #require(node.tablet(TabletID(2))).raft.membership
        let rule = Acknowledgement(.city, places: ["sh", "sh", "sh", "sh", "bj"])
        node.handle(
            .setMembers(TabletID(2), target: before.incoming, learners: [], rule), from: node.id,
            now: cluster.now)
        cluster.run(for: .seconds(1))
        #expect(node.memberWork.targets.isEmpty)
        #expect(node.tablet(TabletID(2))?.raft.membership == before)
    }

    /// Of a lost leader's four fellow voters only one stands at home, and it is elected.
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func `of the voters that are left those at home are elected`(seed: UInt64) throws {
        let cluster = formed(seed: seed)
        let settings = KeyspaceSettings(survive: .city, homes: Homes.homes)
        #expect(cluster.direct(.createKeyspace(name: "accounts", settings)) == nil)
        #expect(comes(cluster) { areHome(cluster) })
        let tablet = try #require(tablets(cluster).first { $0.lower == "sh/" }?.id)
        #expect(
            comes(cluster) {
                (1...5).map { cluster.host($0).node?.tablet(tablet)?.raft.priority } == [
                    .first, .first, .away, .away, .away,
                ]
            })
        let leader = try #require(cluster.leader(of: tablet))
        cluster.crash(leader)
        #expect(
            comes(cluster, within: .seconds(5)) { cluster.leader(of: tablet) == 3 - leader })
        #expect(
            (1...5).allSatisfy { cluster.host($0).node?.tablet(tablet)?.elections ?? 0 <= 1 })
    }
}
