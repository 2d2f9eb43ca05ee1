internal import TenonChecker
internal import TenonCore
internal import TenonWire

/// One session of a ``SessionWorkload``: its writes, and what was answered to each of them.
struct SessionUnderTest {
    /// A write, which may be sent any number of times.
    struct Write {
        var sequence: SequenceNumber
        var tablet: TabletID
        /// Encoded once: every time it is sent it is the same bytes.
        var command: Bytes
        var operation: HistoryOperation
        /// The first answer that says what became of it.
        var outcome: Outcome?
        var isSent = false
        /// Whether some attempt may have run without a word.
        var mayBeApplied = false
        /// Its session was forgotten: what became of it, nobody will say.
        var isExpired = false

        var isOpen: Bool { outcome == nil && !isExpired }
    }

    /// Writes that may be open at the same time.
    static let openMax = 4

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

    /// Makes the next write of the session.
    mutating func open(
        _ action: HistoryOperation.Action, in room: KeyRoom, worker: Int, _ moment: WorkloadMoment
    ) -> Int {
        guard let operation = action.operation else {
            preconditionFailure("\(action) is no write")
        }
        let sequence = SequenceNumber(UInt64(writes.count + 1))
        let mark = firstOpen.map { writes[$0].sequence } ?? sequence
        let session = Session(
            client: id, sequence: sequence, firstIssue: Timestamp(moment.wallTime),
            lowWaterMark: mark)
        let command = Command(operation: operation, session: session)
        writes.append(
            Write(
                sequence: sequence, tablet: room.tablet, command: Bytes(command.encoded()),
                operation: HistoryOperation(
                    worker: 100 + worker, sentAt: moment.now, answeredAt: nil, action: action,
                    result: .fail)))
        return writes.count - 1
    }

    mutating func noteSent(_ place: Int, _ moment: WorkloadMoment) {
        if !writes[place].isSent { writes[place].operation.sentAt = moment.now }
        writes[place].isSent = true
        let mark = writes[place].sequence
        highestMark = max(highestMark, firstOpen.map { writes[$0].sequence } ?? mark)
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
            if writes[place].isOpen {
                writes[place].isExpired = true
                settle(place)
            }
            return nil
        case .refused: return nil
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

    /// The operation as the history has it while no answer says what became of the write.
    private mutating func settle(_ place: Int) {
        guard writes[place].outcome == nil else { return }
        let isUnknown = writes[place].mayBeApplied || writes[place].isExpired
        writes[place].operation.result = isUnknown ? .unknown : .fail
    }

    private func failure(_ place: Int, _ what: String) -> CheckFailure {
        CheckFailure(
            .exactlyOnce, "write \(writes[place].sequence) of session \(id) \(what)")
    }
}
