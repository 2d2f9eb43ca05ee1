internal import Glibc
import TenonCore

/// What this process uses, read from the kernel now and then.
struct ProcessResources {
    private static let interval = TimeSpan.milliseconds(100)
    private var readAt: Instant?

    /// Whether the last reading is old enough for another.
    mutating func isDue(now: Instant) -> Bool {
        if let readAt, now.since(readAt) < ProcessResources.interval { return false }
        readAt = now
        return true
    }

    /// User and system time of all threads.
    func cpuMicroseconds() -> UInt64 {
        var usage = rusage()
        guard unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        let micros = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec
        return UInt64(seconds) * 1_000_000 + UInt64(micros)
    }

    /// Resident memory: the second number of /proc/self/statm, in pages.
    func residentBytes() -> UInt64 {
        let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = unsafe read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return 0 }
        let fields = String(decoding: bytes[..<count], as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = UInt64(fields[1]) else { return 0 }
        return pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }
}
