internal import TenonCore
internal import TenonNode
internal import TenonRaft
internal import TenonWire

/// What leaves a node: every promise must be on its disk.
extension StepChecker {
    /// Kinds of messages that promise something; see `RaftMessage`.
    private enum Promise {
        /// Answers to votes, appends and heartbeats.
        static let kinds: [UInt8] = [4, 6, 9]
    }

    func checkMessages(_ frame: [UInt8], of host: SimulatedHost, _ node: Node) {
        forEachPromise(in: frame, of: host) { message in
            guard let tablet = followed(message.tablet) else { return }
            let replica = shadow(of: host.disk).replicas[tablet]
            // A replica that was just made has nothing on the disk yet, and promises nothing.
            guard replica.isKnown else { return }
            switch message.body {
            case .voteAnswer(let isGranted):
                if isGranted { checkVote(message, replica, host, tablet) }
            case .appendAccepted(let match):
                checkAccepted(match, message, replica, host, node, tablet)
            case .heartbeatAnswer(let answer):
                checkAccepted(answer.durable, message, replica, host, node, tablet)
            default: break
            }
        }
    }

    private func checkVote(
        _ message: RaftMessage, _ replica: DiskShadow.Replica, _ host: SimulatedHost, _ tablet: Int
    ) {
        if let other = truths[tablet].note(vote: message.to, by: message.from, in: message.term) {
            fail(
                .oneVote,
                "\(host.name) votes in tablet \(tablet + 1), term \(message.term), for "
                    + "\(message.to) and before for \(other)")
        }
        checkLoss(replica, host, tablet, "votes for \(message.to)")
        let state = replica.hardState
        let isDurable =
            state.term > message.term || (state.term == message.term && state.vote == message.to)
        if !isDurable {
            fail(
                .durableVote,
                "\(host.name) votes for \(message.to) in tablet \(tablet + 1), term "
                    + "\(message.term), and its disk says \(state)")
        }
    }

    func checkLoss(
        _ replica: DiskShadow.Replica, _ host: SimulatedHost, _ tablet: Int,
        _ what: @autoclosure () -> String
    ) {
        guard replica.lacksPromised else { return }
        fail(
            .noVoteWhileLost,
            "\(host.name) \(what()) in tablet \(tablet + 1), its log ends at \(replica.last) and "
                + "went to \(replica.promised)")
    }

    private func checkAccepted(
        _ match: LogIndex, _ message: RaftMessage, _ replica: DiskShadow.Replica,
        _ host: SimulatedHost, _ node: Node, _ tablet: Int
    ) {
        guard match > replica.base.index else { return }
        // A snapshot that was just installed stands for the log up to it.
        let probe = lastProbes[rank(of: host)][tablet]
        if let probe, match <= probe.flushed { return }
        if replica.last < match {
            return fail(
                .durableAccept,
                "\(host.name) accepts tablet \(tablet + 1) through \(match), its disk has it "
                    + "through \(replica.last)")
        }
        guard let probe, probe.term == message.term, let place = place(of: tablet, node),
            let term = node.probeTerm(place, at: match)
        else { return }
        if replica.term(at: match) != term {
            fail(
                .durableAccept,
                "\(host.name) accepts entry \(match) of tablet \(tablet + 1) in term \(term), its "
                    + "disk has one of another term")
        }
    }

    private func place(of tablet: Int, _ node: Node) -> Int? {
        if tablet < node.probeCount, Int(node.probe(tablet).tablet.rawValue) - 1 == tablet {
            return tablet
        }
        return (0..<node.probeCount).first { Int(node.probe($0).tablet.rawValue) - 1 == tablet }
    }

    /// A wiped, cloned or rolled-back folder must not get to promise anything (rules I1, I2).
    func checkStranger(_ node: Node, _ host: SimulatedHost, _ effects: Effects) {
        checkCluster(node, host)
        for output in effects.peerOutput where output.stream == .consensus {
            forEachPromise(in: output.bytes, of: host) { message in
                switch message.body {
                case .voteAnswer(granted: true), .appendAccepted:
                    fail(
                        .strangerSilent,
                        "\(host.name) sends \(message.body) from a folder that is not its newest")
                default: break
                }
            }
        }
    }

    /// For a trace: the messages of a frame about tablets and about the cluster, a line each.
    func tellMessages(_ frame: [UInt8], to node: NodeID) {
        guard let tell else { return }
        forEachMessage(in: frame, of: nil, where: { _ in true }) { message in
            let body = "\(message.body)".replacing(#/Tenon(Core|Raft)\.|RaftMessage\./#, with: "")
            tell("    to n\(node), tablet \(message.tablet), \(message.term): \(body.prefix(200))")
        }
        forEachPlace(in: frame) { start, end throws(DecodingError) in
            guard frame[start] == NodeMessage.clusterKind else { return }
            var reader = ByteReader(frame, in: start..<end)
            guard case .cluster(let message) = try NodeMessage(from: &reader) else { return }
            switch message {
            case .haveDirectory, .directoryVersion, .wantDirectory, .directory: break
            default: tell("    to n\(node), cluster: \("\(message)".prefix(900))")
            }
        }
    }

    /// Calls `body` with the messages of a frame that promise something.
    private func forEachPromise(
        in frame: [UInt8], of host: SimulatedHost, _ body: (RaftMessage) -> Void
    ) {
        forEachMessage(in: frame, of: host.nodeID, where: { Promise.kinds.contains($0) }, body)
    }

    /// Calls `body` with the Raft messages of these kinds, of those that are relayed with what
    /// `origin` sends; nil: with all. Others are skipped by their length.
    private func forEachMessage(
        in frame: [UInt8], of origin: NodeID?, where isWanted: (UInt8) -> Bool,
        _ body: (RaftMessage) -> Void
    ) {
        forEachPlace(in: frame) { start, end throws(DecodingError) in
            // Kind of the node's message, format version, kind of the Raft message.
            let isRaft = frame[start] == 1
            let kind = isRaft ? frame[start + 2] : 0
            if isRaft, isWanted(kind) {
                var message = ByteReader(frame, in: start + 1..<end)
                body(try RaftMessage(from: &message))
            } else if frame[start] == NodeMessage.relayedKind {
                var message = ByteReader(frame, in: start..<end)
                try forEachRelayed(NodeMessage(from: &message), of: origin, isWanted, body)
            }
        }
    }

    /// Calls `body` with where each message of a frame begins and ends.
    private func forEachPlace(
        in frame: [UInt8], _ body: (_ start: Int, _ end: Int) throws(DecodingError) -> Void
    ) {
        do throws(DecodingError) {
            // The frame's header, then the log position.
            var reader = ByteReader(frame, in: Frame.headerBytes + 8..<frame.count)
            while !reader.isAtEnd {
                let length = Int(try reader.uint32())
                let start = reader.position
                try body(start, start + length)
                reader = ByteReader(frame, in: start + length..<frame.count)
            }
        } catch {
            fail(.trap, "a frame to a peer cannot be read: \(error)")
        }
    }

    private func forEachRelayed(
        _ message: NodeMessage, of origin: NodeID?, _ isWanted: (UInt8) -> Bool,
        _ body: (RaftMessage) -> Void
    ) {
        guard case .relayed(let relayed) = message,
            origin == nil || relayed.origin.identity.node == origin
        else { return }
        for message in relayed.messages where isWanted(message.encoded()[1]) { body(message) }
    }
}
