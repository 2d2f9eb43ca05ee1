import TenonCore
import TenonLog

/// The data folder of a node that does not run, opened for a recovery (Rule C10). Locked while this
/// value lives.
///
/// The log is opened as at a start, which makes its end durable; the boot number stays, so that a
/// folder may be read as often as one likes. Nothing is repaired and nothing is put aside.
struct SurvivorFolder {
    var folder: NodeFolder
    let log: Log
    let recovery: LogRecovery
    let fileSystem: any FileSystem

    /// - Parameter configuration: how large the log's files are; nil looks at them.
    /// - Throws: ``RecoveryError``, a case of one folder.
    init(
        opening directory: String, fileSystem: any FileSystem,
        configuration: LogConfiguration? = nil
    ) throws(RecoveryError) {
        try self.init(
            SurvivorFolder.lock(directory, fileSystem), fileSystem: fileSystem,
            configuration: configuration)
    }

    /// The same of a folder that is locked already.
    init(
        _ folder: NodeFolder, fileSystem: any FileSystem, configuration: LogConfiguration?
    ) throws(RecoveryError) {
        self.fileSystem = fileSystem
        self.folder = folder
        do throws(LogError) {
            let sizes: LogConfiguration
            if let configuration {
                sizes = configuration
            } else {
                sizes = try .found(in: folder.logDirectory, fileSystem: fileSystem)
            }
            (log, recovery) = try Log.open(
                fileSystem: fileSystem, directory: folder.logDirectory, configuration: sizes)
        } catch {
            throw .log(directory: folder.directory, error)
        }
    }

    /// The lock and the identity alone.
    static func lock(
        _ directory: String, _ fileSystem: any FileSystem
    ) throws(RecoveryError) -> NodeFolder {
        let opened: NodeFolder?
        do throws(FolderError) {
            opened = try NodeFolder.openStopped(directory, fileSystem: fileSystem)
        } catch {
            throw .folder(error)
        }
        guard let opened else { throw .noFolder(directory: directory) }
        guard opened.identity.cluster != .none, opened.identity.node != NodeID(0) else {
            throw .notAMember(directory: directory)
        }
        return opened
    }
}
