internal import TenonChecker
internal import TenonCore
internal import TenonWire

/// One session of a ``SessionWorkload``: its writes, and what was answered to each of them.
struct SessionUnderTest {
    /// A write, which may be sent any number of times.
    struct Write {
        var sequence: SequenceNumber
        /// Below it everything was answered when the write was made; told with every sending.
        var mark: SequenceNumber
        var tablet: TabletID
        /// Encoded once: every time it is sent it is the same bytes.
        var command: Bytes
        var operation: HistoryOperation
        /// The first answer that says what became of it.
        var outcome: Outcome?
        var isSent = false
        /// Whether some attempt may have run without a word.
        var mayBeApplied = false
        /// What became of it, nobody will say: its session was forgotten, or it is refused for
        /// being ahead of the tablet's time.
        var isGivenUp = false
        var refusalCount = 0

        var isOpen: Bool { outcome == nil && !isGivenUp }
    }

    /// Writes that may be open at the same time.
    static let openMax = 4
    /// Refusals after which a write is not sent again.
    private static let refusalsMax = 8

    let id: ClientID
    private(set) var writes: [Write] = []
    /// The highest mark that was ever told to a node.
    private var highestMark = SequenceNumber(1)

    init(id: ClientID) { self.id = id }

    var openCount: Int { writes.count { $0.isOpen } }
    var firstOpen: Int? { writes.firstIndex { $0.isOpen } }

    func anyWrite(using generator: inout SeededGenerator) -> Int? {
        guard !writes.isEmpty else { return nil }
        // Mostly of the last dozen: older ones are below the mark and tell less.
        let count = min(writes.count, generator.happens(percent: 70) ? 12 : writes.count)
        return writes.count - 1 - Int(generator.below(UInt64(count)))
    }

    func openWrite(using generator: inout SeededGenerator) -> Int? {
        let open = writes.indices.filter { writes[$0].isOpen }
        return open.isEmpty ? nil : generator.pick(open)
    }

    /// Makes the next write of the session, first issued at `time` by the client's clock.
    mutating func open(
        _ action: HistoryOperation.Action, in room: KeyRoom, worker: Int, at time: WallTime,
        _ moment: WorkloadMoment
    ) -> Int {
        guard let operation = action.operation else {
            preconditionFailure("\(action) is no write")
        }
        let sequence = SequenceNumber(UInt64(writes.count + 1))
        let mark = firstOpen.map { writes[$0].sequence } ?? sequence
        let session = Session(
            client: id, sequence: sequence, firstIssue: Timestamp(time), lowWaterMark: mark)
        let command = Command(operation: operation, session: session)
        writes.append(
            Write(
                sequence: sequence, mark: mark, tablet: room.tablet,
                command: Bytes(command.encoded()),
                operation: HistoryOperation(
                    worker: 100 + worker, sentAt: moment.now, answeredAt: nil, action: action,
                    result: .fail)))
        return writes.count - 1
    }

    mutating func noteSent(_ place: Int, _ moment: WorkloadMoment) {
        if !writes[place].isSent { writes[place].operation.sentAt = moment.now }
        writes[place].isSent = true
        highestMark = max(highestMark, writes[place].mark)
    }

    /// Notes an answer, and what is wrong with it.
    mutating func note(_ result: CallResult, of place: Int, now: Instant) -> CheckFailure? {
        guard case .answer(.outcome(let outcome, _)) = result else {
            if case .unknown = result { writes[place].mayBeApplied = true }
            settle(place)
            return nil
        }
        switch outcome {
        case .duplicate:
            // Only what lies below a mark is dropped, and a mark passes only answered writes.
            guard writes[place].isOpen, writes[place].sequence >= highestMark else { return nil }
            return failure(place, "was dropped as a duplicate, but is not answered")
        case .sessionExpired:
            giveUp(place)
            return nil
        case .refused:
            writes[place].refusalCount += 1
            if writes[place].refusalCount == SessionUnderTest.refusalsMax { giveUp(place) }
            return nil
        case .written, .deleted, .conditionFailed, .transaction, .upkeep: break
        }
        if let first = writes[place].outcome {
            guard first != outcome else { return nil }
            return failure(place, "was answered \(first), and then \(outcome)")
        }
        writes[place].outcome = outcome
        writes[place].operation.note(result, now: now)
        return nil
    }

    private mutating func giveUp(_ place: Int) {
        guard writes[place].isOpen else { return }
        writes[place].isGivenUp = true
        settle(place)
    }

    /// The operation as the history has it while no answer says what became of the write.
    private mutating func settle(_ place: Int) {
        guard writes[place].outcome == nil else { return }
        let isUnknown = writes[place].mayBeApplied || writes[place].isGivenUp
        writes[place].operation.result = isUnknown ? .unknown : .fail
    }

    private func failure(_ place: Int, _ what: String) -> CheckFailure {
        CheckFailure(
            .exactlyOnce, "write \(writes[place].sequence) of session \(id) \(what)")
    }
}
