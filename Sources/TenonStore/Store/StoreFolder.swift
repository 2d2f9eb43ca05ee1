internal import TenonCore

/// The folder of a store or of a checkpoint: paths, and what a failed call in it means.
struct StoreFolder: Sendable {
    let fileSystem: any FileSystem
    let path: String

    func path(of name: String) -> String { path + "/" + name }

    /// The folder above this one.
    var parentPath: String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Where a snapshot gathers before it is installed.
    var incoming: StoreFolder {
        StoreFolder(fileSystem: fileSystem, path: path(of: StoreFolder.incomingName))
    }
    static let incomingName = "incoming"

    /// A new file; what an earlier attempt left under the name, which nobody refers to, goes.
    func createFile(_ name: String) throws(StoreError) -> any File {
        let path = path(of: name)
        do throws(FileError) {
            if try fileSystem.exists(path) { try fileSystem.remove(path) }
            return try fileSystem.open(path, .create)
        } catch {
            throw StoreError(unreferenced: error)
        }
    }

    /// A file that a manifest names: when it is missing, that is damage.
    func openForReading(_ name: String) throws(StoreError) -> any File {
        let path = path(of: name)
        do throws(FileError) {
            return try fileSystem.open(path, .read)
        } catch {
            if error.reason == .notFound { throw .damaged(file: path, reason: "missing") }
            throw .file(error)
        }
    }

    /// Removes files that nobody refers to, as far as that works: what stays is found and removed
    /// when the store is opened. Returns how many stayed.
    func removeUnreferenced(_ names: [String]) -> Int {
        var left = 0
        for name in names {
            do throws(FileError) {
                try fileSystem.remove(path(of: name))
            } catch {
                if error.reason != .notFound { left += 1 }
            }
        }
        return left
    }

    /// Removes what a job that failed has half made. The folder is synced, so that a file system
    /// that gives space back only then has it for the next attempt (Rule L6).
    func discard(_ names: [String]) {
        guard removeUnreferenced(names) < names.count else { return }
        do throws(FileError) {
            try fileSystem.syncDirectory(path)
        } catch {
            // The job's own error is on its way to the caller, and says more than this one.
            return
        }
    }

    /// Removes the folder and what is in it, which nobody refers to; false when that fails.
    func removeUnreferencedTree() -> Bool {
        do throws(FileError) {
            try fileSystem.removeTree(path)
            return true
        } catch {
            return false
        }
    }

    /// Runs a call on something that no manifest names yet.
    func unreferenced<Result>(
        _ body: (any FileSystem) throws(FileError) -> Result
    ) throws(StoreError) -> Result {
        do throws(FileError) {
            return try body(fileSystem)
        } catch {
            throw StoreError(unreferenced: error)
        }
    }
}
