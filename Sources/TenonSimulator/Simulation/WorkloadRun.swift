internal import TenonCore
internal import TenonWire

/// The clients of one workload: asks it what comes next, calls, and tells it what came of it.
final class WorkloadRun {
    let workload: any Workload
    private let cluster: SimulatedCluster
    private let clients: [SimulatedClient]
    private let pauseMax: TimeSpan
    /// When each client's next call is to begin, if the one before has ended by then.
    private var dueAt: [Instant]
    private var generator: SeededGenerator
    private var isClosing = false
    private var isDone: [Bool]
    /// Calls that ended with an answer.
    private(set) var answered = 0
    /// Calls that ended.
    private(set) var ended = 0
    /// Calls that nobody can tell whether they ran.
    private(set) var unknown = 0

    /// - Parameter rate: calls a second of all clients together, when answers come at once.
    init(_ workload: any Workload, _ cluster: SimulatedCluster, rate: Int, seed: UInt64) {
        self.workload = workload
        self.cluster = cluster
        clients = (0..<workload.clientCount).map { _ in cluster.makeClient() }
        generator = SeededGenerator(seed: seed ^ 0xC11E_2775)
        dueAt = Array(repeating: .zero, count: clients.count)
        isDone = Array(repeating: false, count: clients.count)
        // From one call's beginning to the next one's; half of it on average.
        pauseMax = TimeSpan.seconds(2) * clients.count / max(1, rate)
    }

    func begin() { for place in clients.indices { pause(place) } }

    /// No more load: clients end their calls, and may read once more what they want to check.
    func close() {
        isClosing = true
        for place in clients.indices where clients[place].isIdle { start(place) }
    }

    var isOver: Bool { isClosing && isDone.allSatisfy(\.self) }

    private func pause(_ place: Int) {
        let span = TimeSpan(nanoseconds: 1 + generator.below(pauseMax.nanoseconds))
        // A client that was held up does not make up for all of it.
        dueAt[place] = max(dueAt[place], cluster.now.earlier(by: pauseMax * 2)) + span
        cluster.schedule(after: dueAt[place].since(cluster.now)) { [weak self] in
            guard let self, !isClosing else { return }
            start(place)
        }
    }

    private func start(_ place: Int) {
        let moment = WorkloadMoment(
            now: cluster.now, wallTime: cluster.wallTime, isClosing: isClosing)
        guard let call = workload.next(for: clients[place], at: place, moment) else {
            return isClosing ? isDone[place] = true : pause(place)
        }
        let sentAt = cluster.now
        clients[place].start(
            call.body, tablet: call.tablet, within: call.timeout, at: call.rank
        ) { [weak self] result in
            self?.finish(call, place, sentAt, result)
        }
    }

    private func finish(
        _ call: WorkloadCall, _ place: Int, _ sentAt: Instant, _ result: CallResult
    ) {
        ended += 1
        switch result {
        case .answer: answered += 1
        case .unknown: unknown += 1
        case .notApplied: break
        }
        workload.ended(call, at: place, sentAt: sentAt, result, now: cluster.now)
        if isClosing { start(place) } else { pause(place) }
    }
}

extension Instant {
    /// The moment `span` before, not before the start of time.
    fileprivate func earlier(by span: TimeSpan) -> Instant {
        Instant(nanoseconds: nanoseconds - min(nanoseconds, span.nanoseconds))
    }
}
