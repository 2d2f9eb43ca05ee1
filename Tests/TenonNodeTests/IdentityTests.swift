import TenonCore
import TenonNode
import TenonSimulator
import TenonWire
import Testing

/// Formation and identity of whole clusters (rules I1, I2).
@Suite struct IdentityTests {
    private func formed(_ seed: UInt64) -> SimulatedCluster {
        let cluster = SimulatedCluster(ClusterOptions(seed: seed))
        #expect(cluster.form())
        #expect(cluster.put("a", "1") != nil)
        #expect(cluster.awaitEqualReplicas())
        return cluster
    }

    private func wipe(_ node: Int, of cluster: SimulatedCluster) {
        cluster.crash(node)
        cluster.host(node).disk = SimulatedDisk(seed: UInt64(node))
    }

    @Test func `a cluster forms only when all three nodes are up`() {
        let cluster = SimulatedCluster(ClusterOptions(seed: 1))
        cluster.start(1)
        cluster.start(2)
        #expect(!cluster.awaitLeaders(within: .seconds(20)))
        #expect(cluster.host(1).node?.isFormed == false)
        cluster.start(3)
        #expect(cluster.awaitLeaders())
    }

    @Test(arguments: UInt64(1)...12)
    func `a formation that crashes interrupt goes on`(seed: UInt64) {
        let cluster = SimulatedCluster(ClusterOptions(seed: seed))
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<6 {
            cluster.startAll()
            cluster.run(for: .milliseconds(1 + Int(generator.below(12))))
            let node = 1 + Int(generator.below(3))
            if generator.below(2) == 0 { cluster.crash(node) } else { cluster.cutPower(node) }
        }
        #expect(cluster.form())
        #expect(
            cluster.run(within: .seconds(10)) {
                cluster.hosts.allSatisfy { $0.node?.isFormed == true }
            })
        #expect(Set(cluster.hosts.map { $0.node?.formation.cluster }).count == 1)
    }

    @Test func `a formation whose last word is lost ends all the same`() {
        let cluster = SimulatedCluster(ClusterOptions(seed: 3))
        cluster.startAll()
        // The founder is cut off from node 3 the moment it begins.
        #expect(cluster.run(within: .seconds(5)) { cluster.host(1).node?.isFormed == true })
        cluster.cut(from: 1, to: 3, isBreaking: true)
        cluster.run(for: .seconds(5))
        cluster.heal()
        #expect(cluster.run(within: .seconds(5)) { cluster.host(3).node?.isFormed == true })
        #expect(cluster.awaitEqualReplicas())
    }

    @Test func `a wiped node is refused, and says so`() {
        let cluster = formed(4)
        wipe(2, of: cluster)
        cluster.start(2)
        cluster.run(for: .seconds(3))
        #expect(!cluster.host(2).isRunning)
        #expect(cluster.host(2).endReason?.contains("wiped") == true)
        #expect(cluster.text(of: "a") == "1")
    }

    @Test func `two wiped nodes and a slow intact one never found a second cluster`() {
        let cluster = formed(5)
        wipe(1, of: cluster)
        wipe(2, of: cluster)
        cluster.crash(3)
        cluster.start(1)
        cluster.start(2)
        #expect(!cluster.awaitLeaders(within: .seconds(10)))
        cluster.start(3)
        #expect(!cluster.awaitLeaders(within: .seconds(10)))
        #expect(!cluster.host(1).isRunning && !cluster.host(2).isRunning)
        #expect(cluster.host(3).isRunning)
    }

    @Test func `all wiped is a new cluster, and an intact one that comes late is refused`() {
        let cluster = formed(6)
        let intact = cluster.host(3).disk
        for node in 1...3 { wipe(node, of: cluster) }
        #expect(cluster.form())
        #expect(cluster.text(of: "a") == nil)
        cluster.crash(3)
        cluster.host(3).disk = intact
        intact.crashProcess()
        cluster.start(3)
        cluster.run(for: .seconds(3))
        #expect(!cluster.isUp(from: 3, to: 1))
        #expect(cluster.put("b", "2") != nil)
        #expect(cluster.text(of: "a") == nil)
    }

    @Test func `a folder made under another list is refused at the start`() {
        let cluster = formed(7)
        cluster.crash(1)
        cluster.host(1).adjust = { $0.tabletCount = 2 }
        #expect(!cluster.start(1))
        #expect(cluster.host(1).endReason?.contains("--cluster list") == true)
        cluster.host(1).adjust = { $0.name = "n2" }
        #expect(!cluster.start(1))
        #expect(cluster.host(1).endReason?.contains("belongs to node n1") == true)
        cluster.host(1).adjust = nil
        #expect(cluster.start(1))
    }

    @Test func `a node with another list is refused by its peers`() {
        let cluster = SimulatedCluster(ClusterOptions(seed: 8))
        cluster.host(2).adjust = { $0.members[2].address = "10.9.9.9:7501" }
        cluster.startAll()
        #expect(!cluster.awaitLeaders(within: .seconds(5)))
        #expect(!cluster.isUp(from: 1, to: 2))
    }

    @Test func `a damaged identity is refused`() {
        let cluster = formed(9)
        cluster.crash(1)
        cluster.host(1).disk.flipBit(3, at: 20, of: SimulatedHost.directory + "/node")
        #expect(!cluster.start(1))
        #expect(cluster.host(1).endReason?.contains("damaged") == true)
    }

    @Test func `a folder in use is not opened twice`() throws {
        let cluster = formed(10)
        let host = cluster.host(1)
        var generator = SeededGenerator(seed: 1)
        #expect {
            try NodeFolder.open(
                fileSystem: host.disk, directory: SimulatedHost.directory,
                configuration: cluster.configuration(of: host), generator: &generator)
        } throws: { "\($0)".contains("in use") }
    }

    @Test func `a folder rolled back to an older copy is refused`() {
        let cluster = formed(11)
        cluster.crash(2)
        let copy = cluster.host(2).disk.copy(seed: 1)
        cluster.start(2)
        for number in 0..<20 { #expect(cluster.put(Bytes("k\(number)"), "v") != nil) }
        #expect(cluster.awaitEqualReplicas())
        cluster.crash(2)
        cluster.host(2).disk = copy
        cluster.start(2)
        cluster.run(for: .seconds(3))
        #expect(!cluster.isUp(from: 2, to: 1))
        #expect(!cluster.isUp(from: 1, to: 2))
        #expect(cluster.put("b", "2") != nil)
    }

    /// Node 2 commits with node 3 while node 1 is away, and comes with its folder of before: node 1
    /// has never heard of that life, and must not elect a leader with it.
    @Test(arguments: UInt64(20)...39)
    func `a node that was away takes the others' word for who was rolled back`(seed: UInt64) {
        let cluster = formed(seed)
        cluster.crash(1)
        cluster.crash(2)
        let copy = cluster.host(2).disk.copy(seed: 1)
        cluster.start(2)
        for number in 0..<10 { #expect(cluster.put(Bytes("k\(number)"), "v") != nil) }
        cluster.crash(2)
        cluster.host(2).disk = copy
        cluster.start(2)
        cluster.start(1)
        cluster.run(for: .seconds(3))
        #expect(!cluster.isUp(from: 2, to: 1))
        #expect(!cluster.isUp(from: 2, to: 3))
        #expect(cluster.put("b", "2") != nil)
        #expect(cluster.text(of: "k9") == "v")
    }

    @Test(arguments: [false, true])
    func `two nodes start together, whether the third is dead or silent`(isSilent: Bool) {
        let cluster = formed(13)
        for node in 1...3 { cluster.crash(node) }
        if isSilent {
            for node in 1...2 {
                cluster.cut(from: 3, to: node, isBreaking: true)
                cluster.cut(from: node, to: 3, isBreaking: true)
            }
            cluster.start(3)
        }
        cluster.start(1)
        cluster.start(2)
        #expect(cluster.put("b", "2") != nil)
        #expect(cluster.isUp(from: 1, to: 2))
    }

    @Test func `a cloned folder is refused while the other one lives on`() {
        let cluster = formed(12)
        cluster.crash(2)
        let clone = cluster.host(2).disk.copy(seed: 1)
        cluster.start(2)
        #expect(cluster.awaitEqualReplicas())
        // The clone takes the other one's address, with the same boot number and another nonce.
        cluster.crash(2)
        cluster.host(2).disk = clone
        cluster.start(2)
        cluster.run(for: .seconds(3))
        #expect(!cluster.isUp(from: 2, to: 1))
        #expect(!cluster.isUp(from: 1, to: 2))
        #expect(
            cluster.host(1).node?.status(now: cluster.now).peers.first { $0.node == NodeID(2) }?
                .problem.isEmpty == false)
    }
}
