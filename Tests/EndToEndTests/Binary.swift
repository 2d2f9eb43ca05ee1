import Foundation
import Glibc

/// The program under test: `TENON_BINARY`, or the release build of this package.
enum Binary {
    static let path: String = {
        if let path = ProcessInfo.processInfo.environment["TENON_BINARY"] { return path }
        return URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: ".build/release/tenon").path
    }()

    /// Without it the suites are skipped: `deploy/test` builds it first.
    static var isThere: Bool { FileManager.default.isExecutableFile(atPath: path) }

    static let whyNot = "no program at \(path): build it with swift build -c release"

    /// What a run of the program left.
    struct Result: Sendable {
        var exitCode: Int32
        var output: String
        var errors: String
    }

    /// Runs the program to its end with `input` on standard input.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], input: String = ""
    ) async throws -> Result {
        let running = try RunningProcess(arguments, environment: environment)
        // As long as the program takes to read it.
        await Blocking.run {
            running.write(input)
            running.endInput()
        }
        return await running.finish()
    }
}

/// The program while it runs, its outputs collected as they come.
final class RunningProcess: Sendable {
    private let process = Process()
    private let input = Foundation.Pipe()
    private let output: Task<Data, Never>
    private let errors: Task<Data, Never>

    init(_ arguments: [String], environment: [String: String] = [:]) throws {
        let outputPipe = Foundation.Pipe()
        let errorPipe = Foundation.Pipe()
        process.executableURL = URL(filePath: Binary.path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = input
        process.standardOutput = outputPipe
        process.standardError = errorPipe
        try process.run()
        // Both are read at once, or a full pipe would stop the program.
        output = Task { await Blocking.run { RunningProcess.readAll(outputPipe) } }
        errors = Task { await Blocking.run { RunningProcess.readAll(errorPipe) } }
    }

    func write(_ text: String) {
        // Or a pipe without a reader would end the tests, too.
        signal(SIGPIPE, SIG_IGN)
        // The program may have ended without reading: its exit code tells.
        try? input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
    }

    func endInput() { try? input.fileHandleForWriting.close() }

    /// SIGKILL: the program ends as in a crash.
    func kill() {
        // The number of one that has ended may be another's by now.
        if process.isRunning { _ = Glibc.kill(process.processIdentifier, SIGKILL) }
    }

    func finish() async -> Binary.Result {
        let outputBytes = await output.value
        let errorBytes = await errors.value
        let process = process
        await Blocking.run { process.waitUntilExit() }
        return Binary.Result(
            exitCode: process.terminationStatus,
            output: String(decoding: outputBytes, as: UTF8.self),
            errors: String(decoding: errorBytes, as: UTF8.self))
    }

    private static func readAll(_ pipe: Foundation.Pipe) -> Data {
        pipe.fileHandleForReading.readDataToEndOfFile()
    }
}

/// Work that blocks, each on a thread of its own: on those of tasks it would stop all other tests,
/// of which a machine with two cores has two. Dispatch's are the same ones, and it gives tasks
/// others only after a while.
enum Blocking {
    static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { done in
            Thread.detachNewThread { done.resume(returning: body()) }
        }
    }
}
