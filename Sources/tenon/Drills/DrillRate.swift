import Synchronization
import TenonChecker
import TenonClient
import TenonCore

/// How hard a drill loads its cluster: half of what it can take, more if that leaves too few
/// writes in flight to be hit by a fault.
struct DrillRate: Sendable {
    /// What many callers without pause got through.
    var maximumPerSecond: Int
    var perSecond: Int
    /// On average, at this rate.
    var writesInFlight: Double

    static let writesInFlightMin = 100
    private static let callers = 256
    private static let measuredFor = Duration.seconds(3)
    private static let triedFor = Duration.milliseconds(1_500)
    /// Beyond nine tenths of the maximum the queues would grow without end.
    private static let percentMax = 90

    /// In a round that holds latencies under a fault against those before it: a quarter of the
    /// maximum at the most. With half of it two cores that run nodes and clients alike have none to
    /// spare, and the tail of any ten seconds is the scheduler's.
    func perSecond(in round: PlannedRound) -> Int {
        RoundJudgement.comparesPuts(round)
            ? min(perSecond, maximumPerSecond / 4) : perSecond
    }

    /// Measures the maximum, then finds the rate.
    static func measure(_ session: DrillSession) async -> DrillRate {
        let maximum = max(100, await maximum(session))
        var rate = DrillRate(
            maximumPerSecond: maximum, perSecond: maximum / 2, writesInFlight: 0)
        while true {
            rate.writesInFlight = await writesInFlight(session, perSecond: rate.perSecond)
            let next = rate.perSecond * 5 / 4
            guard rate.writesInFlight < Double(writesInFlightMin),
                next <= maximum * percentMax / 100
            else { return rate }
            rate.perSecond = next
        }
    }

    /// Operations a second of a closed loop.
    private static func maximum(_ session: DrillSession) async -> Int {
        let start = DrillClock.now
        let end = start + TimeSpan(measuredFor)
        await withDiscardingTaskGroup { group in
            for caller in 0..<callers {
                group.addTask { await call(session.load, caller: caller, until: end) }
            }
        }
        let answered = session.load.recorder.take().latencies.count
        return answered * 1_000 / max(1, DrillClock.now.since(start).wholeMilliseconds)
    }

    private static func call(_ load: DrillLoad, caller: Int, until end: Instant) async {
        var mix = OperationMix(
            keyCount: load.configuration.keysPerRound, counterCount: 1, seed: UInt64(caller))
        let worker = caller % load.clients.count
        while DrillClock.now < end {
            let due = DrillClock.now
            switch mix.next() {
            case .put(let number):
                await load.put(load.warmUpKey(number), worker: worker, due: due)
            case .get(let number):
                await load.get(load.warmUpKey(number), worker: worker, due: due)
            case .increment:
                await load.put(load.warmUpKey(0), worker: worker, due: due)
            }
        }
    }

    /// The average of many looks while the open loop runs.
    private static func writesInFlight(
        _ session: DrillSession, perSecond: Int
    ) async -> Double {
        async let loading: Void = session.load.run(round: 0, perSecond: perSecond)
        let end = DrillClock.now + TimeSpan(triedFor)
        var sum = 0
        var looks = 0
        while DrillClock.now < end {
            _ = try? await Task.sleep(for: .microseconds(700))
            sum += session.load.recorder.writesInFlight
            looks += 1
        }
        session.load.stop()
        await loading
        return Double(sum) / Double(max(1, looks))
    }
}

extension DrillLoad {
    /// A key of no round.
    fileprivate func warmUpKey(_ number: Int) -> Bytes {
        keys.key(number, of: configuration.keysPerRound, round: 0)
    }
}

extension TimeSpan {
    /// A duration of whole nanoseconds that is not negative.
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(
            nanoseconds: UInt64(max(0, seconds)) * 1_000_000_000
                + UInt64(max(0, attoseconds)) / 1_000_000_000)
    }

    /// For reports.
    var seconds: Double { DrillReport.rounded(Double(nanoseconds) / 1e9) }
    var milliseconds: Double { DrillReport.rounded(Double(nanoseconds) / 1e6) }
}
