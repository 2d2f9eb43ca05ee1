public import TenonCore

/// Why a call did not do what it was asked, and whether a write may have happened all the same.
public struct TenonError: Error, Hashable, Sendable {
    /// What stood in the way. More kinds may come.
    public struct Kind: Hashable, Sendable, CustomStringConvertible {
        /// The name that `tenon pipe` answers as `error`.
        public let description: String

        /// The condition did not hold; ``TenonError/current`` is what the key had.
        public static let conditionFailed = Kind(description: "conditionFailed")
        /// Nobody answered before the deadline: no quorum, no route, or the answer was lost.
        public static let unavailable = Kind(description: "unavailable")
        /// A queue is at its bound: try again after ``TenonError/retryAfter``.
        public static let overloaded = Kind(description: "overloaded")
        /// The request breaks a rule: do not try again.
        public static let invalid = Kind(description: "invalid")
        /// A key, a value, a transaction or a request is over its bound.
        public static let tooLarge = Kind(description: "tooLarge")
        /// The disk is full; deletes and reads go on.
        public static let diskFull = Kind(description: "diskFull")
        /// The retry came too late to tell whether the write had happened. It never will now.
        public static let sessionExpired = Kind(description: "sessionExpired")
        /// The version asked for is below the history floor.
        public static let historyGone = Kind(description: "historyGone")
        /// Not allowed.
        public static let denied = Kind(description: "denied")
        /// The calling task was cancelled.
        public static let cancelled = Kind(description: "cancelled")
        /// The tablet that a call was cut to has other bounds: the caller's own part cuts it anew.
        static let moved = Kind(description: "moved")
    }

    /// Whether a write may have taken effect, or may yet.
    public enum Outcome: String, Hashable, Sendable {
        /// It did not and will not. Reads always have this outcome.
        case notApplied
        /// It may have: the answer was lost. Read before you decide.
        case unknown
    }

    /// What stood in the way.
    public let kind: Kind
    /// Whether a write may have taken effect.
    public let outcome: Outcome
    /// What happened, and what to do, for a person.
    public let message: String
    /// For ``Kind/conditionFailed``: what the key had when the condition was checked.
    public let current: StoredValue?
    /// For ``Kind/conditionFailed``: the point at which it was checked (Rule S7).
    public let at: Point?
    /// For ``Kind/overloaded``: how long to wait before another try.
    public let retryAfter: Duration?

    /// An error of these parts.
    public init(
        _ kind: Kind, _ outcome: Outcome, _ message: String, current: StoredValue? = nil,
        at: Point? = nil, retryAfter: Duration? = nil
    ) {
        self.kind = kind
        self.outcome = outcome
        self.message = message
        self.current = current
        self.at = at
        self.retryAfter = retryAfter
    }
}

extension TenonError: CustomStringConvertible {
    /// The kind, the message, and a word on the outcome when it is unknown.
    public var description: String {
        let warning = outcome == .unknown ? " (the write may have taken effect)" : ""
        return "\(kind): \(message)\(warning)"
    }
}
