public import TenonCore

extension Staleness {
    /// Any replica that has all that was acknowledged so long before it is asked, in whole
    /// milliseconds.
    public static func within(_ age: Duration) -> Staleness {
        .within(milliseconds: UInt32(clamping: TimeSpan(age).wholeMilliseconds))
    }
}

extension ReadAge {
    /// The age when it is known: zero for ``newest``.
    public var duration: Duration? {
        switch self {
        case .newest: .zero
        case .within(let milliseconds): .milliseconds(Int64(milliseconds))
        case .unknown: nil
        }
    }
}
