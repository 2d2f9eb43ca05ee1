internal import TenonChecker
internal import TenonCore
internal import TenonWire

/// Clients that read, write, delete, compare and set a few keys of all tablets; each key's
/// history must be linearizable.
final class KeyRegisters: Workload {
    let clientCount = 6
    private(set) var history: [HistoryOperation] = []
    private let parameters: WorkloadParameters
    private let keys: [Bytes]
    private var generator: SeededGenerator
    private var nextValue: UInt64 = 0
    /// What each client saw last of each key: what its next compare-and-set expects.
    private var seen: [[StoredValue?]]
    /// What the call under way of each client is.
    private var actions: [HistoryOperation.Action?]
    /// The key that each client reads next when the load is over.
    private var lastReads: [Int]

    private static let keyCount = 8

    init(_ parameters: WorkloadParameters) {
        self.parameters = parameters
        keys = (0..<KeyRegisters.keyCount).map {
            Bytes("\(Character(Unicode.Scalar(UInt8(48 + $0 * 9)))) key")
        }
        generator = SeededGenerator(seed: parameters.seed)
        seen = Array(repeating: Array(repeating: nil, count: keys.count), count: clientCount)
        actions = Array(repeating: nil, count: clientCount)
        lastReads = Array(repeating: 0, count: clientCount)
    }

    func next(
        for client: SimulatedClient, at place: Int, _ moment: WorkloadMoment
    ) -> WorkloadCall? {
        if moment.isClosing {
            guard lastReads[place] < keys.count else { return nil }
            lastReads[place] += 1
            return read(lastReads[place] - 1, place)
        }
        let key = Int(generator.below(UInt64(keys.count)))
        switch generator.below(10) {
        case 0..<4: return read(key, place)
        case 4..<7:
            let value = makeValue()
            return write(
                .put(key: keys[key], value: value, condition: .none),
                .put(key: keys[key], value: value), client, place)
        case 7..<9:
            let value = makeValue()
            let expect = seen[place][key].map { Condition.version($0.version) } ?? .absent
            return write(
                .put(key: keys[key], value: value, condition: expect),
                .compareAndSet(key: keys[key], value: value, expect: expect), client, place)
        default:
            return write(
                .delete(key: keys[key], condition: .none), .delete(key: keys[key]), client, place)
        }
    }

    private func read(_ key: Int, _ place: Int) -> WorkloadCall {
        actions[place] = .get(key: keys[key])
        return WorkloadCall(
            .get(key: keys[key], at: nil), tablet: parameters.tablet(holding: keys[key]))
    }

    private func write(
        _ operation: Operation, _ action: HistoryOperation.Action, _ client: SimulatedClient,
        _ place: Int
    ) -> WorkloadCall? {
        actions[place] = action
        let history = HistoryOperation(
            worker: place, sentAt: .zero, answeredAt: nil, action: action, result: .fail)
        guard let key = history.key else { return nil }
        return WorkloadCall(client.write(operation), tablet: parameters.tablet(holding: key))
    }

    /// No two writes write the same.
    private func makeValue() -> Bytes {
        nextValue += 1
        return Bytes("value \(nextValue)")
    }

    func ended(
        _ call: WorkloadCall, at place: Int, sentAt: Instant, _ result: CallResult, now: Instant
    ) {
        guard let action = actions[place] else { return }
        var operation = HistoryOperation(
            worker: place, sentAt: sentAt, answeredAt: now, action: action, result: .fail)
        switch result {
        case .answer(let answer): note(answer, &operation, place)
        case .notApplied: break
        case .unknown: operation.result = operation.isWrite ? .unknown : .fail
        }
        history.append(operation)
    }

    private func note(_ answer: Answer, _ operation: inout HistoryOperation, _ place: Int) {
        switch answer {
        case .value(let value, let point):
            operation.result = .ok
            operation.at = HistoryOperation.Point(tablet: point.tablet, version: point.version)
            operation.read = value.map { .value($0.bytes) } ?? .absent
            operation.version = value?.version
            remember(value, of: operation, place)
        case .outcome(let outcome, let point):
            operation.at = HistoryOperation.Point(tablet: point.tablet, version: point.version)
            note(outcome, &operation, place)
        case .values, .page, .directory, .status, .done, .refusal:
            preconditionFailure("a register was answered \(answer)")
        }
    }

    private func note(_ outcome: Outcome, _ operation: inout HistoryOperation, _ place: Int) {
        switch outcome {
        case .written(let version):
            operation.result = .ok
            operation.version = version
        case .deleted(let version, let found):
            operation.result = .ok
            operation.version = version
            operation.found = found
        case .conditionFailed(let current):
            operation.result = .fail
            operation.read = current.map { .value($0.bytes) } ?? .absent
            remember(current, of: operation, place)
        case .sessionExpired, .duplicate:
            operation.result = .unknown
            operation.at = nil
        case .refused:
            operation.result = .fail
        case .transaction, .upkeep:
            preconditionFailure("a register write came to \(outcome)")
        }
    }

    private func remember(_ value: StoredValue?, of operation: HistoryOperation, _ place: Int) {
        if let key = operation.key, let rank = keys.firstIndex(of: key) {
            seen[place][rank] = value
        }
    }

    func failures() -> [CheckFailure] {
        let verdict = RegisterCheck().verdict(of: history)
        return verdict == .holds ? [] : [CheckFailure(.linearizability, "\(verdict)")]
    }
}
