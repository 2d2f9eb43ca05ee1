package import TenonCore

/// A schedule of faults drawn from a seed: crashes, power cuts, pauses, cut ways, each for a
/// drawn time, at most one node down or silent at a time besides those that are cut off.
///
/// Everything heals at the end, so that a run can be asked whether the cluster recovers.
package final class RandomFaults {
    private let cluster: SimulatedCluster
    private var generator: SeededGenerator
    /// What happened, for the message of a run that failed.
    package private(set) var story: [String] = []

    package init(_ cluster: SimulatedCluster, seed: UInt64) {
        self.cluster = cluster
        generator = SeededGenerator(seed: seed)
    }

    /// Lets `span` of virtual time pass under faults, and heals everything.
    package func run(for span: TimeSpan) {
        let end = cluster.now + span
        while cluster.now < end {
            cluster.run(for: .milliseconds(200 + Int(generator.below(1_800))))
            strike()
            cluster.run(for: .milliseconds(50 + Int(generator.below(4_000))))
            // One fault in three goes on into the next.
            if generator.below(3) != 0 { recover() }
        }
        recover()
    }

    private func strike() {
        let node = 1 + Int(generator.below(UInt64(cluster.hosts.count)))
        let other = node % cluster.hosts.count + 1
        let isBreaking = generator.below(2) == 0
        switch generator.below(9) {
        case 0: note("crash \(node)") { cluster.crash(node) }
        case 1: note("cut power of \(node)") { cluster.cutPower(node) }
        case 2, 3: note("pause \(node)") { cluster.pause(node) }
        case 4:
            note("isolate \(node)") { cluster.isolate(node, isBreaking: isBreaking) }
        case 5:
            note("cut \(node) to \(other)") {
                cluster.cut(from: node, to: other, isBreaking: isBreaking)
            }
        case 6:
            note("cut between \(node) and \(other)") {
                cluster.cut(from: node, to: other, isBreaking: isBreaking)
                cluster.cut(from: other, to: node, isBreaking: isBreaking)
            }
        case 7: note("crash all") { for host in 1...cluster.hosts.count { cluster.crash(host) } }
        default:
            note("cut power of all") {
                for host in 1...cluster.hosts.count { cluster.cutPower(host) }
            }
        }
    }

    private func recover() {
        note("recover") {
            for node in 1...cluster.hosts.count { cluster.resume(node) }
            cluster.heal()
            cluster.startAll()
        }
    }

    private func note(_ event: String, _ action: () -> Void) {
        story.append("\(cluster.now.nanoseconds / 1_000_000) ms: \(event)")
        action()
    }
}
