internal import TenonCore
internal import TenonNode
internal import TenonWire

/// A client's connection to one life of a node: whole frames, in order each way.
final class ClientLink {
    unowned let cluster: SimulatedCluster
    let process: SimulatedProcess
    let id: ConnectionID
    /// Called with each frame that arrives at the client.
    let receive: (Frame) -> Void
    /// Called once when the client learns that the connection is gone.
    let closed: () -> Void
    private var isOpen = true
    private var toNode = ClientWay()
    private var toClient = ClientWay()
    private var decoder = FrameDecoder()

    /// One direction: what is held back while it is cut, and when the last frame arrives.
    private struct ClientWay {
        var lastDelivery = Instant.zero
        var held: [[UInt8]] = []
    }

    /// Connects and says hello.
    init(
        _ cluster: SimulatedCluster, _ process: SimulatedProcess,
        receive: @escaping (Frame) -> Void, closed: @escaping () -> Void
    ) {
        self.cluster = cluster
        self.process = process
        self.receive = receive
        self.closed = closed
        id = ConnectionID(process.nextConnection)
        process.nextConnection += 1
        process.clientLinks[id] = self
        cluster.connections.append(self)
        let due = cluster.now + cluster.draw(cluster.options.networkDelay)
        toNode.lastDelivery = due
        cluster.schedule(at: due, for: process) { [self] in
            guard isOpen else { return }
            process.node.clientOpened(
                id, hello: ClientHello(cluster: .none, epoch: .first),
                now: process.host.clock.local(at: cluster.now))
            cluster.want(turnOf: process)
        }
    }

    // MARK: Carrying frames

    func sendToNode(_ bytes: [UInt8]) {
        guard isOpen else { return }
        if cluster.cuts.contains(Way(from: Way.clients, to: process.host.id)) {
            toNode.held.append(bytes)
            return
        }
        let way = Way(from: Way.clients, to: process.host.id)
        let due = max(toNode.lastDelivery, cluster.now + cluster.passage(of: bytes.count, on: way))
        toNode.lastDelivery = due
        cluster.schedule(at: due, for: process) { [self] in arrive(bytes) }
    }

    private func arrive(_ bytes: [UInt8]) {
        guard isOpen else { return }
        decoder.append(bytes)
        do throws(FrameError) {
            while let frame = try decoder.next() {
                process.node.received(
                    frame, from: id, now: process.host.clock.local(at: cluster.now))
            }
        } catch {
            process.host.notices.append(Notice(.warning, "closing a client: \(error)"))
            closeByNode()
        }
        cluster.want(turnOf: process)
    }

    func sendToClient(_ bytes: [UInt8]) {
        guard isOpen else { return }
        if cluster.cuts.contains(Way(from: process.host.id, to: Way.clients)) {
            toClient.held.append(bytes)
            return
        }
        let way = Way(from: process.host.id, to: Way.clients)
        let due = max(
            toClient.lastDelivery, cluster.now + cluster.passage(of: bytes.count, on: way))
        toClient.lastDelivery = due
        cluster.queue.enter(at: due) { [self] in
            guard isOpen else { return }
            for frame in ClientLink.frames(in: bytes) { receive(frame) }
        }
    }

    private static func frames(in bytes: [UInt8]) -> [Frame] {
        var decoder = FrameDecoder()
        decoder.append(bytes)
        var frames: [Frame] = []
        do throws(FrameError) {
            while let frame = try decoder.next() { frames.append(frame) }
        } catch {
            preconditionFailure("a node sent its client what is no frame: \(error)")
        }
        return frames
    }

    /// A reset on the way: both ends learn it, and the node may have got a part of a frame.
    func reset() {
        guard isOpen, process.host.process === process else { return }
        process.node.clientClosed(id)
        process.clientLinks.removeValue(forKey: id)
        cluster.connections.removeAll { $0 === self }
        cluster.want(turnOf: process)
        end()
    }

    func heal() {
        let (forNode, forClient) = (toNode.held, toClient.held)
        toNode.held = []
        toClient.held = []
        for bytes in forNode { sendToNode(bytes) }
        for bytes in forClient { sendToClient(bytes) }
    }

    // MARK: The end

    /// The node closes; what it sent before still arrives.
    func closeByNode() {
        process.node.clientClosed(id)
        process.clientLinks.removeValue(forKey: id)
        let due = max(
            toClient.lastDelivery, cluster.now + cluster.draw(cluster.options.networkDelay))
        cluster.queue.enter(at: due) { [self] in end() }
    }

    /// The process is gone; nobody tells the client when its power was cut.
    func endedByProcess(isDark: Bool) {
        guard !isDark else { return }
        cluster.schedule(after: cluster.draw(cluster.options.networkDelay)) { [self] in end() }
    }

    private func end() {
        guard isOpen else { return }
        isOpen = false
        closed()
    }
}
