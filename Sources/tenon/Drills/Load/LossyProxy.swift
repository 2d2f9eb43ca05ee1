import Glibc
import Synchronization
import TenonCore
import TenonWire

/// Stands between a client and one node of this machine and loses answers at random.
///
/// A lost answer takes its connection with it, as on a real network: on TCP an answer is missing
/// only when the connection broke. The client is the shipped one and knows nothing; so that it
/// stays behind the proxies, addresses in directories on their way to it are replaced.
/// Two threads a connection, for copying is all they do.
final class LossyProxy: Sendable {
    struct Configuration: Sendable {
        /// The node's `HOST:PORT`, on the loopback address.
        var target: String
        /// Node address → address of its proxy.
        var replacements: [String: String]
        /// One answer in so many is lost.
        var dropsOneIn: Int
        var seed: UInt64
    }

    /// What the threads share.
    private struct State {
        var configuration: Configuration
        var random: SeededGenerator
        var dropped = 0
        /// Both ends of the connections that are open.
        var sockets: Set<Int32> = []
        var isStopped = false
    }

    /// Where it listens.
    let port: Int
    private let listener: LoopbackSocket
    private let state: Mutex<State>

    /// Listens on a free port; connections are taken from ``start()`` on.
    init(_ configuration: Configuration) throws(ClusterError) {
        listener = try LoopbackSocket.listening()
        port = try listener.localPort
        state = Mutex(
            State(
                configuration: configuration, random: SeededGenerator(seed: configuration.seed)))
    }

    var address: String { "127.0.0.1:\(port)" }

    /// How many answers were lost so far.
    var dropped: Int { state.withLock { $0.dropped } }

    /// From now on directories name these addresses: known when all proxies listen.
    func replaceAddresses(_ replacements: [String: String]) {
        state.withLock { $0.configuration.replacements = replacements }
    }

    func start() {
        BackgroundThread.run { self.acceptConnections() }
    }

    /// Closes everything; the threads end by themselves.
    func stop() {
        let open = state.withLock { state in
            state.isStopped = true
            return state.sockets
        }
        listener.shutDown()
        for descriptor in open { LoopbackSocket(descriptor: descriptor).shutDown() }
    }

    private func acceptConnections() {
        defer { listener.close() }
        while let client = listener.accept() {
            let target = state.withLock { $0.configuration.target }
            guard let node = LoopbackSocket.connected(to: target) else {
                client.close()
                continue
            }
            guard register(client, node) else { return }
            let directions = Atomic(2)
            let end: @Sendable () -> Void = {
                // Whichever direction ends first ends the other; the last one closes. Closed
                // earlier, the descriptors could be those of another connection already.
                client.shutDown()
                node.shutDown()
                let (_, left) = directions.subtract(1, ordering: .acquiringAndReleasing)
                if left == 0 { self.release(client, node) }
            }
            BackgroundThread.run {
                self.copyRequests(from: client, to: node)
                end()
            }
            BackgroundThread.run {
                self.copyAnswers(from: node, to: client)
                end()
            }
        }
    }

    private func register(_ client: LoopbackSocket, _ node: LoopbackSocket) -> Bool {
        let isOpen = state.withLock { state in
            guard !state.isStopped else { return false }
            state.sockets.formUnion([client.descriptor, node.descriptor])
            return true
        }
        if !isOpen {
            client.close()
            node.close()
        }
        return isOpen
    }

    private func release(_ client: LoopbackSocket, _ node: LoopbackSocket) {
        state.withLock { state in
            state.sockets.subtract([client.descriptor, node.descriptor])
        }
        client.close()
        node.close()
    }

    private func copyRequests(from client: LoopbackSocket, to node: LoopbackSocket) {
        while let bytes = client.read() {
            guard node.write(bytes) else { return }
        }
    }

    private func copyAnswers(from node: LoopbackSocket, to client: LoopbackSocket) {
        var decoder = FrameDecoder()
        while let bytes = node.read() {
            decoder.append(bytes)
            var writer = ByteWriter()
            let isWhole = pass(&decoder, to: &writer)
            guard client.write(writer.bytes), isWhole else { return }
        }
    }

    /// Passes on what frames are whole; false when an answer is lost or the stream is broken.
    private func pass(_ decoder: inout FrameDecoder, to writer: inout ByteWriter) -> Bool {
        do {
            while let frame = try decoder.next() {
                guard let body = passed(frame) else { return false }
                writer.frame(frame.kind, id: frame.id) { $0.raw(body) }
            }
            return true
        } catch {
            return false
        }
    }

    /// The frame's body as the client gets it; nil when the answer is lost.
    private func passed(_ frame: Frame) -> Bytes? {
        guard frame.kind == .answer else { return frame.body }
        if case .directory(let directory)? = try? Answer(from: frame.body) {
            return rewritten(directory)
        }
        let isLost = state.withLock { state in
            let isLost = state.random.below(UInt64(state.configuration.dropsOneIn)) == 0
            if isLost { state.dropped += 1 }
            return isLost
        }
        return isLost ? nil : frame.body
    }

    private func rewritten(_ directory: Directory) -> Bytes {
        let replacements = state.withLock { $0.configuration.replacements }
        var directory = directory
        for place in directory.nodes.indices {
            let address = directory.nodes[place].address
            directory.nodes[place].address = replacements[address] ?? address
        }
        var writer = ByteWriter()
        Answer.directory(directory).encode(to: &writer)
        return Bytes(writer.bytes)
    }
}
