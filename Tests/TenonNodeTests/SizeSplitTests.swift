import TenonCore
import TenonSimulator
import TenonStore
import TenonWire
import Testing

@testable import TenonNode

// Clusters stay out of expectations that may fail: the report would print them whole.

/// Tablets that are split because they have grown, in clusters of whole nodes.
struct `Growing tablets` {
    private static let bound: UInt64 = 64 << 10

    /// Three nodes whose tablets are split above 64 KiB.
    private func formed(seed: UInt64) -> SimulatedCluster {
        var options = ClusterOptions(seed: seed)
        options.store.memtableBytesMax = 16 << 10
        options.store.tableBytesMax = 16 << 10
        options.store.levelBytesBase = 64 << 10
        options.store.blockBytes = 1 << 10
        let cluster = SimulatedCluster(options)
        #expect(cluster.form())
        let settings = KeyspaceSettings(splitAboveBytes: `Growing tablets`.bound)
        #expect(cluster.direct(.alterKeyspace(name: "default", settings)) == nil)
        return cluster
    }

    private func tablets(_ cluster: SimulatedCluster) -> [TabletDescriptor] {
        cluster.directory?.tablets.filter { $0.keyspace == .default && !$0.voters.isEmpty } ?? []
    }

    private func key(_ number: Int) -> Bytes { Bytes("key/\(1_000 + number)") }

    /// A kibibyte that no compression makes smaller.
    private static func noise(_ random: inout SeededGenerator) -> Bytes {
        var bytes: [UInt8] = []
        for _ in 0..<1_024 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return Bytes(bytes)
    }

    /// Puts values that no compression makes smaller.
    private func fill(_ cluster: SimulatedCluster, _ keys: Range<Int>, seed: UInt64) -> Bool {
        var random = SeededGenerator(seed: seed)
        return keys.allSatisfy { number in
            let value = `Growing tablets`.noise(&random)
            return cluster.put(key(number), value, within: .seconds(20)) != nil
        }
    }

    private func isSettled(_ cluster: SimulatedCluster) -> Bool {
        tablets(cluster).allSatisfy { tablet in
            guard let leader = cluster.leader(of: tablet.id),
                let own = cluster.host(leader).node?.tablet(tablet.id)
            else { return false }
            return own.splitWish().wish == nil && tablet.isSettled
        } && cluster.hosts.allSatisfy { $0.node?.probeSplits.isEmpty ?? false }
    }

    @Test func `a tablet that grows is cut near its middle, until all are small enough`() throws {
        let cluster = formed(seed: 1)
        #expect(fill(cluster, 0..<200, seed: 1))
        let isCut = cluster.run(within: .seconds(240), every: .milliseconds(100)) {
            self.tablets(cluster).count >= 4 && self.isSettled(cluster)
        }
        #expect(isCut, "\(tablets(cluster).map { ($0.lower, $0.upper) })")
        // 200 KiB in parts of which none was below an eighth of the bound.
        let count = tablets(cluster).count
        #expect(count <= 12, "\(count) tablets")
        #expect(tablets(cluster).dropFirst().allSatisfy { $0.lower.starts(with: "key/1") })
        cluster.run(for: .seconds(40))
        #expect(tablets(cluster).count == count)
        for number in stride(from: 0, to: 200, by: 9) {
            #expect(isThere(cluster, key(number)))
        }
    }

    /// Read with the tablet that holds the key now.
    private func isThere(_ cluster: SimulatedCluster, _ key: Bytes) -> Bool {
        guard let tablet = tablets(cluster).last(where: { $0.lower <= key }) else { return false }
        let result = cluster.call(.get(key: key, at: nil), tablet: tablet.id)
        if case .answer(.value(.some, _)) = result { return true }
        return false
    }

    @Test func `one key is never cut, however much is written to it`() {
        let cluster = formed(seed: 2)
        var random = SeededGenerator(seed: 2)
        for _ in 0..<160 {
            let value = `Growing tablets`.noise(&random)
            #expect(cluster.put("only", value, within: .seconds(20)) != nil)
        }
        cluster.run(for: SizeWork.interval * 3)
        #expect(tablets(cluster).count == 1)
    }

    @Test func `without a bound nothing is cut, and a bound that is none is refused`() {
        let cluster = formed(seed: 3)
        let never = KeyspaceSettings(splitAboveBytes: 0)
        #expect(cluster.direct(.alterKeyspace(name: "default", never)) == nil)
        #expect(fill(cluster, 0..<120, seed: 3))
        cluster.run(for: SizeWork.interval * 3)
        #expect(tablets(cluster).count == 1)
        let tiny = KeyspaceSettings(splitAboveBytes: 100)
        let refusal = cluster.direct(.alterKeyspace(name: "default", tiny)) ?? ""
        #expect(refusal.contains("--split-above"), "\(refusal)")
    }

    @Test func `a leader that is lost in the middle of it delays it only`() {
        let cluster = formed(seed: 4)
        #expect(fill(cluster, 0..<120, seed: 4))
        let isBegun = cluster.run(within: .seconds(60), every: .milliseconds(1)) {
            cluster.hosts.contains { !($0.node?.probeSplits.isEmpty ?? true) }
                || self.tablets(cluster).count > 1
        }
        #expect(isBegun)
        if let leader = cluster.leader(of: StaticDirectory.firstTablet) {
            cluster.crash(leader)
            cluster.run(for: .seconds(3))
            cluster.start(leader)
        }
        let isCut = cluster.run(within: .seconds(240), every: .milliseconds(100)) {
            self.tablets(cluster).count >= 2 && self.isSettled(cluster)
        }
        #expect(isCut)
    }
}
