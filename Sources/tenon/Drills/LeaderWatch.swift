import Synchronization
import TenonClient
import TenonCore
import TenonWire

/// Asks every node again and again what it leads: when leadership moved, and how often.
final class LeaderWatch: Sendable {
    /// A node says that it leads a tablet.
    struct Claim: Hashable, Sendable {
        var at: Instant
        var term: UInt64
        var node: NodeID
    }

    private let claims = Mutex<[TabletID: [Claim]]>([:])
    private let isStopped = Atomic(false)
    /// Between two questions to one node.
    private static let pause = Duration.milliseconds(20)

    /// Watches until ``stop()``. A node that does not answer holds up nobody else.
    func run(_ session: DrillSession) async {
        await withDiscardingTaskGroup { group in
            for node in session.cluster.layout.nodes {
                group.addTask { await self.ask(session.number(of: node), session.probe) }
            }
        }
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    private func ask(_ node: NodeID, _ probe: ClusterProbe) async {
        while !isStopped.load(ordering: .relaxed) {
            if let status = await probe.status(of: node) {
                note(status, at: DrillClock.now)
            }
            // The pace of the questions.
            _ = try? await Task.sleep(for: LeaderWatch.pause)
        }
    }

    private func note(_ status: NodeStatus, at now: Instant) {
        claims.withLock { claims in
            // The load is on the data's tablets, and their leader is who is struck.
            let led = status.tablets.filter { $0.role == "leader" && $0.tablet != .directory }
            for tablet in led {
                let claim = Claim(at: now, term: tablet.term, node: status.node)
                // Only the first sight of a term's leader tells something.
                if claims[tablet.tablet]?.contains(where: { $0.term == claim.term }) == true {
                    continue
                }
                claims[tablet.tablet, default: []].append(claim)
            }
        }
    }

    /// All that was seen, of each tablet.
    var all: [TabletID: [Claim]] { claims.withLock { $0 } }

    /// What was seen since `fault`.
    func findings(since fault: Instant) -> Findings {
        Findings(claims.withLock { $0 }, since: fault)
    }

    /// What became of leadership after a moment.
    struct Findings: Hashable, Sendable {
        /// New terms with a leader, of the tablet that had most.
        var changes = 0
        /// When each tablet had another leader than before, the last of them; nil when some kept
        /// its own.
        var allElsewhereAfter: TimeSpan?

        init(_ claims: [TabletID: [Claim]], since fault: Instant) {
            var latest: TimeSpan? = .zero
            for claims in claims.values {
                let ordered = claims.sorted { $0.term < $1.term }
                let before = ordered.last { $0.at < fault }
                let after = ordered.filter { $0.at >= fault && $0.term > before?.term ?? 0 }
                changes = max(changes, after.count)
                let other = after.first { $0.node != before?.node }
                guard let other, let known = latest else {
                    latest = nil
                    continue
                }
                latest = max(known, other.at.since(fault))
            }
            allElsewhereAfter = latest
        }
    }
}
