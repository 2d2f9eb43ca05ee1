package import TenonCore
package import TenonStore

/// The content digest of a key interval at a version (Rule S5), a page at a time.
///
/// It hashes what a scan at that version returns, keys, values and versions in key order, and
/// nothing of how files hold them: replicas whose tables differ in every byte agree.
package struct ContentDigestScan: Sendable {
    /// How far the scan is.
    package enum Step: Sendable {
        /// Load these blocks, then call again.
        case needs(BlockRead)
        /// Call again, after others had their turn.
        case more
        case done(Digest)
        /// The history floor passed the version; the digest can no longer be made.
        case historyGone(floor: Timestamp)
    }

    package let version: Timestamp
    package private(set) var itemCount: UInt64 = 0
    private var digest = Digest()
    private var rest: ScanRange?
    /// What one step reads at most: well under a millisecond of hashing.
    private static let pageBytesMax = 256 << 10

    /// The digest of the keys of `interval` that lie in the tablet, at `version`, which is
    /// a version that was applied.
    package init(of state: StateMachine, interval: KeyInterval, at version: Timestamp) {
        precondition(
            version <= state.lastVersion,
            "a digest at \(version), after the last version \(state.lastVersion)")
        self.version = version
        let inside = interval.clipped(to: state.bounds)
        guard !inside.isEmpty else { return }
        rest = ScanRange(
            from: .user(inside.lower), to: inside.upper.map { .user($0) },
            bytesMax: ContentDigestScan.pageBytesMax)
    }

    /// Hashes the next page.
    package mutating func step(_ state: StateMachine, blocks: PinnedBlocks) -> Step {
        guard let range = rest else { return .done(digest) }
        guard version >= state.readFloor else { return .historyGone(floor: state.readFloor) }
        switch state.store.scan(range, at: version, blocks: blocks) {
        case .needs(let read): return .needs(read)
        case .ready(let page):
            for item in page.items {
                digest.combine(item.key.bytes)
                digest.combine(item.stored.bytes)
                digest.combine(item.stored.version.rawValue)
                itemCount += 1
            }
            rest = page.rest
            return rest == nil ? .done(digest) : .more
        }
    }
}
