package import TenonCore

/// What a tablet's leader says when the tablet has grown too large: where it could be cut.
package struct SplitWish: Hashable, Sendable {
    package var tablet: TabletID
    /// Of the bounds that it was measured in.
    package var generation: Generation
    package var at: Bytes
    /// Bytes on disk of the keys below ``at``, and from it on.
    package var bytesBelow: UInt64
    package var bytesFrom: UInt64

    package init(
        tablet: TabletID, generation: Generation, at: Bytes, bytesBelow: UInt64, bytesFrom: UInt64
    ) {
        self.tablet = tablet
        self.generation = generation
        self.at = at
        self.bytesBelow = bytesBelow
        self.bytesFrom = bytesFrom
    }
}

/// Which tablets are split because they have grown, and when.
///
/// Nothing is ever merged, so what is split needlessly stays in two parts: a split must be worth
/// it. It costs the tablet a short time without writes and the nodes a group more.
package struct SizeSplits: Sendable {
    /// Splits by size under way in the cluster at a time: each flushes a memtable and links files
    /// on all nodes of its tablet.
    package static let underWayMax = 2
    /// Between two attempts to split one tablet, whatever became of the first. Orders of operators
    /// and homes are not held back by it.
    package static let pause = TimeSpan.seconds(30)
    /// Neither part may be smaller than this part of the bound: a tablet of which one key has nearly
    /// all bytes is better left as it is, and would be cut again and again at its edge.
    package static let smallestPart: UInt64 = 8

    /// When a split of each tablet was begun; those of long ago are forgotten.
    private var begun: [TabletID: Instant] = [:]

    package init() {}

    /// Whether a tablet that is as large as `wish` says is to become two where it says, when more
    /// than `bound` is too large; 0 for never.
    package static func isWorthIt(_ wish: SplitWish, above bound: UInt64) -> Bool {
        let (bytes, overflow) = wish.bytesBelow.addingReportingOverflow(wish.bytesFrom)
        guard bound > 0, !overflow, bytes > bound else { return false }
        return min(wish.bytesBelow, wish.bytesFrom) >= bound / smallestPart
    }

    /// Whether a split of the tablet may begin now; notes it when it may.
    package mutating func take(_ tablet: TabletID, now: Instant) -> Bool {
        begun = begun.filter { now < $0.value + SizeSplits.pause }
        guard begun[tablet] == nil else { return false }
        begun[tablet] = now
        return true
    }
}
