import TenonCore
import TenonRaft

extension Tablet {
    /// Hands the leadership to the follower that is furthest: before a graceful stop, or because
    /// this node should not lead.
    /// - Parameter mayLead: which nodes are asked.
    func handOver(now: Instant, to mayLead: (NodeID) -> Bool = { _ in true }) {
        let best = raft.followers
            .filter {
                raft.membership.isVoter($0.member.replica) && !$0.member.isWitness
                    && mayLead($0.member.node)
            }
            .max { ($0.match, $1.member.replica) < ($1.match, $0.member.replica) }
        guard let best else { return }
        do {
            try raft.transferLeadership(to: best.member.replica, now: now)
        } catch {
            reached(.handOverRefused)  // The others elect one of themselves when this one goes.
        }
    }
}
