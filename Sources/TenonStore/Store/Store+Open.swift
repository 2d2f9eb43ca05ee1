package import TenonCore

extension Store {
    /// Opens the store in `directory`, or makes an empty one when there is none. Blocks: for
    /// start-up only.
    ///
    /// When it returns, a fresh manifest is durable (Rule L3), files that no manifest names are
    /// gone, and indexes and filters of all tables are in memory. A store that was never flushed
    /// has no manifest, and costs no sync: its first job founds it on disk before the first table,
    /// with the folder's name in the folder above (the folders above that are the caller's). The
    /// caller then applies the log from behind ``flushed`` on, and refuses reads below
    /// ``historyFloor``.
    /// - Throws: `damaged` when a file of the manifest is missing or wrong, or the manifest
    ///   itself is; `unknownFormat`, `noSpace`, `file`, `manifestFailed`,
    ///   `invalidConfiguration`.
    package static func open(
        fileSystem: any FileSystem, directory: String, configuration: StoreConfiguration,
        cache: BlockCache
    ) throws(StoreError) -> Store {
        try configuration.validate()
        let folder = StoreFolder(fileSystem: fileSystem, path: directory)
        try folder.unreferenced { fileSystem throws(FileError) in
            try fileSystem.createDirectory(directory)
        }
        let names = try folder.unreferenced { fileSystem throws(FileError) in
            try fileSystem.list(directory)
        }
        var manifest = try readManifest(of: folder, names: names, configuration)
        let levels = try openTables(of: manifest, in: folder)
        if manifest.isFounded {
            manifest.number += 1
            try manifest.write(to: folder)
        }
        try removeStrangers(names, manifest, folder)
        return Store(
            folder: folder, configuration: configuration, cache: cache, manifest: manifest,
            levels: levels)
    }

    /// Whether a store stands in `directory`. A folder without one was left half made. Blocks.
    package static func stands(
        in directory: String, _ fileSystem: any FileSystem
    ) throws(FileError) -> Bool {
        try fileSystem.exists(directory + "/" + Manifest.fileName)
    }

    private static func readManifest(
        of folder: StoreFolder, names: [String], _ configuration: StoreConfiguration
    ) throws(StoreError) -> Manifest {
        if let manifest = try Manifest.read(from: folder) { return manifest }
        // The first manifest is written before the first table: tables without one lost it.
        guard !names.contains(where: { $0.hasSuffix(TableNumber.fileSuffix) }) else {
            throw .damaged(file: folder.path(of: Manifest.fileName), reason: "missing")
        }
        var manifest = Manifest()
        manifest.cell = configuration.cellNumber
        return manifest
    }

    static func openTables(
        of manifest: Manifest, in folder: StoreFolder
    ) throws(StoreError) -> Levels {
        var tables: [[Table]] = []
        for level in manifest.levels {
            var opened: [Table] = []
            for entry in level { opened.append(try Table(entry, in: folder)) }
            tables.append(opened)
        }
        for run in tables.dropFirst() {
            for index in run.indices.dropFirst()
            where compareKeys(run[index - 1].upper, run[index].lower) > 0 {
                let name = run[index].number.fileName
                throw .damaged(file: folder.path(of: name), reason: "overlaps its neighbour")
            }
        }
        return Levels(tables)
    }

    /// Removes what an interrupted job left. Only names that this module makes are touched.
    private static func removeStrangers(
        _ names: [String], _ manifest: Manifest, _ folder: StoreFolder
    ) throws(StoreError) {
        let known = manifest.tables.map(\.number.fileName)
        for name in names where name.hasSuffix(TableNumber.fileSuffix) && !known.contains(name) {
            try folder.unreferenced { fileSystem throws(FileError) in
                try fileSystem.remove(folder.path(of: name))
            }
        }
        if names.contains(StoreFolder.incomingName) {
            try folder.unreferenced { fileSystem throws(FileError) in
                try fileSystem.removeTree(folder.incoming.path)
            }
        }
    }
}
