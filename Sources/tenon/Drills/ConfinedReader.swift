import Synchronization
import TenonChecker
import TenonClient
import TenonCore

/// Reads as a client that reaches one node only, as one on the cut-off side of a partition, while
/// the same key is written by one that reaches all others. What it is told must not be old.
struct ConfinedReader: Sendable {
    let session: DrillSession
    let node: LocalCluster.Node
    /// Written and read by nobody else.
    let key: Bytes

    /// Longer than any answer of a node that can answer.
    private static let timeout = Duration.milliseconds(500)
    /// No longer than a change of leader takes: a write of unknown outcome is given up then.
    private static let writeTimeout = Duration.seconds(3)
    private static let pause = Duration.milliseconds(5)
    /// Nobody listens there.
    private static let nowhere = "127.0.0.1:1"
    /// So many answers go by without a loss.
    private static let never = 1 << 62

    /// The number of these operations' worker in the history.
    private var worker: Int { session.load.configuration.workers + 1 }

    /// Reads and writes until `isStopped`.
    func run(until isStopped: StopFlag) async throws {
        let others = session.cluster.endpoints.filter { $0 != node.address }
        let inside = try ConfinedReader.proxies(to: [node.address], hiding: others)
        defer { for proxy in inside { proxy.stop() } }
        let outside = try ConfinedReader.proxies(to: others, hiding: [node.address])
        defer { for proxy in outside { proxy.stop() } }
        try await withTenonClient(endpoints: outside.map(\.address)) { writer in
            async let writing: Void = write(with: writer, until: isStopped)
            try await withTenonClient(endpoints: inside.map(\.address)) { reader in
                await read(with: reader, until: isStopped)
            }
            await writing
        }
    }

    /// Ways to some nodes for a client that finds nobody at the hidden ones.
    private static func proxies(
        to reachable: [String], hiding hidden: [String]
    ) throws(ClusterError) -> [LossyProxy] {
        var proxies: [LossyProxy] = []
        var replacements: [String: String] = [:]
        for address in hidden { replacements[address] = nowhere }
        for address in reachable {
            let proxy = try LossyProxy(
                LossyProxy.Configuration(
                    target: address, replacements: [:], dropsOneIn: never, seed: 1))
            replacements[address] = proxy.address
            proxies.append(proxy)
        }
        for proxy in proxies {
            proxy.replaceAddresses(replacements)
            proxy.start()
        }
        return proxies
    }

    private func read(with client: TenonClient, until isStopped: StopFlag) async {
        let keyspace = client.keyspace("default")
        while !isStopped.isSet {
            await record(isWrite: false) {
                await keyspace.recordedGet(key, worker: worker, timeout: ConfinedReader.timeout)
            }
        }
    }

    private func write(with client: TenonClient, until isStopped: StopFlag) async {
        let keyspace = client.keyspace("default")
        var number = 0
        while !isStopped.isSet {
            number += 1
            let value = Bytes("\(number)")
            await record(isWrite: true) {
                await keyspace.recordedPut(
                    key, value, worker: worker, timeout: ConfinedReader.writeTimeout)
            }
        }
    }

    private func record(
        isWrite: Bool, _ operation: () async -> HistoryOperation
    ) async {
        let due = DrillClock.now
        if session.load.recorder.begin(isWrite: isWrite) {
            session.load.recorder.end(await operation(), due: due)
        }
        // The pace of the questions.
        _ = try? await Task.sleep(for: ConfinedReader.pause)
    }
}

/// Tells running tasks to end.
final class StopFlag: Sendable {
    private let flag = Atomic(false)

    var isSet: Bool { flag.load(ordering: .relaxed) }

    func set() { flag.store(true, ordering: .relaxed) }
}

extension DrillFault {
    /// Runs `body` while somebody reads at the first of `nodes` only.
    func withConfinedReader(
        at nodes: [LocalCluster.Node], _ body: () async throws -> Void
    ) async throws {
        let reader = ConfinedReader(
            session: session, node: nodes[0], key: session.load.keys.marker(round: round))
        let flag = StopFlag()
        async let reading: Void = reader.run(until: flag)
        do {
            try await body()
        } catch {
            flag.set()
            _ = try? await reading  // The first error is the one to tell.
            throw error
        }
        flag.set()
        try await reading
    }
}

extension Keyspace {
    /// A write, as a history has it.
    func recordedPut(
        _ key: Bytes, _ value: Bytes, worker: Int, timeout: Duration
    ) async -> HistoryOperation {
        var operation = HistoryOperation(
            worker: worker, sentAt: DrillClock.now, answeredAt: nil,
            action: .put(key: key, value: value), result: .unknown)
        do throws(TenonError) {
            let stood = try await write(key, value, timeout: timeout)
            operation.succeed(version: stood.value, at: stood.at)
        } catch {
            operation.fail(error)
        }
        return operation
    }
}
