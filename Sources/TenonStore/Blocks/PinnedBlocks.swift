/// The blocks that one read, or the reads of one entry, hold on to until they are done.
///
/// What was loaded once stays until this goes, so a read that is called again gets further.
/// Owned by the node's loop.
package final class PinnedBlocks {
    package init() {}

    /// Takes in what a ``BlockRead`` brought.
    package func add(_ loaded: LoadedBlocks) {}
}
