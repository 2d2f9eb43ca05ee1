import TenonCore
import TenonWire

/// Asking the other nodes about a peer in a life that is new here (Rule I2).
extension Node {
    /// Whether a welcome peer is not listened to yet, because others are asked about it first.
    func isAskedAbout(_ hello: PeerHello, now: Instant) -> Bool {
        // Before the formation is complete nobody has promised anything.
        guard isFormed, registry.isNewLife(hello.identity), !isPlanted(.newLifeUnasked) else {
            return false
        }
        let others = peers.links.filter { !$0.isGone && $0.node != hello.identity.node }
        let isBegun = inquiries.begin(
            hello, asking: Set(others.map(\.node)), until: now + configuration.timers.electionMin)
        if isBegun { askAboutPeers() }
        return isBegun
    }

    /// Asks whoever has not answered yet. Repeated, as an answer is dropped while its link is down.
    func askAboutPeers() {
        guard !inquiries.isEmpty else { return }
        for (peer, others) in inquiries.questions {
            for other in others {
                peers.send(.peerQuestion(node: peer.node, nonce: peer.nonce), to: other)
            }
        }
    }

    func askedAbout(_ peer: NodeID, nonce: UInt64, by node: NodeID) {
        let answer = PeerMemoryAnswer(
            node: peer, nonce: nonce, memory: registry.memory(of: peer))
        peers.send(.peerAnswer(answer), to: node)
    }

    func heard(_ answer: PeerMemoryAnswer, from node: NodeID, now: Instant) {
        // Nobody is a witness of itself.
        guard answer.node != node else { return }
        if let told = answer.memory,
            let memory = registry.learn(told, of: answer.node, now: now)
        {
            remember(memory, of: answer.node)
        }
        inquiries.answered(by: node, of: answer.node, nonce: answer.nonce)
        wantsTurn = true
    }

    /// A peer sent something before it is known whether it is to be heard. What peers ask and tell
    /// of others is heard all the same: nodes that start together ask each other.
    func hold(_ frame: Frame, from node: NodeID, _ stream: PeerStream, now: Instant) {
        guard inquiries.hold(frame, stream, of: node) else {
            effects.peersToClose.append((node, "it sent too much before it was known"))
            return
        }
        guard frame.kind == .peerMessages, stream == .consensus else { return }
        do {
            var reader = ByteReader(frame.body)
            _ = try reader.uint64()  // The log position of a life that is not known yet.
            try forEachMessage(in: &reader) { message in
                switch message {
                case .peerQuestion(let peer, let nonce):
                    askedAbout(peer, nonce: nonce, by: node)
                case .peerAnswer(let answer): heard(answer, from: node, now: now)
                default: break  // Held.
                }
            }
        } catch {
            closeMalformed(node, error)
        }
    }

    /// Listens to peers that all have answered for, or that were asked about long enough; refuses
    /// those of whose later lives somebody knew.
    func continueInquiries(now: Instant) {
        guard !inquiries.isEmpty else { return }
        for inquiry in inquiries.takeFinished(now: now) {
            let peer = inquiry.hello.identity
            if let reason = registry.refusal(
                of: inquiry.hello, cluster: identity.cluster, epoch: identity.epoch)
            {
                reached(.lifeRefusedByHearsay)
                for stream in [PeerStream.consensus, .bulk] {
                    peers.down(peer.node, stream, problem: reason, isReset: false)
                }
                effects.peersToClose.append((peer.node, reason))
                continue
            }
            welcome(peer, now: now)
            for held in inquiry.held {
                received(held.frame, from: peer.node, held.stream, now: now)
            }
        }
    }
}
