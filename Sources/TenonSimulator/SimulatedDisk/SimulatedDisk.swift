internal import Glibc
internal import TenonCore

/// A disk in memory that crashes, tears, rots and fills up as real ones do, from one seed.
///
/// Every file has two contents: what the page cache shows, and what is on the medium. A sync
/// carries the one to the other. Every folder has two lists of entries in the same way, and
/// `syncDirectory` carries them over. The two ends of a run differ:
///
/// - ``crashProcess()`` keeps the page cache: what was written is read back, synced or not;
/// - ``cutPower(keeping:)`` keeps the medium only; of what was not synced, some may have reached
///   it, torn at any byte and in any order.
///
/// Either one kills the open handles and locks: they throw until the files are opened again.
/// The order of directory changes is not kept by a power cut (POSIX promises none), so whoever
/// removes what an unsynced rename replaces is found out here.
// @unchecked: one thread at a time uses a disk, the simulator's or a test's.
package final class SimulatedDisk: FileSystem, @unchecked Sendable {
    /// Folders and files, in cache and on the medium.
    var tree = DiskTree()
    /// Where every choice of this disk comes from.
    var generator: SeededGenerator
    /// Faults that wait for a call they match, oldest first.
    var faults: [DiskFault] = []
    /// Inodes whose lock is held.
    var lockedInodes: Set<Int> = []
    /// Raised by each crash; a handle of an earlier life is dead.
    var life = 0
    /// The last write to a file of a log.
    var lastSegmentWrite: (path: String, offset: Int)?
    /// The last one of them that was synced.
    var lastSyncedWrite: (path: String, offset: Int)?
    /// Files of a log that were written and not synced since.
    var unsyncedSegments: Set<Int> = []
    /// How many more operations succeed; nil for all.
    var operationsUntilCrash: Int?

    /// What was done so far.
    package internal(set) var counters = DiskCounters()
    /// Whether ``crashAfter(operations:)`` has struck: every call throws until a crash is made of
    /// it by ``crashProcess()`` or ``cutPower(keeping:)``.
    package internal(set) var isCrashed = false
    /// The bytes that all files together may take; nil for no limit. Lowering it below what is
    /// used makes every growth fail, and raising it again ends that.
    package var capacityBytes: Int?

    /// An empty disk whose faults and crashes are drawn from `seed`.
    package init(seed: UInt64, capacityBytes: Int? = nil) {
        generator = SeededGenerator(seed: seed)
        self.capacityBytes = capacityBytes
    }

    /// An independent disk with the same content, in cache and on the medium. Handles and locks
    /// stay with this one; contents are shared until one side writes.
    package func copy(seed: UInt64) -> SimulatedDisk {
        let other = SimulatedDisk(seed: seed, capacityBytes: capacityBytes)
        other.tree = tree
        other.tree.forgetHandles()
        return other
    }

    /// Whether all that was written to files of a log since the last crash is synced.
    package var isLogSynced: Bool { unsyncedSegments.isEmpty }

    /// The bytes that all files take.
    package var usedBytes: Int { tree.usedBytes }

    /// Makes the disk fail in the middle of the operation (write, sync, creation, removal, …;
    /// reads are not counted) that comes after `count` more: that one takes effect in part or
    /// not at all, and throws, and so does every call after it. Nil takes it back.
    ///
    /// A test runs its script with 0, 1, 2, … until the script gets through: every crash point.
    package func crashAfter(operations count: Int?) {
        operationsUntilCrash = count
    }

    /// Counts an operation, and says whether it is the one during which the machine dies.
    func beginOperation(_ call: String, _ path: String) throws(FileError) -> Bool {
        try requireRunning(call, path)
        counters.operations += 1
        guard let left = operationsUntilCrash else { return false }
        operationsUntilCrash = left - 1
        if left == 0 { isCrashed = true }
        return isCrashed
    }

    /// Throws while the machine is down.
    func requireRunning(_ call: String, _ path: String) throws(FileError) {
        if isCrashed { throw SimulatedDisk.inputOutputError(call, path) }
    }

    /// EIO.
    static func inputOutputError(_ call: String, _ path: String) -> FileError {
        FileError(.system(errno: EIO), call: call, path: path)
    }

    /// True or false, evenly.
    func coin() -> Bool { generator.below(2) == 0 }
}

/// What a ``SimulatedDisk`` did so far.
package struct DiskCounters: Hashable, Sendable {
    /// Operations that ``SimulatedDisk/crashAfter(operations:)`` counts.
    package var operations = 0
    /// fdatasyncs of files.
    package var syncs = 0
    /// fsyncs of folders.
    package var directorySyncs = 0
    /// Bytes handed to write calls.
    package var bytesWritten = 0
    /// Bytes that read calls returned.
    package var bytesRead = 0
    /// Bytes of the largest single read.
    package var largestRead = 0
}
