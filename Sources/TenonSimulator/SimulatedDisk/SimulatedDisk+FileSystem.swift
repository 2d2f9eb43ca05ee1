package import TenonCore

extension SimulatedDisk {
    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        guard mode == .create else {
            try requireRunning("open", path)
            return SimulatedFile(self, path: path, inode: try file(path, "open"), mode: mode)
        }
        let isDying = try beginOperation("open", path)
        guard tree.find(path) == nil else {
            throw FileError(.alreadyExists, call: "open", path: path)
        }
        let (directory, name) = try parent(of: path, "open")
        try orDie(isDying, "open", path) {
            _ = tree.make(isDirectory: false, name, in: directory)
        }
        return SimulatedFile(self, path: path, inode: try file(path, "open"), mode: mode)
    }

    package func createDirectory(_ path: String) throws(FileError) {
        var made = ""
        for name in DiskTree.names(of: path) {
            made += "/" + name
            if let inode = tree.find(made) {
                guard tree.inodes[inode].isDirectory else {
                    throw FileError(.alreadyExists, call: "mkdir", path: made)
                }
                continue
            }
            let isDying = try beginOperation("mkdir", made)
            let (directory, name) = try parent(of: made, "mkdir")
            try orDie(isDying, "mkdir", made) {
                _ = tree.make(isDirectory: true, name, in: directory)
            }
        }
    }

    package func list(_ path: String) throws(FileError) -> [String] {
        try requireRunning("list", path)
        return tree.names(in: try directory(path, "list"))
    }

    package func exists(_ path: String) throws(FileError) -> Bool {
        try requireRunning("stat", path)
        return tree.find(path) != nil
    }

    package func remove(_ path: String) throws(FileError) {
        let isDying = try beginOperation("unlink", path)
        guard let (directory, name) = tree.parent(of: path), tree.find(path) != nil else {
            throw FileError(.notFound, call: "unlink", path: path)
        }
        try orDie(isDying, "unlink", path) { tree.change(directory, .leave(name: name)) }
    }

    package func removeTree(_ path: String) throws(FileError) {
        try requireRunning("rmdir", path)
        var found = tree.find(path) == nil ? [] : [path]
        var next = 0
        while next < found.count {
            let folder = found[next]
            next += 1
            guard let inode = tree.find(folder), tree.inodes[inode].isDirectory else { continue }
            found += tree.names(in: inode).map { folder + "/" + $0 }
        }
        for path in found.reversed() { try remove(path) }
    }

    package func rename(_ from: String, to: String) throws(FileError) {
        let isDying = try beginOperation("rename", from)
        guard let inode = tree.find(from), let (source, name) = tree.parent(of: from) else {
            throw FileError(.notFound, call: "rename", path: from)
        }
        let (target, newName) = try parent(of: to, "rename")
        try orDie(isDying, "rename", from) {
            tree.change(
                target, .move(source: source, name: name, newName: newName, inode: inode))
        }
    }

    package func link(_ from: String, to: String) throws(FileError) {
        let isDying = try beginOperation("link", to)
        let inode = try file(from, "link")
        guard tree.find(to) == nil else {
            throw FileError(.alreadyExists, call: "link", path: to)
        }
        let (target, name) = try parent(of: to, "link")
        try orDie(isDying, "link", to) { tree.change(target, .enter(name: name, inode: inode)) }
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        let isDying = try beginOperation("fsync", path)
        let inode = try directory(path, "fsync")
        if takeFault(.failSync, path) { throw SimulatedDisk.inputOutputError("fsync", path) }
        counters.directorySyncs += 1
        try orDie(isDying, "fsync", path) { tree.syncDirectory(inode) }
    }

    package func freeBytes(at path: String) throws(FileError) -> Int {
        try requireRunning("statfs", path)
        return capacityBytes.map { max(0, $0 - usedBytes) } ?? Int(Int64.max)
    }

    package func lock(_ path: String) throws(FileError) -> (any FileLock)? {
        try requireRunning("flock", path)
        if tree.find(path) == nil { _ = try open(path, .create) }
        let inode = try file(path, "flock")
        guard lockedInodes.insert(inode).inserted else { return nil }
        return SimulatedLock(self, inode: inode)
    }

    /// The inode of the file `path`.
    private func file(_ path: String, _ call: String) throws(FileError) -> Int {
        guard let inode = tree.find(path), !tree.inodes[inode].isDirectory else {
            throw FileError(.notFound, call: call, path: path)
        }
        return inode
    }

    /// The inode of the folder `path`.
    private func directory(_ path: String, _ call: String) throws(FileError) -> Int {
        guard let inode = tree.find(path), tree.inodes[inode].isDirectory else {
            throw FileError(.notFound, call: call, path: path)
        }
        return inode
    }

    private func parent(
        of path: String, _ call: String
    ) throws(FileError) -> (directory: Int, name: String) {
        guard let parent = tree.parent(of: path) else {
            throw FileError(.notFound, call: call, path: path)
        }
        return parent
    }

    /// Does `action`; when the machine dies in it, perhaps, and throws.
    func orDie(
        _ isDying: Bool, _ call: String, _ path: String, _ action: () -> Void
    ) throws(FileError) {
        if !isDying || coin() { action() }
        if isDying { throw SimulatedDisk.inputOutputError(call, path) }
    }
}
