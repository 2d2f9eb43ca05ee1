import TenonCore
import TenonSimulator
import Testing

@testable import TenonStore

@Suite("Damage of files")
struct StoreDamageTests {
    /// A store with a point tombstone, a range tombstone and a few blocks in one table.
    private func makeRig(seed: UInt64 = 1) throws -> StoreRig {
        let rig = try StoreRig(SimulatedDisk(seed: seed), cacheBytes: 0)
        for step in 0..<12 {
            let value = Bytes("value of number \(step)")
            rig.store.put(.user(Bytes("key-\(10 + step)")), value, at: Timestamp(1))
        }
        rig.store.delete(.user("key-15"), at: Timestamp(2))
        rig.store.deleteRange(from: .user("key-17"), to: .user("key-18"), at: Timestamp(3))
        try rig.flush(index: 7, payload: "record")
        return rig
    }

    /// Opens, reads everything and scrubs.
    private func readEverything(_ rig: StoreRig) throws -> [ScanItem] {
        try rig.reopen()
        return try rig.content()
    }

    private func isDamage(_ error: any Error) -> Bool {
        switch error as? StoreError {
        case .damaged: true
        default: false
        }
    }

    @Test("every flipped byte of a table is found by the scrubber, and no read shows it")
    func tableFlips() throws {
        let rig = try makeRig()
        let content = try readEverything(rig)
        let path = "/data/t/" + TableNumber(1).fileName
        let size = try rig.disk.open(path, .read).size()
        for offset in 0..<size {
            let damaged = try StoreRig(rig.disk.copy(seed: 1), cacheBytes: 0)
            damaged.disk.flipBit(offset % 8, at: offset, of: path)
            do {
                #expect(try readEverything(damaged) == content)
            } catch {
                #expect(isDamage(error), "\(error) at \(offset)")
                continue
            }
            #expect(throws: StoreError.self, "offset \(offset)") { try damaged.scrub() }
        }
    }

    @Test("every truncation of a table is found when the store opens")
    func tableTruncations() throws {
        let rig = try makeRig()
        let path = "/data/t/" + TableNumber(1).fileName
        let size = try rig.disk.open(path, .read).size()
        for length in 0..<size {
            let damaged = try StoreRig(rig.disk.copy(seed: 1))
            try damaged.disk.open(path, .readWrite).truncate(to: length)
            do {
                try damaged.reopen()
                Issue.record("a table of \(length) B of \(size) was opened")
            } catch {
                #expect(isDamage(error))
            }
        }
    }

    @Test("every flipped byte and every truncation of a manifest is found")
    func manifest() throws {
        let rig = try makeRig()
        let path = "/data/t/MANIFEST"
        let size = try rig.disk.open(path, .read).size()
        for offset in 0..<size {
            for truncates in [false, true] {
                let disk = rig.disk.copy(seed: 1)
                if truncates {
                    try disk.open(path, .readWrite).truncate(to: offset)
                } else {
                    disk.flipBit(offset % 8, at: offset, of: path)
                }
                do {
                    _ = try StoreRig(disk)
                    Issue.record("opened with \(truncates ? "truncation" : "flip") at \(offset)")
                } catch {
                    #expect(isDamage(error), "\(error) at \(offset)")
                }
            }
        }
    }

    @Test("a missing table, and a missing manifest beside tables, are damage")
    func missing() throws {
        for name in ["MANIFEST", TableNumber(1).fileName] {
            let rig = try makeRig()
            try rig.disk.remove("/data/t/" + name)
            do {
                try rig.reopen()
                Issue.record("opened without \(name)")
            } catch {
                #expect(isDamage(error))
            }
        }
    }

    @Test("an older table in a newer one's place is damage")
    func exchanged() throws {
        let rig = try makeRig()
        rig.store.put(.user("key-10"), "newer", at: Timestamp(9))
        try rig.flush(index: 9)
        let (one, two) = (TableNumber(1).fileName, TableNumber(2).fileName)
        try rig.disk.remove("/data/t/" + two)
        try rig.disk.link("/data/t/" + one, to: "/data/t/" + two)
        do {
            try rig.reopen()
            Issue.record("opened")
        } catch {
            #expect(isDamage(error))
        }
    }
}
