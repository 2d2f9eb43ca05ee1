package import TenonCore
package import TenonStore

/// Why a tablet stops. Nothing is applied to it afterwards, and nothing of it is flushed.
package enum KVError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The configuration breaks one of its bounds. Start with another.
    case invalidConfiguration(String)
    /// The entry is to be applied by rules that this software does not know (Rule S6). Another
    /// version of the software goes on.
    case unknownLogicVersion(LogicVersion, at: LogIndex)
    /// A committed entry is not what a leader may propose: a fault, never a client's doing.
    case corruptEntry(at: LogIndex, DecodingError)
    /// What the store holds of the state machine's own is not what was written.
    case damagedState(String)
    /// The store could not be read.
    case store(StoreError)

    package var description: String {
        switch self {
        case .invalidConfiguration(let reason): "state machine configuration: \(reason)"
        case .unknownLogicVersion(let version, let index):
            "entry \(index) has logic version \(version), this software knows \(LogicVersion.newest)"
        case .corruptEntry(let index, let error): "entry \(index) is not valid: \(error)"
        case .damagedState(let reason): "system keys: \(reason)"
        case .store(let error): error.description
        }
    }
}

/// Why a read is not answered.
package enum ReadError: Error, Hashable, Sendable {
    /// The version lies below the history floor, whatever files still hold (Rule S4).
    case historyGone(floor: Timestamp)
    /// The version lies above the tablet's clock: a later write could still come at or below it.
    /// The node moves the clock first and says so by ``StateMachine/observe(_:)`` (Rule S8).
    case ahead(last: Timestamp)
    /// The page token is damaged, or belongs to another scan.
    case badToken
    /// The key lies outside the tablet. The request was routed by an old descriptor.
    case outsideTablet
    /// The values together are over the bound of an answer. Ask for fewer keys.
    case tooLarge(bytes: Int, bound: Int)
}

/// Why a command is not proposed. It was not applied, and never will be.
package enum CommandRefusal: Error, Equatable, Sendable {
    /// The bytes are not a command, or a size is over its bound.
    case malformed(DecodingError)
    /// Clients do not send this kind.
    case notForClients
    /// A client's write names no session, so that its retry could run twice (Rule S3).
    case noSession
    /// The session says of its own write that it is answered.
    case sessionBelowMark
    /// A key, empty or outside the tablet. The request was routed by an old descriptor.
    case outsideTablet(key: Bytes)
    /// The command is over the bound of its kind.
    case tooLarge(bytes: Int, bound: Int)
}
