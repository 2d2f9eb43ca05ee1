package import TenonChecker
package import TenonCore
internal import TenonWire

extension Check {
    /// A read that may be stale has all that was acknowledged as long before it as its answer says,
    /// and is no older than was asked for (Rule S8).
    package static let staleness = Check("age of a stale read")
}

/// Writes through leaders, and reads of whatever replica comes, which say how old they may be
/// (Rule S8). Each of these is checked twice: what it showed must be what the tablet had at the
/// version at which it stood, by the replay of all histories; and nothing may be missing that was
/// acknowledged as long before as the answer says.
///
/// For tablets that are not split: versions of two tablets say nothing of each other.
package final class StaleWorkload: Workload {
    package let clientCount = 6
    package private(set) var history: [HistoryOperation] = []

    package static let name = "stale"
    /// The clients before this place write, the others read.
    private static let writerCount = 2
    private static let keyCount = 4

    private let rooms: [KeyRoom]
    private var generator: SeededGenerator
    private var values = ValueMaker("s")
    /// By client: what it does at the moment.
    private var pending: [UnderWay?]
    private var answers: [StaleAnswer] = []
    private var found: [CheckFailure] = []
    private var closingReads: [KeyRoom]

    private struct UnderWay {
        var operation: HistoryOperation
        var staleness: Staleness
        var isClosing: Bool
    }

    /// A read that said how old it may be.
    private struct StaleAnswer {
        var operation: HistoryOperation
        var milliseconds: UInt32
    }

    package init(_ parameters: WorkloadParameters) {
        rooms = KeyRoom.rooms(of: StaleWorkload.name, in: parameters)
        closingReads = rooms
        generator = SeededGenerator(seed: parameters.seed)
        pending = Array(repeating: nil, count: clientCount)
    }

    // MARK: Workload

    package func next(
        for client: SimulatedClient, at place: Int, _ moment: WorkloadMoment
    ) -> WorkloadCall? {
        if moment.isClosing {
            guard pending.allSatisfy({ $0 == nil }), let room = closingReads.popLast() else {
                return nil
            }
            return read(room, .within(milliseconds: 1_000), at: place, moment)
        }
        let room = generator.pick(rooms)
        guard place < StaleWorkload.writerCount else {
            return read(room, drawStaleness(), at: place, moment)
        }
        let key = room.key(Int(generator.below(UInt64(StaleWorkload.keyCount))))
        let action: HistoryOperation.Action =
            generator.below(6) == 0
            ? .delete(key: key) : .put(key: key, value: values.next(using: &generator))
        begin(action, .none, at: place, moment)
        return WorkloadCall(action.body(for: client), tablet: room.tablet, timeout: .seconds(2))
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
        if underWay.isClosing, underWay.operation.result != .ok {
            found.append(
                CheckFailure(
                    .liveness, "stale: no replica served \(underWay.operation.action): \(result)"))
        }
        if underWay.staleness != .none { note(&underWay, result) }
        history.append(underWay.operation)
    }

    package func failures() -> [CheckFailure] {
        found + HistoryChecks.failures(of: history, workload: StaleWorkload.name)
            + answers.compactMap { missing(in: $0) }
    }

    // MARK: calls

    private func drawStaleness() -> Staleness {
        switch generator.below(8) {
        case 0: .any
        case 1: .within(milliseconds: 0)
        case 2: .none
        default: .within(milliseconds: 50 << UInt32(generator.below(6)))
        }
    }

    private func read(
        _ room: KeyRoom, _ staleness: Staleness, at place: Int, _ moment: WorkloadMoment
    ) -> WorkloadCall {
        let keys = (0..<StaleWorkload.keyCount).map { room.key($0) }
        // Any node; some have no replica.
        let rank = staleness == .none ? nil : Int(generator.below(64))
        let patience = TimeSpan.milliseconds(moment.isClosing ? 10_000 : 1_000)
        guard generator.below(4) == 0 else {
            begin(.getMany(keys: keys), staleness, at: place, moment)
            return WorkloadCall(
                .getMany(keys: keys, at: nil, staleness: staleness), tablet: room.tablet,
                timeout: patience, rank: rank)
        }
        let (from, to) = (room.key(0), room.end)
        begin(.scan(from: from, to: to, limit: 100, isReverse: false), staleness, at: place, moment)
        return WorkloadCall(
            .scan(ScanRequest(from: from, to: to, limit: 100, staleness: staleness)),
            tablet: room.tablet, timeout: patience, rank: rank)
    }

    private func begin(
        _ action: HistoryOperation.Action, _ staleness: Staleness, at place: Int,
        _ moment: WorkloadMoment
    ) {
        pending[place] = UnderWay(
            operation: HistoryOperation(
                worker: place, sentAt: moment.now, answeredAt: nil, action: action,
                result: .unknown), staleness: staleness, isClosing: moment.isClosing)
    }

    // MARK: checks

    /// A stale read stands in the past: the replay takes it for a read at its version.
    private func note(_ underWay: inout UnderWay, _ result: CallResult) {
        guard case .answer(let answer) = result, let age = answer.age else { return }
        underWay.operation.asOf = underWay.operation.at?.version
        switch (underWay.staleness, age) {
        case (.within(let bound), .within(let milliseconds)) where milliseconds <= bound: break
        case (.any, .within), (.any, .unknown): break
        default:
            found.append(
                CheckFailure(
                    .staleness,
                    "stale: asked for \(underWay.staleness), answered \(age): \(underWay.operation)"
                ))
        }
        if case .within(let milliseconds) = age {
            answers.append(
                StaleAnswer(operation: underWay.operation, milliseconds: milliseconds))
        }
    }

    /// A write that was acknowledged before what the answer calls its age, and is not in it.
    private func missing(in answer: StaleAnswer) -> CheckFailure? {
        let bound = UInt64(answer.milliseconds) * 1_000_000
        let sentAt = answer.operation.sentAt.nanoseconds
        guard let at = answer.operation.at, sentAt > bound else { return nil }
        let moment = Instant(nanoseconds: sentAt - bound)
        let write = history.first { write in
            guard write.isApplied, let point = write.at, let answeredAt = write.answeredAt else {
                return false
            }
            return point.tablet == at.tablet && answeredAt < moment && point.version > at.version
        }
        return write.map {
            CheckFailure(
                .staleness,
                "stale: an answer of at most \(answer.milliseconds) ms stands before a write that "
                    + "was acknowledged by then: \(answer.operation); \($0)")
        }
    }
}

extension Answer {
    /// How old a read says that it may be; nil of what is no read.
    fileprivate var age: ReadAge? {
        switch self {
        case .value(_, let point), .values(_, let point), .page(_, _, let point): point.age
        case .outcome, .directory, .status, .done, .refusal: nil
        }
    }
}
