package import TenonChecker
package import TenonCore
internal import TenonWire

/// What the clients of one kind of workload do: a value that draws the next operation from a
/// seed and hears how each ended. ``ScriptedWorkload`` does the rest: it sends, records, follows
/// the pages of scans, and checks what was seen.
///
/// Keys are those of rooms (``KeyRoom``), so that every key lies in a tablet by design and
/// workloads stay out of each other's way. Values are unique (``ValueMaker``), so that a reader
/// knows whose write it saw.
package protocol WorkloadScript {
    /// The first part of its keys, and its name in messages.
    static var name: String { get }
    static var clientCount: Int { get }

    init(rooms: [KeyRoom], seed: UInt64)

    /// What the client at `place` does next; nil: it pauses.
    mutating func next(at place: Int) -> ScriptStep?

    /// The end: everything is healed, and no other client has a call under way. Called until it
    /// returns nil; every step must succeed.
    mutating func closingStep() -> ScriptStep?

    /// How a step ended.
    mutating func ended(_ operation: HistoryOperation, at place: Int)

    /// What must hold besides what every history is checked for.
    func failures(in history: [HistoryOperation]) -> [CheckFailure]
}

extension WorkloadScript {
    package mutating func closingStep() -> ScriptStep? { nil }
    package mutating func ended(_ operation: HistoryOperation, at place: Int) {}
    package func failures(in history: [HistoryOperation]) -> [CheckFailure] { [] }
}

/// One operation of a script.
package struct ScriptStep: Sendable {
    package var action: HistoryOperation.Action
    package var room: KeyRoom
    /// The version to read at; nil for the newest.
    package var asOf: Timestamp?

    package init(
        _ action: HistoryOperation.Action, in room: KeyRoom, asOf: Timestamp? = nil
    ) {
        self.action = action
        self.room = room
        self.asOf = asOf
    }
}

/// A script as a workload.
package final class ScriptedWorkload<Script: WorkloadScript>: Workload {
    private var script: Script
    private let rooms: [KeyRoom]
    package private(set) var history: [HistoryOperation] = []
    /// By client: the operation under way.
    private var pending: [CallUnderWay?]
    private var notAlive: [CheckFailure] = []
    private var generator: SeededGenerator

    private struct CallUnderWay {
        var operation: HistoryOperation
        var room: KeyRoom
        /// For a page: what the whole scan asked for.
        var scan: ScanRequest?
        var isClosing = false
    }

    /// Once faults are over an operation succeeds within this time.
    private let livenessBound = TimeSpan.seconds(10)

    package init(_ parameters: WorkloadParameters) {
        rooms = KeyRoom.rooms(of: Script.name, in: parameters)
        script = Script(rooms: rooms, seed: parameters.seed)
        generator = SeededGenerator(seed: parameters.seed ^ 0x9A71_E0CE)
        pending = Array(repeating: nil, count: Script.clientCount)
    }

    package var clientCount: Int { Script.clientCount }

    // MARK: Workload

    package func next(
        for client: SimulatedClient, at place: Int, _ moment: WorkloadMoment
    ) -> WorkloadCall? {
        if let page = pending[place] {
            // The page before gave a token: the scan goes on.
            return call(page, client)
        }
        // The last client that comes to rest does what is left to do.
        if moment.isClosing, pending.contains(where: { $0 != nil }) { return nil }
        guard let step = moment.isClosing ? script.closingStep() : script.next(at: place) else {
            return nil
        }
        let underWay = CallUnderWay(
            operation: HistoryOperation(
                worker: place, sentAt: moment.now, answeredAt: nil, action: step.action,
                result: .unknown, asOf: step.asOf), room: step.room, isClosing: moment.isClosing)
        pending[place] = underWay
        return call(underWay, client)
    }

    package func ended(
        _ call: WorkloadCall, at place: Int, sentAt: Instant, _ result: CallResult, now: Instant
    ) {
        guard var underWay = pending[place] else {
            preconditionFailure("client \(place) has no call that could end")
        }
        pending[place] = nil
        underWay.operation.sentAt = sentAt
        underWay.operation.note(result, now: now)
        history.append(underWay.operation)
        script.ended(underWay.operation, at: place)
        if underWay.isClosing { checkLiveness(underWay, result) }
        if case .answer(.page(_, let next?, _)) = result { follow(underWay, next, at: place) }
    }

    package func failures() -> [CheckFailure] {
        notAlive + HistoryChecks.failures(of: history, workload: Script.name)
            + script.failures(in: history)
    }

    // MARK: calls

    private func call(_ underWay: CallUnderWay, _ client: SimulatedClient) -> WorkloadCall {
        let body =
            underWay.scan.map { RequestBody.scan($0) }
            ?? underWay.operation.action.body(for: client, asOf: underWay.operation.asOf)
        return WorkloadCall(
            body, tablet: underWay.room.tablet,
            timeout: underWay.isClosing ? livenessBound : patience())
    }

    /// One call in six is given up so soon that its answer is often lost.
    private func patience() -> TimeSpan {
        guard generator.below(6) == 0 else { return .seconds(4) }
        return .microseconds(500 + Int(generator.below(20_000)))
    }

    /// Keeps the next page of a scan as the client's next call, unless it lies in another tablet.
    private func follow(_ page: CallUnderWay, _ next: Bytes, at place: Int) {
        guard case .scan(let from, let to, let limit, let isReverse) = page.operation.action,
            let rest = page.operation.rest, let version = PageToken.version(of: next)
        else { return }
        var following = page
        following.scan = ScanRequest(
            from: page.scan?.from ?? from, to: page.scan?.to ?? to,
            limit: limit ?? Limits.scanItemsMax, isReversed: isReverse,
            at: page.operation.asOf, page: next)
        following.operation = HistoryOperation(
            worker: place, sentAt: page.operation.sentAt, answeredAt: nil,
            action: .scan(
                from: isReverse ? from : rest, to: isReverse ? rest : to, limit: limit,
                isReverse: isReverse), result: .unknown, asOf: version)
        pending[place] = following
    }

    private func checkLiveness(_ underWay: CallUnderWay, _ result: CallResult) {
        guard underWay.operation.result != .ok else { return }
        notAlive.append(
            CheckFailure(
                .liveness,
                "\(Script.name): \(underWay.operation.action) did not succeed within "
                    + "\(livenessBound.wholeMilliseconds) ms of the end of all faults: \(result)"))
    }
}

extension PageToken {
    /// The version at which the next page of this tablet stands; nil for one of another tablet.
    fileprivate static func version(of bytes: Bytes) -> Timestamp? {
        do throws(DecodingError) {
            return try PageToken(bytes).version
        } catch {
            preconditionFailure("a node's page token cannot be read: \(error)")
        }
    }
}
