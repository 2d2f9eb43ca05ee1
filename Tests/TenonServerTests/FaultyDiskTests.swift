import Glibc
import Synchronization
import TenonCore
import TenonWire
import Testing

@testable import TenonServer

@Suite("A faulty disk and a wrong clock")
struct FaultyDiskTests {
    private func inFolder(
        _ body: (FaultyFileSystem<PosixFileSystem>, DiskSwitches, String) throws -> Void
    ) throws {
        let folder = "/tmp/tenon-faulty-\(getpid())-\(UInt64.random(in: 0..<UInt64.max))"
        try PosixFileSystem().createDirectory(folder + "/log")
        defer { try? PosixFileSystem().removeTree(folder) }
        let switches = DiskSwitches(logDirectory: folder + "/log")
        try body(FaultyFileSystem(PosixFileSystem(), switches: switches), switches, folder)
    }

    @Test func `without a fault it is the disk below`() throws {
        try inFolder { files, _, folder in
            let file = try files.open(folder + "/a", .create)
            try file.write([1, 2, 3], at: 0)
            try file.sync()
            #expect(try file.read(at: 1, count: 9) == [2, 3])
            #expect(try files.freeBytes(at: folder) > 0)
        }
    }

    @Test func `a full disk takes what has room already and nothing that grows`() throws {
        try inFolder { files, switches, folder in
            let file = try files.open(folder + "/a", .create)
            try file.write([0, 0, 0, 0], at: 0)
            switches.fault = DiskDisorder(.fill)
            try file.write([1, 2], at: 2)
            #expect(throws: FileError(.noSpace, call: "write", path: folder + "/a")) {
                try file.write([7, 8, 9], at: 2)
            }
            #expect(try file.read(at: 0, count: 9) == [0, 0, 7, 8])
            #expect(throws: FileError.self) { try file.truncate(to: 5) }
            #expect(throws: FileError.self) { try files.open(folder + "/b", .create) }
            #expect(throws: FileError.self) { try files.createDirectory(folder + "/c") }
            #expect(try files.freeBytes(at: folder) == 0)
            try file.truncate(to: 2)
            try files.remove(folder + "/a")
            switches.fault = nil
            _ = try files.open(folder + "/b", .create)
        }
    }

    @Test func `a failure comes once, at the next write or sync`() throws {
        try inFolder { files, switches, folder in
            let file = try files.open(folder + "/a", .create)
            switches.fault = DiskDisorder(.fail)
            #expect(throws: FileError(.system(errno: EIO), call: "fdatasync", path: folder + "/a"))
            {
                try file.sync()
            }
            try file.sync()
            try file.write([1], at: 0)
        }
    }

    @Test func `a fault of the log leaves other files alone`() throws {
        try inFolder { files, switches, folder in
            let table = try files.open(folder + "/table", .create)
            let log = try files.open(folder + "/log/1", .create)
            switches.fault = DiskDisorder(.fail, isLogOnly: true)
            try table.sync()
            #expect(throws: FileError.self) { try log.sync() }
        }
    }

    @Test func `a stall makes syncs late and writes not`() throws {
        try inFolder { files, switches, folder in
            let file = try files.open(folder + "/a", .create)
            switches.fault = DiskDisorder(.stall(milliseconds: 60))
            let begin = ContinuousClock.now
            try file.sync()
            #expect(ContinuousClock.now - begin >= .milliseconds(60))
        }
    }

    @Test func `what hangs goes on when the fault ends`() async throws {
        let folder = "/tmp/tenon-faulty-\(getpid())-\(UInt64.random(in: 0..<UInt64.max))"
        try PosixFileSystem().createDirectory(folder)
        defer { try? PosixFileSystem().removeTree(folder) }
        let switches = DiskSwitches(logDirectory: folder)
        let files = FaultyFileSystem(PosixFileSystem(), switches: switches)
        let file = try files.open(folder + "/a", .create)
        switches.fault = DiskDisorder(.hang)
        let end = Ending()
        let syncing = Task {
            try file.sync()
            end.isReached.store(true, ordering: .sequentiallyConsistent)
        }
        let hasEndedEarly = end.isReached.load(ordering: .sequentiallyConsistent)
        #expect(!hasEndedEarly)
        switches.fault = nil
        try await syncing.value
        let hasEnded = end.isReached.load(ordering: .sequentiallyConsistent)
        #expect(hasEnded)
    }

    @Test func `a wrong wall clock leaves the monotonic one right`() {
        let base = FixedClock()
        let clock = FaultyClock(base)
        #expect(clock.wallTime == WallTime(milliseconds: 5_000_000))
        clock.fault = ClockDisorder(shiftMilliseconds: -3_600_000)
        #expect(clock.wallTime == WallTime(milliseconds: 1_400_000))
        #expect(clock.now == Instant(nanoseconds: 0))
        clock.fault = ClockDisorder(shiftMilliseconds: 0, driftPartsPerMillion: 500)
        base.advance(milliseconds: 10_000)
        #expect(clock.wallTime == WallTime(milliseconds: 5_010_005))
        clock.fault = nil
        #expect(clock.wallTime == WallTime(milliseconds: 5_010_000))
    }
}

private final class Ending: Sendable {
    let isReached = Atomic(false)
}

/// A clock that stands until it is moved.
private final class FixedClock: Clock {
    private let milliseconds = Atomic<UInt64>(0)

    var now: Instant {
        Instant(nanoseconds: milliseconds.load(ordering: .relaxed) * 1_000_000)
    }
    var wallTime: WallTime {
        WallTime(milliseconds: 5_000_000 + milliseconds.load(ordering: .relaxed))
    }

    func advance(milliseconds count: UInt64) { milliseconds.add(count, ordering: .relaxed) }
}
