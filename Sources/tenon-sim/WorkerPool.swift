import Foundation
import Glibc

/// Child processes that run seeds: a trap of the engine ends one of them and not the sweep.
///
/// Child `k` of `n` runs every `n`th seed. One thread waits for whoever says something next.
final class WorkerPool {
    /// What a child told, or how it ended.
    enum Event {
        case record(RunRecord)
        /// It died in the middle of a seed.
        case trapped(seed: UInt64, message: String)
    }

    private struct Child {
        let process: Process
        let output: FileHandle
        let errorFile: URL
        var pending = Data()
        /// The seed that it is running.
        var seed: UInt64
        var isOver = false
    }

    private let seeds: ClosedRange<UInt64>
    private let jobs: UInt64
    private let scenario: String?
    private var children: [Child] = []

    init(seeds: ClosedRange<UInt64>, jobs: Int, scenario: String?) throws {
        self.seeds = seeds
        self.jobs = UInt64(jobs)
        self.scenario = scenario
        for place in 0..<self.jobs where seeds.lowerBound + place <= seeds.upperBound {
            children.append(try spawn(from: seeds.lowerBound + place))
        }
    }

    private func spawn(from seed: UInt64) throws -> Child {
        let process = Process()
        process.executableURL = Executable.url
        process.arguments =
            [
                "worker", "--first", "\(seed)", "--last", "\(seeds.upperBound)", "--step",
                "\(jobs)",
            ] + (scenario.map { ["--scenario", $0] } ?? []) + Planting.arguments
        process.environment = Executable.environment
        let pipe = Pipe()
        process.standardOutput = pipe
        let errorFile = FileManager.default.temporaryDirectory
            .appending(path: "tenon-sim-\(ProcessInfo.processInfo.processIdentifier)-\(seed).err")
        try Data().write(to: errorFile)
        process.standardError = try FileHandle(forWritingTo: errorFile)
        try process.run()
        return Child(
            process: process, output: pipe.fileHandleForReading, errorFile: errorFile, seed: seed)
    }

    /// Whether no child has anything to do any more.
    var isOver: Bool { children.allSatisfy(\.isOver) }

    /// What happens next; empty when nothing did within `seconds`.
    func next(within seconds: Double) throws -> [Event] {
        let living = children.indices.filter { !children[$0].isOver }
        var descriptors = living.map {
            pollfd(fd: children[$0].output.fileDescriptor, events: Int16(POLLIN), revents: 0)
        }
        let count = unsafe poll(&descriptors, UInt(descriptors.count), Int32(seconds * 1_000))
        guard count > 0 else { return [] }
        var events: [Event] = []
        for (place, descriptor) in zip(living, descriptors) where descriptor.revents != 0 {
            events += try read(place)
        }
        return events
    }

    private func read(_ place: Int) throws -> [Event] {
        let data = children[place].output.availableData
        guard !data.isEmpty else { return try end(place) }
        children[place].pending += data
        var events: [Event] = []
        while let lineEnd = children[place].pending.firstIndex(of: 0x0A) {
            let line = children[place].pending[..<lineEnd]
            children[place].pending = Data(children[place].pending[(lineEnd + 1)...])
            let record = try JSONDecoder().decode(RunRecord.self, from: Data(line))
            children[place].seed = record.seed + jobs
            events.append(.record(record))
        }
        return events
    }

    /// A child closed its output: it is done, or it died; then another takes up its seeds.
    private func end(_ place: Int) throws -> [Event] {
        let child = children[place]
        child.process.waitUntilExit()
        let message = (try? String(contentsOf: child.errorFile, encoding: .utf8)) ?? ""
        try? FileManager.default.removeItem(at: child.errorFile)
        children[place].isOver = true
        guard child.process.terminationStatus != 0 else { return [] }
        let next = child.seed + jobs
        if next <= seeds.upperBound { children[place] = try spawn(from: next) }
        return [.trapped(seed: child.seed, message: message)]
    }

    /// Ends all children, whatever they are doing.
    func stop() {
        for place in children.indices where !children[place].isOver {
            children[place].process.terminate()
            children[place].process.waitUntilExit()
            try? FileManager.default.removeItem(at: children[place].errorFile)
            children[place].isOver = true
        }
    }
}

/// This very program.
enum Executable {
    static var url: URL {
        URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    }

    /// A trap is reported by its message; a backtrace would take seconds.
    static var environment: [String: String] {
        ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { _, own in
            own
        }
    }
}
