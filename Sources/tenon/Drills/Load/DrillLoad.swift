import Synchronization
import TenonChecker
import TenonClient
import TenonCore

/// Open-loop load on a cluster: workers with a client each, at a fixed rate whatever happens.
final class DrillLoad: Sendable {
    struct Configuration: Sendable {
        var workers = 8
        /// So many that few operations on one key overlap in an outage: the search for their
        /// order is exponential in those, and a round's check must not take minutes.
        var keysPerRound = 50_000
        var counters = 64
        var valueBytes = 100
        /// Longer than any outage that a drill passes with, so that an outage shows as a gap and
        /// not as errors.
        var timeout = Duration.seconds(15)
        var keyspace = "default"
        var seed: UInt64
    }

    let configuration: Configuration
    let keys: DrillKeys
    let recorder = HistoryRecorder()
    /// One for each worker.
    let clients: [TenonClient]
    let counters: DrillCounters
    private let isStopped = Atomic(true)
    /// Until when the pace of the fault is kept, in nanoseconds of the drill's clock.
    private let pressedUntil = Atomic<UInt64>(0)
    /// Makes each value of a run unique.
    private let valueNumber = Atomic<UInt64>(0)

    /// - Parameter lossyClient: the one that raises the counters.
    init(
        configuration: Configuration, keys: DrillKeys, clients: [TenonClient],
        lossyClient: TenonClient
    ) {
        self.configuration = configuration
        self.keys = keys
        self.clients = clients
        counters = DrillCounters(
            keys: (0..<configuration.counters).map {
                keys.counter($0, of: configuration.counters)
            },
            keyspace: lossyClient.keyspace(configuration.keyspace), recorder: recorder,
            worker: configuration.workers, timeout: configuration.timeout)
    }

    /// Loads the cluster until ``stop()`` and returns when the last answer is there.
    ///
    /// One loop paces all workers: a timer of its own for each would take time on the cores of the
    /// nodes that are measured.
    func run(round: Int, pace: Pace) async {
        isStopped.store(false, ordering: .relaxed)
        press(until: .zero)
        counters.begin()
        var isPressed = false
        var lanes = lanes(of: round, perSecond: pace.perSecond)
        let operations = RunningTasks()
        while !isStopped.load(ordering: .relaxed) {
            let now = DrillClock.now
            if isPressed != (now.nanoseconds < pressedUntil.load(ordering: .relaxed)) {
                isPressed.toggle()
                let perSecond = isPressed ? pace.perSecondAtFault : pace.perSecond
                for worker in lanes.indices {
                    lanes[worker].schedule = schedule(of: worker, perSecond, from: now)
                }
            }
            for worker in lanes.indices {
                startDue(&lanes[worker], worker: worker, round: round, in: operations)
            }
            // The pace of the loop, not a wait for something.
            _ = try? await Task.sleep(for: .milliseconds(1))
        }
        await operations.drain()
    }

    func stop() {
        isStopped.store(true, ordering: .relaxed)
        counters.stop()
    }

    /// Loads at the pace of the fault until then, so that enough writes are in flight to be hit.
    func press(until end: Instant) {
        pressedUntil.store(end.nanoseconds, ordering: .relaxed)
    }

    /// Operations a second, of all workers.
    struct Pace: Sendable {
        var perSecond: Int
        /// While a fault is about to come.
        var perSecondAtFault: Int
    }

    /// What a worker does, and when.
    private struct Lane {
        var schedule: OpenLoopSchedule
        var mix: OperationMix
    }

    private func lanes(of round: Int, perSecond: Int) -> [Lane] {
        let start = DrillClock.now
        return (0..<configuration.workers).map { worker in
            Lane(
                schedule: schedule(of: worker, perSecond, from: start),
                mix: OperationMix(
                    keyCount: configuration.keysPerRound, counterCount: configuration.counters,
                    seed: configuration.seed &+ UInt64(round * 1_000 + worker)))
        }
    }

    private func schedule(
        of worker: Int, _ perSecond: Int, from start: Instant
    ) -> OpenLoopSchedule {
        // What is due is spread over a millisecond; the loop starts it at its next turn.
        let offset = TimeSpan.microseconds(1_000 * worker / configuration.workers)
        return OpenLoopSchedule(
            start: start + offset, perSecond: max(1, perSecond / configuration.workers))
    }

    private func startDue(
        _ lane: inout Lane, worker: Int, round: Int, in operations: RunningTasks
    ) {
        for number in lane.schedule.takeDue(at: DrillClock.now, limit: 1_000) {
            let due = lane.schedule.dueTime(of: number)
            let kind = lane.mix.next()
            operations.start {
                await self.perform(kind, worker: worker, round: round, due: due)
            }
        }
    }

    private func perform(
        _ kind: OperationMix.Kind, worker: Int, round: Int, due: Instant
    ) async {
        switch kind {
        case .put(let number):
            await put(
                keys.key(number, of: configuration.keysPerRound, round: round), worker: worker,
                due: due)
        case .get(let number):
            await get(
                keys.key(number, of: configuration.keysPerRound, round: round), worker: worker,
                due: due)
        case .increment(let counter): await counters.increment(counter, due: due)
        }
    }

    func put(_ key: Bytes, worker: Int, due: Instant) async {
        guard recorder.begin(isWrite: true) else { return }
        let value = uniqueValue()
        var operation = HistoryOperation(
            worker: worker, sentAt: DrillClock.now, answeredAt: nil,
            action: .put(key: key, value: value), result: .unknown)
        do throws(TenonError) {
            let stood = try await clients[worker].keyspace(configuration.keyspace).write(
                key, value, timeout: configuration.timeout)
            operation.succeed(version: stood.value, at: stood.at)
        } catch {
            operation.fail(error)
        }
        recorder.end(operation, due: due)
    }

    func get(_ key: Bytes, worker: Int, due: Instant) async {
        guard recorder.begin(isWrite: false) else { return }
        let operation = await clients[worker].keyspace(configuration.keyspace).recordedGet(
            key, worker: worker, timeout: configuration.timeout)
        recorder.end(operation, due: due)
    }

    private func uniqueValue() -> Bytes {
        let number = valueNumber.add(1, ordering: .relaxed).newValue
        let text = "\(keys.run)-\(number)-"
        return Bytes(
            text + String(repeating: "v", count: max(0, configuration.valueBytes - text.count)))
    }
}

extension Keyspace {
    /// A linearizable read, as a history has it.
    func recordedGet(_ key: Bytes, worker: Int, timeout: Duration) async -> HistoryOperation {
        var operation = HistoryOperation(
            worker: worker, sentAt: DrillClock.now, answeredAt: nil, action: .get(key: key),
            result: .unknown)
        do throws(TenonError) {
            let stood = try await read(key, timeout: timeout)
            operation.succeed(version: stood.value?.version, at: stood.at)
            operation.read = stood.value.map { .value($0.bytes) } ?? .absent
        } catch {
            operation.fail(error)
        }
        return operation
    }
}

/// Where an answer stood, as the client says it: a history has a point of its own.
typealias ClientPoint = Point

extension HistoryOperation {
    /// It was answered well, now.
    mutating func succeed(version: Timestamp?, at point: ClientPoint) {
        answeredAt = DrillClock.now
        result = .ok
        self.version = version
        at = HistoryOperation.Point(tablet: point.tablet, version: point.version)
    }

    /// It was answered with an error, or not at all, now.
    mutating func fail(_ error: TenonError) {
        answeredAt = DrillClock.now
        result = error.outcome == .unknown ? .unknown : .fail
        if let point = error.at {
            at = HistoryOperation.Point(tablet: point.tablet, version: point.version)
        }
        if error.kind == .conditionFailed {
            read = error.current.map { .value($0.bytes) } ?? .absent
        }
    }
}
