package import TenonCore

/// Why a node did not do what a request asks, and what the caller can do about it.
package struct Refusal: Error, Hashable, Sendable {
    /// What stood in the way.
    package enum Reason: UInt8, Hashable, Sendable {
        /// This node does not lead the tablet: ask the one in ``Refusal/leader``, if it is named.
        case notLeader = 1
        /// No quorum, or not yet: try again, here or elsewhere.
        case unavailable = 2
        /// A queue is at its bound: try again after ``Refusal/retryAfterMilliseconds``.
        case overloaded = 3
        /// The request breaks a rule: do not try again.
        case invalid = 4
        /// A key, a value or a transaction is over its bound: do not try again.
        case tooLarge = 5
        /// The disk is full: deletes and reads go on.
        case diskFull = 6
        /// A read below the history floor: do not try again at this version.
        case historyGone = 7
        /// Not allowed.
        case denied = 8
        /// The tablet is not here or has another generation: ask for the directory again.
        case staleDescriptor = 9
        /// The node knows a higher epoch (or the client does): ask for the directory again.
        case wrongEpoch = 10
        /// The deadline passed while the request waited here.
        case deadlinePassed = 11
    }

    package var reason: Reason
    /// Whether a write may have taken effect, or may yet.
    package var isOutcomeUnknown: Bool
    package var retryAfterMilliseconds: UInt32
    /// For ``Reason/notLeader``; 0 when it is not known.
    package var leader: NodeID
    package var message: String

    private static let messageBytesMax = 1_024

    package init(
        _ reason: Reason, _ message: String, isOutcomeUnknown: Bool = false,
        retryAfterMilliseconds: UInt32 = 0, leader: NodeID = NodeID(0)
    ) {
        self.reason = reason
        self.isOutcomeUnknown = isOutcomeUnknown
        self.retryAfterMilliseconds = retryAfterMilliseconds
        self.leader = leader
        self.message = message
    }

    /// Layout: reason 1 · unknown 1 · retry after 4 · leader 4 · message.
    func encode(to writer: inout ByteWriter) {
        writer.uint8(reason.rawValue)
        writer.flag(isOutcomeUnknown)
        writer.uint32(retryAfterMilliseconds)
        writer.identifier(leader)
        writer.lengthPrefixed(String(message.prefix(Refusal.messageBytesMax / 4)))
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        let byte = try reader.uint8()
        guard let reason = Reason(rawValue: byte) else {
            throw .unknownKind(field: "refusal", value: UInt64(byte))
        }
        self.reason = reason
        isOutcomeUnknown = try reader.flag("unknown")
        retryAfterMilliseconds = try reader.uint32()
        leader = try reader.identifier(NodeID.self)
        message = try reader.lengthPrefixedText("message", atMost: Refusal.messageBytesMax)
    }
}
