import Foundation
import Histogram
import TenonClient
import TenonCore
import TenonWire

/// A benchmark from filling in to reading back.
struct BenchRun {
    let client: TenonClient
    let plan: BenchPlan

    /// Runs it. - Throws: what keeps it from being measured at all.
    func run() async throws -> BenchReport {
        let keyspace = client.keyspace(plan.keyspace)
        let data = BenchData(client: client, keyspace: keyspace, keys: plan.keys)
        if plan.workload != .put { try await data.fillIn() }
        let before = try await StatusReport(asking: client)
        let cpuBefore = BenchRun.cpuSeconds
        let watch = Stopwatch()
        let results = await work(keyspace)
        let seconds = watch.seconds
        let cpu = BenchRun.cpuSeconds - cpuBefore
        let after = try await StatusReport(asking: client)
        let comparison = try await data.compare(results.flatMap(\.written))
        return BenchReport(
            plan: plan, seconds: seconds, results: results, comparison: comparison,
            nodes: BenchReport.nodes(before: before, after: after), clientCPUSeconds: cpu)
    }

    private func work(_ keyspace: Keyspace) async -> [BenchWorker.Result] {
        let start = ContinuousClock.now
        var random = SystemRandomNumberGenerator()
        return await withTaskGroup(of: BenchWorker.Result.self) { group in
            for number in 0..<plan.clients {
                // Drawn, not counted up: seeds a step apart give the same sequence, shifted.
                let seed: UInt64 = random.next()
                group.addTask {
                    await BenchWorker(plan, keyspace, number: number, seed: seed)
                        .run(from: start)
                }
            }
            var results: [BenchWorker.Result] = []
            for await result in group { results.append(result) }
            return results
        }
    }

    /// User and system time of this process.
    private static var cpuSeconds: Double {
        var usage = rusage()
        guard unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        return [usage.ru_utime, usage.ru_stime].reduce(0) {
            $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6
        }
    }
}

/// What a benchmark has measured.
struct BenchReport: Sendable {
    /// What a node did meanwhile.
    struct Node: Sendable {
        let name: String
        let syncs: UInt64
        let bytesWritten: UInt64
        let cpuSeconds: Double
    }

    let plan: BenchPlan
    let seconds: Double
    let operations: Int
    let errors: Int
    let problem: String?
    let comparison: BenchData.Comparison
    /// Wrong values, seen in the run or when read back.
    let mismatches: Int
    let latency: Histogram<UInt64>
    let nodes: [Node]
    let clientCPUSeconds: Double

    /// Whether every value that was read is one that was written.
    var isVerified: Bool { mismatches == 0 }
    var operationsPerSecond: Double { Double(operations) / seconds }

    init(
        plan: BenchPlan, seconds: Double, results: [BenchWorker.Result],
        comparison: BenchData.Comparison, nodes: [Node], clientCPUSeconds: Double
    ) {
        self.plan = plan
        self.seconds = seconds
        self.comparison = comparison
        self.nodes = nodes
        self.clientCPUSeconds = clientCPUSeconds
        operations = results.reduce(0) { $0 + $1.latencies.count }
        errors = results.reduce(0) { $0 + $1.errors }
        problem = results.lazy.compactMap(\.problem).first
        mismatches = results.reduce(comparison.mismatches) { $0 + $1.mismatches }
        // Up to an hour, three digits: what is longer is an error, not a latency.
        var histogram = Histogram<UInt64>(
            highestTrackableValue: 3_600_000_000, numberOfSignificantValueDigits: .three)
        for result in results {
            for latency in result.latencies { histogram.record(UInt64(latency)) }
        }
        latency = histogram
    }

    /// What each node did between two reports; a node that was not seen twice is left out. One
    /// that was started again meanwhile counts from there.
    static func nodes(before: StatusReport, after: StatusReport) -> [Node] {
        after.nodes.compactMap { node in
            guard let after = node.status,
                let before = before.nodes.first(where: { $0.node.id == node.node.id })?.status
            else { return nil }
            let now = after.counters
            let then = after.boot == before.boot ? before.counters : NodeStatus.Counters()
            return Node(
                name: node.node.name, syncs: now.logSyncs &- then.logSyncs,
                bytesWritten: now.logBytesWritten &- then.logBytesWritten
                    &+ now.storeBytesWritten &- then.storeBytesWritten,
                cpuSeconds: Double(now.cpuMicroseconds &- then.cpuMicroseconds) / 1e6)
        }
    }
}

extension BenchReport {
    private func micros(_ percentile: Double) -> UInt64 { latency.valueAtPercentile(percentile) }

    /// For scripts; `Docs/Protocol.md` lists the members.
    var json: JSON {
        var members: [JSON.Member] = [
            .init("workload", .string(plan.workload.rawValue)),
            .init("keyspace", .string(plan.keyspace)), .init("clients", .integer(plan.clients)),
            .init("valueSize", .integer(plan.keys.valueSize)),
            .init("keys", .integer(plan.keys.count)),
            .init("seconds", .decimal(seconds, digits: 3)),
            .init("opsPerSecond", .decimal(operationsPerSecond, digits: 1)),
            .init("errors", .integer(errors)), .init("verified", .bool(isVerified)),
            .init("valuesCompared", .integer(comparison.compared)),
            .init(
                "latencyMicros",
                [
                    "p50": .integer(micros(50)), "p99": .integer(micros(99)),
                    "p999": .integer(micros(99.9)), "max": .integer(latency.max),
                ]),
            .init("nodes", .array(nodes.map(BenchReport.json))),
            .init("clientCpuSeconds", .decimal(clientCPUSeconds, digits: 3)),
        ]
        if let rate = plan.rate { members.append(.init("rate", .decimal(rate, digits: 1))) }
        return .object(members)
    }

    private static func json(_ node: Node) -> JSON {
        [
            "name": .string(node.name), "syncs": .integer(node.syncs),
            "bytesWritten": .integer(node.bytesWritten),
            "cpuSeconds": .decimal(node.cpuSeconds, digits: 3),
        ]
    }

    /// For a person.
    var text: String {
        var lines = [
            "\(plan.workload.rawValue): \(Int(operationsPerSecond)) operations/s "
                + "(\(plan.clients) clients, \(plan.keys.valueSize) B, \(plan.keys.count) keys, "
                + "\(JSON.decimal(seconds, digits: 1).text) s)",
            "latency: p50 \(micros(50)) us, p99 \(micros(99)) us, p99.9 \(micros(99.9)) us, "
                + "max \(latency.max) us",
            "errors: \(errors)" + (problem.map { " (\($0))" } ?? ""),
            "values compared: \(comparison.compared), wrong: \(mismatches)",
            "client CPU: \(JSON.decimal(clientCPUSeconds, digits: 2).text) s",
        ]
        for node in nodes {
            lines.append(
                "\(node.name): \(node.syncs) syncs, \(StatusReport.size(node.bytesWritten)) "
                    + "written, \(JSON.decimal(node.cpuSeconds, digits: 2).text) s CPU")
        }
        return lines.joined(separator: "\n")
    }
}
