import TenonCore
import TenonSimulator
import Testing

@testable import TenonStore

@Suite("Store on a failing disk")
struct StoreFaultTests {
    @Test("a full disk fails a job, changes nothing, and the job works once there is space")
    func fullDisk() throws {
        for free in stride(from: 0, to: 12_000, by: 400) {
            let rig = try StoreRig(SimulatedDisk(seed: 1))
            try rig.fill(150)
            rig.configuration.levelZeroTablesMax = 1
            try rig.reopen()
            let content = try rig.content()
            let used = rig.disk.usedBytes
            rig.disk.capacityBytes = used + free
            do throws(StoreError) {
                try rig.runJob(rig.store.nextJob())
            } catch {
                guard case .noSpace = error else {
                    Issue.record("\(error) instead of noSpace")
                    return
                }
                #expect(rig.disk.usedBytes == used)
            }
            #expect(try rig.content() == content)
            rig.disk.capacityBytes = nil
            try rig.settle()
            #expect(try rig.content() == content)
            try rig.reopen()
            #expect(try rig.content() == content)
        }
    }

    @Test("a flush that finds no space keeps its memtable and is made again")
    func fullDiskAtFlush() throws {
        let rig = try StoreRig(SimulatedDisk(seed: 1))
        rig.store.put(.user("k"), Bytes([UInt8](repeating: 1, count: 3_000)), at: Timestamp(1))
        rig.disk.capacityBytes = rig.disk.usedBytes + 100
        #expect(throws: StoreError.self) { try rig.flush(index: 1) }
        #expect(rig.store.flushed == nil && !rig.store.canFreeze)
        #expect(try rig.get(.user("k"))?.bytes.count == 3_000)
        rig.disk.capacityBytes = nil
        try rig.settle()
        #expect(rig.store.flushed?.index == LogIndex(1) && rig.store.canFreeze)
    }

    @Test("a failed sync of a table fails the job; of the manifest, the process")
    func failedSyncs() throws {
        let rig = try StoreRig(SimulatedDisk(seed: 1))
        rig.store.put(.user("k"), "v", at: Timestamp(1))
        rig.disk.inject(DiskFault(.failSync, on: ".table"))
        do throws(StoreError) {
            try rig.flush(index: 1)
            Issue.record("the sync did not fail")
        } catch {
            guard case .file = error else { throw error }
        }
        #expect(try rig.disk.list("/data/t") == ["MANIFEST"])
        try rig.settle()
        #expect(rig.store.flushed?.index == LogIndex(1))
        rig.store.put(.user("k"), "w", at: Timestamp(2))
        rig.disk.inject(DiskFault(.failSync, on: "MANIFEST"))
        do throws(StoreError) {
            try rig.flush(index: 2)
            Issue.record("the sync did not fail")
        } catch {
            guard case .manifestFailed = error else { throw error }
        }
    }

    @Test("a misdirected write is found before its table is used")
    func misdirected() throws {
        for shift in [-300, -1, 1, 4_096] {
            let rig = try StoreRig(SimulatedDisk(seed: 1))
            // Larger than what is written at once, so that a second write can go astray.
            var generator = SeededGenerator(seed: 5)
            for step in 0..<5 {
                let noise = (0..<100 << 10).map { _ in UInt8(generator.below(256)) }
                rig.store.put(.user(Bytes("k\(step)")), Bytes(noise), at: Timestamp(1))
            }
            rig.disk.inject(DiskFault(.misdirect(byBytes: shift), on: ".table", skip: 1))
            #expect(throws: StoreError.self) {
                try rig.flush(index: 1)
                try rig.scrub()
            }
        }
    }
}
