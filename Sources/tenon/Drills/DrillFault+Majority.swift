import Foundation
import Glibc
import TenonChecker
import TenonClient
import TenonCore
import TenonNode
import TenonWire

/// What an operator's recovery said and did, for the judgement of the round.
struct MajorityLoss: Sendable {
    /// The majority is gone; and the recovered cluster takes its first request.
    var lostAt: Instant
    var recoveredAt: Instant
    /// After it an acknowledged write of the tablet may be lost.
    var lossStarts: [TabletID: Timestamp]
    var lossEnd: WallTime

    /// Whether the plan says that a write of this version may be lost.
    func mayLose(_ tablet: TabletID, _ version: Timestamp) -> Bool {
        guard let start = lossStarts[tablet] else { return false }
        return version > start && version.wallTime <= lossEnd
    }

    /// Keys of which the plan says that something before the recovery may be lost: whoever had seen
    /// that is in no order with those who come later.
    func uncertainKeys(in operations: [HistoryOperation]) -> Set<Bytes> {
        var keys: Set<Bytes> = []
        for operation in operations where operation.sentAt < recoveredAt {
            guard let key = operation.key, let version = operation.version ?? operation.at?.version,
                let tablet = operation.at?.tablet, mayLose(tablet, version)
            else { continue }
            keys.insert(key)
        }
        return keys
    }

    /// Writes that were acknowledged although they were sent when no majority was there.
    func impossibleWrites(in operations: [HistoryOperation], stoppedAt: Instant) -> Int {
        operations.count { operation in
            guard operation.isWrite, operation.result == .ok, let answered = operation.answeredAt
            else { return false }
            return operation.sentAt > lostAt && answered < stoppedAt
        }
    }
}

/// A majority that is gone for good, and the command that goes on without it (Rule C10).
extension DrillFault {
    /// How long the cluster may take to be whole again, with nodes in the place of the lost ones.
    private static let repairSecondsMax = 240
    /// How long the survivors hear nothing of those who are about to be lost: what is acknowledged
    /// meanwhile is lost with them. Not so long that they would elect somebody.
    private static let unheardTime = Duration.milliseconds(300)
    private static let readPatience = Duration.seconds(2)

    /// The leader, and as many others by chance as make a majority.
    func majority(with leader: LocalCluster.Node) -> [LocalCluster.Node] {
        var random = SeededGenerator(seed: seed)
        let others = cluster.layout.nodes.filter { $0 != leader }.shuffled(using: &random)
        return [leader] + others.prefix(cluster.layout.nodes.count / 2)
    }

    /// The nodes of the city that has most of them: of two, a majority.
    func largestCity() -> [LocalCluster.Node] {
        let layout = cluster.layout
        let cities = layout.cities.map { city in
            layout.nodes.filter { $0.domain(at: .city) == city }
        }
        return cities.max { $0.count < $1.count } ?? []
    }

    func loseMajority(_ nodes: [LocalCluster.Node]) async throws -> FaultObservation {
        var seen = FaultObservation()
        let before = cluster
        let names = nodes.map(\.name)
        let survivors = before.layout.nodes.filter { !nodes.contains($0) }
        try await order(
            nodes.flatMap { node in survivors.map { Cut(from: node, to: $0) } })
        try await Task.sleep(for: DrillFault.unheardTime)
        try await end(nodes)
        let lostAt = DrillClock.now
        for node in nodes { try move(before.dataPath(of: node), to: kept(node, of: before)) }
        // Until the command nothing may be accepted.
        try await Task.sleep(for: plan.duration)
        seen.problems += await readWithoutMajority()
        let commandAt = DrillClock.now
        let (recovered, recovery) = try await before.recover(losing: names)
        session.members.change(to: recovered)
        let recoveredAt = DrillClock.now
        seen.majorityLoss = MajorityLoss(
            lostAt: lostAt, recoveredAt: recoveredAt,
            lossStarts: Dictionary(
                recovery.tablets.map { ($0.tablet, $0.lossStart) },
                uniquingKeysWith: { one, _ in one }),
            lossEnd: recovery.lossEnd)
        seen.commandAt = commandAt
        let loaded = Set(session.tablets)
        let lossStart = recovery.tablets.filter { loaded.contains($0.tablet) }.map(\.lossStart)
            .min()
        seen.found =
            "\(names.joined(separator: ", ")) destroyed; the command took "
            + "\(recoveredAt.since(commandAt).seconds) s; of the loaded tablets may be lost: "
            + "\((lossStart ?? .zero).windowStart) to \(recovery.lossEnd.text)"
        seen.problems += try await comeBack(nodes, of: before)
        seen.endedAt = recoveredAt
        for node in nodes { try await addNode(inPlaceOf: node) }
        try await awaitFullRedundancy(without: names)
        return seen
    }

    /// Without a majority reads go on that say how old they are, and no others (drills.md, D14).
    ///
    /// - Returns: what was not so.
    private func readWithoutMajority() async -> [String] {
        var problems: [String] = []
        // What lies between homes is loaded by nobody.
        let loaded =
            session.load.keys.cities.first
            .map { ScanRange(prefix: Bytes(DrillKeys.home(of: $0))) } ?? ScanRange()
        do throws(TenonError) {
            let page = try await session.keyspace.scanPage(
                loaded, limit: 100, staleness: .any, timeout: DrillFault.readPatience)
            if page.items.isEmpty { problems.append("a stale read found nothing") }
            if page.age == .newest { problems.append("a stale read passes for a new one") }
        } catch {
            problems.append("no stale read without a majority: \(error)")
        }
        do throws(TenonError) {
            _ = try await session.keyspace.scanPage(
                loaded, limit: 1, timeout: DrillFault.readPatience)
            problems.append("a read that is not stale was answered without a majority")
        } catch {
            if error.kind != .unavailable { problems.append("a read without a majority: \(error)") }
        }
        return problems
    }

    private func kept(_ node: LocalCluster.Node, of cluster: LocalCluster) -> String {
        cluster.folder(of: node) + "/destroyed"
    }

    private func move(_ folder: String, to other: String) throws {
        try FileManager.default.moveItem(atPath: folder, toPath: other)
    }

    /// All that were lost come back with their files: a majority of the old epoch.
    ///
    /// - Returns: what they did that they must not.
    private func comeBack(
        _ nodes: [LocalCluster.Node], of before: LocalCluster
    ) async throws -> [String] {
        var problems: [String] = []
        for node in nodes {
            try move(kept(node, of: before), to: before.dataPath(of: node))
            try before.launch(node)
        }
        for node in nodes {
            guard try await before.ends(node, withinSeconds: DrillFault.refusalSecondsMax) else {
                problems.append("\(node.name) of the old epoch runs on")
                continue
            }
            let words = LocalFile.tail(before.logPath(of: node), lines: 20)
            if !words.contains("recovery ended this node's epoch") {
                problems.append("\(node.name) ended without saying why: \(words)")
            }
        }
        for node in nodes where before.process(of: node) != nil {
            let status = await status(of: node, in: before)
            let led = status?.tablets.count { $0.role == "leader" } ?? 0
            if led > 0 { problems.append("\(node.name) of the old epoch leads \(led) tablets") }
            try await before.kill(node)
        }
        // The folder stays: no later node is to get the name again.
        for node in nodes { try LocalFile.remove(before.dataPath(of: node)) }
        return problems
    }

    private func status(
        of node: LocalCluster.Node, in cluster: LocalCluster
    ) async -> NodeStatus? {
        guard let number = cluster.layout.number(of: node) else { return nil }
        return try? await withTenonClient(endpoints: [node.address]) { client in
            try await client.status(of: number, timeout: .seconds(1))
        }
    }

    private func addNode(inPlaceOf lost: LocalCluster.Node) async throws {
        session.members.change(to: try await cluster.adding(inPlaceOf: lost).cluster)
    }

    /// Waits until the lost nodes are no members, and every tablet has a voter on each node.
    private func awaitFullRedundancy(without lost: [String]) async throws {
        let deadline = ContinuousClock.now + .seconds(DrillFault.repairSecondsMax)
        while ContinuousClock.now < deadline {
            let directory = try? await session.probe.client.describe(timeout: .seconds(1))
            let isWhole =
                directory.map { directory in
                    directory.nodes.allSatisfy { !lost.contains($0.name) }
                        && directory.tablets.allSatisfy {
                            $0.voters.count == cluster.layout.nodes.count && $0.target.isEmpty
                        }
                } ?? false
            if isWhole { return }
            // The directory is asked again and again: there is nothing to wait on.
            try await Task.sleep(for: .milliseconds(100))
        }
        throw ClusterError.notServing(
            seconds: DrillFault.repairSecondsMax,
            reason: "the copies of \(lost.joined(separator: ", ")) are not made again")
    }
}
