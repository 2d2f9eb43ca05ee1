import TenonCore
import TenonWire

/// This node's links to the others: which are up, and what waits to be sent on them in this turn.
struct PeerLinks {
    struct Link {
        let node: NodeID
        /// Whether the consensus stream that this node connected was welcomed.
        var isUp = false
        /// The same of the bulk stream. What is sent on it before is lost without a word.
        var isBulkUp = false
        /// Whether the last attempt to connect was refused: no process is there.
        var isGone = false
        var outbox = PeerOutbox()
        var problem = "not connected yet"
    }

    private(set) var links: [Link]

    init(others: [NodeID]) {
        links = others.sorted().map { Link(node: $0) }
    }

    /// The cluster has these other nodes now; links to those that stay are left as they are.
    mutating func setOthers(_ others: [NodeID]) {
        links = others.sorted().map { self[$0] ?? Link(node: $0) }
    }

    private func place(of node: NodeID) -> Int? { links.firstIndex { $0.node == node } }

    subscript(node: NodeID) -> Link? { place(of: node).map { links[$0] } }

    mutating func up(_ node: NodeID, _ stream: PeerStream) {
        guard let place = place(of: node) else { return }
        switch stream {
        case .consensus:
            links[place].isUp = true
            links[place].isGone = false
            links[place].problem = ""
        case .bulk: links[place].isBulkUp = true
        }
    }

    /// - Parameter isReset: the other end refused the connection, or closed it.
    mutating func down(_ node: NodeID, _ stream: PeerStream, problem: String, isReset: Bool) {
        guard let place = place(of: node) else { return }
        switch stream {
        case .consensus:
            // One that closed a link may be there all the same.
            links[place].isGone = isReset && !links[place].isUp
            links[place].isUp = false
            links[place].problem = problem
            links[place].outbox = PeerOutbox()
        case .bulk: links[place].isBulkUp = false
        }
    }

    mutating func noteProblem(_ problem: String, of node: NodeID) {
        guard let place = place(of: node) else { return }
        links[place].problem = problem
    }

    /// Queues a message for this turn. Dropped when the link is down: every message of ours is
    /// one that its sender repeats.
    mutating func send(_ message: NodeMessage, to node: NodeID) {
        guard let place = place(of: node), links[place].isUp else { return }
        links[place].outbox.append(message)
    }

    /// A frame of one message, past the outbox; nil when the link is down.
    func lastFrame(_ message: NodeMessage, to node: NodeID, logPosition: UInt64) -> [UInt8]? {
        guard let link = self[node], link.isUp else { return nil }
        var outbox = PeerOutbox()
        outbox.append(message)
        return PeerLinks.frame(of: outbox.take(), logPosition: logPosition)
    }

    /// The frames of this turn: the durable log position, then the messages (Rule I2).
    mutating func takeFrames(logPosition: UInt64) -> [(NodeID, PeerStream, [UInt8])] {
        var frames: [(NodeID, PeerStream, [UInt8])] = []
        for place in links.indices where !links[place].outbox.isEmpty {
            let frame = PeerLinks.frame(
                of: links[place].outbox.take(), logPosition: logPosition)
            frames.append((links[place].node, .consensus, frame))
        }
        return frames
    }

    private static func frame(of messages: [UInt8], logPosition: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: messages.count + Frame.headerBytes + 8)
        writer.frame(.peerMessages) {
            $0.uint64(logPosition)
            $0.raw(messages)
        }
        return writer.take()
    }
}
