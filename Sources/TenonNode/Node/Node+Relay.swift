import TenonCore
import TenonRaft
import TenonWire

/// Consensus messages to nodes that this one does not reach, through one that reaches both
/// (Rule C8). So a cut between two nodes leaves leaders where they are.
extension Node {
    /// After so long without a round trip another way is looked for: half of the time after which
    /// leaders and followers act on silence, so that it is found before they do.
    private var relayAfter: TimeSpan {
        TimeSpan(nanoseconds: configuration.timers.electionMin.nanoseconds / 2)
    }

    /// Messages that go in one: more than one only up to so many bytes.
    private static let relayBytesMax = 1 << 20

    /// Sends a message by the way that there is. None to a node that is asked about: it is not to
    /// promise anything before it is known whether it may.
    func send(_ message: RaftMessage, to node: NodeID) {
        guard !inquiries.isOpen(about: node) else { return }
        guard let via = heartbeats.via(node) else { return peers.send(.raft(message), to: node) }
        let bytes = message.encodedBytesEstimate
        if let place = relayOutbox.lastIndex(where: { $0.via == via && $0.to == node }),
            relayOutbox[place].bytes + bytes <= Node.relayBytesMax
        {
            relayOutbox[place].bytes += bytes
            relayOutbox[place].messages.append(message)
        } else {
            relayOutbox.append((via, node, bytes, [message]))
        }
    }

    /// Looks for ways, and sends off what waits to be relayed.
    func continueRelays(now: Instant) {
        for (via, node, _, messages) in relayOutbox {
            let relayed = RelayedMessages(
                origin: hello(to: node, stream: .consensus), messages: messages)
            peers.send(.relayed(relayed), to: via)
        }
        relayOutbox.removeAll(keepingCapacity: true)
        // With a way around it no link is cut or slow: nothing else that is broken would show.
        if isPlanted(.everyTimeoutRaisesTerm) || isPlanted(.slowestVoterCounts) { return }
        guard heartbeats.findWays(now: now, bound: relayAfter) else { return }
        // Followers behind another way now are probed anew, and none rests without a round trip.
        for tablet in tablets.all where tablet.raft.role == .leader {
            tablets.touch(tablet)
            if tablet.raft.isResting { restsToLookAt.append(tablet.id) }
        }
        wantsTurn = true
    }

    /// Tells a leader which of its followers are reached through others.
    func noteRelays(_ tablet: Tablet) {
        let relaysAny = heartbeats.relaysAny
        guard relaysAny || tablet.hasRelays, tablet.raft.role == .leader, !tablet.raft.isResting
        else { return }
        tablet.hasRelays = relaysAny
        tablet.raft.noteRelays { heartbeats.via($0) != nil }
    }

    /// The nodes that this one reaches, for its peers to know.
    func reachedNodes(now: Instant) -> [NodeID] { heartbeats.fresh(now: now, bound: relayAfter) }

    /// Messages came that are not of the node that sent them, or not for this one.
    func heard(_ relayed: RelayedMessages, from node: NodeID, now: Instant) {
        guard isFormed else { return }
        let origin = relayed.origin.identity.node
        if relayed.origin.receiver != id {
            // One hop: only what its origin itself brings goes on.
            guard origin == node else { return reached(.relayRefused) }
            return pass(relayed, of: node, now: now)
        }
        guard isWelcome(relayed.origin, now: now) else { return reached(.relayRefused) }
        for message in relayed.messages { step(message, from: origin, now: now) }
    }

    private func pass(_ relayed: RelayedMessages, of node: NodeID, now: Instant) {
        let target = relayed.origin.receiver
        guard heartbeats.isFresh(target, now: now, bound: relayAfter) else { return }
        let bytes = relayed.bytesEstimate
        guard heartbeats.with(node, { $0.relayBudget.take(bytes, now: now) }) == true else {
            return reached(.relayBudgetSpent)
        }
        counters.messagesRelayed += UInt64(relayed.messages.count)
        peers.send(.relayed(relayed), to: target)
    }

    /// Whether the origin is welcome as on a link of its own (Rules I1, I2).
    private func isWelcome(_ origin: PeerHello, now: Instant) -> Bool {
        origin.identity.cluster == identity.cluster && heard(origin, now: now) == nil
            && !inquiries.isOpen(about: origin.identity.node)
    }
}
