internal import TenonCore
internal import TenonWire

/// The client as a value: calls under way, links, routes, sessions and retries.
///
/// It takes events (`submit`, `cancel`, `connected`, `received`, `linkFailed`, `wake`), each with
/// the time, and leaves what has to be done in ``Effects``: sockets to open and close, bytes to
/// send, calls to answer. It has no socket, clock, lock or task, so tests drive it step by step.
struct Dispatch {
    /// What the shell has to do after an event.
    struct Effects {
        /// Calls that ended, and how.
        var completions: [(id: RequestID, result: CallResult)] = []
        /// Links whose socket is to be opened.
        var connects: [Int] = []
        /// Links whose socket is to be closed; their news is of no interest any more.
        var closes: [Int] = []
        /// Links that have bytes in their outbox.
        var flushes: [Int] = []
        /// A directory was installed.
        var hasNewDirectory = false
    }

    /// The times of a client's configuration.
    struct Settings: Hashable {
        var silenceBound = TimeSpan.milliseconds(200)
        var pauses = PausePolicy(shortest: .milliseconds(10), longest: .milliseconds(100))
        /// Where the client stands.
        var locality = Locality.unknown
        /// Pauses of a link that cannot be opened.
        var reconnects = PausePolicy(shortest: .milliseconds(20), longest: .milliseconds(500))
    }

    /// The directory is asked for so often, or half of it, though nothing calls for it: while all goes
    /// well the nodes that it names may all be replaced, and then nobody is left to ask.
    static let refreshInterval = TimeSpan.seconds(5)
    /// So much longer for each tablet: the directory grows with them.
    static let refreshIntervalOfTablet = TimeSpan.milliseconds(10)
    /// How long one question for the directory goes on before a fresh one replaces it.
    static let directoryTimeout = TimeSpan.seconds(2)
    /// Between two questions for a directory that names a leader who is not in the last one.
    static let lookUpInterval = TimeSpan.milliseconds(100)
    /// While calls wait for answers the links' silence is looked at so often.
    static let watchInterval = TimeSpan.milliseconds(50)
    /// With more calls than this, wakes are at least ``wakeDistance`` apart.
    static let callsBeforeDistance = 1_024
    static let wakeDistance = TimeSpan.milliseconds(5)
    /// The most room that an outbox keeps for the next turn, in bytes.
    static let outboxBytesKept = 64 << 10
    /// The request id of a ping, which no slot has: pings ask for the directory.
    static let pingID = RequestID(UInt64.max)

    let settings: Settings
    var random: SeededGenerator
    var pending = SlotMap(vacant: PendingCall.vacant)
    var links: [Link]
    var routes = RouteTable()
    var sessions: SessionAllocator
    var clock = ClusterClock()
    /// The cluster of the first welcome; later ones must be of the same.
    var cluster = ClusterID.none
    /// The highest epoch seen.
    var epoch = Epoch.first
    /// The question for the directory, while there is one.
    var directoryCall: RequestID?
    /// When the directory is next asked for though nothing calls for it; `distantFuture` before the
    /// first one.
    var nextRefresh = Instant.distantFuture
    /// Not before this a leader that the directory does not name is looked up again.
    var nextLookUp = Instant.zero
    /// When ``wake(at:)`` has something to do; `distantFuture` when nothing waits.
    var nextWake = Instant.distantFuture
    /// When the links were last looked at; nil while none is to be watched.
    var watchedAt: Instant?
    var effects = Effects()
    /// Where the search for a link begins: moves on with every search.
    var cursor = 0
    /// Since the last wake a leader was found: calls that wait for one are routed.
    var hasNewLeaders = false

    /// A client of the cluster that has nodes at `endpoints`. Equal seeds choose alike.
    init(endpoints: [Endpoint], settings: Settings, seed: UInt64) {
        precondition(!endpoints.isEmpty, "a client of no endpoints")
        self.settings = settings
        random = SeededGenerator(seed: seed)
        links = endpoints.map { Link(endpoint: $0) }
        sessions = SessionAllocator(client: ClientID(using: &random))
        // Clients that are given the same list do not all begin with the same node.
        cursor = Int(random.below(UInt64(endpoints.count)))
    }

    /// Hands over what has to be done.
    mutating func takeEffects() -> Effects {
        // Not before: the shell keeps the waiting tasks by place, and hears of endings only here.
        pending.reuseEmptied()
        let taken = effects
        effects = Effects()
        // The next turn will end about as many calls.
        effects.completions.reserveCapacity(taken.completions.count)
        return taken
    }

    /// Hands over the bytes to send on a link.
    mutating func takeOutbox(of link: Int) -> [UInt8] {
        let bytes = links[link].outbox.take()
        // The next turn will send about as much; growing from nothing would copy it five times.
        links[link].outbox = ByteWriter(capacity: min(bytes.count, Dispatch.outboxBytesKept))
        return bytes
    }

    /// Takes a call. Its end comes as a completion with the returned id.
    mutating func submit(_ call: Call, token: UInt64, at now: Instant) -> RequestID {
        let id = insert(call, owner: .caller(token))
        route(SlotMap<PendingCall>.place(of: id), at: now)
        return id
    }

    /// Ends the calls of these tokens as cancelled, where they are still under way.
    ///
    /// - Complexity: O(calls under way), whatever the number of tokens.
    mutating func cancel(_ tokens: Set<UInt64>) {
        for place in 0..<pending.capacity where pending.isUsed(place) {
            guard case .caller(let token) = pending[place].owner, tokens.contains(token) else {
                continue
            }
            abandon(place, .cancelled, "the calling task was cancelled")
        }
    }

    /// Ends every call: the client shuts down.
    mutating func shutdown() {
        for place in 0..<pending.capacity where pending.isUsed(place) {
            abandon(place, .unavailable, "the client was shut down")
        }
        effects.closes = Array(links.indices)
    }

    /// Puts a call into its slot.
    mutating func insert(_ call: Call, owner: PendingCall.Owner) -> RequestID {
        wakeNoLater(than: call.deadline)
        return pending.insert(
            PendingCall(owner: owner, call: call, attempts: Attempts(isWrite: call.isWrite)))
    }

    /// Ends a call whose caller does not wait any longer.
    private mutating func abandon(_ place: Int, _ kind: TenonError.Kind, _ message: String) {
        let expired = pending[place].attempts.expired(isUnderWay: pending[place].isSent)
        complete(place, .failure(TenonError(kind, expired.outcome, message)))
    }

    /// Ends the call at `place`: closes its sequence and answers whoever asked.
    mutating func complete(_ place: Int, _ result: CallResult) {
        if let session = pending[place].session { sessions.close(session.sequence) }
        let owner = pending[place].owner
        let id = pending.id(at: place)
        pending.remove(at: place)
        switch owner {
        case .caller: effects.completions.append((id, result))
        case .directory: directoryEnded(result)
        }
    }

    /// Makes sure that ``wake(at:)`` is called by `moment`.
    mutating func wakeNoLater(than moment: Instant) { nextWake = min(nextWake, moment) }
}

extension PendingCall {
    /// Whether an attempt is sent and not answered.
    var isSent: Bool {
        if case .sent = stage { true } else { false }
    }
}
