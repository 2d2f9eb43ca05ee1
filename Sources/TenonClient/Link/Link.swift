internal import TenonCore
internal import TenonWire

/// The one connection to a node as a state machine; sockets are the shell's.
///
/// ```
/// idle ── wanted ──▶ connecting ── connected ──▶ greeting ── welcome ──▶ ready
///  ▲                      └────────── failed ────────┴───────────────────┤
///  └── pause over ── resting ◀────────────────────────────────────────────┘
/// ```
struct Link {
    /// How far the connection is.
    enum State: Hashable {
        case idle
        /// The shell opens a socket.
        case connecting(since: Instant)
        /// The hello is sent, the welcome is not here.
        case greeting(since: Instant)
        case ready
        /// The last connection failed: none is tried before `until`.
        case resting(until: Instant)
    }

    /// What the silence of a node that owes answers asks for.
    enum Silence: Hashable {
        case none
        /// Ask it for a sign of life.
        case ping
        /// Move its calls elsewhere; go on listening.
        case suspect
        /// Close the connection.
        case abandon
    }

    /// After so many silence bounds without a byte the connection is closed.
    static let silenceBoundsMax = 25

    /// Where the node listens.
    let endpoint: Endpoint
    /// Which node it is: from the directory, or as it said itself.
    var node: NodeID?
    /// Whether the directory names it. Before there is a directory nobody is a member.
    var isMember = false
    /// How far the connection is.
    private(set) var state = State.idle
    /// Counts connections, so that late news of an old one is told from news of this one.
    private(set) var incarnation = 0
    /// Why the last connection failed.
    private(set) var problem = ""
    /// Whether it owes answers and says nothing. Its calls were moved; hints to it are ignored.
    private(set) var isSuspected = false
    /// Bytes to send. The shell takes them once a turn.
    var outbox = ByteWriter()
    /// Cuts what arrives into frames.
    var decoder = FrameDecoder()
    private var failures = 0
    /// What the other end gave as its reason to close.
    private var goodbye: String?
    /// Since when a sign of life is asked for; nil when none is.
    private var pingedSince: Instant?
    /// Whether this silence was excused by the client's own already.
    private var isExcused = false
    /// Since when it owes an answer and has said nothing; nil when it owes none.
    private var quietSince: Instant?

    init(endpoint: Endpoint, node: NodeID? = nil) {
        self.endpoint = endpoint
        self.node = node
    }

    /// Whether a call may be given to it now: it is ready, or can be made so.
    func isUsable(at now: Instant) -> Bool {
        if case .resting(let until) = state { return now >= until }
        return true
    }

    /// A call wants it. Returns whether the shell has to open a connection.
    mutating func wanted(at now: Instant) -> Bool {
        switch state {
        case .connecting, .greeting, .ready: return false
        case .resting(let until) where now < until: return false
        case .idle, .resting:
            state = .connecting(since: now)
            incarnation += 1
            return true
        }
    }

    /// The socket is open: the preface and the hello go out.
    mutating func connected(_ hello: ClientHello, at now: Instant) {
        guard case .connecting = state else { return }
        state = .greeting(since: now)
        outbox.raw(Preface.client)
        outbox.frame(.clientHello) { writer in hello.encode(to: &writer) }
    }

    /// The welcome arrived and fits.
    mutating func welcomed(by node: NodeID) {
        state = .ready
        self.node = node
        failures = 0
        problem = ""
    }

    /// The other end said why it is about to close.
    mutating func said(goodbye reason: String) { goodbye = reason }

    /// The connection could not be made or is gone. Whatever waits in it is dropped.
    mutating func failed(
        _ problem: String, at now: Instant, pausing policy: PausePolicy,
        _ random: inout SeededGenerator
    ) {
        self.problem = goodbye ?? problem
        goodbye = nil
        state = .resting(until: now + policy.pause(after: failures, &random))
        failures += 1
        incarnation += 1
        outbox = ByteWriter()
        decoder = FrameDecoder()
        quietSince = nil
        pingedSince = nil
        isExcused = false
        isSuspected = false
    }

    /// A request was put into the outbox.
    mutating func sent(at now: Instant) {
        if quietSince == nil { quietSince = now }
    }

    /// Bytes arrived.
    mutating func heard(at now: Instant) {
        if quietSince != nil { quietSince = now }
        pingedSince = nil
        isExcused = false
        isSuspected = false
    }

    /// The client itself was held up, and may have read nothing of what came meanwhile: the node
    /// has the whole time again to give a sign of life. Once: a client that is held up all the
    /// time is to find out about dead nodes too.
    mutating func excuse(at now: Instant) {
        guard pingedSince != nil, !isExcused else { return }
        isExcused = true
        pingedSince = now
    }

    /// Looks at the silence. `owesAnswers`: a call waits on this very connection.
    mutating func checkSilence(owesAnswers: Bool, at now: Instant, bound: TimeSpan) -> Silence {
        switch state {
        case .connecting, .idle, .resting: return .none
        case .greeting(let since): return now >= since + bound * 2 ? .abandon : .none
        case .ready: break
        }
        guard owesAnswers || isSuspected || pingedSince != nil else {
            quietSince = nil
            return .none
        }
        guard let quietSince else {
            self.quietSince = now
            return .none
        }
        let quiet = now.since(quietSince)
        if quiet >= bound * Link.silenceBoundsMax, isSuspected { return .abandon }
        guard let pingedSince else {
            guard quiet >= bound else { return .none }
            self.pingedSince = now
            return .ping
        }
        guard now.since(pingedSince) >= bound, !isSuspected else { return .none }
        isSuspected = true
        return .suspect
    }
}
