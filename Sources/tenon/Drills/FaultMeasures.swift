import Foundation
import TenonChecker
import TenonCore

/// What a round's history tells of the time while a fault lasted.
struct FaultMeasures: Hashable, Sendable {
    /// See ``DrillReport/Round/writeAvailability``.
    var writeAvailability: Double?
    /// See ``DrillReport/Round/putP99MillisBefore``.
    var putP99Before: TimeSpan
    var putP99During: TimeSpan
    /// See ``DrillReport/Round/putP50MillisDuring``.
    var putP50During: TimeSpan
    /// See ``DrillReport/Round/versionErrorSeconds``.
    var versionErrorSeconds = 0.0

    /// How long a fault may disturb before its availability counts.
    static let settling = TimeSpan.seconds(8)
    /// A write that is answered later was not available.
    static let patience = TimeSpan.seconds(1)

    /// - Parameters:
    ///   - start: the beginning of the load.
    ///   - wallTime: Unix time at `fault`.
    init(
        _ operations: [HistoryOperation], from start: Instant, fault: Instant, end: Instant,
        wallTime: Date
    ) {
        let writes = operations.filter(\.isWrite)
        // One that is sent at the very end would be answered after the fault.
        let counted = writes.filter {
            $0.sentAt >= fault + FaultMeasures.settling && $0.sentAt + FaultMeasures.patience < end
        }
        if !counted.isEmpty {
            let served = counted.count { write in
                guard write.result == .ok, let answered = write.answeredAt else { return false }
                return answered.since(write.sentAt) <= FaultMeasures.patience
            }
            writeAvailability = DrillReport.rounded(Double(served) / Double(counted.count))
        }
        let before = FaultMeasures.puts(writes, sentIn: start..<max(start, fault))
        let during = FaultMeasures.puts(writes, sentIn: fault..<max(fault, end))
        putP99Before = FaultMeasures.latency(before, percent: 99)
        putP99During = FaultMeasures.latency(during, percent: 99)
        putP50During = FaultMeasures.latency(during, percent: 50)
        for write in writes where write.result == .ok {
            guard let version = write.version, let answered = write.answeredAt else { continue }
            let sinceFault =
                answered > fault
                ? Double(answered.since(fault).nanoseconds) / 1e9
                : -Double(fault.since(answered).nanoseconds) / 1e9
            let claimed = Double(version.wallTime.milliseconds) / 1e3
            let error = abs(claimed - wallTime.timeIntervalSince1970 - sinceFault)
            versionErrorSeconds = max(versionErrorSeconds, DrillReport.rounded(error))
        }
    }

    private static func puts(
        _ writes: [HistoryOperation], sentIn range: Range<Instant>
    ) -> [TimeSpan] {
        writes.compactMap { write -> TimeSpan? in
            guard case .put = write.action, range.contains(write.sentAt), write.result == .ok
            else { return nil }
            return write.answeredAt?.since(write.sentAt)
        }.sorted()
    }

    private static func latency(_ sorted: [TimeSpan], percent: Int) -> TimeSpan {
        guard let last = sorted.indices.last else { return .zero }
        return sorted[min(last, sorted.count * percent / 100)]
    }
}
