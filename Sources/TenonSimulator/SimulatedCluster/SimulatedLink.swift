internal import TenonCore
internal import TenonNode
internal import TenonWire

/// A link that `from` makes to `to`, and sends on: frames arrive in order, or the link breaks.
final class SimulatedLink {
    enum State { case down, connecting, up }

    let from: SimulatedHost
    let to: SimulatedHost
    let stream: PeerStream
    var state = State.down
    /// Raised whenever the link is made or breaks: what was under way before is lost.
    var generation: UInt64 = 0
    /// Nothing overtakes what was sent before it.
    var lastDelivery = Instant.zero
    /// What was sent while the way was cut; delivered when it heals, as TCP does.
    var held: [[UInt8]] = []
    var pause = SimulatedLink.pauseMin
    /// Whether the next attempt is waited for.
    var isWaiting = false
    var decoder = FrameDecoder()

    static let pauseMin = TimeSpan.milliseconds(50)
    static let pauseMax = TimeSpan.seconds(1)

    init(from: SimulatedHost, to: SimulatedHost, stream: PeerStream) {
        self.from = from
        self.to = to
        self.stream = stream
    }

    var way: Way { Way(from: from.id, to: to.id) }
    var wayBack: Way { Way(from: to.id, to: from.id) }
}

/// Making links, as the server's dialers do, and carrying frames over them.
extension SimulatedCluster {
    private static let connectTimeout = TimeSpan.seconds(1)
    /// After so long a silent connection counts as gone.
    static let silenceTimeout = TimeSpan.seconds(3)

    // MARK: Making a link

    func dial(_ link: SimulatedLink) {
        guard let process = link.from.process, link.state == .down else { return }
        link.state = .connecting
        link.isWaiting = false
        link.generation += 1
        link.held = []
        link.decoder = FrameDecoder()
        link.lastDelivery = now
        let generation = link.generation
        if cuts.contains(link.way) || cuts.contains(link.wayBack) || link.to.isDark {
            return fail(link, generation, after: SimulatedCluster.connectTimeout, isReset: false)
        }
        guard let target = link.to.process, link.to.nodeID != NodeID(0) else {
            return fail(link, generation, after: draw(options.networkDelay), isReset: true)
        }
        let hello = frame(.peerHello, process.node.hello(to: link.to.nodeID, stream: link.stream))
        schedule(after: draw(options.networkDelay), for: target) { [unowned self] in
            guard link.generation == generation else { return }
            accept(hello, link, target)
        }
    }

    private func frame(_ kind: FrameKind, _ hello: PeerHello) -> [UInt8] {
        var writer = ByteWriter()
        writer.frame(kind) { hello.encode(to: &$0) }
        return writer.take()
    }

    private func fail(
        _ link: SimulatedLink, _ generation: UInt64, after delay: TimeSpan, isReset: Bool
    ) {
        schedule(after: delay) { [unowned self] in
            guard link.generation == generation else { return }
            breakLink(link, "no connection", isReset: isReset)
        }
    }

    /// The other end reads the hello, and answers it.
    private func accept(_ bytes: [UInt8], _ link: SimulatedLink, _ target: SimulatedProcess) {
        let generation = link.generation
        guard let hello = SimulatedCluster.hello(in: bytes) else {
            return breakLink(link, "no hello", isReset: true)
        }
        let refusal = target.node.heard(hello, now: target.host.clock.local(at: now))
        want(turnOf: target)
        if refusal == nil { dialBack(link) }
        let answer = frame(
            .peerWelcome, target.node.hello(to: hello.identity.node, stream: hello.stream))
        guard let dialer = link.from.process else { return }
        schedule(after: draw(options.networkDelay), for: dialer) { [unowned self] in
            guard link.generation == generation else { return }
            welcomed(answer, refusal: refusal, link, dialer)
        }
    }

    /// A node that somebody connects to need not wait before it connects in turn.
    private func dialBack(_ link: SimulatedLink) {
        let back = links.first {
            $0.from === link.to && $0.to === link.from && $0.stream == link.stream
        }
        if let back, back.isWaiting { dial(back) }
    }

    private func welcomed(
        _ bytes: [UInt8], refusal: String?, _ link: SimulatedLink, _ dialer: SimulatedProcess
    ) {
        guard let hello = SimulatedCluster.hello(in: bytes) else {
            return breakLink(link, "no welcome", isReset: true)
        }
        want(turnOf: dialer)
        if let own = dialer.node.heard(hello, now: dialer.host.clock.local(at: now)) {
            return breakLink(link, own, isReset: true)
        }
        link.state = .up
        link.pause = SimulatedLink.pauseMin
        dialer.node.linkUp(link.to.nodeID, link.stream)
        if let refusal { breakLink(link, "it refuses us: \(refusal)", isReset: true) }
    }

    private static func hello(in bytes: [UInt8]) -> PeerHello? {
        var decoder = FrameDecoder()
        decoder.append(bytes)
        do {
            guard let frame = try decoder.next() else { return nil }
            return try PeerHello(from: frame.body)
        } catch {
            return nil  // The caller breaks the link, as a server does.
        }
    }

    // MARK: Breaking a link

    /// Breaks a link, tells its maker after a moment, and lets it dial again.
    func breakLink(_ link: SimulatedLink, _ problem: String, isReset: Bool) {
        guard link.state != .down else { return }
        link.state = .down
        link.generation += 1
        link.held = []
        guard let process = link.from.process else { return }
        let generation = link.generation
        schedule(after: draw(options.networkDelay), for: process) { [unowned self] in
            guard link.generation == generation else { return }
            process.node.linkDown(
                link.to.nodeID, link.stream, problem: problem, isReset: isReset,
                now: process.host.clock.local(at: now))
            want(turnOf: process)
            redial(link, process)
        }
    }

    private func redial(_ link: SimulatedLink, _ process: SimulatedProcess) {
        link.isWaiting = true
        let generation = link.generation
        schedule(after: link.pause, for: process) { [unowned self] in
            guard link.generation == generation else { return }
            dial(link)
        }
        link.pause = min(link.pause * 2, SimulatedLink.pauseMax)
    }

    /// A reset on the way, in the middle of a frame: the receiver has a part of it.
    func reset(from: Int, to: Int, _ stream: PeerStream) {
        guard
            let link = links.first(where: {
                $0.from === host(from) && $0.to === host(to) && $0.stream == stream
            }), link.state == .up
        else { return }
        link.decoder.append([UInt8](repeating: 0xFF, count: 3))
        breakLink(link, "reset on the way", isReset: true)
    }

    /// A host is back: whoever still believes in a connection to its earlier life learns better.
    func noticeRestart(_ link: SimulatedLink) {
        breakLink(link, "reset by a restarted process", isReset: true)
    }

    // MARK: Carrying frames

    func send(_ bytes: [UInt8], from host: SimulatedHost, to node: NodeID, _ stream: PeerStream) {
        let link = links.first {
            $0.from === host && $0.to.nodeID == node && $0.stream == stream
        }
        guard let link, link.state == .up else { return }
        if cuts.contains(link.way) {
            link.held.append(bytes)
        } else {
            carry(bytes, link)
        }
    }

    func carry(_ bytes: [UInt8], _ link: SimulatedLink) {
        guard let target = link.to.process else { return }  // Into the dark.
        let fate =
            link.stream == .consensus ? fate(of: link.way) : (copies: 1, isOvertaken: false)
        for _ in 0..<fate.copies {
            var due = now + passage(of: bytes.count, on: link.way)
            if !fate.isOvertaken {
                due = max(link.lastDelivery, due)
                link.lastDelivery = due
            }
            carry(bytes, link, target, due)
        }
    }

    private func carry(
        _ bytes: [UInt8], _ link: SimulatedLink, _ target: SimulatedProcess, _ due: Instant
    ) {
        let generation = link.generation
        schedule(at: due, for: target) { [unowned self] in
            guard link.generation == generation else { return }
            deliver(bytes, link, target)
        }
    }

    private func deliver(_ bytes: [UInt8], _ link: SimulatedLink, _ target: SimulatedProcess) {
        link.decoder.append(bytes)
        do throws(FrameError) {
            while let frame = try link.decoder.next() {
                target.node.received(
                    frame, from: link.from.nodeID, link.stream,
                    now: target.host.clock.local(at: now))
            }
        } catch {
            target.host.notices.append(Notice(.warning, "closing a link: \(error)"))
            breakLink(link, "\(error)", isReset: true)
        }
        want(turnOf: target)
    }
}
