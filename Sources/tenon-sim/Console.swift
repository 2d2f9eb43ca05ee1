import Foundation

/// Lines for whoever waits: written at once, also into a pipe or a file.
enum Console {
    /// A result, on standard output.
    static func say(_ line: String) throws {
        try FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8))
    }

    /// What is under way, on standard error.
    static func note(_ line: String) throws {
        try FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8))
    }
}
