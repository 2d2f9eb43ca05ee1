package import TenonChecker
internal import TenonCore
internal import TenonWire

/// Clients that read, write, compare and set a few keys, and the history of what they saw.
///
/// Every client has one call under way at a time, and pauses for a drawn time between two.
package final class RegisterWorkload {
    private let cluster: SimulatedCluster
    private let clients: [SimulatedClient]
    private let keys: [Bytes]
    private var generator: SeededGenerator
    private var nextValue: UInt64 = 1
    /// What each client saw last of each key: what its next compare-and-set expects.
    private var seen: [[StoredValue?]]
    /// Whether no further call is started.
    package private(set) var isEnding = false
    package private(set) var history: [HistoryOperation] = []

    private static let pause = TimeSpan.milliseconds(2)...TimeSpan.milliseconds(60)
    private static let timeout = TimeSpan.seconds(4)

    /// Starts `clientCount` clients over `keyCount` keys, spread over all tablets.
    package init(_ cluster: SimulatedCluster, clientCount: Int, keyCount: Int, seed: UInt64) {
        self.cluster = cluster
        clients = (0..<clientCount).map { _ in cluster.makeClient() }
        keys = (0..<keyCount).map { Bytes("\(Character(Unicode.Scalar(UInt8(48 + $0 * 9)))) key") }
        generator = SeededGenerator(seed: seed)
        seen = Array(repeating: Array(repeating: nil, count: keyCount), count: clientCount)
        for client in clients.indices { next(client) }
    }

    /// Ends the workload: waits until the calls under way have ended.
    package func end() {
        isEnding = true
        _ = cluster.run(within: .seconds(10)) { clients.allSatisfy(\.isIdle) }
    }

    private func next(_ worker: Int) {
        let pause = RegisterWorkload.pause
        let width = pause.upperBound.nanoseconds - pause.lowerBound.nanoseconds
        let delay = TimeSpan(nanoseconds: pause.lowerBound.nanoseconds + generator.below(width))
        cluster.schedule(after: delay) { [weak self] in
            guard let self, !isEnding else { return }
            start(worker)
        }
    }

    private func start(_ worker: Int) {
        let place = Int(generator.below(UInt64(keys.count)))
        let key = keys[place]
        let action: HistoryOperation.Action
        let body: RequestBody
        switch generator.below(10) {
        case 0..<4:
            action = .get(key: key)
            body = .get(key: key, at: nil)
        case 4..<7:
            let value = makeValue()
            action = .put(key: key, value: value)
            body = clients[worker].write(.put(key: key, value: value, condition: .none))
        case 7..<9:
            let value = makeValue()
            let expect = seen[worker][place].map { Condition.version($0.version) } ?? .absent
            action = .compareAndSet(key: key, value: value, expect: expect)
            body = clients[worker].write(.put(key: key, value: value, condition: expect))
        default:
            action = .delete(key: key)
            body = clients[worker].write(.delete(key: key, condition: .none))
        }
        let sentAt = cluster.now
        clients[worker].start(
            body, tablet: cluster.tablet(holding: key), within: RegisterWorkload.timeout
        ) { [weak self] result in
            guard let self else { return }
            note(
                result,
                HistoryOperation(
                    worker: worker, sentAt: sentAt, answeredAt: cluster.now, action: action,
                    result: .fail), place)
            next(worker)
        }
    }

    /// No two writes write the same.
    private func makeValue() -> Bytes {
        nextValue += 1
        return Bytes("value \(nextValue)")
    }

    private func note(_ result: CallResult, _ operation: HistoryOperation, _ place: Int) {
        var operation = operation
        switch result {
        case .answer(let answer): note(answer, &operation, place)
        case .notApplied: operation.result = .fail
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
            seen[operation.worker][place] = value
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
            seen[operation.worker][place] = current
        case .sessionExpired, .duplicate:
            operation.result = .unknown
            operation.at = nil
        case .transaction, .upkeep, .refused:
            preconditionFailure("a register write came to \(outcome)")
        }
    }
}
