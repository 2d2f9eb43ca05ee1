import Foundation
import Testing

@Suite(
    "Damaged files", .serialized, .timeLimit(.minutes(5)), .enabled(if: Binary.isThere))
struct DamageTests {
    @Test("A log with a torn tail is cut there, and says so")
    func tornTail() async throws {
        try await TestCluster.with { cluster in
            #expect(try await cluster.tenon("put", "a", "1").exitCode == 0)
            try await cluster.cluster("kill", "n1")
            try LogFiles(of: "n1", in: cluster).tearTail()
            try await cluster.restart("n1")
            #expect(cluster.log(of: "n1").contains("torn tail"), "\(cluster.log(of: "n1"))")
            // It is needed, and it has all: the write that it had acknowledged, too.
            try await cluster.cluster("kill", "n2")
            #expect(try await cluster.tenon("put", "b", "2").exitCode == 0)
            #expect(try await cluster.tenon("scan").output == "a\t1\nb\t2\n")
        }
    }

    @Test("A changed byte in the middle of a log is noticed, and the entry comes from the others")
    func damagedLog() async throws {
        try await TestCluster.with { cluster in
            let marker = "a value that stands in the log as it is"
            #expect(try await cluster.tenon("put", "a", marker).exitCode == 0)
            for number in 0..<5 {
                #expect(try await cluster.tenon("put", "k\(number)", "v").exitCode == 0)
            }
            try await cluster.cluster("kill", "n1")
            try LogFiles(of: "n1", in: cluster).changeByte(of: marker)
            try await cluster.restart("n1")
            let isTold = await Eventually.holds {
                cluster.log(of: "n1").contains("its log lost")
                    && cluster.log(of: "n1").contains("is there again")
            }
            #expect(isTold, "\(cluster.log(of: "n1"))")
            let report = try await cluster.report()
            let replica = try #require(report["n1"]?.firstData)
            #expect(replica.health == "whole")
            // It is needed, and it has all.
            try await cluster.cluster("kill", "n2")
            #expect(try await cluster.tenon("get", "a").output == marker + "\n")
            #expect(try await cluster.tenon("put", "a", "2").exitCode == 0)
            #expect(try await cluster.tenon("get", "a").output == "2\n")
        }
    }

    @Test("A changed byte in a table is found by the content digest; the others stay equal")
    func damagedTable() async throws {
        try await TestCluster.with { cluster in
            let imported = try await cluster.tenon(
                "import", "-", "--format", "tsv",
                input: Letters.rows(2_000, valueBytes: 1_000).joined())
            #expect(imported.exitCode == 0, "\(imported.errors)")
            let hasTables = try await Eventually.holds {
                try await cluster.report()["n1"]?.firstData?.bytesOnDisk ?? 0 > 500_000
            }
            #expect(hasTables)
            try await cluster.cluster("kill", "n1")
            try TableFiles.changeByte(under: cluster.data(of: "n1"))
            try await cluster.restart("n1")
            let verified = try await cluster.tenon("verify", "--json")
            #expect(verified.exitCode == 1, "\(verified.output)\(verified.errors)")
            let report = try await cluster.report()
            let others = ["n2", "n3"].compactMap { report[$0]?.firstData }
            #expect(others.allSatisfy { $0.health == "whole" })
            #expect(Set(others.map(\.contentDigest)).count == 1)
            #expect(cluster.log(of: "n1").contains("damage"))
            // How soon it is rebuilt nobody says: by now, perhaps.
            let isWhole = try await Eventually.holds {
                try await cluster.report()["n1"]?.firstData?.health == "whole"
            }
            #expect(isWhole, "\(cluster.log(of: "n1"))")
            #expect(try await cluster.tenon("put", "after", "1").exitCode == 0)
            #expect(try await cluster.tenon("get", "row-1999").exitCode == 0)
        }
    }
}

/// The segment files of a node that does not run.
private struct LogFiles {
    private static let blockBytes = 4_096
    private static let magic = Array("TENONBAT".utf8)

    private let paths: [String]

    init(of node: String, in cluster: TestCluster) throws {
        let folder = cluster.data(of: node) + "/cell-0/log"
        paths = try FileManager.default.contentsOfDirectory(atPath: folder).map {
            folder + "/" + $0
        }
    }

    /// Puts behind the last batch what a torn write leaves: the beginning of another one.
    func tearTail() throws {
        let (path, bytes, last) = try #require(try newestBatch())
        let stored = Int(DamagedFile.integer(in: bytes, at: last + 40, bytes: 4))
        let header = Int(DamagedFile.integer(in: bytes, at: last + 20, bytes: 4))
        let blocks = (header + stored + LogFiles.blockBytes - 1) / LogFiles.blockBytes
        let end = last + blocks * LogFiles.blockBytes
        var torn = Array(bytes[last..<last + LogFiles.blockBytes])
        torn[40] ^= 0xFF  // of another length: its checksum does not hold
        try DamagedFile.write(torn, at: end, of: path)
    }

    /// Changes one byte of the first place where `text` stands.
    func changeByte(of text: String) throws {
        for path in paths {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            guard let found = data.range(of: Data(text.utf8)) else { continue }
            return try DamagedFile.write(
                [data[found.lowerBound] ^ 1], at: found.lowerBound, of: path)
        }
        Issue.record("\(text) is not in the log")
    }

    /// The batch of the highest number: its file, that file's bytes, and where it begins.
    private func newestBatch() throws -> (String, [UInt8], Int)? {
        var newest: (number: UInt64, found: (String, [UInt8], Int))?
        for path in paths {
            let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            for block in stride(from: 0, to: bytes.count, by: LogFiles.blockBytes)
            where bytes[block..<block + LogFiles.magic.count].elementsEqual(LogFiles.magic) {
                let number = DamagedFile.integer(in: bytes, at: block + 32, bytes: 8)
                // A batch that recovery wrote anew stands in two segments; the later use counts.
                let use = DamagedFile.integer(in: bytes, at: block + 24, bytes: 8)
                if (use << 32 | number) >= newest?.number ?? 0 {
                    newest = (use << 32 | number, (path, bytes, block))
                }
            }
        }
        return newest?.found
    }
}

private enum TableFiles {
    /// Changes one byte in the middle of the largest table.
    static func changeByte(under folder: String) throws {
        let tablets = folder + "/cell-0/tablets"
        let paths = try #require(FileManager.default.enumerator(atPath: tablets)).compactMap {
            ($0 as? String).map { tablets + "/" + $0 }
        }
        let sizes = try paths.map { path in
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            let isFile = attributes[.type] as? FileAttributeType == .typeRegular
            return isFile ? attributes[.size] as? Int ?? 0 : 0
        }
        let largest = try #require(zip(sizes, paths).max { $0.0 < $1.0 })
        let byte = try Data(contentsOf: URL(fileURLWithPath: largest.1))[largest.0 / 2]
        try DamagedFile.write([byte ^ 1], at: largest.0 / 2, of: largest.1)
    }
}

private enum DamagedFile {
    static func write(_ bytes: [UInt8], at offset: Int, of path: String) throws {
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        try file.seek(toOffset: UInt64(offset))
        try file.write(contentsOf: bytes)
        try file.close()
    }

    /// A little-endian number.
    static func integer(in data: [UInt8], at offset: Int, bytes: Int) -> UInt64 {
        data[offset..<offset + bytes].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
