import TenonClient
import TenonCore

/// What a benchmark does.
struct BenchPlan: Sendable {
    let workload: BenchWorkload
    /// The name of the keyspace that it is done to.
    let keyspace: String
    let clients: Int
    let keys: BenchKeys
    let seconds: Double
    /// Operations a second of all clients together; nil: each as fast as it can.
    let rate: Double?
}

/// One client of a benchmark: one request in flight, for so many seconds.
struct BenchWorker {
    /// A write that was acknowledged.
    struct Written: Sendable {
        let place: UInt64
        let version: Version
    }

    /// What a worker has seen.
    struct Result: Sendable {
        /// Microseconds of each operation that succeeded; at a fixed rate from the time at which
        /// it was due, so that waiting behind a slow one counts.
        var latencies: [UInt32] = []
        var errors = 0
        /// The last error, for a person.
        var problem: String?
        var written: [Written] = []
        /// Values that were read and that no write of ours gave.
        var mismatches = 0
    }

    private static let scanLimit = 100

    private let plan: BenchPlan
    private let keyspace: Keyspace
    private let number: Int
    private var random: SeededGenerator
    private var result = Result()
    /// Sequences of this worker: unique among all workers of a run.
    private var sequence: UInt64

    init(_ plan: BenchPlan, _ keyspace: Keyspace, number: Int, seed: UInt64) {
        self.plan = plan
        self.keyspace = keyspace
        self.number = number
        random = SeededGenerator(seed: seed)
        sequence = UInt64(number + 1) << 40
        result.latencies.reserveCapacity(1 << 14)
    }

    /// Works until `end`.
    consuming func run(from start: ContinuousClock.Instant) async -> Result {
        let end = start + .seconds(plan.seconds)
        var worker = self
        var due = worker.firstDue(start)
        // The end of an operation is the beginning of the next: one clock read each.
        var ended = ContinuousClock.now
        while true {
            let begun: ContinuousClock.Instant
            if let next = due {
                guard next < end else { break }
                // Cancellation ends the sleep, and the loop below soon after.
                try? await Task.sleep(until: next)
                begun = next
                due = next + worker.interval
            } else {
                begun = ended
                guard begun < end else { break }
            }
            if Task.isCancelled { break }
            ended = await worker.step(begun)
        }
        return worker.result
    }

    private var interval: Duration {
        .seconds(Double(plan.clients) / (plan.rate ?? Double(plan.clients)))
    }

    /// Clients at a fixed rate begin one after the other, not all at once.
    private func firstDue(_ start: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        guard plan.rate != nil else { return nil }
        return start + interval * number / plan.clients
    }

    /// Does one operation. Returns when it ended.
    private mutating func step(
        _ begun: ContinuousClock.Instant
    ) async -> ContinuousClock.Instant {
        let place = random.below(plan.keys.count)
        do throws(TenonError) {
            switch plan.workload {
            case .put: try await put(place)
            case .get: try await get(place)
            case .mixed:
                if random.below(2) == 0 { try await put(place) } else { try await get(place) }
            case .scan: try await scan(place)
            }
            let ended = ContinuousClock.now
            let (seconds, atto) = (ended - begun).components
            let micros = seconds * 1_000_000 + atto / 1_000_000_000_000
            result.latencies.append(UInt32(clamping: micros))
            return ended
        } catch {
            result.errors += 1
            result.problem = "\(error)"
            return .now
        }
    }

    private mutating func put(_ place: UInt64) async throws(TenonError) {
        sequence += 1
        let value = plan.keys.value(place, sequence: sequence)
        let version = try await keyspace.put(plan.keys.key(place), value)
        result.written.append(Written(place: place, version: version))
    }

    private mutating func get(_ place: UInt64) async throws(TenonError) {
        let value = try await keyspace.get(plan.keys.key(place))
        // Comparing every value would measure us: all are compared after the run, some here.
        if value?.bytes.count != plan.keys.valueSize { result.mismatches += 1 }
    }

    private mutating func scan(_ place: UInt64) async throws(TenonError) {
        let page = try await keyspace.scanPage(
            ScanRange(from: plan.keys.key(place)), limit: BenchWorker.scanLimit)
        if page.items.isEmpty, page.next == nil, place == 0 { result.mismatches += 1 }
    }
}
