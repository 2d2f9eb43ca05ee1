import TenonCore
import TenonWire
import Testing

@testable import tenon

@Suite("The proxy that loses answers", .timeLimit(.minutes(5)))
struct LossyProxyTests {
    /// A node that gives each request the same answer, for as many requests as come.
    private struct EchoNode {
        let listener: LoopbackSocket
        let address: String

        /// - Parameter answer: to the body of a request.
        init(_ answer: @escaping @Sendable (Bytes) -> Answer) throws {
            let listener = try LoopbackSocket.listening()
            self.listener = listener
            address = "127.0.0.1:\(try listener.localPort)"
            BackgroundThread.run {
                while let client = listener.accept() {
                    BackgroundThread.run { EchoNode.serve(client, answer) }
                }
                listener.close()
            }
        }

        private static func serve(_ client: LoopbackSocket, _ answer: (Bytes) -> Answer) {
            var decoder = FrameDecoder()
            while let bytes = client.read() {
                decoder.append(bytes)
                var writer = ByteWriter()
                while let frame = try? decoder.next() {
                    writer.frame(.answer, id: frame.id) { answer(frame.body).encode(to: &$0) }
                }
                guard client.write(writer.bytes) else { break }
            }
            client.close()
        }
    }

    /// One request through a proxy: the answers that came, and whether the connection ended.
    private func ask(
        _ address: String, _ bodies: [Bytes]
    ) async throws -> (answers: [RequestID: Answer], isClosed: Bool) {
        try await withCheckedThrowingContinuation { done in
            BackgroundThread.run {
                do {
                    done.resume(returning: try LossyProxyTests.exchange(address, bodies))
                } catch {
                    done.resume(throwing: error)
                }
            }
        }
    }

    private static func exchange(
        _ address: String, _ bodies: [Bytes]
    ) throws -> (answers: [RequestID: Answer], isClosed: Bool) {
        let socket = try #require(LoopbackSocket.connected(to: address))
        defer { socket.close() }
        var writer = ByteWriter()
        for (place, body) in bodies.enumerated() {
            writer.frame(.request, id: RequestID(UInt64(place + 1))) { $0.raw(body) }
        }
        #expect(socket.write(writer.bytes))
        var decoder = FrameDecoder()
        var answers: [RequestID: Answer] = [:]
        while answers.count < bodies.count {
            guard let bytes = socket.read() else { return (answers, true) }
            decoder.append(bytes)
            while let frame = try decoder.next() {
                answers[frame.id] = try Answer(from: frame.body)
            }
        }
        return (answers, false)
    }

    private func proxy(
        to target: String, dropsOneIn: Int, replacing: [String: String] = [:]
    ) throws -> LossyProxy {
        let proxy = try LossyProxy(
            .init(target: target, replacements: replacing, dropsOneIn: dropsOneIn, seed: 4))
        proxy.start()
        return proxy
    }

    private static func summary(of body: Bytes) -> String {
        "\(body.count) \(CRC32C(body.array).rawValue)"
    }

    @Test("What is not lost passes unchanged, in both directions")
    func passes() async throws {
        let node = try EchoNode { .refusal(Refusal(.invalid, LossyProxyTests.summary(of: $0))) }
        defer { node.listener.shutDown() }
        let proxy = try proxy(to: node.address, dropsOneIn: 1_000_000_000)
        defer { proxy.stop() }
        let bodies = (0..<200).map { Bytes([UInt8](repeating: UInt8($0), count: 1 + $0 * 50)) }
        let result = try await ask(proxy.address, bodies)
        #expect(!result.isClosed)
        let changed = bodies.indices.filter { place in
            result.answers[RequestID(UInt64(place + 1))]
                != .refusal(Refusal(.invalid, LossyProxyTests.summary(of: bodies[place])))
        }
        #expect(changed.isEmpty)
        #expect(proxy.dropped == 0)
    }

    @Test("A lost answer takes its connection with it and is counted; the next connection works")
    func loses() async throws {
        let node = try EchoNode { _ in .done }
        defer { node.listener.shutDown() }
        let proxy = try proxy(to: node.address, dropsOneIn: 10)
        defer { proxy.stop() }
        var lost = 0
        for _ in 0..<100 {
            let result = try await ask(proxy.address, [Bytes([1])])
            #expect(result.isClosed == result.answers.isEmpty)
            if result.isClosed { lost += 1 }
        }
        #expect(proxy.dropped == lost)
        #expect((1...40).contains(lost), "\(lost) of 100 with one in ten")
        let all = try self.proxy(to: node.address, dropsOneIn: 1)
        defer { all.stop() }
        #expect(try await ask(all.address, [Bytes([1])]).isClosed)
        #expect(all.dropped == 1)
    }

    @Test("A directory is never lost, and names the proxies in the nodes' place")
    func directories() async throws {
        let directory = Directory(
            nodes: [
                Directory.Node(id: NodeID(1), name: "n1", address: "127.0.0.1:1", locality: "a=b"),
                Directory.Node(id: NodeID(2), name: "n2", address: "127.0.0.1:2", locality: ""),
            ], keyspaces: [Directory.Keyspace(id: .default, name: "default")], tablets: [])
        let node = try EchoNode { _ in .directory(directory) }
        defer { node.listener.shutDown() }
        let proxy = try proxy(to: node.address, dropsOneIn: 1)
        defer { proxy.stop() }
        proxy.replaceAddresses(["127.0.0.1:2": "127.0.0.1:22"])
        let result = try await ask(proxy.address, [Bytes([1])])
        var expected = directory
        expected.nodes[1].address = "127.0.0.1:22"
        #expect(result.answers[RequestID(1)] == .directory(expected))
        #expect(proxy.dropped == 0)
    }

    @Test("A proxy that is stopped ends its connections and takes no more")
    func stops() async throws {
        let node = try EchoNode { _ in .done }
        defer { node.listener.shutDown() }
        let proxy = try proxy(to: node.address, dropsOneIn: 1_000_000_000)
        let open = try #require(LoopbackSocket.connected(to: proxy.address))
        defer { open.close() }
        #expect(try await ask(proxy.address, [Bytes([1])]).answers.count == 1)
        proxy.stop()
        let isEnded = await withCheckedContinuation { done in
            BackgroundThread.run { done.resume(returning: open.read() == nil) }
        }
        #expect(isEnded)
        let late = LoopbackSocket.connected(to: proxy.address)
        defer { late?.close() }
        // Refused, or taken by a listener that is about to close and ended at once.
        if let late {
            let isEnded = await withCheckedContinuation { done in
                BackgroundThread.run { done.resume(returning: late.read() == nil) }
            }
            #expect(isEnded)
        }
    }
}
