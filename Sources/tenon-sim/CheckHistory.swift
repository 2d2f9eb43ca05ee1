import ArgumentParser
import Foundation
import TenonChecker

struct CheckHistory: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a recorded history.",
        discussion: """
            The file has one operation a line (ndjson; the fields are in Docs/Protocol.md). Drills \
            and simulations record such files.

            EXAMPLE
              tenon-sim check history.ndjson
            """)

    @Argument(help: "An ndjson file.")
    var file: String

    @Flag(help: "Print the result as JSON.")
    var json = false

    private struct Result: Codable {
        var operations: Int
        var holds: Bool
        var verdict: String
    }

    func run() throws {
        let bytes: Data
        do {
            bytes = try Data(contentsOf: URL(filePath: file))
        } catch {
            throw Problem("cannot read \(file): \(error.localizedDescription)")
        }
        let history = try HistoryFile.decode(Array(bytes))
        let verdict = RegisterCheck().verdict(of: history)
        let result = Result(
            operations: history.count, holds: verdict == .holds, verdict: "\(verdict)")
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            print(String(decoding: try encoder.encode(result), as: UTF8.self))
        } else {
            print("\(history.count) operations: \(verdict)")
        }
        if !result.holds { throw ExitCode(1) }
    }
}
