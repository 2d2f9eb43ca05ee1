import CTenon
internal import Glibc
package import TenonCore

/// The files of this machine. Every system call on files stands in this file.
///
/// A call that a signal interrupts is made again, except `close`. A short write goes on with the
/// rest; a short read ends at the end of the file.
package struct PosixFileSystem: FileSystem {
    package init() {}

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let flags =
            switch mode {
            case .read: O_RDONLY | O_CLOEXEC
            case .readWrite: O_RDWR | O_CLOEXEC
            case .create: O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC
            }
        let descriptor = try retrying("open", path) { unsafe Glibc.open(path, flags, 0o600) }
        return PosixFile(descriptor: descriptor, path: path)
    }

    package func createDirectory(_ path: String) throws(FileError) {
        if try exists(path) { return }
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            try createDirectory(String(path[..<slash]))
        }
        do {
            _ = try retrying("mkdir", path) { unsafe mkdir(path, 0o700) }
        } catch  where error.reason == .alreadyExists {
            // Made by somebody else between the look and the call.
        }
    }

    package func list(_ path: String) throws(FileError) -> [String] {
        guard let directory = unsafe opendir(path) else { throw lastError("opendir", path) }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = unsafe readdir(directory) else {
                if errno != 0 { throw lastError("readdir", path) }
                break
            }
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    package func exists(_ path: String) throws(FileError) -> Bool {
        var information = stat()
        if unsafe lstat(path, &information) == 0 { return true }
        if errno == ENOENT || errno == ENOTDIR { return false }
        throw lastError("stat", path)
    }

    package func remove(_ path: String) throws(FileError) {
        _ = try retrying("unlink", path) { unsafe unlink(path) }
    }

    package func removeTree(_ path: String) throws(FileError) {
        // A list of folders instead of recursion: deep trees must not use up the stack.
        guard try exists(path) else { return }
        var folders = [path]
        var emptied: [String] = []
        while let folder = folders.popLast() {
            emptied.append(folder)
            for name in try list(folder) {
                let child = folder + "/" + name
                if try isDirectory(child) { folders.append(child) } else { try remove(child) }
            }
        }
        for folder in emptied.reversed() {
            _ = try retrying("rmdir", folder) { unsafe rmdir(folder) }
        }
    }

    package func rename(_ from: String, to: String) throws(FileError) {
        _ = try retrying("rename", from) { unsafe Glibc.rename(from, to) }
    }

    package func link(_ from: String, to: String) throws(FileError) {
        _ = try retrying("link", to) { unsafe Glibc.link(from, to) }
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        let descriptor = try retrying("open", path) {
            unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        defer { _ = close(descriptor) }
        _ = try retrying("fsync", path) { fsync(descriptor) }
    }

    package func freeBytes(at path: String) throws(FileError) -> Int {
        let free = unsafe ctenon_free_bytes(path)
        guard free >= 0 else { throw fileError(Int32(-free), "statfs", path) }
        return Int(free)
    }

    package func lock(_ path: String) throws(FileError) -> (any FileLock)? {
        let descriptor = try retrying("open", path) {
            unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            let isTaken = errno == EWOULDBLOCK
            let failure = lastError("flock", path)
            _ = close(descriptor)
            if isTaken { return nil }
            throw failure
        }
        return PosixLock(descriptor: descriptor)
    }

    /// Whether `path` is on a file system that forgets everything at power-off.
    package func isVolatile(_ path: String) throws(FileError) -> Bool {
        let answer = unsafe ctenon_is_volatile(path)
        guard answer >= 0 else { throw fileError(-answer, "statfs", path) }
        return answer == 1
    }

    private func isDirectory(_ path: String) throws(FileError) -> Bool {
        var information = stat()
        guard unsafe lstat(path, &information) == 0 else { throw lastError("stat", path) }
        return information.st_mode & S_IFMT == S_IFDIR
    }
}

/// An open file of this machine. Its calls are safe from any thread: each names its place.
private final class PosixFile: File {
    private let descriptor: Int32
    let path: String

    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    // What was not synced before is not promised, so a failing close takes nothing back.
    deinit { _ = close(descriptor) }

    func read(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
        precondition(offset >= 0 && count >= 0, "reading \(count) B at \(offset) of \(path)")
        var failure: FileError?
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { target, filled in
            guard let start = target.baseAddress else { return }
            while filled < count {
                let step = unsafe pread(
                    descriptor, start + filled, count - filled, off_t(offset + filled))
                if step > 0 { filled += step }
                if step == 0 { break }
                if step < 0, errno != EINTR {
                    failure = lastError("read", path)
                    break
                }
            }
        }
        if let failure { throw failure }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
        precondition(offset >= 0, "writing at \(offset) of \(path)")
        var done = 0
        while done < bytes.count {
            let step = unsafe bytes.withUnsafeBytes { source in
                guard let start = source.baseAddress else { return 0 }
                return unsafe pwrite(
                    descriptor, start + done, bytes.count - done, off_t(offset + done))
            }
            if step > 0 { done += step }
            // A write of nothing that is no error would loop for ever.
            if step == 0 { throw fileError(EIO, "write", path) }
            if step < 0, errno != EINTR { throw lastError("write", path) }
        }
    }

    func sync() throws(FileError) {
        // Not made again after a failure: the kernel may have dropped the pages and would then
        // report success for data that is gone (Rule L6).
        guard fdatasync(descriptor) == 0 else { throw lastError("fdatasync", path) }
    }

    func size() throws(FileError) -> Int {
        var information = stat()
        guard unsafe fstat(descriptor, &information) == 0 else { throw lastError("stat", path) }
        return Int(information.st_size)
    }

    func truncate(to size: Int) throws(FileError) {
        _ = try retrying("truncate", path) { ftruncate(descriptor, off_t(size)) }
    }
}

/// flock(2) on a file of its own, let go with the descriptor.
private final class PosixLock: FileLock {
    private let descriptor: Int32
    init(descriptor: Int32) { self.descriptor = descriptor }
    deinit { _ = close(descriptor) }
}

private func retrying(
    _ call: String, _ path: String, _ body: () -> Int32
) throws(FileError) -> Int32 {
    while true {
        let result = body()
        if result >= 0 { return result }
        if errno != EINTR { throw lastError(call, path) }
    }
}

private func lastError(_ call: String, _ path: String) -> FileError {
    fileError(errno, call, path)
}

private func fileError(_ number: Int32, _ call: String, _ path: String) -> FileError {
    let reason: FileError.Reason =
        switch number {
        case ENOENT, ENOTDIR: .notFound
        case EEXIST: .alreadyExists
        case ENOSPC, EDQUOT: .noSpace
        case EACCES, EPERM, EROFS: .permissionDenied
        default: .system(errno: number)
        }
    return FileError(reason, call: call, path: path)
}
