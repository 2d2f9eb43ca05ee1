package import TenonCore

/// Files on a disk that can be ordered to stall, fail and fill up. In the path only of a node that
/// was started with `--enable-fault-injection`.
package struct FaultyFileSystem<Base: FileSystem>: FileSystem {
    private let base: Base
    private let switches: DiskSwitches

    package init(_ base: Base, switches: DiskSwitches) {
        self.base = base
        self.switches = switches
    }

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        if mode == .create { try needRoom("open", path) }
        return FaultyFile(try base.open(path, mode), switches: switches)
    }

    package func createDirectory(_ path: String) throws(FileError) {
        if switches.isFull(path), try !base.exists(path) { try needRoom("mkdir", path) }
        try base.createDirectory(path)
    }

    package func link(_ from: String, to: String) throws(FileError) {
        try needRoom("link", to)
        try base.link(from, to: to)
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        try switches.beforeSync(path)
        try base.syncDirectory(path)
    }

    package func freeBytes(at path: String) throws(FileError) -> Int {
        switches.isFull(path) ? 0 : try base.freeBytes(at: path)
    }

    private func needRoom(_ call: String, _ path: String) throws(FileError) {
        if switches.isFull(path) { throw FileError(.noSpace, call: call, path: path) }
    }

    // What a full or stalled disk does not touch.

    package func list(_ path: String) throws(FileError) -> [String] { try base.list(path) }
    package func exists(_ path: String) throws(FileError) -> Bool { try base.exists(path) }
    package func remove(_ path: String) throws(FileError) { try base.remove(path) }
    package func removeTree(_ path: String) throws(FileError) { try base.removeTree(path) }

    package func rename(_ from: String, to: String) throws(FileError) {
        try base.rename(from, to: to)
    }

    package func lock(_ path: String) throws(FileError) -> (any FileLock)? {
        try base.lock(path)
    }
}

/// An open file of such a disk.
private final class FaultyFile: File {
    private let base: any File
    private let switches: DiskSwitches

    init(_ base: any File, switches: DiskSwitches) {
        self.base = base
        self.switches = switches
    }

    var path: String { base.path }

    func read(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
        try base.read(at: offset, count: count)
    }

    /// On a full disk the part that has room already is written, as the kernel would.
    func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
        try switches.beforeWrite(path)
        if switches.isFull(path) {
            let room = max(0, try base.size() - offset)
            if room < bytes.count {
                if room > 0 { try base.write(Array(bytes[..<room]), at: offset) }
                throw FileError(.noSpace, call: "write", path: path)
            }
        }
        try base.write(bytes, at: offset)
    }

    func sync() throws(FileError) {
        try switches.beforeSync(path)
        try base.sync()
    }

    func size() throws(FileError) -> Int { try base.size() }

    func truncate(to size: Int) throws(FileError) {
        if switches.isFull(path), try base.size() < size {
            throw FileError(.noSpace, call: "truncate", path: path)
        }
        try base.truncate(to: size)
    }
}
