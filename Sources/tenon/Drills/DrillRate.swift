import Foundation
import Synchronization
import TenonChecker
import TenonClient
import TenonCore

/// How hard a drill loads its cluster: half of what it can take, a quarter when many nodes share a
/// processor; and more while a fault is about to come, if that leaves too few writes in flight to be
/// hit.
///
/// Not more all the time: a machine that has no processor to spare has none for what the fault
/// costs, either, and its nodes wait for one another as no machines of their own would
/// (Decision 0023).
struct DrillRate: Sendable {
    /// What many callers without pause got through.
    var maximumPerSecond: Int
    var perSecond: Int
    var perSecondAtFault: Int
    /// On average, at the rate of the fault.
    var writesInFlight: Double

    static let writesInFlightMin = 100
    /// With more nodes to a processor than these, the load is a quarter of the maximum.
    private static let nodesPerProcessorMax = 4
    private static let callers = 256
    private static let measuredFor = Duration.seconds(3)
    private static let triedFor = Duration.milliseconds(1_500)
    /// Beyond nine tenths of the maximum the queues would grow without end.
    private static let percentMax = 90

    /// In a round that holds latencies under a fault against those before it: a quarter of the
    /// maximum at the most. With half of it two cores that run nodes and clients alike have none to
    /// spare, and the tail of any ten seconds is the scheduler's.
    func pace(in round: PlannedRound) -> DrillLoad.Pace {
        guard RoundJudgement.comparesPuts(round) else {
            return DrillLoad.Pace(perSecond: perSecond, perSecondAtFault: perSecondAtFault)
        }
        let quarter = maximumPerSecond / 4
        return DrillLoad.Pace(perSecond: quarter, perSecondAtFault: quarter)
    }

    /// Measures the maximum, then finds the rate.
    static func measure(_ session: DrillSession) async -> DrillRate {
        let maximum = max(100, await maximum(session))
        let processors = ProcessInfo.processInfo.activeProcessorCount
        let isCrowded = session.cluster.layout.nodes.count > nodesPerProcessorMax * processors
        var rate = DrillRate(
            maximumPerSecond: maximum, perSecond: maximum / (isCrowded ? 4 : 2),
            perSecondAtFault: maximum / 2, writesInFlight: 0)
        while true {
            rate.writesInFlight = await writesInFlight(
                session, perSecond: rate.perSecondAtFault)
            let next = rate.perSecondAtFault * 5 / 4
            guard rate.writesInFlight < Double(writesInFlightMin),
                next <= maximum * percentMax / 100
            else { return rate }
            rate.perSecondAtFault = next
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
        let pace = DrillLoad.Pace(perSecond: perSecond, perSecondAtFault: perSecond)
        async let loading: Void = session.load.run(round: 0, pace: pace)
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
