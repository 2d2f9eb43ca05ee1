import TenonCore
import TenonKV
import TenonRaft
import TenonSimulator
import TenonStore
import TenonWire
import Testing

@testable import TenonNode

/// Replicas that vote and keep the log, and have no data (Rule C7): two cities, and a third place.
struct WitnessReplicas {
    private static let places = [
        "city=a,dc=a1", "city=a,dc=a2", "city=b,dc=b1", "city=b,dc=b2", "city=c,dc=c1",
    ]
    private static let tablet = TabletID(2)
    private static let machine = 5

    private func comes(
        _ cluster: SimulatedCluster, within span: TimeSpan = .seconds(60),
        _ condition: @escaping () -> Bool
    ) -> Bool {
        cluster.run(within: span, every: .milliseconds(50), until: condition)
    }

    /// Four nodes with data, and a witness that has a vote in every tablet.
    private func formed(
        _ adjust: (inout ClusterOptions) -> Void = { _ in }
    ) -> SimulatedCluster {
        var options = ClusterOptions(seed: 1)
        options.nodeCount = 4
        options.spareCount = 1
        adjust(&options)
        let cluster = SimulatedCluster(options)
        for (place, locality) in WitnessReplicas.places.enumerated() {
            cluster.host(place + 1).adjust = { $0.locality = locality }
        }
        cluster.host(WitnessReplicas.machine).isWitness = true
        #expect(cluster.form())
        #expect(cluster.join(WitnessReplicas.machine) == nil)
        let isAltered = comes(cluster) {
            cluster.direct(
                .alterKeyspace(name: "default", KeyspaceSettings(replicas: 5, survive: .city)))
                == nil
        }
        #expect(isAltered)
        #expect(comes(cluster) { voters(cluster) == [1, 2, 3, 4, 5] })
        return cluster
    }

    private func voters(_ cluster: SimulatedCluster) -> [UInt32] {
        guard let leader = cluster.leader(of: WitnessReplicas.tablet),
            let membership = cluster.host(leader).node?.tablet(WitnessReplicas.tablet)?.raft
                .membership, !membership.isJoint, membership.learners.isEmpty
        else { return [] }
        return membership.incoming.map(\.node.rawValue).sorted()
    }

    private func witness(_ cluster: SimulatedCluster) -> Tablet? {
        cluster.host(WitnessReplicas.machine).node?.tablet(WitnessReplicas.tablet)
    }

    /// Whether its store holds no key.
    private func isEmpty(_ tablet: Tablet) -> Bool {
        guard
            case .ready(.success(let page)) = tablet.machine.scan(
                TenonKV.ScanRequest(.everything), blocks: tablet.noBlocks)
        else { return false }
        return page.items.isEmpty
    }

    private func lead(_ machine: Int, _ cluster: SimulatedCluster) {
        let isLed = comes(cluster) {
            guard let leader = cluster.leader(of: WitnessReplicas.tablet) else { return false }
            if leader == machine { return true }
            cluster.host(leader).node?.tell(
                .setLeader(WitnessReplicas.tablet, NodeID(UInt32(machine))),
                to: NodeID(UInt32(leader)))
            return false
        }
        #expect(isLed)
    }

    @Test func `it votes and keeps the log, and has no data and no digest`() throws {
        let cluster = formed()
        for number in 0..<20 { #expect(cluster.put(Bytes("k\(number)"), "v") != nil) }
        #expect(
            comes(cluster) {
                guard let own = witness(cluster), let leader = cluster.leader(of: own.id),
                    let other = cluster.host(leader).node?.tablet(own.id)
                else { return false }
                return own.machine.appliedIndex == other.machine.appliedIndex
            })
        let own = try #require(witness(cluster))
        #expect(own.isWitness && own.raft.isWitness && own.status.role == "witness")
        #expect(isEmpty(own))
        #expect(own.digests.digest(at: own.machine.appliedIndex) == nil)
        #expect(own.machine.lastVersion > .zero)
        // The directory's replica here is one, too, and the node knows the directory all the same.
        let node = try #require(cluster.host(WitnessReplicas.machine).node)
        #expect(node.tablet(.directory)?.isWitness == true)
        #expect(
            node.cluster.directory.nodes.map(\.isWitness) == [false, false, false, false, true])
    }

    @Test func `it serves no read, of whatever age, and says who does`() throws {
        let cluster = formed()
        #expect(cluster.put("a", "1") != nil)
        for staleness in [Staleness.none, .any, .within(milliseconds: 60_000)] {
            let answer = cluster.ask(
                WitnessReplicas.machine,
                .get(key: "a", at: nil, staleness: staleness), tablet: WitnessReplicas.tablet)
            guard case .refusal(let refusal) = answer else {
                Issue.record("a witness answers \(answer.map { "\($0)" } ?? "nothing")")
                continue
            }
            #expect(refusal.leader != NodeID(0), "\(refusal)")
        }
    }

    @Test func `with a city lost it completes the majority, and both serve again`() throws {
        let cluster = formed()
        #expect(cluster.put("a", "1") != nil)
        for node in 1...2 { cluster.crash(node) }
        #expect(cluster.put("a", "2", within: .seconds(10)) != nil)
        #expect(cluster.text(of: "a") == "2")
        for node in 1...2 { cluster.start(node) }
        for node in 3...4 { cluster.crash(node) }
        #expect(cluster.put("a", "3", within: .seconds(20)) != nil)
        #expect(cluster.text(of: "a") == "3")
    }

    /// What only the lost city and the witness have is brought to the other city by the witness.
    @Test func `the newest entries in its log only are not lost with a city`() throws {
        let cluster = formed()
        lead(1, cluster)
        for node in 3...4 { cluster.crash(node) }
        #expect(cluster.put("only", "here") != nil)
        for node in 1...2 { cluster.crash(node) }
        for node in 3...4 { cluster.start(node) }
        #expect(cluster.text(of: "only", within: .seconds(30)) == "here")
        #expect(cluster.put("next", "1") != nil)
    }

    @Test func `it is restarted as what it was, and goes on`() throws {
        let cluster = formed()
        #expect(cluster.put("a", "1") != nil)
        cluster.cutPower(WitnessReplicas.machine)
        #expect(cluster.put("a", "2") != nil)
        cluster.start(WitnessReplicas.machine)
        for node in 1...2 { cluster.crash(node) }
        #expect(cluster.put("a", "3", within: .seconds(20)) != nil)
        #expect(witness(cluster)?.isWitness == true)
    }

    /// Small memtables and logs: flushes, drops and the metadata in place of snapshots happen.
    private func small() -> SimulatedCluster {
        formed { options in
            options.store.memtableBytesMax = 4 << 10
            options.store.tableBytesMax = 4 << 10
            options.store.levelBytesBase = 16 << 10
            options.retainedLogBytes = 1 << 10
        }
    }

    private func fill(_ cluster: SimulatedCluster, _ count: Int) {
        let value = Bytes(String(repeating: "v", count: 512))
        for number in 0..<count { #expect(cluster.put(Bytes("k\(number)"), value) != nil) }
    }

    @Test func `it keeps what one city only has, and drops it when the other has it`() throws {
        let cluster = small()
        fill(cluster, 40)
        let isDropped = comes(cluster) {
            witness(cluster).map { $0.raft.basePosition.index > .zero } ?? false
        }
        #expect(isDropped)
        lead(1, cluster)
        for node in 3...4 { cluster.crash(node) }
        let before = try #require(witness(cluster)?.raft.lastPosition.index)
        fill(cluster, 60)
        cluster.run(for: .seconds(2))
        let own = try #require(witness(cluster))
        #expect(own.store.flushed?.index ?? .zero > before)
        #expect(own.raft.basePosition.index <= before.advanced(by: 2))
        #expect(own.witnessRisk == nil)
        for node in 3...4 { cluster.start(node) }
        #expect(
            comes(cluster) {
                witness(cluster).map { $0.raft.basePosition.index > before.advanced(by: 20) }
                    ?? false
            })
    }

    @Test func `behind the log's start it is told where to go on, and gets no data`() throws {
        let cluster = small()
        cluster.crash(WitnessReplicas.machine)
        fill(cluster, 80)
        let start = try #require(
            cluster.leader(of: WitnessReplicas.tablet).flatMap {
                cluster.host($0).node?.tablet(WitnessReplicas.tablet)?.raft.basePosition.index
            })
        cluster.start(WitnessReplicas.machine)
        #expect(try #require(witness(cluster)).raft.lastPosition.index < start)
        #expect(
            comes(cluster) {
                witness(cluster).map { $0.machine.appliedIndex > start } ?? false
            })
        let own = try #require(witness(cluster))
        #expect(own.raft.basePosition.index >= start && isEmpty(own))
        #expect(own.store.status.diskBytes < 8 << 10)
        // Its vote counts again.
        for node in 1...2 { cluster.crash(node) }
        #expect(cluster.put("a", "3", within: .seconds(20)) != nil)
    }

    @Test func `orders that would make a copy of it are refused`() throws {
        let cluster = formed()
        let order = DirectoryOrder.remove(node: "n1", replacement: "n5")
        #expect(cluster.direct(order)?.contains("is a witness") == true)
        let first = DirectoryOrder.moveReplica(WitnessReplicas.tablet, from: "n1", to: "n5")
        #expect(cluster.direct(first) != nil)
        let home = PlacementPolicy.Home(prefix: "x/", city: "c")
        let led = DirectoryOrder.createKeyspace(name: "w", KeyspaceSettings(homes: [home]))
        #expect(cluster.direct(led)?.contains("no node is in c") == true)
    }
}
