/// Decoded blocks of all tablets of a node, the least recently used forgotten first.
///
/// Owned by the node's loop.
package final class BlockCache {
    /// How many bytes of blocks it keeps at most.
    package let bytesMax: Int
    /// How many bytes of blocks it holds now.
    package private(set) var bytes = 0

    package init(bytesMax: Int) { self.bytesMax = bytesMax }
}
