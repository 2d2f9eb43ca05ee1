import Glibc
import TenonCore
import Testing

@testable import TenonServer

@Suite("Files of this machine")
struct PosixFileSystemTests {
    private let files = PosixFileSystem()

    /// A folder of its own for each test, gone afterwards.
    private func inFolder(_ body: (String) throws -> Void) throws {
        let folder = "/tmp/tenon-files-\(getpid())-\(UInt64.random(in: 0..<UInt64.max))"
        try files.createDirectory(folder)
        defer { try? files.removeTree(folder) }
        try body(folder)
    }

    @Test func `what is written is read, and a hole is zeros`() throws {
        try inFolder { folder in
            let file = try files.open(folder + "/a", .create)
            try file.write([1, 2, 3], at: 4_096)
            try file.sync()
            #expect(try file.size() == 4_099)
            #expect(try file.read(at: 4_094, count: 100) == [0, 0, 1, 2, 3])
            #expect(try file.read(at: 9_000, count: 10) == [])
            try file.truncate(to: 4_097)
            #expect(try files.open(folder + "/a", .read).read(at: 4_096, count: 9) == [1])
        }
    }

    @Test func `errors name the call and the reason`() throws {
        try inFolder { folder in
            #expect(throws: FileError(.notFound, call: "open", path: folder + "/none")) {
                try files.open(folder + "/none", .read)
            }
            _ = try files.open(folder + "/a", .create)
            #expect(throws: FileError(.alreadyExists, call: "open", path: folder + "/a")) {
                try files.open(folder + "/a", .create)
            }
            let readOnly = try files.open(folder + "/a", .read)
            #expect(throws: FileError.self) { try readOnly.write([1], at: 0) }
            #expect(throws: FileError.self) { try files.remove(folder + "/none") }
        }
    }

    @Test func `names are listed in order, renamed, linked and removed`() throws {
        try inFolder { folder in
            for name in ["c", "a", "b"] { _ = try files.open(folder + "/" + name, .create) }
            try files.createDirectory(folder + "/deep/er/still")
            #expect(try files.list(folder) == ["a", "b", "c", "deep"])
            try files.open(folder + "/a", .readWrite).write([7], at: 0)
            try files.rename(folder + "/a", to: folder + "/b")
            try files.link(folder + "/b", to: folder + "/second")
            try files.remove(folder + "/b")
            #expect(try files.open(folder + "/second", .read).read(at: 0, count: 1) == [7])
            try files.syncDirectory(folder)
            try files.removeTree(folder + "/deep")
            #expect(try !files.exists(folder + "/deep"))
            #expect(try files.freeBytes(at: folder) > 0)
        }
    }

    @Test func `a lock is held by one at a time`() throws {
        try inFolder { folder in
            var first = try files.lock(folder + "/LOCK")
            #expect(first != nil)
            #expect(try files.lock(folder + "/LOCK") == nil)
            first = nil
            #expect(try files.lock(folder + "/LOCK") != nil)
        }
    }

    @Test func `a full disk says so`() throws {
        // Every write to /dev/full fails as on a full disk.
        let full = try files.open("/dev/full", .readWrite)
        #expect(throws: FileError(.noSpace, call: "write", path: "/dev/full")) {
            try full.write([1], at: 0)
        }
    }

    @Test func `file systems that forget are known`() throws {
        #expect(try files.isVolatile("/proc/self") == false)
        if try files.exists("/dev/shm") { #expect(try files.isVolatile("/dev/shm")) }
    }
}
