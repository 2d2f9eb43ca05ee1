package import TenonCore
import TenonLog
import TenonRaft
package import TenonWire

extension Node {
    /// What this node says of itself to `receiver` on a new link.
    package func hello(to receiver: NodeID, stream: PeerStream) -> PeerHello {
        PeerHello(
            stream: stream, receiver: receiver,
            identity: PeerIdentity(
                cluster: identity.cluster, node: id, folder: identity.folder,
                boot: identity.boot, nonce: identity.nonce, epoch: identity.epoch,
                hasEntries: hasEntries, logPosition: logStatus.lastBatch,
                memberListDigest: identity.memberListDigest))
    }

    /// A peer said who it is, on a link of its making or in answer on ours. Nil when it is
    /// welcome, otherwise why it is refused (Rules I1, I2, C10).
    package func heard(_ hello: PeerHello, now: Instant) -> String? {
        if let reason = cutOff(by: hello.identity) { return reason }
        if let reason = registry.refusal(
            of: hello, cluster: identity.cluster, epoch: identity.epoch)
        {
            reached(.strangerRefused)
            peers.noteProblem(reason, of: hello.identity.node)
            return reason
        }
        if isFormed && hello.identity.cluster == .none, !isPlanted(.wipedNodeVotes) {
            let reason =
                "node \(hello.identity.node) comes with an empty folder to a cluster that is "
                + "formed: wiped: join as a new node"
            reached(.emptyNodeRefused)
            // An empty node is told who we are all the same, in our welcome, so that it can say
            // itself why it ends; but it gets no consensus messages (Rule I1).
            peers.noteProblem(reason, of: hello.identity.node)
            return hasEntries ? reason : nil
        }
        if !isAskedAbout(hello, now: now) { welcome(hello.identity, now: now) }
        perform(formation.heard(hello.identity), now: now)
        return nil
    }

    func welcome(_ peer: PeerIdentity, now: Instant) {
        guard let memory = registry.remember(peer, now: now) else { return }
        remember(memory, of: peer.node)
    }

    /// A link of ours to a peer is up: it welcomed us and is welcome.
    package func linkUp(_ node: NodeID, _ stream: PeerStream) {
        peers.up(node, stream)
        if stream == .consensus {
            tellDirectoryVersion(to: node)
            askAboutPeers()
        }
        nextClockQuestion = .zero
    }

    /// A link of ours broke, or could not be made.
    ///
    /// - Parameter isReset: the peer's process is gone (refused or reset), rather than silent:
    ///   a voter need not wait out its timeout (Rule C1).
    package func linkDown(
        _ node: NodeID, _ stream: PeerStream, problem: String, isReset: Bool, now: Instant
    ) {
        peers.down(node, stream, problem: problem, isReset: isReset)
        if peers[node]?.isGone == true, !inquiries.isEmpty {
            inquiries.gone(node)
            wantsTurn = true
        }
        formation.lost(node)
        if stream == .bulk { snapshotLinkDown(node) }
        guard isReset, stream == .consensus, isFormed else { return }
        let concerned = tablets.all.filter { tablet in
            tablet.needsTicks && (tablet.raft.role == .leader || tablet.leaderNode == node)
        }
        // Elections of thousands of groups in one moment would meet each other.
        let spread = Node.electionSpread(of: concerned.count)
        for tablet in concerned {
            tablets.touch(tablet)
            tablet.raft.peerUnreachable(node: node, now: now, spread: spread)
        }
        wantsTurn = true
    }

    func remember(_ memory: PeerMemory, of node: NodeID) {
        gathering.append([.metadata(key: UInt64(node.rawValue), value: memory.encoded())])
    }

    /// A frame of a peer that was welcomed. What cannot be read ends the link.
    package func received(
        _ frame: Frame, from node: NodeID, _ stream: PeerStream, now: Instant
    ) {
        if inquiries.isOpen(about: node) { return hold(frame, from: node, stream, now: now) }
        do {
            switch (frame.kind, stream) {
            case (.peerMessages, .consensus): try readMessages(frame.body, from: node, now: now)
            case (.peerBulk, .bulk): try readBulk(frame.body, from: node, now: now)
            default:
                throw DecodingError.unknownKind(
                    field: "frame of a peer", value: UInt64(frame.kind.rawValue))
            }
        } catch {
            closeMalformed(node, error)
        }
    }

    func closeMalformed(_ node: NodeID, _ error: any Error) {
        let reason = "malformed message of node \(node): \(error)"
        notice(.warning, reason)
        effects.peersToClose.append((node, reason))
    }

    private func readMessages(
        _ body: Bytes, from node: NodeID, now: Instant
    ) throws(DecodingError) {
        var reader = ByteReader(body)
        let position = try reader.uint64()
        if let memory = registry.advance(node, to: position, now: now) {
            remember(memory, of: node)
        }
        try forEachMessage(in: &reader) { handle($0, from: node, now: now) }
    }

    /// Calls `body` with each message of a frame, after the sender's durable log position.
    func forEachMessage(
        in reader: inout ByteReader, _ body: (NodeMessage) -> Void
    ) throws(DecodingError) {
        while !reader.isAtEnd {
            let bytes = try reader.lengthPrefixedBytes("message", atMost: Limits.frameBytesMax)
            var message = ByteReader(bytes)
            let decoded = try NodeMessage(from: &message)
            try message.finish()
            body(decoded)
        }
    }

    private func handle(_ message: NodeMessage, from node: NodeID, now: Instant) {
        switch message {
        case .raft(let message): step(message, from: node, now: now)
        case .proposeCluster(let cluster):
            perform(formation.proposed(cluster, by: node), now: now)
        case .acknowledgeCluster(let cluster):
            perform(formation.acknowledgement(of: cluster, from: node), now: now)
        case .announceCluster(let cluster):
            perform(formation.announced(cluster, by: node), now: now)
        case .logDigest(let report, let isQuestion):
            compareDigest(report, isQuestion: isQuestion, from: node)
        case .contentDigest(let id, let version, let digest):
            guard let tablet = tablet(id) else { return }
            count(ContentReport(version: version, digest: digest), from: node, for: tablet)
        case .diverged(let tablet, let index):
            guard let tablet = self.tablet(tablet) else { return }
            with(tablet) {
                tablet.quarantine(
                    "it differs from the majority as of \(index)", into: &$0)
            }
        case .snapshotProgress(let progress): snapshotProgressed(progress, from: node, now: now)
        case .cluster(let message): handle(message, from: node, now: now)
        case .clockQuestion(let askedAt): clockAsked(by: node, askedAt: askedAt, now: now)
        case .clockAnswer(let answer): clockAnswered(answer, by: node, now: now)
        case .repairQuestion(let tablet, let range): repairAsked(tablet, range, by: node)
        case .repairAnswer(let answer): repairAnswered(answer, by: node, now: now)
        case .nodeHeartbeat(let heartbeat):
            if isFormed { heard(heartbeat, from: node, now: now) }
        case .nodeHeartbeatAnswer(let answer):
            if isFormed { heard(answer, from: node, now: now) }
        case .quietChange(let change): if isFormed { apply(change, from: node, now: now) }
        case .relayed(let relayed): heard(relayed, from: node, now: now)
        case .snapshotRequest(let tablet): snapshotRequested(of: tablet, by: node, now: now)
        case .peerQuestion(let peer, let nonce): askedAbout(peer, nonce: nonce, by: node)
        case .peerAnswer(let answer): heard(answer, from: node, now: now)
        }
    }

    /// A message of a replica on `node` for one here.
    func step(_ message: RaftMessage, from node: NodeID, now: Instant) {
        // Before the formation is complete nobody votes (Rule I1).
        guard isFormed, let tablet = tablet(message.tablet), tablet.takesMessages,
            message.to == tablet.replica
        else { return }
        if !tablet.raft.membership.contains(message.from) {
            if tellsStranger(message, of: tablet, from: node) { return }
            tablet.strangers.note(message.from, on: node)
        }
        if tablet.raft.isResting, tablet.raft.endsRest(message) { wake(tablet, now: now) }
        guard case .append(let append) = message.body, !append.entries.isEmpty else {
            return tablet.raft.step(message, now: now)
        }
        // Without room for entries that nobody trims before the rebuild is over.
        if tablet.isRebuilding, tablet.raft.isLogFull { return }
        var timely = message
        timely.body = .append(
            tablet.timely(append, notAfter: clock.latestAcknowledged(at: now), now: now))
        tablet.raft.step(timely, now: now)
    }
}
