import TenonCore

/// How many bytes of a peer's messages this node still relays: a bucket that fills with time, so
/// that a relay never crowds out what the node does for itself (Rule C8).
struct RelayBudget {
    /// Bytes that are relayed for one peer in a second. More lets more groups live with a cut
    /// link, less leaves more of the relaying node's network to itself.
    static let bytesPerSecond = 16 << 20
    /// What may come at once.
    static let bytesMax = 4 << 20

    private var bytes = RelayBudget.bytesMax
    private var filledAt: Instant?

    /// Takes `count` bytes out; false when there are not enough, and the messages are to be
    /// dropped: their sender repeats them. What is more than the bucket holds passes when it is
    /// full, and is paid for afterwards: a large entry must not stop its group for good.
    mutating func take(_ count: Int, now: Instant) -> Bool {
        if let filledAt, now > filledAt {
            let microseconds = Int(min(now.since(filledAt).nanoseconds / 1_000, 1_000_000))
            let gained = microseconds * RelayBudget.bytesPerSecond / 1_000_000
            bytes = min(RelayBudget.bytesMax, bytes + gained)
        }
        filledAt = now
        guard count <= bytes || bytes == RelayBudget.bytesMax else { return false }
        bytes -= count
        return true
    }
}
