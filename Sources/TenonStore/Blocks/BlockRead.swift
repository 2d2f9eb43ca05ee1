internal import TenonCore

/// The order to read some blocks: made on the loop, run where blocking is allowed.
package struct BlockRead: Sendable {
    package init() {}

    /// Whether there is nothing to read.
    package var isEmpty: Bool { true }

    /// Adds what `other` wants, so that several reads wait for one job.
    package mutating func merge(_ other: BlockRead) {}

    /// Reads, verifies and decompresses the blocks.
    /// - Throws: `damaged` when a checksum is wrong: nothing of the block is served.
    package func run() throws(StoreError) -> LoadedBlocks { LoadedBlocks() }
}

/// What a ``BlockRead`` brought.
package struct LoadedBlocks: Sendable {}
