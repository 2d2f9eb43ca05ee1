import TenonCore
import TenonSimulator
import Testing

@Suite struct `A simulated disk` {
    let disk = SimulatedDisk(seed: 1)

    /// A file `/d/f` whose name and first bytes are durable.
    func makeFile(_ bytes: [UInt8] = [1, 2, 3, 4]) throws -> any File {
        try disk.createDirectory("/d")
        try disk.syncDirectory("/")
        let file = try disk.open("/d/f", .create)
        try file.write(bytes, at: 0)
        try file.sync()
        try disk.syncDirectory("/d")
        return file
    }

    @Test func `reads back what was written, short only at the end`() throws {
        let file = try makeFile()
        try file.write([9], at: 6)
        #expect(try file.read(at: 0, count: 100) == [1, 2, 3, 4, 0, 0, 9])
        #expect(try file.read(at: 3, count: 2) == [4, 0])
        #expect(try file.read(at: 7, count: 2) == [])
        #expect(try file.size() == 7)
        try file.truncate(to: 2)
        #expect(try file.read(at: 0, count: 100) == [1, 2])
    }

    @Test func `keeps unsynced bytes over a process crash and loses them with the power`() throws {
        let file = try makeFile()
        try file.write([7], at: 0)
        disk.crashProcess()
        #expect(throws: FileError.self) { try file.read(at: 0, count: 1) }
        #expect(try disk.open("/d/f", .read).read(at: 0, count: 1) == [7])
        disk.cutPower(keeping: .nothing)
        #expect(try disk.open("/d/f", .read).read(at: 0, count: 1) == [1])
    }

    @Test func `keeps synced bytes whatever happens`() throws {
        for seed in 0..<50 as Range<UInt64> {
            let file = try disk.open("/f\(seed)", .create)
            try disk.syncDirectory("/")
            try file.write([5, 6], at: 1)
            try file.sync()
            try file.write([1, 1, 1, 1], at: 3)
            disk.cutPower(keeping: .random)
            #expect(disk.contents(of: "/f\(seed)")?.prefix(3) == [0, 5, 6])
        }
    }

    @Test func `tears unsynced bytes at any byte and in any order of sectors`() throws {
        _ = try makeFile(Array(repeating: 0, count: 2048))
        var prefixes: Set<Int> = []
        var isScattered = false
        for seed in 0..<400 as Range<UInt64> {
            let copy = disk.copy(seed: seed)
            try copy.open("/d/f", .readWrite).write(Array(repeating: 1, count: 2048), at: 0)
            copy.cutPower(keeping: .random)
            let bytes = try #require(copy.contents(of: "/d/f"))
            let ones = bytes.prefix { $0 == 1 }.count
            if bytes.dropFirst(ones).allSatisfy({ $0 == 0 }) {
                prefixes.insert(ones % 512)
            } else {
                isScattered = true
            }
        }
        #expect(prefixes.count > 50)
        #expect(isScattered)
    }

    /// Seed 90000683 of `everything`: the last batch that was synced had nothing behind it once the
    /// power took the next one, and cannot be told from a torn one (Rule L2).
    @Test func `spares the last batch that a power cut left`() throws {
        let batch = Array("TENONBAT".utf8) + Array(repeating: 1, count: 4_088)
        for seed in 0..<30 as Range<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            try disk.createDirectory("/log")
            try disk.syncDirectory("/")
            let file = try disk.open("/log/segment", .create)
            for block in 1...3 {
                try file.write(batch, at: block * 4_096)
                try file.sync()
            }
            try disk.syncDirectory("/log")
            try file.write(batch, at: 4 * 4_096)
            disk.cutPower(keeping: .nothing)
            let place = try #require(disk.rot("/log/", seed: seed))
            #expect(place.offset < 3 * 4_096)
            let header = try #require(disk.rotBatchHeader(seed: seed))
            #expect(header.offset < 3 * 4_096)
        }
    }

    @Test func `loses a directory entry that was not synced`() throws {
        _ = try makeFile()
        _ = try disk.open("/d/g", .create)
        try disk.rename("/d/f", to: "/d/h")
        disk.cutPower(keeping: .nothing)
        #expect(try disk.list("/d") == ["f"])
        try disk.remove("/d/f")
        try disk.syncDirectory("/d")
        disk.cutPower(keeping: .nothing)
        #expect(try disk.list("/d") == [])
    }

    @Test func `keeps any subset of directory changes, a rename never by half`() throws {
        _ = try makeFile()
        var outcomes: Set<[String]> = []
        for seed in 0..<100 as Range<UInt64> {
            let copy = disk.copy(seed: seed)
            _ = try copy.open("/d/g", .create)
            try copy.rename("/d/f", to: "/d/h")
            copy.cutPower(keeping: .random)
            outcomes.insert(try copy.list("/d"))
        }
        #expect(outcomes == [["f"], ["h"], ["f", "g"], ["g", "h"]])
    }

    @Test func `replaces a file by rename and gives a second name by link`() throws {
        let file = try makeFile()
        let other = try disk.open("/d/new", .create)
        try other.write([8], at: 0)
        try disk.link("/d/new", to: "/d/second")
        try disk.rename("/d/new", to: "/d/f")
        #expect(disk.contents(of: "/d/f") == [8])
        #expect(disk.contents(of: "/d/second") == [8])
        #expect(try file.read(at: 0, count: 4) == [1, 2, 3, 4])
        #expect(throws: FileError(.alreadyExists, call: "link", path: "/d/f")) {
            try disk.link("/d/second", to: "/d/f")
        }
    }

    @Test func `counts pages as clean after a failed sync although they are not durable`() throws {
        let file = try makeFile()
        disk.inject(DiskFault(.failSync, on: "/d/f"))
        var losses = 0
        for seed in 0..<20 as Range<UInt64> {
            let copy = disk.copy(seed: seed)
            copy.inject(DiskFault(.failSync))
            let handle = try copy.open("/d/f", .readWrite)
            try handle.write([9, 9, 9, 9], at: 0)
            #expect(throws: FileError.self) { try handle.sync() }
            #expect(try handle.read(at: 0, count: 4) == [9, 9, 9, 9])
            try handle.sync()
            copy.cutPower(keeping: .everything)
            if copy.contents(of: "/d/f") != [9, 9, 9, 9] { losses += 1 }
        }
        #expect(losses > 0)
        #expect(throws: FileError.self) { try file.sync() }
    }

    @Test func `fails, shortens and misdirects the writes it was told to`() throws {
        let file = try makeFile()
        disk.inject(DiskFault(.failWrite, on: "f", skip: 1))
        try file.write([5], at: 0)
        #expect(throws: FileError.self) { try file.write([6], at: 0) }
        disk.inject(DiskFault(.shortWrite))
        #expect(throws: FileError.self) { try file.write([7, 7], at: 0) }
        disk.inject(DiskFault(.misdirect(byBytes: 2)))
        try file.write([8], at: 0)
        #expect(disk.contents(of: "/d/f") == [7, 2, 8, 4])
        disk.flipBit(0, at: 3, of: "/d/f")
        #expect(disk.contents(of: "/d/f") == [7, 2, 8, 5])
    }

    @Test func `is full at its capacity and works again when there is room`() throws {
        let file = try makeFile()
        disk.capacityBytes = 6
        #expect(try disk.freeBytes(at: "/d") == 2)
        #expect(throws: FileError(.noSpace, call: "pwrite", path: "/d/f")) {
            try file.write([1, 1, 1, 1], at: 4)
        }
        try file.write([3, 3], at: 0)
        disk.capacityBytes = 8
        try file.write([1, 1, 1, 1], at: 4)
        #expect(disk.usedBytes == 8)
    }

    @Test func `gives back the room of a removed file with its last handle`() throws {
        var file: (any File)? = try makeFile()
        try disk.remove("/d/f")
        try disk.syncDirectory("/d")
        #expect(try file?.read(at: 0, count: 1) == [1])
        #expect(disk.usedBytes == 4)
        file = nil
        #expect(disk.usedBytes == 0)
    }

    @Test func `lends a lock once until it is let go or the process dies`() throws {
        var lock = try disk.lock("/LOCK")
        #expect(lock != nil)
        #expect(try disk.lock("/LOCK") == nil)
        lock = nil
        lock = try disk.lock("/LOCK")
        #expect(lock != nil)
        disk.crashProcess()
        #expect(try disk.lock("/LOCK") != nil)
    }

    @Test func `dies in the chosen operation and stays down until a crash is made of it`() throws {
        let file = try makeFile()
        disk.crashAfter(operations: 1)
        try file.write([9], at: 0)
        #expect(throws: FileError.self) { try file.sync() }
        #expect(disk.isCrashed)
        #expect(throws: FileError.self) { try disk.list("/d") }
        disk.crashProcess()
        #expect(try disk.list("/d") == ["f"])
        #expect(disk.contents(of: "/d/f")?[0] == 9)
    }

    @Test func `does the same from the same seed`() throws {
        func run(seed: UInt64) throws -> [UInt8]? {
            let copy = disk.copy(seed: seed)
            let file = try copy.open("/x", .create)
            try copy.syncDirectory("/")
            try file.write(Array(repeating: 7, count: 5_000), at: 0)
            copy.cutPower(keeping: .random)
            return copy.contents(of: "/x")
        }
        #expect(try run(seed: 4) == run(seed: 4))
    }
}
