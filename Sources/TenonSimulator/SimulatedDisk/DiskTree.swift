internal import TenonCore

/// The folders and files of a ``SimulatedDisk``: inodes in an arena, addressed by index.
struct DiskTree {
    /// A file or a folder. Both contents lie flat, so that changing a file copies nothing.
    struct Inode {
        var isDirectory: Bool
        var file = FileContent()
        var directory = DirectoryContent()
        /// Open handles: a removed file lives until the last one goes.
        var handles = 0
    }

    /// The folder above all.
    static let root = 0

    private(set) var inodes: [Inode] = [Inode(isDirectory: true)]
    private var freeInodes: [Int] = []

    /// The bytes that all files take, removed ones with open handles included.
    var usedBytes: Int { inodes.reduce(0) { $0 + $1.file.cached.count } }

    /// Every file that the cache shows, with its path, in the order of the paths.
    func allFiles() -> [(path: String, inode: Int)] {
        var files: [(path: String, inode: Int)] = []
        var folders = [("", DiskTree.root)]
        while let (path, folder) = folders.popLast() {
            for name in names(in: folder) {
                guard let inode = inodes[folder].directory.cached[name] else { continue }
                if inodes[inode].isDirectory {
                    folders.append((path + "/" + name, inode))
                } else {
                    files.append((path + "/" + name, inode))
                }
            }
        }
        return files.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    }

    /// The inode of `path`, as the cache shows it.
    func find(_ path: String) -> Int? {
        var inode = DiskTree.root
        for name in DiskTree.names(of: path) {
            guard let next = inodes[inode].directory.cached[name] else { return nil }
            inode = next
        }
        return inode
    }

    /// The folder that holds `path`, and the last name of it; nil when the folder is missing.
    func parent(of path: String) -> (directory: Int, name: String)? {
        var names = DiskTree.names(of: path)
        guard let name = names.popLast(), let directory = find(names.joined(separator: "/")),
            inodes[directory].isDirectory
        else { return nil }
        return (directory, name)
    }

    /// The non-empty names between the slashes.
    static func names(of path: String) -> [String] {
        path.split(separator: "/").map(String.init)
    }

    /// The names in a folder, sorted by their bytes.
    func names(in directory: Int) -> [String] {
        inodes[directory].directory.cached.keys.sorted { left, right in
            left.utf8.lexicographicallyPrecedes(right.utf8)
        }
    }

    /// Makes an empty file or folder and enters it in the cache.
    mutating func make(isDirectory: Bool, _ name: String, in directory: Int) -> Int {
        let inode = allocate(Inode(isDirectory: isDirectory))
        change(directory, .enter(name: name, inode: inode))
        return inode
    }

    /// Makes a change of a folder in the cache.
    mutating func change(_ directory: Int, _ change: DirectoryChange) {
        if case .move(let source, let name, _, _) = change {
            inodes[source].directory.cached[name] = nil
        }
        inodes[directory].directory.make(change)
    }

    /// Carries the changes of a folder to the medium.
    mutating func syncDirectory(_ directory: Int) {
        for change in inodes[directory].directory.takeUnsynced() { persist(change, in: directory) }
        releaseUnreachable()
    }

    /// Calls `body` with a file's content.
    mutating func withFile<Result>(
        _ inode: Int, _ body: (inout FileContent) -> Result
    ) -> Result {
        precondition(!inodes[inode].isDirectory, "inode \(inode) is a folder")
        return body(&inodes[inode].file)
    }

    mutating func addHandle(_ inode: Int) { inodes[inode].handles += 1 }

    mutating func removeHandle(_ inode: Int) {
        inodes[inode].handles -= 1
        if inodes[inode].handles == 0 { releaseUnreachable() }
    }

    mutating func forgetHandles() {
        for inode in inodes.indices { inodes[inode].handles = 0 }
        releaseUnreachable()
    }

    /// Loses the cache of all folders and files.
    mutating func cutPower(keeping survival: Survival, using generator: inout SeededGenerator) {
        for inode in inodes.indices where inodes[inode].isDirectory {
            for change in inodes[inode].directory.takeUnsynced() {
                let isKept =
                    switch survival {
                    case .nothing: false
                    case .everything: true
                    case .random: generator.below(2) == 0
                    }
                if isKept { persist(change, in: inode) }
            }
        }
        for inode in inodes.indices {
            inodes[inode].directory.revert()
            inodes[inode].file.cutPower(keeping: survival, using: &generator)
        }
    }

    private mutating func persist(_ change: DirectoryChange, in directory: Int) {
        switch change {
        case .enter(let name, let inode):
            inodes[directory].directory.durable[name] = inode
        case .leave(let name):
            inodes[directory].directory.durable[name] = nil
        case .move(let source, let name, let newName, let inode):
            // Another file may have taken the old name since; that one stays.
            if inodes[source].directory.durable[name] == inode {
                inodes[source].directory.durable[name] = nil
            }
            inodes[directory].directory.durable[newName] = inode
        }
    }

    private mutating func allocate(_ inode: Inode) -> Int {
        if let free = freeInodes.popLast() {
            inodes[free] = inode
            return free
        }
        inodes.append(inode)
        return inodes.count - 1
    }

    /// Frees what no folder names, in cache or on the medium, and no handle holds.
    private mutating func releaseUnreachable() {
        var isReachable = inodes.map { $0.handles > 0 }
        isReachable[DiskTree.root] = true
        for free in freeInodes { isReachable[free] = true }
        for inode in inodes where inode.isDirectory {
            inode.directory.forEachInode { isReachable[$0] = true }
        }
        for inode in inodes.indices where !isReachable[inode] {
            inodes[inode] = Inode(isDirectory: false)
            freeInodes.append(inode)
        }
    }
}

/// One folder: the entries that the cache shows and those on the medium.
struct DirectoryContent {
    fileprivate(set) var cached: [String: Int] = [:]
    fileprivate var durable: [String: Int] = [:]
    /// Changes since the last sync, oldest first.
    private var unsynced: [DirectoryChange] = []

    fileprivate mutating func make(_ change: DirectoryChange) {
        switch change {
        case .enter(let name, let inode), .move(_, _, let name, let inode): cached[name] = inode
        case .leave(let name): cached[name] = nil
        }
        unsynced.append(change)
    }

    fileprivate mutating func takeUnsynced() -> [DirectoryChange] {
        defer { unsynced.removeAll() }
        return unsynced
    }

    fileprivate mutating func revert() { cached = durable }

    /// Calls `body` with every inode that is named here; the order does not matter.
    fileprivate func forEachInode(_ body: (Int) -> Void) {
        // Tidy: callers collect into sets.
        cached.values.forEach(body)
        // Tidy: callers collect into sets.
        durable.values.forEach(body)
        for case .enter(_, let inode) in unsynced { body(inode) }
        for case .move(_, _, _, let inode) in unsynced { body(inode) }
    }
}

/// A change of one folder, atomic on the medium.
enum DirectoryChange {
    case enter(name: String, inode: Int)
    case leave(name: String)
    /// A rename into this folder from `source`, which may be the same one.
    case move(source: Int, name: String, newName: String, inode: Int)
}
