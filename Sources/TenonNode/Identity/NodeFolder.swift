package import TenonCore
package import TenonWire

/// Who a data folder belongs to: the content of `DIR/node` (Rules I1, I2).
package struct FolderIdentity: Hashable, Sendable {
    package var name: String
    package var node: NodeID
    package var folder: FolderID
    /// ``ClusterID/none`` until the formation of a cluster reached this node.
    package var cluster: ClusterID
    package var boot: BootNumber
    package var nonce: UInt64
    /// Of the member list that the folder was made under.
    package var memberListDigest: UInt64
    package var epoch: Epoch
    /// The highest epoch that this node met, when that is above its own: a recovery went on without
    /// it, and it never serves in its own again (Rule C10). 0 when it met none.
    package var fencedBy = Epoch(0)
    /// Who was declared lost by the recoveries of this cluster, in rising order.
    package var lost: [NodeID] = []

    private static let magic: UInt32 = 0x4E4E_5431  // "1TNN"
    private static let formatVersion: UInt16 = 1
    /// A thousand nodes lost, ten times over, still fit into what is read of the file.
    private static let lostMax = 10 * Directory.nodesMax

    /// Layout: magic 4 · version 2 · cell 2 · name · node 4 · folder 16 · cluster 16 · boot 8 ·
    /// nonce 8 · epoch 8 · member list digest 8 · fenced by 8 · lost count 4 · node 4… ·
    /// CRC-32C of all before 4.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 128)
        writer.uint32(FolderIdentity.magic)
        writer.uint16(FolderIdentity.formatVersion)
        writer.uint16(0)
        writer.lengthPrefixed(name)
        writer.identifier(node)
        writer.identifier(folder)
        writer.identifier(cluster)
        writer.identifier(boot)
        writer.uint64(nonce)
        writer.identifier(epoch)
        writer.uint64(memberListDigest)
        writer.identifier(fencedBy)
        writer.uint32(UInt32(lost.count))
        for node in lost { writer.identifier(node) }
        writer.uint32(CRC32C(writer.bytes).rawValue)
        return writer.take()
    }

    package init(decoding bytes: [UInt8]) throws(DecodingError) {
        var reader = try ByteReader.checked(
            bytes, magic: FolderIdentity.magic, version: FolderIdentity.formatVersion)
        _ = try reader.uint16()
        name = try reader.lengthPrefixedText("name", atMost: Limits.nameBytesMax)
        node = try reader.identifier(NodeID.self)
        folder = try reader.identifier(FolderID.self)
        cluster = try reader.identifier(ClusterID.self)
        boot = try reader.identifier(BootNumber.self)
        nonce = try reader.uint64()
        epoch = try reader.identifier(Epoch.self)
        memberListDigest = try reader.uint64()
        fencedBy = try reader.identifier(Epoch.self)
        let count = try reader.count("lost nodes", itemBytes: 4, atMost: FolderIdentity.lostMax)
        for _ in 0..<count { lost.append(try reader.identifier(NodeID.self)) }
        try reader.finish()
    }

    package init(
        name: String, node: NodeID, folder: FolderID, nonce: UInt64, memberListDigest: UInt64
    ) {
        self.name = name
        self.node = node
        self.folder = folder
        cluster = .none
        boot = BootNumber(1)
        self.nonce = nonce
        epoch = .first
        self.memberListDigest = memberListDigest
    }
}

/// Why a data folder cannot be used, and what to do.
package enum FolderError: Error, Sendable, CustomStringConvertible {
    case inUse(directory: String)
    case otherNode(directory: String, owner: String, wanted: String)
    case otherMembers(directory: String)
    case damaged(path: String, reason: String)
    /// An operator's recovery was begun on it and did not come to its end.
    case recoveryUnfinished(directory: String)
    /// A recovery went on without it (Rule C10).
    case fenced(directory: String, name: String, Epoch, by: Epoch)
    case file(FileError)

    package var description: String {
        switch self {
        case .inUse(let directory):
            "\(directory) is in use by another process: stop it, or give another --data"
        case .otherNode(let directory, let owner, let wanted):
            "\(directory) belongs to node \(owner), not to \(wanted): give \(wanted)'s own --data"
        case .otherMembers(let directory):
            "\(directory) was made with another --cluster list, --tablets or session bounds: "
                + "start it with the same ones"
        case .damaged(let path, let reason):
            "\(path) is damaged (\(reason)): restore the folder or replace the node"
        case .recoveryUnfinished(let directory):
            "\(directory) has a recovery that did not come to its end: stop, and run "
                + "`tenon recover apply` on it again, with \(directory)/\(FolderRecovery.fileName) "
                + "as its plan"
        case .fenced(let directory, let name, let epoch, let newer):
            "\(directory) is of epoch \(epoch), which a recovery ended (now \(newer)): if \(name) "
                + "was declared lost, it joins as a new node, with an empty folder; if it was a "
                + "survivor, run `tenon recover apply` on it with that recovery's plan"
        case .file(let error): "\(error)"
        }
    }
}

/// A node's data folder: its lock and its identity.
package struct NodeFolder: Sendable {
    package let directory: String
    package private(set) var identity: FolderIdentity
    /// Held as long as this value or a copy lives.
    private let lock: any FileLock
    private let fileSystem: any FileSystem

    package var logDirectory: String { NodeFolder.logDirectory(in: directory) }
    /// Where the log of the node with the data folder `directory` is.
    package static func logDirectory(in directory: String) -> String { directory + "/cell-0/log" }
    package var tabletsDirectory: String { directory + "/cell-0/tablets" }
    /// Checkpoints that are being sent to peers. Nothing in it outlives the process.
    package var snapshotsDirectory: String { NodeFolder.snapshots(in: directory) }

    static func snapshots(in directory: String) -> String { directory + "/cell-0/snapshots" }

    /// Locks and opens `directory`, or makes it, and raises its boot number. The new number is
    /// durable when this returns (Rule I2).
    package static func open(
        fileSystem: any FileSystem, directory: String, configuration: NodeConfiguration,
        generator: inout some RandomNumberGenerator
    ) throws(FolderError) -> NodeFolder {
        do {
            return try openUnwrapped(
                fileSystem: fileSystem, directory: directory, configuration: configuration,
                generator: &generator)
        } catch let error as FolderError {
            throw error
        } catch let error as FileError {
            throw .file(error)
        } catch {
            throw .damaged(path: directory + "/node", reason: "\(error)")
        }
    }

    private static func openUnwrapped(
        fileSystem: any FileSystem, directory: String, configuration: NodeConfiguration,
        generator: inout some RandomNumberGenerator
    ) throws -> NodeFolder {
        try fileSystem.createDirectory(directory)
        guard let lock = try fileSystem.lock(directory + "/LOCK") else {
            throw FolderError.inUse(directory: directory)
        }
        var identity: FolderIdentity
        if let found = try readIdentity(in: directory, fileSystem) {
            identity = found
            try check(identity, belongsTo: configuration, directory: directory)
            try requireNoRecovery(identity, directory, fileSystem)
            identity.boot = identity.boot.next
            identity.nonce = generator.next()
        } else {
            identity = FolderIdentity(
                name: configuration.name,
                node: configuration.isJoining ? NodeID(0) : configuration.me.id,
                folder: FolderID(using: &generator), nonce: generator.next(),
                memberListDigest: configuration.isJoining ? 0 : configuration.memberListDigest)
        }
        var folder = NodeFolder(
            directory: directory, identity: identity, lock: lock, fileSystem: fileSystem)
        try fileSystem.createDirectory(folder.logDirectory)
        try fileSystem.createDirectory(folder.tabletsDirectory)
        try fileSystem.syncDirectory(directory + "/cell-0")
        try folder.save(identity)
        // Without this a power cut takes the whole folder, and its node comes back as a wiped one.
        try fileSystem.syncDirectory(parent(of: directory))
        return folder
    }

    /// Nil when the folder is none of a node's.
    private static func readIdentity(
        in directory: String, _ fileSystem: any FileSystem
    ) throws -> FolderIdentity? {
        let path = directory + "/node"
        guard try fileSystem.exists(path) else { return nil }
        let file = try fileSystem.open(path, .read)
        return try FolderIdentity(decoding: file.read(at: 0, count: min(file.size(), 64 << 10)))
    }

    /// A node does not serve from a folder that a recovery has left behind, or half done.
    private static func requireNoRecovery(
        _ identity: FolderIdentity, _ directory: String, _ fileSystem: any FileSystem
    ) throws {
        if try fileSystem.exists("\(directory)/\(FolderRecovery.fileName)") {
            throw FolderError.recoveryUnfinished(directory: directory)
        }
        guard identity.fencedBy <= identity.epoch else {
            throw FolderError.fenced(
                directory: directory, name: identity.name, identity.epoch, by: identity.fencedBy)
        }
    }

    /// Locks the folder of a node that does not run, for a recovery. Its boot number stays.
    ///
    /// - Returns: nil when it is no node's folder.
    static func openStopped(
        _ directory: String, fileSystem: any FileSystem
    ) throws(FolderError) -> NodeFolder? {
        do {
            guard try fileSystem.exists(directory + "/node") else { return nil }
            guard let lock = try fileSystem.lock(directory + "/LOCK") else {
                throw FolderError.inUse(directory: directory)
            }
            guard let identity = try readIdentity(in: directory, fileSystem) else { return nil }
            return NodeFolder(
                directory: directory, identity: identity, lock: lock, fileSystem: fileSystem)
        } catch let error as FolderError {
            throw error
        } catch let error as FileError {
            throw .file(error)
        } catch {
            throw .damaged(path: directory + "/node", reason: "\(error)")
        }
    }

    /// The folder that holds `directory`.
    private static func parent(of directory: String) -> String {
        var path = Substring(directory)
        while path.count > 1, path.last == "/" { path.removeLast() }
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func check(
        _ identity: FolderIdentity, belongsTo configuration: NodeConfiguration, directory: String
    ) throws(FolderError) {
        guard identity.name == configuration.name else {
            throw .otherNode(
                directory: directory, owner: identity.name, wanted: configuration.name)
        }
        // A node that joined has its number, and all that must be equal, from the cluster.
        if configuration.isJoining { return }
        // Another number under the same name comes from another list.
        guard identity.node == configuration.me.id,
            identity.memberListDigest == configuration.memberListDigest
        else {
            throw .otherMembers(directory: directory)
        }
    }

    /// Replaces the identity. Durable when this returns: a new file, synced, renamed over the
    /// old one, and the folder synced.
    package mutating func save(_ identity: FolderIdentity) throws(FileError) {
        try NodeFolder.write(identity, in: directory, fileSystem: fileSystem)
        self.identity = identity
    }

    /// Makes this the folder of node `node` of a cluster that it joins, whose directory is
    /// `content`. Durable when this returns; a crash before leaves a folder that has not joined.
    package mutating func join(
        as node: NodeID, _ content: Directory
    ) throws(FileError) {
        precondition(identity.cluster == .none, "\(directory) is of \(identity.cluster)")
        try DirectoryFile.write(content, in: directory, fileSystem: fileSystem)
        var joined = identity
        joined.node = node
        joined.cluster = content.cluster
        joined.epoch = content.epoch
        joined.memberListDigest = content.memberListDigest
        try save(joined)
    }

    /// The blocking part of ``save(_:)``, for a job on another thread.
    package static func write(
        _ identity: FolderIdentity, in directory: String, fileSystem: any FileSystem
    ) throws(FileError) {
        let temporary = directory + "/node.new"
        if try fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
        let file = try fileSystem.open(temporary, .create)
        try file.write(identity.encoded(), at: 0)
        try file.sync()
        try fileSystem.rename(temporary, to: directory + "/node")
        try fileSystem.syncDirectory(directory)
    }
}
