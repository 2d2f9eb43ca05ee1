internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import TenonCore
internal import TenonWire

/// The shell around ``Dispatch``: one event loop, its sockets and its timer.
///
/// Each turn takes what arrived, lets the machine decide, and then acts: one write a connection,
/// and the tasks whose calls ended are resumed last.
///
/// `@unchecked Sendable`: what is not a constant is touched on `eventLoop` only.
final class ClientLoop: @unchecked Sendable {
    let eventLoop: any EventLoop
    private let inbox: Inbox
    private let published = Mutex<Directory?>(nil)
    private let connectTimeout: TimeSpan

    private var dispatch: Dispatch
    /// The tasks that wait, by the place of their call's slot, and what their calls weigh.
    private var waiters: [Waiting?] = []
    private var channels: [Int: any Channel] = [:]
    private var batch = Inbox.Batch()
    private var timer: Scheduled<Void>?
    private var timerAt = Instant.distantFuture
    private var isShutDown = false

    /// A task that waits, for which call, and what the call weighs.
    private struct Waiting {
        let id: RequestID
        let waiter: Waiter
        let byteCount: Int
    }

    init(
        endpoints: [Endpoint], configuration: TenonClient.Configuration,
        eventLoop: any EventLoop, seed: UInt64
    ) throws(TenonError) {
        self.eventLoop = eventLoop
        inbox = Inbox(
            callsMax: configuration.callsInFlightMax, bytesMax: configuration.bytesInFlightMax)
        connectTimeout = TimeSpan(configuration.connectTimeout)
        var settings = Dispatch.Settings()
        settings.silenceBound = TimeSpan(configuration.silenceBound)
        settings.pauses = PausePolicy(
            shortest: TimeSpan(configuration.retryPauseMin),
            longest: TimeSpan(configuration.retryPauseMax))
        settings.locality = try configuration.parsedLocality()
        dispatch = Dispatch(endpoints: endpoints, settings: settings, seed: seed)
    }

    /// The monotonic clock.
    static var now: Instant { Instant(nanoseconds: NIODeadline.now().uptimeNanoseconds) }

    /// The newest directory that the loop has seen. From any thread.
    var directory: Directory? { published.withLock { $0 } }

    // MARK: From tasks

    /// Does a call and waits for its end: an answer, an error, the deadline or a cancellation.
    func perform(_ call: Call) async -> CallResult {
        let token = inbox.nextToken()
        return await withTaskCancellationHandler {
            await unsafe withUnsafeContinuation { continuation in
                let waiter = unsafe Waiter(continuation)
                submit(
                    Inbox.Submission(
                        token: token, call: call, byteCount: call.byteCount, waiter: waiter))
                // A cancellation before the submission met nothing to cancel.
                if Task.isCancelled { cancel(token) }
            }
        } onCancel: {
            cancel(token)
        }
    }

    private func submit(_ submission: Inbox.Submission) {
        switch inbox.submit(submission) {
        case .taken: break
        case .takenCallLoop: eventLoop.execute { self.drain() }
        case .refused(let error): submission.waiter.resume(.failure(error))
        }
    }

    private func cancel(_ token: UInt64) {
        if inbox.cancel(token) { eventLoop.execute { self.drain() } }
    }

    /// Ends all calls and closes all connections.
    func shutdown() async {
        inbox.close()
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            eventLoop.execute {
                self.drain()
                self.isShutDown = true
                self.dispatch.shutdown()
                self.act(ClientLoop.now)
                done.resume()
            }
        }
    }

    // MARK: On the loop

    /// Takes what tasks have put into the inbox.
    private func drain() {
        eventLoop.assertInEventLoop()
        inbox.take(into: &batch)
        let now = ClientLoop.now
        // By place: taking submissions out one by one would copy them.
        for place in batch.submissions.indices {
            let token = batch.submissions[place].token
            let id = dispatch.submit(batch.submissions[place].call, token: token, at: now)
            keep(
                Waiting(
                    id: id, waiter: batch.submissions[place].waiter,
                    byteCount: batch.submissions[place].byteCount))
        }
        if !batch.cancelled.isEmpty { dispatch.cancel(batch.cancelled) }
        batch.submissions.removeAll(keepingCapacity: true)
        batch.cancelled.removeAll()
        act(now)
    }

    private func keep(_ waiting: Waiting) {
        let place = SlotMap<PendingCall>.place(of: waiting.id)
        while waiters.count <= place { waiters.append(nil) }
        precondition(waiters[place] == nil, "two calls at place \(place)")
        waiters[place] = waiting
    }

    /// Bytes arrived on a link; ``turnEnded()`` follows when the socket is read empty.
    func received(_ bytes: [UInt8], on link: Int, incarnation: Int) {
        dispatch.received(bytes, on: link, incarnation: incarnation, at: ClientLoop.now)
    }

    /// All that was to be read in this turn was handed over.
    func turnEnded() { act(ClientLoop.now) }

    /// A link's socket closed.
    func disconnected(_ link: Int, incarnation: Int, _ problem: String) {
        let now = ClientLoop.now
        dispatch.disconnected(link, incarnation: incarnation, problem, at: now)
        act(now)
    }

    /// Does what the machine has decided.
    private func act(_ now: Instant) {
        if dispatch.nextWake <= now, !isShutDown { dispatch.wake(at: now) }
        let effects = dispatch.takeEffects()
        if effects.hasNewDirectory { published.withLock { $0 = dispatch.routes.directory } }
        for link in effects.closes { channels.removeValue(forKey: link)?.close(promise: nil) }
        if !isShutDown {
            for link in effects.connects { connect(link) }
            for link in effects.flushes { flush(link) }
            armTimer(now)
        }
        resume(effects.completions)
    }

    private func flush(_ link: Int) {
        let bytes = dispatch.takeOutbox(of: link)
        guard !bytes.isEmpty, let channel = channels[link] else { return }
        var buffer = channel.allocator.buffer(capacity: bytes.count)
        buffer.writeBytes(bytes)
        channel.writeAndFlush(buffer, promise: nil)
    }

    private func resume(_ completions: [(id: RequestID, result: CallResult)]) {
        guard !completions.isEmpty else { return }
        var bytes = 0
        for completion in completions {
            bytes += waiters[SlotMap<PendingCall>.place(of: completion.id)]?.byteCount ?? 0
        }
        // First, so that whoever is resumed and calls again finds room.
        inbox.ended(calls: completions.count, bytes: bytes)
        for completion in completions {
            let place = SlotMap<PendingCall>.place(of: completion.id)
            guard let waiting = waiters[place], waiting.id == completion.id else {
                preconditionFailure("call \(completion.id) ended and nobody waits for it")
            }
            waiters[place] = nil
            waiting.waiter.resume(completion.result)
        }
    }

    private func armTimer(_ now: Instant) {
        guard dispatch.nextWake < timerAt else { return }
        timer?.cancel()
        timerAt = dispatch.nextWake
        let pause = max(timerAt.since(now), .milliseconds(1))
        timer = eventLoop.scheduleTask(in: .nanoseconds(Int64(pause.nanoseconds))) {
            self.timerAt = .distantFuture
            self.act(ClientLoop.now)
        }
    }

    // MARK: Sockets

    private func connect(_ link: Int) {
        let endpoint = dispatch.links[link].endpoint
        let incarnation = dispatch.links[link].incarnation
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.nanoseconds(Int64(connectTimeout.nanoseconds)))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 4_096, initial: 65_536, maximum: 1 << 20)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        LinkHandler(loop: self, link: link, incarnation: incarnation))
                }
            }
            .connect(host: endpoint.host, port: endpoint.port)
            .hop(to: eventLoop)
            .whenComplete { self.connected(link, incarnation, $0) }
    }

    private func connected(
        _ link: Int, _ incarnation: Int, _ result: Result<any Channel, any Error>
    ) {
        switch result {
        case .success(let channel):
            guard !isShutDown, dispatch.links[link].incarnation == incarnation else {
                channel.close(promise: nil)
                return
            }
            channels[link] = channel
            let now = ClientLoop.now
            dispatch.connected(link, incarnation: incarnation, at: now)
            act(now)
        case .failure(let error):
            disconnected(link, incarnation: incarnation, ClientLoop.words(for: error))
        }
    }

    /// Why a connection failed, for a person.
    static func words(for error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first { return words(for: first.error) }
            return error.dnsAError == nil && error.dnsAAAAError == nil
                ? "cannot connect" : "the host name is not known"
        case let error as IOError: return error.localizedText
        case ChannelError.connectTimeout: return "no connection in time"
        default: return "\(error)"
        }
    }
}

extension IOError {
    /// What the error number means.
    fileprivate var localizedText: String {
        switch errnoCode {
        case 111: "connection refused"
        case 104: "connection reset"
        case 113: "no route to host"
        case 101: "network unreachable"
        default: description
        }
    }
}
