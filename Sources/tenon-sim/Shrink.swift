import Foundation
import TenonSimulator

/// Leaves faults out of a schedule as long as the same check still fails.
///
/// Greedy: larger pieces first, then single faults. Each try is a child process, so that a trap
/// counts as a failure like any other.
struct Shrink {
    /// How many tries and how much real time a failure is worth.
    private static let triesMax = 150
    private static let secondsMax = 90.0

    private let check: String
    private var best: ReplayFile
    private var tries = 0
    private let begin = ContinuousClock.now

    init(_ file: ReplayFile, failing check: String) {
        self.check = check
        best = file
    }

    /// The shortest schedule found.
    mutating func run() throws -> ReplayFile {
        var piece = max(1, best.schedule.events.count / 2)
        while true {
            let isShorter = try removePieces(of: piece)
            if piece == 1, !isShorter { return best }
            if !isShorter { piece = max(1, piece / 2) }
            guard tries < Shrink.triesMax, elapsed < Shrink.secondsMax else { return best }
        }
    }

    private var elapsed: Double { (ContinuousClock.now - begin) / .seconds(1) }

    private mutating func removePieces(of size: Int) throws -> Bool {
        var isShorter = false
        var start = 0
        while start < best.schedule.events.count, tries < Shrink.triesMax,
            elapsed < Shrink.secondsMax
        {
            var candidate = best
            let end = min(start + size, candidate.schedule.events.count)
            candidate.schedule.events.removeSubrange(start..<end)
            if try fails(candidate) {
                best = candidate
                isShorter = true
            } else {
                start = end
            }
        }
        return isShorter
    }

    private mutating func fails(_ candidate: ReplayFile) throws -> Bool {
        tries += 1
        return try Shrink.failure(of: candidate) == check
    }

    /// The name of the check that a replay fails; nil when it passes.
    static func failure(of file: ReplayFile) throws -> String? {
        let url = FileManager.default.temporaryDirectory
            .appending(path: "tenon-sim-\(ProcessInfo.processInfo.processIdentifier).replay")
        try Data(file.text.utf8).write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        let process = Process()
        process.executableURL = Executable.url
        process.arguments = ["replay", url.path, "--json"] + Planting.arguments
        process.environment = Executable.environment
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        switch process.terminationStatus {
        case 0: return nil
        case 1: return try JSONDecoder().decode(RunRecord.self, from: data).failure?.check
        default: return Check.trap.name
        }
    }
}
