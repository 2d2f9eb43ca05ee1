package import TenonCore

/// What a read gives at once, or the blocks without which it cannot go on (Rule S9).
///
/// A read changes nothing, so a caller that was told `needs` has the read run on a thread that
/// may block, adds what was loaded to its ``PinnedBlocks``, and calls the same read again. Each
/// round brings at least one new block, and a read needs a bounded number of them.
package enum StoreRead<Value> {
    case ready(Value)
    case needs(BlockRead)
}

/// Which keys a scan wants, in which order, and how much of them in one page.
package struct ScanRange: Hashable, Sendable {
    /// The first key wanted.
    package var lower: StoreKey
    /// The key before which the range ends; nil is the end of `lower`'s space.
    package var upper: StoreKey?
    /// Whether the greatest key comes first.
    package var isReversed: Bool
    /// How many items a page has at most, 1 or more.
    package var itemsMax: Int
    /// How many bytes of keys and values a page has at most; it holds one item at least.
    package var bytesMax: Int

    package init(
        from lower: StoreKey, to upper: StoreKey? = nil, reversed isReversed: Bool = false,
        itemsMax: Int = Limits.scanItemsMax, bytesMax: Int = Limits.scanBytesMax
    ) {
        precondition(itemsMax > 0, "a page of \(itemsMax) items")
        self.lower = lower
        self.upper = upper
        self.isReversed = isReversed
        self.itemsMax = itemsMax
        self.bytesMax = bytesMax
    }

    /// The bounds as prefixed keys; the end of a space is the tag above it.
    var prefixedBounds: (lower: [UInt8], upper: [UInt8]) {
        (lower.prefixed, upper?.prefixed ?? [lower.space.rawValue + 1])
    }
}

/// One key of a page of a scan.
package struct ScanItem: Hashable, Sendable {
    package var key: StoreKey
    package var stored: StoredValue
}

/// A page of a scan.
package struct ScanPage: Sendable {
    package var items: [ScanItem] = []
    /// What of the range is left to scan; nil at its end. A page may end before any of its
    /// bounds is reached, even without an item, so that no page takes long (Rule S9):
    /// whoever wants a full page goes on with this.
    package var rest: ScanRange?
}
