package import TenonCore

/// Why the log refused. Only ``full`` and ``tooLarge(bytes:bound:)`` leave it usable.
package enum LogError: Error, Hashable, Sendable {
    /// The reserve is used up. Nothing was promised. Appends work again once the tablets named by
    /// ``LogStatus/oldestSegmentTablets`` have trimmed (Rule L6: `diskFull` to writers).
    case full
    /// An entry or a value that no batch can hold. A programmer's error in the caller's bounds.
    case tooLarge(bytes: Int, bound: Int)
    /// The disk failed a write, a sync or a read. The process must end: what is in the page cache
    /// can no longer be trusted (Rule L6). Every later call throws this too.
    case failed(FileError)
    /// A folder that another version of this software wrote.
    case unsupportedFormat(version: UInt16)
    /// A folder of another cell, or of another segment size.
    case foreign(String)
    /// A setting out of its bounds.
    case configuration(String)
}

extension LogError: CustomStringConvertible {
    /// What happened and what to do, for an operator.
    package var description: String {
        switch self {
        case .full: "there is no room: free space on its disk"
        case .tooLarge(let bytes, let bound):
            "an entry of \(bytes) B, over the bound of \(bound): a defect, please report it"
        case .failed(let error): "\(error): look at the disk before the node starts again"
        case .unsupportedFormat(let version):
            "it has format \(version), which this program does not know: start the program that "
                + "wrote it"
        case .foreign(let difference):
            "it was made otherwise (\(difference)): start it with the same settings"
        case .configuration(let problem): "a setting is out of its bounds: \(problem)"
        }
    }
}
