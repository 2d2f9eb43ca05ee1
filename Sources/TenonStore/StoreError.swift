package import TenonCore

/// Why the store could not do what it was asked. Each case says what the caller does about it.
package enum StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The configuration breaks one of its bounds. Start with another.
    case invalidConfiguration(String)
    /// A checksum or a structure is wrong, or a file is missing. Nothing of it is served: the
    /// replica is quarantined and repaired from its peers (Rule L7).
    case damaged(file: String, reason: String)
    /// The disk is full. The half-made files are gone and the store is as it was; the job can be
    /// made again when there is space (Rule L6).
    case noSpace(path: String)
    /// Whether the new manifest is in place is not known. The process ends (Rule L6).
    case manifestFailed(FileError)
    /// A file nobody refers to yet could not be written, or a table could not be read for a
    /// reason other than its content. The store is as it was.
    case file(FileError)
    /// Another format version or an unknown algorithm: made by newer software.
    case unknownFormat(file: String, version: Int)
    /// The receiver of a snapshot was given a chunk that is not the next one, or that is wrong.
    case badChunk(String)

    package var description: String {
        switch self {
        case .invalidConfiguration(let reason): "store configuration: \(reason)"
        case .damaged(let file, let reason): "\(file) is damaged: \(reason)"
        case .noSpace(let path): "no space for \(path)"
        case .manifestFailed(let error): "manifest: \(error)"
        case .file(let error): error.description
        case .unknownFormat(let file, let version): "\(file): unknown format \(version)"
        case .badChunk(let reason): "snapshot chunk: \(reason)"
        }
    }

    /// What a failed call on a file that no manifest names yet means (Rule L6).
    init(unreferenced error: FileError) {
        self = error.reason == .noSpace ? .noSpace(path: error.path) : .file(error)
    }
}
