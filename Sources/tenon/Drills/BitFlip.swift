import Foundation
import TenonClient
import TenonCore
import TenonWire

/// One bit of a file that was turned, and what stood around it then.
struct BitFlip: Sendable {
    let path: String
    let offset: Int
    /// After the flip.
    private let surroundings: Data

    private static let surroundingBytes = 4_096

    /// Turns the lowest bit of a byte.
    init(path: String, offset: Int) throws {
        self.path = path
        self.offset = offset
        try BitFlip.turn(path, offset)
        surroundings = try BitFlip.read(path, around: offset)
    }

    /// Turns it back, unless something else stands there by now: the file was written anew.
    func undo() throws {
        guard FileManager.default.fileExists(atPath: path),
            try BitFlip.read(path, around: offset) == surroundings
        else { return }
        try BitFlip.turn(path, offset)
    }

    private static func turn(_ path: String, _ offset: Int) throws {
        let file = try FileHandle(forUpdating: URL(filePath: path))
        defer { try? file.close() }
        try file.seek(toOffset: UInt64(offset))
        guard let byte = try file.read(upToCount: 1)?.first else {
            throw ClusterError.badFile(path: path, reason: "it has no byte \(offset)")
        }
        try file.seek(toOffset: UInt64(offset))
        try file.write(contentsOf: Data([byte ^ 1]))
        try file.synchronize()
    }

    private static func read(_ path: String, around offset: Int) throws -> Data {
        let file = try FileHandle(forReadingFrom: URL(filePath: path))
        defer { try? file.close() }
        try file.seek(toOffset: UInt64(offset / surroundingBytes * surroundingBytes))
        return try file.read(upToCount: surroundingBytes) ?? Data()
    }
}

/// The files of a node that does not run.
struct NodeFiles {
    let data: String

    /// A place in the middle of a batch that others follow (Rule L2): of the newest batches, whose
    /// entries are in no table yet, but none of the last ones.
    func placeInLog(_ random: inout SeededGenerator) throws -> (path: String, offset: Int) {
        var batches: [UInt64: LogBatch] = [:]
        for path in try files(under: data + "/cell-0/log") {
            for batch in LogBatch.all(in: try Data(contentsOf: URL(filePath: path)), path) {
                // A batch that recovery wrote anew stands twice; the later use counts.
                if batch.use >= batches[batch.number]?.use ?? 0 { batches[batch.number] = batch }
            }
        }
        let newest = batches.keys.max() ?? 0
        let candidates = batches.values.filter {
            $0.bodyBytes > NodeFiles.bodyBytesMin && $0.number + NodeFiles.lastSpared < newest
                && $0.number + NodeFiles.lookedBack > newest
        }.sorted { $0.number < $1.number }
        guard !candidates.isEmpty else {
            throw ClusterError.badFile(path: data, reason: "its log has no batch in the middle")
        }
        let chosen = candidates[Int(random.below(UInt64(candidates.count)))]
        return (chosen.path, chosen.body + chosen.bodyBytes / 2)
    }

    /// The middle of the largest table.
    func placeInTable() throws -> (path: String, offset: Int) {
        let sizes = try files(under: data + "/cell-0/tablets").map { path in
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            return (path: path, bytes: (attributes[.size] as? Int) ?? 0)
        }
        guard let largest = sizes.max(by: { $0.bytes < $1.bytes }),
            largest.bytes > NodeFiles.tableBytesMin
        else { throw ClusterError.badFile(path: data, reason: "it has no table yet") }
        return (largest.path, largest.bytes / 2)
    }

    private static let bodyBytesMin = 200
    private static let lastSpared: UInt64 = 10
    private static let lookedBack: UInt64 = 60
    private static let tableBytesMin = 64 << 10

    private func files(under folder: String) throws -> [String] {
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String }
        return try (names ?? []).map { folder + "/" + $0 }.filter {
            let type = try FileManager.default.attributesOfItem(atPath: $0)[.type]
            return type as? FileAttributeType == .typeRegular
        }
    }
}

/// Where a batch stands in a segment of the log (Rule L1; Docs/Formats.md).
private struct LogBatch {
    private static let blockBytes = 4_096
    private static let magic = Data("TENONBAT".utf8)

    var path: String
    /// Where its records begin.
    var body: Int
    var bodyBytes: Int
    var number: UInt64
    var use: UInt64

    static func all(in segment: Data, _ path: String) -> [LogBatch] {
        stride(from: 0, to: segment.count - blockBytes, by: blockBytes).compactMap { block in
            guard segment[block..<block + magic.count] == magic else { return nil }
            let headerBytes = Int(integer(in: segment, at: block + 20, bytes: 4))
            let stored = Int(integer(in: segment, at: block + 40, bytes: 4))
            guard block + headerBytes + stored <= segment.count else { return nil }
            return LogBatch(
                path: path, body: block + headerBytes, bodyBytes: stored,
                number: integer(in: segment, at: block + 32, bytes: 8),
                use: integer(in: segment, at: block + 24, bytes: 8))
        }
    }

    /// A little-endian number.
    private static func integer(in data: Data, at offset: Int, bytes: Int) -> UInt64 {
        data[offset..<offset + bytes].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension DrillFault {
    private static let noticeSeconds = 10
    private static let repairSeconds = 15

    /// Ends the first of `nodes`, turns a bit in its files and starts it. It must say so, and
    /// either repair it or serve nothing that depends on it; then the drill turns the bit back.
    func flip(in nodes: [LocalCluster.Node]) async throws -> FaultObservation {
        let node = nodes[0]
        var random = SeededGenerator(seed: seed)
        try await end([node])
        let files = NodeFiles(data: cluster.dataPath(of: node))
        let place =
            plan.injection == .flipLog
            ? try files.placeInLog(&random) : try files.placeInTable()
        let flip = try BitFlip(path: place.path, offset: place.offset)
        let log = NodeLog(of: node, in: cluster)
        try start([node])
        let begin = DrillClock.now
        var seen = FaultObservation()
        guard try await notices(node, log) else {
            seen.problems = ["\(node.name) did not notice the bit in \(place.path)"]
            try await restore(node, flip)
            return seen
        }
        let noticed = DrillClock.now.since(begin).seconds
        if await repairs(node) {
            seen.found =
                "noticed after \(noticed) s, repaired after "
                + "\(DrillClock.now.since(begin).seconds) s"
        } else {
            seen.found =
                "noticed after \(noticed) s, not repaired within "
                + "\(DrillFault.repairSeconds) s: out of service until the bit was turned back"
            try await restore(node, flip)
        }
        seen.endedAt = DrillClock.now
        return seen
    }

    private func restore(_ node: LocalCluster.Node, _ flip: BitFlip) async throws {
        try await end([node])
        try flip.undo()
        try start([node])
    }

    /// A damaged log is seen at the start; a table when it is read, as for a content digest.
    private func notices(_ node: LocalCluster.Node, _ log: NodeLog) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(DrillFault.noticeSeconds)
        while ContinuousClock.now < deadline {
            if log.hasSaid("damage") { return true }
            if let status = await session.probe.status(of: session.number(of: node)) {
                if status.tablets.contains(where: { $0.health != "whole" }) { return true }
                if plan.injection == .flipTable { await orderDigests() }
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        return false
    }

    private func orderDigests() async {
        for tablet in session.tablets {
            // One that has no leader just now is asked in the next turn.
            try? await session.probe.client.computeContentDigest(
                of: tablet, timeout: .seconds(1))
        }
    }

    private func repairs(_ node: LocalCluster.Node) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(DrillFault.repairSeconds)
        while ContinuousClock.now < deadline {
            let status = await session.probe.status(of: session.number(of: node))
            if let status, !status.tablets.isEmpty,
                status.tablets.allSatisfy({ $0.health == "whole" })
            {
                return true
            }
            // The pace of the questions.
            _ = try? await Task.sleep(for: .milliseconds(200))
        }
        return false
    }
}
