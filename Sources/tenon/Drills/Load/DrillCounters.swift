import Synchronization
import TenonChecker
import TenonClient
import TenonCore

/// The counters that the load raises by compare-and-set, through a client that loses answers.
final class DrillCounters: Sendable {
    private struct Lane {
        var account: CounterLane
        /// Increments of one counter run one after the other: each needs the version before.
        var isBusy = false
        /// When the increments that wait for their turn were due.
        var waiting: [Instant] = []
    }

    private let lanes: Mutex<[Lane]>
    /// Read and written under the lock of `lanes`, or before anything waits.
    private let takesMore = Atomic(true)
    private let keyspace: Keyspace
    private let recorder: HistoryRecorder
    /// The worker's number in the history.
    private let worker: Int
    private let timeout: Duration

    /// How often an increment is tried anew when an older one of unknown outcome came before it.
    private static let attemptsMax = 3
    /// Increments of one counter that may wait.
    private static let waitingMax = 1_000

    init(
        keys: [Bytes], keyspace: Keyspace, recorder: HistoryRecorder, worker: Int,
        timeout: Duration
    ) {
        lanes = Mutex(keys.map { Lane(account: CounterLane(key: $0)) })
        self.keyspace = keyspace
        self.recorder = recorder
        self.worker = worker
        self.timeout = timeout
    }

    /// The accounts as they stand.
    var accounts: [CounterLane] { lanes.withLock { $0.map(\.account) } }

    /// Raises a counter; when it is busy, the increment waits for its turn.
    func increment(_ counter: Int, due: Instant) async {
        let isMine = lanes.withLock { lanes in
            guard lanes[counter].isBusy else {
                lanes[counter].isBusy = true
                return true
            }
            guard takesMore.load(ordering: .relaxed) else { return false }
            if lanes[counter].waiting.count < DrillCounters.waitingMax {
                lanes[counter].waiting.append(due)
            } else {
                recorder.noteUnsent()
            }
            return false
        }
        guard isMine else { return }
        var turn: Instant? = due
        while let due = turn {
            await raise(counter, due: due)
            turn = lanes.withLock { lanes in
                guard !lanes[counter].waiting.isEmpty else {
                    lanes[counter].isBusy = false
                    return nil
                }
                return lanes[counter].waiting.removeFirst()
            }
        }
    }

    /// Increments may wait for their turn from now on.
    func begin() { takesMore.store(true, ordering: .relaxed) }

    /// Drops the increments that wait for their turn, and any that come: the load is over, and on
    /// a cluster that does not come back each would wait for its whole timeout, one after the
    /// other.
    func stop() {
        lanes.withLock { lanes in
            takesMore.store(false, ordering: .relaxed)
            for counter in lanes.indices { lanes[counter].waiting.removeAll() }
        }
    }

    /// Reads every counter once more, so that increments of unknown outcome are accounted for.
    ///
    /// - Throws: when a counter cannot be read.
    func settle(with reader: Keyspace) async throws(TenonError) {
        for (place, account) in accounts.enumerated() {
            let value = try await reader.get(account.key, timeout: timeout)
            lanes.withLock { $0[place].account.observe(value) }
        }
    }

    private func raise(_ counter: Int, due: Instant) async {
        for _ in 0..<DrillCounters.attemptsMax {
            guard await readIfUnknown(counter, due: due) else {
                recorder.noteUnsent()
                return
            }
            if await attempt(counter, due: due) { return }
        }
    }

    private func readIfUnknown(_ counter: Int, due: Instant) async -> Bool {
        let (key, isKnown) = lanes.withLock { lanes in
            (lanes[counter].account.key, lanes[counter].account.known != nil)
        }
        guard !isKnown else { return true }
        guard recorder.begin(isWrite: false) else { return false }
        let operation = await keyspace.recordedGet(key, worker: worker, timeout: timeout)
        recorder.end(operation, due: due)
        guard operation.result == .ok else { return false }
        let value = operation.storedValue
        lanes.withLock { $0[counter].account.observe(value) }
        return true
    }

    /// Sends one increment; false when it lost against an older one and should be tried anew.
    private func attempt(_ counter: Int, due: Instant) async -> Bool {
        guard recorder.begin(isWrite: true) else { return true }
        let (key, attempt) = lanes.withLock { lanes in
            (lanes[counter].account.key, lanes[counter].account.attempt())
        }
        var operation = HistoryOperation(
            worker: worker, sentAt: DrillClock.now, answeredAt: nil,
            action: .compareAndSet(key: key, value: attempt.value, expect: attempt.condition),
            result: .unknown)
        var isSettled = true
        do throws(TenonError) {
            let stood = try await keyspace.write(
                key, attempt.value, if: attempt.condition, timeout: timeout)
            operation.succeed(version: stood.value, at: stood.at)
            lanes.withLock { $0[counter].account.succeeded(attempt, version: stood.value) }
        } catch {
            operation.fail(error)
            isSettled = error.kind != .conditionFailed
            lanes.withLock { $0[counter].account.failed(attempt, error) }
        }
        recorder.end(operation, due: due)
        return isSettled
    }
}

extension CounterLane {
    fileprivate mutating func failed(_ attempt: Attempt, _ error: TenonError) {
        if error.kind == .conditionFailed {
            conditionFailed(attempt, current: error.current)
        } else if error.outcome == .unknown {
            becameUnknown(attempt)
        } else {
            wasRefused(attempt)
        }
    }
}

extension HistoryOperation {
    /// The value that a read returned.
    fileprivate var storedValue: StoredValue? {
        guard case .value(let bytes)? = read, let version else { return nil }
        return StoredValue(bytes: bytes, version: version)
    }
}
