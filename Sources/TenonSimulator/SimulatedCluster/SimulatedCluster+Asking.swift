package import TenonCore
internal import TenonNode
package import TenonWire

/// Calls that let virtual time pass until they are answered, for tests that read like a script.
extension SimulatedCluster {
    /// The tablet that holds `key`.
    package func tablet(holding key: Bytes) -> TabletID {
        let tablets = StaticDirectory.tablets(count: options.tabletCount)
        let place = tablets.lastIndex { $0.lower <= key } ?? 0
        return tablets[place].id
    }

    /// Makes a call and waits for its end.
    package func call(
        _ body: RequestBody, tablet: TabletID = StaticDirectory.firstTablet,
        within timeout: TimeSpan = .seconds(5)
    ) -> CallResult {
        var result: CallResult?
        client.start(body, tablet: tablet, within: timeout) { result = $0 }
        _ = run(within: timeout * 2) { result != nil }
        guard let result else { preconditionFailure("a call did not end at its deadline") }
        return result
    }

    /// Writes and waits.
    package func write(
        _ operation: Operation, tablet: TabletID, within timeout: TimeSpan = .seconds(5)
    ) -> CallResult {
        call(client.write(operation), tablet: tablet, within: timeout)
    }

    /// Puts and waits; the version when it was acknowledged, nil otherwise.
    package func put(
        _ key: Bytes, _ value: Bytes, if condition: Condition = .none,
        within timeout: TimeSpan = .seconds(5)
    ) -> Timestamp? {
        let operation = Operation.put(key: key, value: value, condition: condition)
        let result = write(operation, tablet: tablet(holding: key), within: timeout)
        guard case .answer(.outcome(.written(let version), _)) = result else { return nil }
        return version
    }

    /// Reads and waits.
    package func get(
        _ key: Bytes, within timeout: TimeSpan = .seconds(5)
    ) -> CallResult {
        call(.get(key: key, at: nil), tablet: tablet(holding: key), within: timeout)
    }

    /// The text of a value that was read; nil when there is none, or no answer.
    package func text(of key: Bytes, within timeout: TimeSpan = .seconds(5)) -> String? {
        guard case .answer(.value(let value?, _)) = get(key, within: timeout) else { return nil }
        return String(decoding: value.bytes.array, as: UTF8.self)
    }

    /// One attempt at one node, without retries; nil when it did not answer in time.
    package func ask(
        _ node: Int, _ body: RequestBody, tablet: TabletID = StaticDirectory.firstTablet,
        within timeout: TimeSpan = .seconds(2)
    ) -> Answer? {
        let header = RequestHeader(
            epoch: epoch, timeoutMilliseconds: UInt32(timeout.wholeMilliseconds),
            tablet: tablet, generation: .first)
        return ask(node, Request(header: header, body: body), within: timeout)
    }

    /// The same with a header of the caller's.
    package func ask(
        _ node: Int, _ request: Request, within timeout: TimeSpan = .seconds(2)
    ) -> Answer? {
        var writer = ByteWriter()
        writer.frame(.request, id: RequestID(1)) { request.encode(to: &$0) }
        guard case .answer(let answer)? = sendRaw(writer.take(), to: node, within: timeout) else {
            return nil
        }
        return answer
    }

    /// Sends a request about the first tablet to a node and does not wait for what becomes of it.
    package func send(_ body: RequestBody, to node: Int) {
        guard let process = host(node).process else { return }
        let header = RequestHeader(
            epoch: epoch, timeoutMilliseconds: 1_000, tablet: StaticDirectory.firstTablet,
            generation: .first)
        var writer = ByteWriter()
        writer.frame(.request, id: RequestID(1)) {
            Request(header: header, body: body).encode(to: &$0)
        }
        let link = ClientLink(self, process, receive: { _ in }, closed: {})
        link.sendToNode(writer.take())
    }

    /// What a raw connection of a client was told.
    package enum RawResult: Sendable {
        case answer(Answer)
        case closed(goodbye: String?)
    }

    /// Sends bytes as they are on a client's connection of their own, and waits for an answer or
    /// the connection's end; nil when neither came.
    package func sendRaw(
        _ bytes: [UInt8], to node: Int, within timeout: TimeSpan = .seconds(2)
    ) -> RawResult? {
        guard let process = host(node).process else { return nil }
        var result: RawResult?
        var goodbye: String?
        let link = ClientLink(self, process) { frame in
            switch frame.kind {
            case .answer: result = SimulatedCluster.answer(in: frame)
            case .goodbye: goodbye = SimulatedCluster.goodbye(in: frame)
            default: break
            }
        } closed: {
            if result == nil { result = .closed(goodbye: goodbye) }
        }
        link.sendToNode(bytes)
        _ = run(within: timeout) { result != nil }
        return result
    }

    private static func answer(in frame: Frame) -> RawResult? {
        do throws(DecodingError) {
            return .answer(try Answer(from: frame.body))
        } catch {
            preconditionFailure("a node's answer cannot be read: \(error)")
        }
    }

    private static func goodbye(in frame: Frame) -> String? {
        do throws(DecodingError) {
            return try Goodbye(from: frame.body).reason
        } catch {
            preconditionFailure("a node's goodbye cannot be read: \(error)")
        }
    }
}

/// What the nodes say of themselves.
extension SimulatedCluster {
    /// A tablet of a running node; nil when the node is down.
    package func status(
        _ node: Int, _ tablet: TabletID = StaticDirectory.firstTablet
    ) -> NodeStatus.Tablet? {
        host(node).node?.status(now: now).tablets.first { $0.tablet == tablet }
    }

    /// The node that serves as a tablet's leader in the highest term, if any does.
    package func leader(of tablet: TabletID = StaticDirectory.firstTablet) -> Int? {
        let leaders = hosts.indices.map { $0 + 1 }.compactMap { node in
            status(node, tablet).flatMap { $0.role == "leader" ? (node, $0.term) : nil }
        }
        return leaders.max { $0.1 < $1.1 }?.0
    }

    /// Lets time pass until every tablet has a leader that serves.
    package func awaitLeaders(within span: TimeSpan = .seconds(10)) -> Bool {
        let tablets = StaticDirectory.tablets(count: options.tabletCount).map(\.id)
        return run(within: span, every: .milliseconds(5)) {
            tablets.allSatisfy { leader(of: $0) != nil }
        }
    }

    /// Starts all nodes and waits for the leaders.
    package func form() -> Bool {
        startAll()
        return awaitLeaders()
    }

    /// Lets time pass until all running nodes have applied the same entries of all tablets.
    package func awaitEqualReplicas(within span: TimeSpan = .seconds(20)) -> Bool {
        let tablets = StaticDirectory.tablets(count: options.tabletCount).map(\.id)
        return run(within: span, every: .milliseconds(5)) {
            tablets.allSatisfy { tablet in
                let states = hosts.indices.compactMap { status($0 + 1, tablet) }
                return Set(states.map(\.applied)).count == 1
                    && states.allSatisfy { $0.applied == $0.last }
            }
        }
    }
}
