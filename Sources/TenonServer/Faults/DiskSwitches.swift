internal import Glibc
internal import Synchronization
package import TenonCore
package import TenonWire

/// What is wrong with the disk, as the threads that use it find it and the loop sets it.
package final class DiskSwitches: Sendable {
    private struct State {
        var fault: DiskDisorder?
        /// Of a stall the beginning of each operation counts, not that of the fault.
        var isFailureSpent = false
    }

    private let state = Mutex(State())
    /// Files of the log lie below this folder.
    private let logDirectory: String
    /// How long a thread that hangs sleeps between two looks, in microseconds.
    private static let lookInterval: UInt32 = 2_000

    package init(logDirectory: String) { self.logDirectory = logDirectory }

    /// The fault in force; nil for none. Threads that hang go on when it changes.
    package var fault: DiskDisorder? {
        get { state.withLock { $0.fault } }
        set {
            state.withLock { state in
                state.fault = newValue
                state.isFailureSpent = false
            }
        }
    }

    /// Whether `path` can take no more room.
    package func isFull(_ path: String) -> Bool {
        state.withLock { $0.fault?.kind == .fill && applies($0.fault, to: path) }
    }

    /// Stands before a sync: waits as long as the fault says.
    package func beforeSync(_ path: String) throws(FileError) {
        try failIfDue("fdatasync", path)
        if case .stall(let milliseconds)? = faultOf(path)?.kind {
            sleep(milliseconds: milliseconds, of: path)
        }
        hang(path)
    }

    /// Stands before a write, which a stalled disk takes into its cache and a hung one does not.
    package func beforeWrite(_ path: String) throws(FileError) {
        try failIfDue("write", path)
        hang(path)
    }

    private func faultOf(_ path: String) -> DiskDisorder? {
        state.withLock { applies($0.fault, to: path) ? $0.fault : nil }
    }

    private func applies(_ fault: DiskDisorder?, to path: String) -> Bool {
        guard let fault else { return false }
        return !fault.isLogOnly || path == logDirectory || path.hasPrefix(logDirectory + "/")
    }

    private func failIfDue(_ call: String, _ path: String) throws(FileError) {
        let isDue = state.withLock { state in
            guard state.fault?.kind == .fail, !state.isFailureSpent, applies(state.fault, to: path)
            else { return false }
            state.isFailureSpent = true
            return true
        }
        if isDue { throw FileError(.system(errno: EIO), call: call, path: path) }
    }

    private func hang(_ path: String) {
        while faultOf(path)?.kind == .hang { _ = usleep(DiskSwitches.lookInterval) }
    }

    /// In small steps: the fault may end meanwhile.
    private func sleep(milliseconds: UInt32, of path: String) {
        var left = milliseconds
        while left > 0, case .stall? = faultOf(path)?.kind {
            let step = min(left, 10)
            _ = usleep(step * 1_000)
            left -= step
        }
    }
}
