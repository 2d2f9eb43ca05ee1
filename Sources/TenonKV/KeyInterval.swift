package import TenonCore

/// The keys from `lower` up to and without `upper`.
package struct KeyInterval: Hashable, Sendable {
    package var lower: Bytes
    /// Nil: to the end of all keys.
    package var upper: Bytes?

    package init(lower: Bytes = Bytes(), upper: Bytes? = nil) {
        self.lower = lower
        self.upper = upper
    }

    /// All keys.
    package static let everything = KeyInterval()

    package var isEmpty: Bool { upper.map { $0 <= lower } ?? false }

    package func contains(_ key: Bytes) -> Bool {
        key >= lower && upper.map { key < $0 } ?? true
    }

    /// What both have in common; an empty interval when that is nothing.
    package func clipped(to other: KeyInterval) -> KeyInterval {
        let lower = max(lower, other.lower)
        guard let upper, let otherUpper = other.upper else {
            return KeyInterval(lower: lower, upper: upper ?? other.upper)
        }
        return KeyInterval(lower: lower, upper: min(upper, otherUpper))
    }
}
