import TenonCore
import TenonSimulator
import Testing

@testable import TenonStore

/// Crashes at every file operation of scripts that flush, compact, checkpoint and install.
@Suite("Store after a crash")
struct StoreCrashTests {
    /// How the machine goes down.
    enum Crash: CaseIterable, Sendable {
        case process
        case powerKeepingNothing
        case powerKeepingSome

        func strike(_ disk: SimulatedDisk) {
            switch self {
            case .process: disk.crashProcess()
            case .powerKeepingNothing: disk.cutPower(keeping: .nothing)
            case .powerKeepingSome: disk.cutPower(keeping: .random)
            }
        }
    }

    /// A store that has flushed twice and compacted, on a disk that others are copied from.
    private static func prepared() throws -> (disk: SimulatedDisk, content: [ScanItem]) {
        let rig = try StoreRig(SimulatedDisk(seed: 1))
        try rig.fill(200)
        return (rig.disk, try rig.content())
    }

    /// Runs `script` on copies of a prepared disk, the n-th of which dies at the n-th operation,
    /// until one gets through. After each crash the store opens and `check` is called.
    private func sweep(
        _ crash: Crash, _ script: (StoreRig) throws -> Void,
        check: (_ before: [ScanItem], StoreRig) throws -> Void
    ) throws {
        let (prepared, content) = try StoreCrashTests.prepared()
        for operations in 0..<2_000 {
            let disk = prepared.copy(seed: UInt64(operations))
            let rig = try StoreRig(disk)
            disk.crashAfter(operations: operations)
            let isThrough: Bool
            do {
                try script(rig)
                isThrough = !disk.isCrashed
            } catch {
                isThrough = false
            }
            if isThrough { return }
            disk.crashAfter(operations: nil)
            crash.strike(disk)
            try checkOpens(rig, content, check)
        }
        Issue.record("the script never gets through")
    }

    /// Opens the store, with a second crash of power right after it: what open showed was durable.
    private func checkOpens(
        _ rig: StoreRig, _ content: [ScanItem],
        _ check: (_ before: [ScanItem], StoreRig) throws -> Void
    ) throws {
        try rig.reopen()
        let (found, flushed) = (try rig.content(), rig.store.flushed)
        try check(content, rig)
        rig.disk.cutPower(keeping: .nothing)
        try rig.reopen()
        #expect(try rig.content() == found)
        #expect(rig.store.flushed == flushed)
        let names = try rig.disk.list(rig.directory)
        let tables = rig.store.manifest.tables.map(\.number.fileName).sorted()
        #expect(names == tables + ["MANIFEST"])
    }

    @Test("a flush is there with its record, or not at all", arguments: Crash.allCases)
    func flush(crash: Crash) throws {
        try sweep(crash) { rig in
            for step in 0..<40 {
                let key = Bytes("new-" + String(step))
                rig.store.put(.user(key), "v", at: Timestamp(1_000))
            }
            try rig.flush(index: 1_000)
        } check: { before, rig in
            let isFlushed = rig.store.flushed?.index == LogIndex(1_000)
            let added = try rig.scan(ScanRange(from: .user("new-"), to: .user("new.")))
            #expect(added.count == (isFlushed ? 40 : 0))
            #expect(try rig.content().count == before.count + added.count)
        }
    }

    @Test("a compaction changes nothing that reads see", arguments: Crash.allCases)
    func compaction(crash: Crash) throws {
        try sweep(crash) { rig in
            rig.configuration.levelZeroTablesMax = 1
            try rig.reopen()
            try rig.settle()
        } check: { before, rig in
            let found = try rig.content()
            #expect(found == before)
        }
    }

    @Test("a checkpoint leaves the store as it was", arguments: Crash.allCases)
    func checkpoint(crash: Crash) throws {
        try sweep(crash) { rig in
            _ = try rig.checkpoint(to: "/data/checkpoint")
        } check: { before, rig in
            #expect(try rig.content() == before)
            // The same name again, over what the crash left.
            _ = try rig.checkpoint(to: "/data/checkpoint")
            let copy = try StoreRig(rig.disk, directory: "/data/checkpoint")
            #expect(try copy.content() == before)
        }
    }

    @Test("a snapshot is installed whole, or the old content is there", arguments: Crash.allCases)
    func snapshotInstall(crash: Crash) throws {
        let sender = try StoreRig(SimulatedDisk(seed: 9))
        try sender.fill(150, from: 5_000)
        let content = try sender.content()
        let manifest = try sender.checkpoint(to: "/c")
        let reader = SnapshotReader(fileSystem: sender.disk, directory: "/c", manifest: manifest)
        try sweep(crash) { rig in
            try rig.receive(reader)
        } check: { before, rig in
            let isInstalled = rig.store.flushed == manifest.flush
            let found = try rig.content()
            #expect(found == (isInstalled ? content : before))
        }
    }

    @Test("the first open is repeated after a crash in it", arguments: Crash.allCases)
    func firstOpen(crash: Crash) throws {
        for operations in 0..<40 {
            let disk = SimulatedDisk(seed: UInt64(operations))
            disk.crashAfter(operations: operations)
            do throws(StoreError) {
                _ = try StoreRig(disk)
                return
            } catch {
                disk.crashAfter(operations: nil)
                crash.strike(disk)
                let rig = try StoreRig(disk)
                #expect(try rig.content().isEmpty)
                #expect(rig.store.flushed == nil)
            }
        }
        Issue.record("the open never gets through")
    }
}
