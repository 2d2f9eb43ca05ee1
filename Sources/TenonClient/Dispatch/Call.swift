internal import TenonCore
internal import TenonWire

/// One thing asked of the cluster, as a caller hands it over.
struct Call: Sendable {
    /// What is asked.
    enum Work: Sendable {
        /// A command that needs a session (Rule S3).
        case write(Operation)
        /// Anything that may be asked twice.
        case ask(RequestBody)
    }

    /// Who is asked.
    enum Route: Sendable {
        /// The leader of the tablet that holds a key.
        case key(keyspace: String, Bytes)
        /// The leader of a tablet.
        case tablet(TabletID)
        /// The leader of a tablet, as long as it has the bounds of this generation: what is asked was
        /// cut to them. Fails as ``TenonError/Kind/moved`` when it has others.
        case part(TabletID, Generation)
        /// This very node, once: its failure is the answer.
        case node(NodeID)
        /// Whoever answers.
        case anywhere
    }

    /// What is asked.
    let work: Work
    /// Who is asked.
    let route: Route
    /// When the caller stops waiting.
    let deadline: Instant
    /// Whether any replica may answer that is new enough (Rule S8).
    let mayBeStale: Bool
    /// The kinds of answers it can have; kept, because looking into ``work`` touches its key.
    private let answers: AnswerKinds

    init(work: Work, route: Route, deadline: Instant) {
        self.work = work
        self.route = route
        self.deadline = deadline
        answers = work.answers
        if case .ask(let body) = work {
            mayBeStale = body.staleness != .none
        } else {
            mayBeStale = false
        }
    }

    /// Whether `answer` is of a kind that this call can have. Any other is garbage.
    func accepts(_ answer: Answer) -> Bool { answers.isSuperset(of: answer.kind) }

    /// Whether it may change something.
    var isWrite: Bool {
        switch work {
        case .write, .ask(.direct): true
        case .ask: false
        }
    }

    /// About how many bytes of keys and values it holds.
    var byteCount: Int {
        switch work {
        case .write(.put(let key, let value, _)): key.count + value.count
        case .write(.transaction(let transaction)): transaction.byteCount
        case .write: 64
        case .ask(.getMany(let keys, _, _)): keys.reduce(0) { $0 + $1.count }
        case .ask: 64
        }
    }
}

/// Kinds of answers, a bit each; a refusal, which any call can have, is none.
struct AnswerKinds: OptionSet {
    let rawValue: UInt8

    static let outcome = AnswerKinds(rawValue: 1)
    static let value = AnswerKinds(rawValue: 2)
    static let values = AnswerKinds(rawValue: 4)
    static let page = AnswerKinds(rawValue: 8)
    static let directory = AnswerKinds(rawValue: 16)
    static let status = AnswerKinds(rawValue: 32)
    static let done = AnswerKinds(rawValue: 64)
}

extension Call.Work {
    /// The kinds of answers that this can have. Any other is garbage.
    fileprivate var answers: AnswerKinds {
        switch self {
        case .write: .outcome
        case .ask(.get): .value
        case .ask(.getMany): .values
        case .ask(.scan): .page
        case .ask(.describe): .directory
        case .ask(.status): .status
        case .ask(.transferLeadership), .ask(.injectFault), .ask(.clearFaults), .ask(.acceptClock):
            .done
        case .ask(.contentDigest), .ask(.direct): [.done, .outcome]
        // Writes go as operations, which get their session here.
        case .ask(.write): []
        }
    }
}

extension Answer {
    /// Of which kind it is.
    fileprivate var kind: AnswerKinds {
        switch self {
        case .outcome: .outcome
        case .value: .value
        case .values: .values
        case .page: .page
        case .directory: .directory
        case .status: .status
        case .done: .done
        case .refusal: []
        }
    }
}

/// What a caller gets: any answer but a refusal, or the error.
///
/// Not a `Result`, which would be as large as the error is, and is moved a dozen times a call.
enum CallResult: Sendable {
    case success(Answer)
    indirect case failure(TenonError)

    /// The answer. - Throws: the error.
    func get() throws(TenonError) -> Answer {
        switch self {
        case .success(let answer): return answer
        case .failure(let error): throw error
        }
    }
}

/// A call under way.
struct PendingCall {
    /// Whose call it is.
    enum Owner: Hashable {
        /// A task's, known by the number under which it can cancel.
        case caller(UInt64)
        /// The client's own question for the directory.
        case directory
    }

    /// Where it stands.
    enum Stage: Hashable {
        /// No directory yet.
        case unrouted
        /// Its link is being opened. It is not sent.
        case queued(link: Int)
        /// Sent, not answered.
        case sent(link: Int)
        /// Nobody is known to lead its tablet, which is at this place of the directory, and another
        /// call is looking.
        case leaderless(place: Int)
        /// To be tried again.
        case pausing(until: Instant)
    }

    /// Lies in places that are not used, and holds no references.
    static let vacant = PendingCall(
        owner: .directory,
        call: Call(work: .ask(.describe), route: .anywhere, deadline: .distantFuture),
        attempts: Attempts(isWrite: false))

    let owner: Owner
    let call: Call
    /// Given at the first sending, the same for every retry.
    var session: Session?
    var stage = Stage.unrouted
    /// It was sent to find out who leads.
    var isScout = false
    /// Nodes that were asked for what may be stale, and did not answer it.
    var asked: [NodeID] = []
    /// Its keyspace or node was not in the directory, and a fresh one was asked for.
    var hasSought = false
    var attempts: Attempts
}

extension Transaction {
    /// About how many bytes its encoded command has; never fewer.
    var byteCount: Int {
        conditions.reduce(16) { $0 + 16 + $1.key.count + $1.condition.byteCount }
            + then.reduce(0) { $0 + $1.byteCount } + `else`.reduce(0) { $0 + $1.byteCount }
    }
}

extension Condition {
    /// About how many bytes it has; never fewer.
    var byteCount: Int {
        if case .value(let value) = self { return 16 + value.count }
        return 16
    }
}

extension Operation {
    /// About how many bytes it has; never fewer.
    var byteCount: Int {
        switch self {
        case .put(let key, let value, let condition):
            32 + key.count + value.count + condition.byteCount
        case .delete(let key, let condition): 32 + key.count + condition.byteCount
        case .deleteRange(let from, let to): 32 + from.count + (to?.count ?? 0)
        case .transaction(let transaction): 64 + transaction.byteCount
        case .get(let key): 32 + key.count
        case .raiseHistoryFloor, .contentDigest: 32
        }
    }
}
