package import TenonChecker
package import TenonCore
internal import TenonWire

/// Sessions of its own making, hard on Rule S3: several writes of a session under way at once and
/// sent out of order, the same write sent through several clients, duplicates long after the
/// answer, and answers that nobody hears. Every write runs at most once, and all answers to it
/// are the same.
package final class SessionWorkload: Workload {
    package let clientCount = 4
    private var reads: [HistoryOperation] = []

    package var history: [HistoryOperation] {
        reads + sessions.flatMap(\.writes).filter(\.isSent).map(\.operation)
    }

    private let rooms: [KeyRoom]
    private var generator: SeededGenerator
    private var values = ValueMaker("w")
    private var sessions: [SessionUnderTest]
    /// By client: what it does at the moment.
    private var pending: [Errand?]
    private var found: [CheckFailure] = []

    package static let name = "sessions"
    private static let sessionCount = 3
    private static let keyCount = 4

    private enum Errand {
        case write(session: Int, place: Int)
        case read(HistoryOperation)
    }

    package init(_ parameters: WorkloadParameters) {
        rooms = KeyRoom.rooms(of: SessionWorkload.name, in: parameters)
        var generator = SeededGenerator(seed: parameters.seed)
        sessions = (0..<SessionWorkload.sessionCount).map { _ in
            SessionUnderTest(id: ClientID(using: &generator))
        }
        self.generator = generator
        pending = Array(repeating: nil, count: clientCount)
    }

    // MARK: Workload

    package func next(
        for client: SimulatedClient, at place: Int, _ moment: WorkloadMoment
    ) -> WorkloadCall? {
        if moment.isClosing { return closingCall(at: place, moment) }
        let session = Int(generator.below(UInt64(sessions.count)))
        switch generator.below(10) {
        case 0..<3: return read(generator.pick(rooms), at: place, moment)
        case 3..<6 where sessions[session].openCount < SessionUnderTest.openMax:
            return newWrite(session, at: place, moment)
        case 6:
            // Long after its answer, out of order, or both.
            guard let write = sessions[session].anyWrite(using: &generator) else { return nil }
            return send(write, of: session, at: place, moment)
        default:
            guard let write = sessions[session].openWrite(using: &generator) else { return nil }
            return send(write, of: session, at: place, moment)
        }
    }

    package func ended(
        _ call: WorkloadCall, at place: Int, sentAt: Instant, _ result: CallResult, now: Instant
    ) {
        guard let errand = pending[place] else {
            preconditionFailure("client \(place) has no call that could end")
        }
        pending[place] = nil
        switch errand {
        case .read(var operation):
            operation.sentAt = sentAt
            operation.note(result, now: now)
            reads.append(operation)
        case .write(let session, let write):
            if let failure = sessions[session].note(result, of: write, now: now) {
                found.append(failure)
            }
        }
    }

    package func failures() -> [CheckFailure] {
        found + openWrites
            + HistoryChecks.failures(of: history, workload: SessionWorkload.name)
    }

    private var openWrites: [CheckFailure] {
        sessions.flatMap(\.writes).filter(\.isOpen).map {
            CheckFailure(.liveness, "sessions: stays open in a healed cluster: \($0.operation)")
        }
    }

    // MARK: calls

    private func read(
        _ room: KeyRoom, at place: Int, _ moment: WorkloadMoment
    ) -> WorkloadCall {
        let keys = (0..<SessionWorkload.keyCount).map { room.key($0) }
        pending[place] = .read(
            HistoryOperation(
                worker: place, sentAt: moment.now, answeredAt: nil, action: .getMany(keys: keys),
                result: .unknown))
        return WorkloadCall(.getMany(keys: keys, at: nil), tablet: room.tablet)
    }

    private func newWrite(
        _ session: Int, at place: Int, _ moment: WorkloadMoment
    ) -> WorkloadCall {
        let room = generator.pick(rooms)
        let key = room.key(Int(generator.below(UInt64(SessionWorkload.keyCount))))
        let value = values.next(using: &generator)
        let action: HistoryOperation.Action =
            switch generator.below(6) {
            case 0: .delete(key: key)
            case 1: .compareAndSet(key: key, value: value, expect: .absent)
            case 2:
                .transaction(
                    Transaction(
                        conditions: [KeyCondition(key: key, condition: .present)],
                        then: [.get(key: key), .delete(key: key, condition: .none)],
                        else: [.put(key: key, value: value, condition: .none)]))
            default: .put(key: key, value: value)
            }
        // A client whose clock is wrong by a year is told so, and loses only this write.
        let isAhead = generator.happens(percent: 1)
        let time = WallTime(
            milliseconds: moment.wallTime.milliseconds + (isAhead ? 31_536_000_000 : 0))
        let write = sessions[session].open(
            action, in: room, worker: session, at: time, moment)
        // Half of the writes go out only later, behind their followers.
        guard generator.happens(percent: 50) else {
            return read(generator.pick(rooms), at: place, moment)
        }
        return send(write, of: session, at: place, moment)
    }

    private func send(
        _ write: Int, of session: Int, at place: Int, _ moment: WorkloadMoment,
        timeout: TimeSpan = .seconds(4)
    ) -> WorkloadCall {
        sessions[session].noteSent(write, moment)
        pending[place] = .write(session: session, place: write)
        let sent = sessions[session].writes[write]
        // Short patience leaves answers that nobody hears.
        let patience = generator.happens(percent: 30) ? TimeSpan.milliseconds(30) : timeout
        return WorkloadCall(
            .write(command: sent.command), tablet: sent.tablet,
            timeout: timeout > .seconds(4) ? timeout : patience)
    }

    // MARK: the end

    /// Once faults are over a write succeeds within this time.
    private let livenessBound = TimeSpan.seconds(10)
    private var closingTries = 0
    private var roomsShown = 0
    private static let closingTriesMax = 64

    /// Sends every write that is still open until it is answered, then reads all keys.
    private func closingCall(at place: Int, _ moment: WorkloadMoment) -> WorkloadCall? {
        // The last client that comes to rest does what is left to do.
        guard pending.allSatisfy({ $0 == nil }) else { return nil }
        if closingTries < SessionWorkload.closingTriesMax {
            for session in sessions.indices {
                guard let write = sessions[session].firstOpen else { continue }
                closingTries += 1
                return send(write, of: session, at: place, moment, timeout: livenessBound)
            }
        }
        guard roomsShown < rooms.count else { return nil }
        roomsShown += 1
        return read(rooms[roomsShown - 1], at: place, moment)
    }
}
