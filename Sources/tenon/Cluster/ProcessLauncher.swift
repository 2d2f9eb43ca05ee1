import CTenon
import Foundation
import Glibc

/// Starts programs that outlive the terminal they were started from.
enum ProcessLauncher {
    /// The path of the program that runs now: nodes are started from the same file.
    static func ownExecutable() throws(ClusterError) -> String {
        do {
            return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        } catch {
            throw .system(
                call: "readlink", path: "/proc/self/exe", message: error.localizedDescription)
        }
    }

    /// Starts `executable` in a session of its own; its output is appended to the file `log`.
    static func launch(
        _ executable: String, arguments: [String], log: String
    ) throws(ClusterError) -> ProcessIdentity {
        let pid = spawn(executable, arguments: arguments, log: log)
        guard pid > 0 else {
            throw .system(
                call: "start", path: executable, message: unsafe String(cString: strerror(-pid)))
        }
        // A child that has ended already is a zombie until it is reaped, so it can still be read.
        guard let identity = ProcessIdentity(runningAs: pid) else {
            throw .system(call: "read", path: "/proc/\(pid)/stat", message: "no such process")
        }
        return identity
    }

    private static func spawn(_ executable: String, arguments: [String], log: String) -> Int32 {
        var words = unsafe ([executable] + arguments).map { unsafe strdup($0) } + [nil]
        defer { unsafe words.forEach { unsafe free($0) } }
        return unsafe ctenon_spawn_detached(executable, &words, log)
    }
}
