import TenonCore
import TenonKV
import TenonRaft
import TenonSimulator
import TenonWire
import Testing

@testable import TenonNode

// Clusters stay out of expectations that may fail: the report would print them whole.

/// Learners that a policy keeps near clients, in clusters of whole nodes.
struct `Local reads` {
    private static let cities = ["a", "b", "c", "d", "d"]

    /// Three voters in cities a, b and c, by a policy that asks for local reads.
    private func formed(seed: UInt64 = 1) -> SimulatedCluster {
        var options = ClusterOptions(seed: seed)
        options.nodeCount = `Local reads`.cities.count
        let cluster = SimulatedCluster(options)
        for (place, city) in `Local reads`.cities.enumerated() {
            cluster.host(place + 1).adjust = { $0.locality = "city=\(city),dc=\(city)\(place)" }
        }
        #expect(cluster.form())
        let areKnown = comes(cluster) {
            cluster.directory?.nodes.allSatisfy { !$0.locality.isEmpty } ?? false
        }
        #expect(areKnown)
        let settings = KeyspaceSettings(
            replicas: 3, survive: .city, homes: [.init(prefix: "", city: "a")],
            failover: ["b", "c"], localReadsWithin: .seconds(2))
        let refusal = cluster.direct(.alterKeyspace(name: "default", settings))
        #expect(refusal == nil, "\(refusal ?? "")")
        return cluster
    }

    private func comes(
        _ cluster: SimulatedCluster, within span: TimeSpan = .seconds(90),
        _ condition: @escaping () -> Bool
    ) -> Bool {
        cluster.run(within: span, every: .milliseconds(50), until: condition)
    }

    private func tablets(_ cluster: SimulatedCluster) -> [TabletDescriptor] {
        cluster.directory?.tablets.filter { $0.keyspace == .default && !$0.voters.isEmpty } ?? []
    }

    /// What is where, for the message of a test that fails.
    private func places(_ cluster: SimulatedCluster) -> String {
        tablets(cluster).map { tablet in
            let here = (1...5).filter { cluster.host($0).node?.tablet(tablet.id) != nil }
            return "\(tablet.id): voters \(tablet.voters.map(\.node)), learners "
                + "\(tablet.learners.map(\.node)), to be \(tablet.target.map(\.node)) and "
                + "\(tablet.targetLearners.map(\.node)), replicas on \(here)"
        }.joined(separator: "; ")
    }

    /// Whether each tablet has one learner, in city d, whose replica has all.
    private func hasLearners(
        _ cluster: SimulatedCluster, on nodes: [UInt32] = [4, 5], of count: Int = 1
    ) -> Bool {
        let all = tablets(cluster)
        return all.count == count
            && all.allSatisfy { tablet in
                guard tablet.isSettled, tablet.voters.count == 3, tablet.learners.count == 1,
                    let learner = tablet.learners.first, nodes.contains(learner.node.rawValue),
                    let leader = cluster.leader(of: tablet.id),
                    let own = cluster.host(leader).node?.tablet(tablet.id),
                    let copy = cluster.host(Int(learner.node.rawValue)).node?.tablet(tablet.id)
                else { return false }
                return copy.replica == learner.replica
                    && copy.machine.appliedIndex == own.raft.commit
            }
    }

    private func put(_ cluster: SimulatedCluster, _ key: Bytes, _ value: Bytes) -> Bool {
        guard let tablet = tablets(cluster).last(where: { $0.lower <= key })?.id else {
            return false
        }
        let body = cluster.client.write(.put(key: key, value: value, condition: .none))
        var result: CallResult?
        cluster.client.start(body, tablet: tablet, within: .seconds(5)) { result = $0 }
        _ = comes(cluster, within: .seconds(6)) { result != nil }
        if case .answer(.outcome(.written, _))? = result { return true }
        return false
    }

    @Test func `a city without a voter reads from its own learner within the stated age`() throws {
        let cluster = formed()
        #expect(comes(cluster) { self.hasLearners(cluster) }, "\(places(cluster))")
        #expect(put(cluster, "a/1", "x"))
        let tablet = try #require(tablets(cluster).first)
        let node = Int(try #require(tablet.learners.first).node.rawValue)
        #expect(node > 3)
        // What was acknowledged as long ago as the policy says is there.
        cluster.run(for: .seconds(2))
        // The learner does not say itself who has it: it answers.
        let question = RequestBody.get(
            key: "a/1", at: nil, staleness: .within(milliseconds: 2_000))
        let answer = cluster.ask(node, question, tablet: tablet.id)
        guard case .value(let value?, let point)? = answer else {
            Issue.record("\(String(describing: answer))")
            return
        }
        #expect(value.bytes == "x" && point.tablet == tablet.id)
        guard case .within(let milliseconds) = point.age else {
            Issue.record("an answer without its age: \(point)")
            return
        }
        #expect(milliseconds <= 2_000)
    }

    @Test func `the loss of a learner's city changes nothing for writes`() throws {
        let cluster = formed(seed: 2)
        #expect(comes(cluster) { self.hasLearners(cluster) }, "\(places(cluster))")
        let before = tablets(cluster).map(\.voters)
        cluster.crash(4)
        cluster.crash(5)
        for number in 0..<20 { #expect(put(cluster, Bytes("b/\(number)"), "x")) }
        // Longer than a lone node of the city would be waited for.
        cluster.run(for: .seconds(70))
        #expect(put(cluster, "b/1", "y"))
        #expect(tablets(cluster).map(\.voters) == before)
        cluster.startAll()
        #expect(comes(cluster) { self.hasLearners(cluster) }, "\(places(cluster))")
    }

    @Test func `a learner whose node stays away is made again beside it, and put out there`() throws
    {
        let cluster = formed(seed: 3)
        #expect(comes(cluster) { self.hasLearners(cluster) }, "\(places(cluster))")
        cluster.crash(4)
        #expect(comes(cluster, within: .seconds(180)) { self.hasLearners(cluster, on: [5]) })
        cluster.start(4)
        let all = tablets(cluster).map(\.id)
        #expect(comes(cluster) { all.allSatisfy { cluster.host(4).node?.tablet($0) == nil } })
        #expect(hasLearners(cluster, on: [5]))
    }

    @Test func `a learner of a tablet that is split gets the half, too`() throws {
        let cluster = formed(seed: 4)
        #expect(comes(cluster) { self.hasLearners(cluster) }, "\(places(cluster))")
        for number in 0..<20 { #expect(put(cluster, Bytes("c/\(number)"), "x")) }
        let tablet = try #require(tablets(cluster).first)
        #expect(cluster.direct(.splitTablet(tablet.id, at: "c/14")) == nil)
        let isWhole = comes(cluster) { self.hasLearners(cluster, of: 2) }
        #expect(isWhole, "\(places(cluster))")
    }

    @Test func `without the policy the learners go`() throws {
        let cluster = formed(seed: 5)
        #expect(comes(cluster) { self.hasLearners(cluster) }, "\(places(cluster))")
        let settings = KeyspaceSettings(localReadsWithin: .zero)
        #expect(cluster.direct(.alterKeyspace(name: "default", settings)) == nil)
        let areGone = comes(cluster) {
            let all = self.tablets(cluster)
            return all.allSatisfy { tablet in
                tablet.learners.isEmpty && tablet.isSettled
                    && (4...5).allSatisfy { cluster.host($0).node?.tablet(tablet.id) == nil }
            }
        }
        #expect(areGone, "\(places(cluster))")
        let keyspace = try #require(cluster.directory?.keyspace(named: "default"))
        #expect(keyspace.policy.localReadsWithin == nil && keyspace.replicas == 3)
    }

    @Test func `a word of an earlier leader of the directory costs a learner its number, not more`()
        throws
    {
        let cluster = formed(seed: 6)
        #expect(comes(cluster) { self.hasLearners(cluster) }, "\(places(cluster))")
        let tablet = try #require(tablets(cluster).first)
        let learner = try #require(tablet.learners.first)
        let leader = try #require(cluster.leader(of: tablet.id))
        let node = try #require(cluster.host(leader).node)
        node.handle(
            .setMembers(tablet.id, target: tablet.voters, learners: [], tablet.acknowledgement),
            from: node.id, now: cluster.now)
        let isAnew = comes(cluster) {
            let now = self.tablets(cluster).first { $0.id == tablet.id }
            return now?.learners.first.map { $0.replica > learner.replica } ?? false
        }
        #expect(isAnew)
        #expect(comes(cluster) { self.hasLearners(cluster) }, "\(places(cluster))")
    }

    @Test func `nodes that do not say where they stand are refused`() {
        let cluster = SimulatedCluster(ClusterOptions(seed: 7))
        #expect(cluster.form())
        let settings = KeyspaceSettings(localReadsWithin: .seconds(2))
        let refusal = cluster.direct(.createKeyspace(name: "prices", settings)) ?? ""
        #expect(refusal.contains("the cities of nodes"), "\(refusal)")
    }
}
