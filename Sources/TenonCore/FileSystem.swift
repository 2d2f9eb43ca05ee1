/// Files as the engine sees them. The server gives real ones, the simulator a disk that crashes,
/// tears, rots and fills up. All calls block; they are made on the edge's log and job threads or
/// in one simulated step, never by the node's loop.
package protocol FileSystem: Sendable {
    /// Opens `path`; see ``OpenMode``.
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File
    /// Makes a folder, and those above it that are missing. No error when it is there.
    /// Durable once the folder above is synced.
    func createDirectory(_ path: String) throws(FileError)
    /// The names in a folder, sorted by their bytes.
    func list(_ path: String) throws(FileError) -> [String]
    func exists(_ path: String) throws(FileError) -> Bool
    /// Removes a file. Durable once its folder is synced.
    func remove(_ path: String) throws(FileError)
    /// Removes a folder and everything in it. No error when it is not there.
    func removeTree(_ path: String) throws(FileError)
    /// Renames a file or folder and replaces a file of the new name, in one step that a crash
    /// does not halve. Durable once the folder is synced.
    func rename(_ from: String, to: String) throws(FileError)
    /// Gives a file a second name. Durable once the folder of the new name is synced.
    func link(_ from: String, to: String) throws(FileError)
    /// fsync of a folder: its entries are durable when this returns.
    func syncDirectory(_ path: String) throws(FileError)
    /// Bytes that may still be written on the file system of `path`.
    func freeBytes(at path: String) throws(FileError) -> Int
    /// Takes the exclusive lock of the file `path`, made when missing; nil when another process
    /// (or another holder in this one) has it. Held until the lock object goes.
    func lock(_ path: String) throws(FileError) -> (any FileLock)?
}

/// How a file is opened.
package enum OpenMode: Sendable, Hashable {
    /// An existing file, for reading.
    case read
    /// An existing file, for reading and writing.
    case readWrite
    /// A new file, for reading and writing; `alreadyExists` when the name is taken.
    case create
}

/// An open file. Closed when the last reference goes.
package protocol File: AnyObject, Sendable {
    var path: String { get }
    /// Up to `count` bytes from `offset`; fewer only at the end of the file.
    func read(at offset: Int, count: Int) throws(FileError) -> [UInt8]
    /// Writes all of `bytes` at `offset`, extending the file where needed. Not durable.
    func write(_ bytes: [UInt8], at offset: Int) throws(FileError)
    /// fdatasync: what was written is durable when this returns.
    func sync() throws(FileError)
    func size() throws(FileError) -> Int
    func truncate(to size: Int) throws(FileError)
}

/// A lock on a data folder, let go when the last reference goes.
package protocol FileLock: AnyObject, Sendable {}

/// What went wrong with a file. Which of these end the process is the caller's rule (L6).
package struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable {
        case notFound
        case alreadyExists
        /// ENOSPC or EDQUOT.
        case noSpace
        case permissionDenied
        /// EIO and whatever else the system says.
        case system(errno: Int32)
    }

    package var reason: Reason
    /// The call that failed: "open", "write", "fdatasync", …
    package var call: String
    package var path: String

    package init(_ reason: Reason, call: String, path: String) {
        self.reason = reason
        self.call = call
        self.path = path
    }

    package var description: String { "\(call) \(path): \(reasonText)" }

    private var reasonText: String {
        switch reason {
        case .notFound: "there is no such file or folder"
        case .alreadyExists: "it exists already"
        case .noSpace: "no space is left on the disk"
        case .permissionDenied: "permission denied"
        case .system(let errno): "the system says errno \(errno)"
        }
    }
}
