import TenonCore
import TenonNode
package import TenonWire

/// The data folder of a node that joins a cluster, before the node serves.
///
/// The folder is made first and joins under its own random id: a join whose answer was lost is
/// repeated and gives the same number (Rule I1).
package struct JoiningFolder {
    private var folder: NodeFolder
    private let settings: ServeSettings

    /// Opens the folder that the settings name, or makes it. It is locked while this value lives.
    ///
    /// - Throws: ``ServerError`` for a folder of another node, one in use, one that is damaged.
    package init(_ settings: ServeSettings) throws(ServerError) {
        self.settings = settings
        var generator = SystemRandomNumberGenerator()
        do throws(FolderError) {
            folder = try NodeFolder.open(
                fileSystem: PosixFileSystem(), directory: settings.data,
                configuration: settings.nodeConfiguration, generator: &generator)
        } catch {
            throw ServerError("\(error)")
        }
    }

    /// Whether the folder's node is a member already: it joined before.
    package var isMember: Bool { folder.identity.cluster != .none }

    /// What the node asks of the directory.
    package var order: DirectoryOrder {
        .join(
            name: settings.name, address: settings.nodeConfiguration.address,
            locality: settings.locality, folder: folder.identity.folder,
            isWitness: settings.isWitness)
    }

    /// The node's record in a directory; nil as long as it is in none.
    package func record(in directory: Directory) -> Directory.Node? {
        directory.nodes.first { $0.folder == folder.identity.folder }
    }

    /// Makes the folder the one of node `node`. Durable when this returns.
    package mutating func join(
        as node: Directory.Node, _ directory: Directory
    ) throws(ServerError) {
        do throws(FileError) {
            try folder.join(as: node.id, directory)
        } catch {
            throw ServerError("\(error)")
        }
    }
}
