import Glibc

/// A process, named so that a later one with the same number is never taken for it.
///
/// File form (`DIR/nK/pid`): process id, a space, start time in clock ticks since boot, a line feed.
struct ProcessIdentity: Hashable, Sendable {
    let pid: Int32
    /// Field 22 of `/proc/PID/stat`.
    let startTicks: UInt64

    init(pid: Int32, startTicks: UInt64) {
        self.pid = pid
        self.startTicks = startTicks
    }

    /// The process that has this number now; nil when none has.
    init?(runningAs pid: Int32) {
        guard let stat = ProcessStat.read(of: pid) else { return nil }
        self.init(pid: pid, startTicks: stat.startTicks)
    }

    /// What ``fileText`` wrote; nil for anything else.
    init?(fileText: String) {
        let fields = fileText.split(whereSeparator: \.isWhitespace)
        guard fields.count == 2, let pid = Int32(fields[0]), pid > 0,
            let startTicks = UInt64(fields[1])
        else { return nil }
        self.init(pid: pid, startTicks: startTicks)
    }

    var fileText: String { "\(pid) \(startTicks)\n" }

    /// How this very process is now.
    var state: ProcessState {
        guard let stat = ProcessStat.read(of: pid), stat.startTicks == startTicks else {
            return .ended
        }
        return stat.state
    }

    /// Sends a signal to this very process; false when it has ended.
    ///
    /// Number and start time are both compared first: a stale pid file signals nobody.
    @discardableResult
    func signal(_ number: Int32) -> Bool {
        guard state != .ended else { return false }
        return kill(pid, number) == 0
    }

    /// Takes the exit status when the process is a child of ours, so that no zombie stays.
    func reap() {
        _ = waitpid(pid, nil, WNOHANG)
    }
}

/// Whether a process runs, is stopped by SIGSTOP, or is over (a zombie without threads is over).
enum ProcessState: String, Codable, Sendable {
    case running
    case paused
    case ended
}

/// What `/proc/PID/stat` says.
struct ProcessStat: Hashable, Sendable {
    let state: ProcessState
    let startTicks: UInt64

    /// - Parameter text: one line: `PID (NAME) STATE …`; the name may hold spaces and brackets,
    ///   so the fields are counted from its last bracket. Source: proc(5).
    init?(parsing text: String) {
        guard let nameEnd = text.lastIndex(of: ")") else { return nil }
        // Field 3 (state) is the first after the name, field 20 (number of threads) the
        // eighteenth, field 22 (start time) the twentieth.
        let fields = text[text.index(after: nameEnd)...].split(separator: " ")
        guard fields.count > 19, let threads = Int(fields[17]),
            let startTicks = UInt64(fields[19])
        else { return nil }
        self.startTicks = startTicks
        state =
            switch fields[0] {
            // A killed process is a zombie as soon as its first thread has ended. One that waits
            // for the disk still holds its port and the lock of its folder.
            case "Z": threads > 1 ? .running : .ended
            case "X", "x": .ended
            case "T", "t": .paused
            default: .running
            }
    }

    /// The line of the process with this number; nil when there is none.
    static func read(of pid: Int32) -> ProcessStat? {
        guard let text = try? LocalFile.read("/proc/\(pid)/stat") else { return nil }
        return ProcessStat(parsing: text)
    }
}
