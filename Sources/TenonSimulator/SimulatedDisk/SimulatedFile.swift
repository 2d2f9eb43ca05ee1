internal import Glibc
internal import TenonCore

/// An open file of a ``SimulatedDisk``. Dead after a crash of its disk.
// @unchecked: used by the one thread that uses its disk.
final class SimulatedFile: File, @unchecked Sendable {
    let path: String
    private let disk: SimulatedDisk
    private let inode: Int
    private let life: Int
    private let isWritable: Bool
    private let isSegment: Bool

    init(_ disk: SimulatedDisk, path: String, inode: Int, mode: OpenMode) {
        self.disk = disk
        self.path = path
        self.inode = inode
        life = disk.life
        isWritable = mode != .read
        isSegment = path.contains("/log/")
        disk.tree.addHandle(inode)
    }

    deinit {
        if life == disk.life { disk.tree.removeHandle(inode) }
    }

    func read(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
        try requireAlive("pread")
        if disk.takeFault(.failRead, path) { throw SimulatedDisk.inputOutputError("pread", path) }
        let content = disk.tree.inodes[inode].file.cached
        guard offset < content.count else { return [] }
        let end = offset + min(count, content.count - offset)
        disk.counters.bytesRead += end - offset
        disk.counters.largestRead = max(disk.counters.largestRead, end - offset)
        var bytes = Array(content[offset..<end])
        if disk.takeFault(.flipRead, path), !bytes.isEmpty {
            bytes[Int(disk.generator.below(UInt64(bytes.count)))] ^=
                1 << UInt8(disk.generator.below(8))
        }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
        try requireAlive("pwrite")
        try requireWritable("pwrite")
        let isDying = try disk.beginOperation("pwrite", path)
        disk.counters.bytesWritten += bytes.count
        if isDying {
            // A killed process's last write is cut wherever the kernel was.
            store(bytes.prefix(Int(disk.generator.below(UInt64(bytes.count + 1)))), at: offset)
            throw SimulatedDisk.inputOutputError("pwrite", path)
        }
        if disk.takeFault(.failWrite, path) {
            throw SimulatedDisk.inputOutputError("pwrite", path)
        }
        if disk.takeFault(.shortWrite, path) {
            store(bytes.prefix(bytes.count / 2), at: offset)
            throw SimulatedDisk.inputOutputError("pwrite", path)
        }
        let displacement = disk.takeMisdirection(path)
        try storeWithinCapacity(bytes[...], at: offset + displacement)
    }

    func sync() throws(FileError) {
        try requireAlive("fdatasync")
        let isDying = try disk.beginOperation("fdatasync", path)
        disk.counters.syncs += 1
        if isDying {
            // Some pages got there, and the cache still has all of them.
            disk.withFileAndGenerator(inode) { $0.persistPart(using: &$1) }
            throw SimulatedDisk.inputOutputError("fdatasync", path)
        }
        if disk.takeFault(.failSync, path) {
            disk.withFileAndGenerator(inode) { $0.failSync(using: &$1) }
            if isSegment { disk.unsyncedSegments.remove(inode) }
            throw SimulatedDisk.inputOutputError("fdatasync", path)
        }
        disk.tree.withFile(inode) { $0.sync() }
        guard isSegment else { return }
        disk.unsyncedSegments.remove(inode)
        if let last = disk.lastSegmentWrite, last.path == path { disk.lastSyncedWrite = last }
    }

    func size() throws(FileError) -> Int {
        try requireAlive("fstat")
        return disk.tree.inodes[inode].file.cached.count
    }

    func truncate(to size: Int) throws(FileError) {
        try requireAlive("ftruncate")
        try requireWritable("ftruncate")
        let isDying = try disk.beginOperation("ftruncate", path)
        let growth = size - disk.tree.inodes[inode].file.cached.count
        guard growth <= disk.freeCapacity else {
            throw FileError(.noSpace, call: "ftruncate", path: path)
        }
        try disk.orDie(isDying, "ftruncate", path) {
            disk.tree.withFile(inode) { $0.truncate(to: size) }
        }
    }

    private func store(_ bytes: ArraySlice<UInt8>, at offset: Int) {
        disk.tree.withFile(inode) { $0.write(bytes, at: offset) }
        // Zeros promise nothing: only a batch, which begins with its header, must be synced.
        guard isSegment, bytes.prefix(8).contains(where: { $0 != 0 }) else { return }
        disk.unsyncedSegments.insert(inode)
        disk.lastSegmentWrite = (path, offset)
    }

    /// Writes what fits, as the kernel does, and throws when that is not all.
    private func storeWithinCapacity(
        _ bytes: ArraySlice<UInt8>, at offset: Int
    ) throws(FileError) {
        let end = disk.tree.inodes[inode].file.cached.count
        let growth = max(0, offset + bytes.count - end)
        let free = disk.freeCapacity
        guard growth > free else { return store(bytes, at: offset) }
        // A write beyond the end that does not even fit up to its offset writes nothing.
        let fitting = max(0, min(bytes.count, end + free - offset))
        store(bytes.prefix(fitting), at: offset)
        throw FileError(.noSpace, call: "pwrite", path: path)
    }

    private func requireAlive(_ call: String) throws(FileError) {
        try disk.requireRunning(call, path)
        guard life == disk.life else {
            throw FileError(.system(errno: EBADF), call: call, path: path)
        }
    }

    private func requireWritable(_ call: String) throws(FileError) {
        guard isWritable else {
            throw FileError(.system(errno: EBADF), call: call, path: path)
        }
    }
}

/// A lock on a file of a ``SimulatedDisk``. A crash lets go of it.
// @unchecked: used by the one thread that uses its disk.
final class SimulatedLock: FileLock, @unchecked Sendable {
    private let disk: SimulatedDisk
    private let inode: Int
    private let life: Int

    init(_ disk: SimulatedDisk, inode: Int) {
        self.disk = disk
        self.inode = inode
        life = disk.life
        disk.tree.addHandle(inode)
    }

    deinit {
        guard life == disk.life else { return }
        disk.lockedInodes.remove(inode)
        disk.tree.removeHandle(inode)
    }
}
