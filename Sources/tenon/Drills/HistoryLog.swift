import Foundation
import TenonChecker
import TenonCore

/// The history of a run as its file has it: hashed as it goes, and written when a file is asked for.
struct HistoryLog {
    private var hash = SHA256()
    private let file: FileHandle?

    /// - Parameter path: nil keeps only the hash.
    init(path: String?) throws(ClusterError) {
        guard let path else {
            file = nil
            return
        }
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw .system(call: "create", path: path, message: "cannot be written") }
        file = handle
    }

    mutating func append(_ operations: [HistoryOperation]) throws {
        let bytes = HistoryFile.encode(operations)
        hash.update(bytes)
        try file?.write(contentsOf: Data(bytes))
    }

    /// The SHA-256 of all lines, in hexadecimal digits.
    func digest() -> String {
        let copy = hash
        return copy.finalize().map { hexadecimal(UInt64($0), digits: 2) }.joined()
    }
}
