import Foundation

/// The few file operations of a local cluster, with errors that name the call and the path.
enum LocalFile {
    static func read(_ path: String) throws(ClusterError) -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw .system(call: "read", path: path, message: reason(of: error))
        }
    }

    /// Replaces the file at once: a reader sees the old text or the new one.
    static func write(_ text: String, to path: String) throws(ClusterError) {
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw .system(call: "write", path: path, message: reason(of: error))
        }
    }

    /// Makes a folder and those above it.
    static func makeFolder(_ path: String) throws(ClusterError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        } catch {
            throw .system(call: "make folder", path: path, message: reason(of: error))
        }
    }

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    /// Removes a file or a folder with all in it; nothing happens when there is none.
    static func remove(_ path: String) throws(ClusterError) {
        guard exists(path) else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw .system(call: "remove", path: path, message: reason(of: error))
        }
    }

    /// The last lines of a text file; empty when it cannot be read.
    static func tail(_ path: String, lines: Int) -> String {
        guard let text = try? read(path) else { return "" }
        return text.split(separator: "\n").suffix(lines).joined(separator: "\n")
    }

    /// `path` from the root, as it must be written into files that others read.
    static func absolute(_ path: String) -> String {
        URL(fileURLWithPath: path).standardizedFileURL.path
    }

    private static func reason(of error: any Error) -> String {
        let cocoa = error as NSError
        let underlying = cocoa.userInfo[NSUnderlyingErrorKey] as? NSError
        return (underlying ?? cocoa).localizedDescription
    }
}
