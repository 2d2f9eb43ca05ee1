package import TenonCore
internal import TenonNode
package import TenonWire

/// How a call of a ``SimulatedClient`` ended.
package enum CallResult: Sendable {
    case answer(Answer)
    /// Surely not applied: refused, or no attempt was ever sent.
    case notApplied(Refusal?)
    /// The deadline passed, or a later attempt was refused, after an earlier one may have run.
    case unknown(Refusal?)
}

/// A client of a simulated cluster, as simple as a right one can be: it tries one node after the
/// other until its deadline, follows hints, and makes its retries safe by its session (Rule S3).
///
/// One call at a time: the session's low-water mark is the call under way.
package final class SimulatedClient {
    private unowned let cluster: SimulatedCluster
    package let number: Int
    private let id: ClientID
    private var nextSequence: UInt64 = 1
    private var nextRequest: UInt64 = 1
    /// By rank of the node.
    private var links: [ClientLink?]
    /// Which node to ask, by rank.
    private var target: Int
    private var call: Call?
    /// The newest version seen: the cluster may live in another time than the simulation.
    private var newestSeen = Timestamp.zero
    /// What it routes by, since a node refused what it was asked as badly routed; until then by the
    /// tablets that the founders made.
    private var directory: Directory?

    /// How long one attempt may take before another node is asked.
    private static let attemptTimeout = TimeSpan.milliseconds(800)
    private static let pause = TimeSpan.milliseconds(20)

    private struct Call {
        let number: UInt64
        let body: RequestBody
        let tablet: TabletID
        let deadline: Instant
        let isWrite: Bool
        let completion: (CallResult) -> Void
        var mayBeApplied = false
        var request = RequestID(0)
        var attempt = 0
        var lastRefusal: Refusal?
    }

    init(_ cluster: SimulatedCluster, number: Int, id: ClientID) {
        self.cluster = cluster
        self.number = number
        self.id = id
        links = Array(repeating: nil, count: cluster.hosts.count)
        target = number % cluster.hosts.count
    }

    package var isIdle: Bool { call == nil }

    /// The request body of `operation` with the next sequence number of this session.
    package func write(_ operation: Operation) -> RequestBody {
        let sequence = SequenceNumber(nextSequence)
        nextSequence += 1
        let session = Session(
            client: id, sequence: sequence,
            firstIssue: max(Timestamp(cluster.wallTime), newestSeen),
            lowWaterMark: sequence)
        return .write(
            command: Bytes(Command(operation: operation, session: session).encoded()))
    }

    /// Starts a call; `completion` hears how it ended, at the deadline at the latest.
    ///
    /// - Parameter rank: of the node to ask first; nil for the one that answered last.
    package func start(
        _ body: RequestBody, tablet: TabletID, within timeout: TimeSpan, at rank: Int? = nil,
        _ completion: @escaping (CallResult) -> Void
    ) {
        precondition(call == nil, "client \(number) is in a call already")
        let isWrite =
            switch body {
            case .write, .direct: true
            default: false
            }
        let number = nextRequest
        nextRequest += 1
        if let rank { target = rank % links.count }
        call = Call(
            number: number, body: body, tablet: tablet, deadline: cluster.now + timeout,
            isWrite: isWrite, completion: completion)
        cluster.schedule(after: timeout) { [weak self] in
            guard let self, let call = self.call, call.number == number else { return }
            finish(call.mayBeApplied ? .unknown(call.lastRefusal) : .notApplied(call.lastRefusal))
        }
        attempt()
    }

    private func finish(_ result: CallResult) {
        guard let call else { return }
        self.call = nil
        call.completion(result)
    }

    // MARK: Attempts

    private func attempt() {
        guard var current = call else { return }
        current.attempt += 1
        current.request = RequestID(nextRequest)
        nextRequest += 1
        let link = link(to: target)
        if link != nil, current.isWrite { current.mayBeApplied = true }
        call = current
        guard let link else { return again(after: SimulatedClient.pause, atNext: true) }
        link.sendToNode(encode(current))
        let request = current.request
        cluster.schedule(after: SimulatedClient.attemptTimeout) { [weak self] in
            guard let self, self.call?.request == request else { return }
            // The node may be dark: nobody says that the connection is gone.
            links[target] = nil
            again(after: .zero, atNext: true)
        }
    }

    private func encode(_ call: Call) -> [UInt8] {
        let left = UInt32(call.deadline.since(cluster.now).wholeMilliseconds)
        let keyspace = cluster.keyspaces[call.tablet] ?? .default
        let route = route(call, in: keyspace)
        let header = RequestHeader(
            epoch: cluster.epoch, timeoutMilliseconds: left, keyspace: keyspace,
            tablet: route.tablet,
            generation: route.generation)
        var writer = ByteWriter()
        writer.frame(.request, id: call.request) {
            Request(header: header, body: call.body).encode(to: &$0)
        }
        return writer.take()
    }

    /// The tablet that has the call's key now, as far as this client knows: the one it was made for,
    /// or what was split off from that.
    private func route(
        _ call: Call, in keyspace: KeyspaceID
    ) -> (tablet: TabletID, generation: Generation) {
        guard let directory, call.tablet != .directory else { return (call.tablet, .first) }
        let tablet =
            call.body.firstKey.map { directory.tablet(of: keyspace, holding: $0) }
            ?? directory.tablets.first { $0.id == call.tablet }
        return tablet.map { ($0.id, $0.generation) } ?? (call.tablet, .first)
    }

    private func link(to rank: Int) -> ClientLink? {
        if let link = links[rank] { return link }
        let host = cluster.hosts[rank]
        let isCut =
            cluster.cuts.contains(Way(from: Way.clients, to: host.id))
            || cluster.cuts.contains(Way(from: host.id, to: Way.clients))
        guard let process = host.process, !isCut else { return nil }
        let link = ClientLink(cluster, process) { [weak self] in
            self?.received($0)
        } closed: { [weak self] in
            self?.linkClosed(rank)
        }
        links[rank] = link
        return link
    }

    private func linkClosed(_ rank: Int) {
        links[rank] = nil
        if call != nil, target == rank { again(after: SimulatedClient.pause, atNext: true) }
    }

    /// Gives up the attempt under way and makes another one, at the next node when asked.
    private func again(after delay: TimeSpan, atNext: Bool) {
        guard let current = call else { return }
        if atNext { target = (target + 1) % links.count }
        call?.request = RequestID(0)
        let (number, attempt) = (current.number, current.attempt)
        cluster.schedule(after: delay) { [weak self] in
            guard let self, call?.number == number, call?.attempt == attempt else { return }
            self.attempt()
        }
    }

    // MARK: Answers

    private func received(_ frame: Frame) {
        guard frame.kind == .answer, let call, call.request == frame.id else { return }
        let answer: Answer
        do throws(DecodingError) {
            answer = try Answer(from: frame.body)
        } catch {
            preconditionFailure("a node's answer cannot be read: \(error)")
        }
        if case .outcome(_, let point) = answer { newestSeen = max(newestSeen, point.version) }
        if case .refusal(let refusal) = answer {
            refused(refusal, call)
        } else {
            // A key's history goes on over the splits of its tablet: one line of versions.
            finish(.answer(answer.standing(in: call.tablet)))
        }
    }

    private func refused(_ refusal: Refusal, _ call: Call) {
        self.call?.lastRefusal = refusal
        if refusal.reason == .staleDescriptor {
            directory = cluster.hosts[target].node?.describe() ?? directory
        }
        // A first attempt that was refused for certain was never applied.
        if call.attempt == 1, !refusal.isOutcomeUnknown { self.call?.mayBeApplied = false }
        switch refusal.reason {
        case .notLeader:
            target = cluster.hosts.firstIndex { $0.nodeID == refusal.leader } ?? target
            again(after: SimulatedClient.pause / 4, atNext: false)
        case .unavailable, .overloaded, .deadlinePassed, .staleDescriptor:
            again(after: SimulatedClient.pause, atNext: true)
        case .invalid, .tooLarge, .diskFull, .historyGone, .denied, .wrongEpoch:
            finish(self.call?.mayBeApplied == true ? .unknown(refusal) : .notApplied(refusal))
        }
    }
}

extension RequestBody {
    /// A key that decides which tablet is asked; nil when none does.
    fileprivate var firstKey: Bytes? {
        switch self {
        case .get(let key, _, _): key
        case .getMany(let keys, _, _): keys.first
        case .scan(let scan): scan.from
        case .write(let command): RequestBody.firstKey(of: command)
        default: nil
        }
    }

    private static func firstKey(of command: Bytes) -> Bytes? {
        do throws(DecodingError) {
            var reader = ByteReader(command)
            switch try Command(from: &reader).operation {
            case .put(let key, _, _), .delete(let key, _), .get(let key): return key
            case .deleteRange(let from, _): return from
            case .transaction(let transaction):
                return transaction.conditions.first?.key
                    ?? (transaction.then + transaction.else).lazy.compactMap(\.key).first
            case .raiseHistoryFloor, .contentDigest: return nil
            }
        } catch {
            preconditionFailure("a client's own command cannot be read: \(error)")
        }
    }
}

extension Operation {
    fileprivate var key: Bytes? {
        switch self {
        case .put(let key, _, _), .delete(let key, _), .get(let key): key
        case .deleteRange(let from, _): from
        case .transaction, .raiseHistoryFloor, .contentDigest: nil
        }
    }
}

extension Answer {
    /// The same answer, as one of `tablet`.
    fileprivate func standing(in tablet: TabletID) -> Answer {
        switch self {
        case .outcome(let outcome, let point):
            .outcome(outcome, at: point.standing(in: tablet))
        case .value(let value, let point):
            .value(value, at: point.standing(in: tablet))
        case .values(let values, let point):
            .values(values, at: point.standing(in: tablet))
        case .page(let items, let next, let point):
            .page(items, next: next, at: point.standing(in: tablet))
        case .directory, .status, .done, .refusal: self
        }
    }
}

extension ReadPoint {
    fileprivate func standing(in tablet: TabletID) -> ReadPoint {
        ReadPoint(tablet: tablet, version: version, age: age)
    }
}
