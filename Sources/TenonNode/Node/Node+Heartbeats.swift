import TenonCore
import TenonWire

/// Heartbeats between nodes, whatever their groups do: evidence of who is reached (Rules C1, C8).
extension Node {
    /// Sends what is due.
    func continueHeartbeats(now: Instant) {
        guard now >= heartbeats.nextHeartbeat else { return }
        heartbeats.nextHeartbeat = now + configuration.timers.heartbeat
        let reaches = reachedNodes(now: now)
        for peer in heartbeats.peers {
            let heartbeat = NodeHeartbeat(
                boot: identity.boot, peerBoot: peer.pulse.boot, sentAt: now, reaches: reaches)
            peers.send(.nodeHeartbeat(heartbeat), to: peer.node)
        }
    }

    func heard(_ heartbeat: NodeHeartbeat, from node: NodeID, now: Instant) {
        let answer = heartbeats.with(node) { peer -> NodeHeartbeatAnswer? in
            guard meet(heartbeat.boot, of: &peer) else { return nil }
            peer.pulse.told(heartbeat.reaches, now: now)
            return NodeHeartbeatAnswer(
                boot: identity.boot, peerBoot: heartbeat.boot, sentAt: heartbeat.sentAt)
        }
        if let answer, let answer { peers.send(.nodeHeartbeatAnswer(answer), to: node) }
    }

    func heard(_ answer: NodeHeartbeatAnswer, from node: NodeID, now: Instant) {
        guard answer.peerBoot == identity.boot else { return }
        _ = heartbeats.with(node) { peer in
            if meet(answer.boot, of: &peer) { peer.pulse.answered(sentAt: answer.sentAt, now: now) }
        }
    }

    /// Takes note of the peer's boot.
    /// - Returns: false for a message of an earlier one.
    private func meet(_ boot: BootNumber, of peer: inout NodeHeartbeats.Peer) -> Bool {
        guard boot >= peer.pulse.boot else { return false }
        peer.pulse.boot = boot
        return true
    }
}
