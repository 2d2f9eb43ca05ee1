import TenonCore
import TenonKV
import TenonRaft
import TenonStore
import TenonWire

/// Fetching blocks before they are needed (Rule S9): on the leader before a write is proposed, on
/// a follower when the entry arrives. So a write that has to wait for the disk lets all others
/// pass, and what is committed can be applied at once.
extension Tablet {
    // MARK: Before the proposal

    /// Takes a write whose outcome depends on what `keys` hold: proposes it when their blocks are
    /// in memory, orders the blocks otherwise.
    func fetch(_ write: FetchingWrites.Write, into output: inout TabletOutput) {
        switch machine.prefetch(write.keys, blocks: write.blocks) {
        case .ready:
            gather(write.command, reading: write.keys, write.blocks, write.waiter, into: &output)
        case .needs(let read):
            guard let number = fetching.add(write, for: read) else {
                return answer(write.waiter, .refusal(Tablet.overloaded), into: &output)
            }
            output.jobs.append((.writeBlocks(number), .read, BackgroundJob.loading(read)))
        }
    }

    /// Blocks that a write waits for have come.
    func resumeWrite(
        _ number: UInt64, with loaded: LoadedBlocks, into output: inout TabletOutput
    ) {
        guard let write = fetching.take(number) else { return }
        write.blocks.add(loaded)
        guard problem == nil, raft.role == .leader else {
            return answer(write.waiter, .refusal(notServing), into: &output)
        }
        fetch(write, into: &output)
    }

    // MARK: Before the apply

    /// Looks at entries that arrived or were recovered: what they will read is ordered.
    func fetchAhead(_ entries: [Entry], into output: inout TabletOutput) {
        guard problem == nil, !isApplyPaused, !isWitness else { return }
        for entry in entries
        where fetched.hasRoom && fetched.element(entry.index, entry.term) == nil {
            let keys = StateMachine.keysRead(by: entry)
            _ = fetchAhead(
                FetchedAhead.Element(term: entry.term, keys: keys), at: entry.index, into: &output)
        }
    }

    /// Whether the blocks that `entry`, the next one to apply, reads are all in memory; orders
    /// what is missing and was not ordered.
    func isFetched(_ entry: Entry, into output: inout TabletOutput) -> Bool {
        guard let element = fetched.element(entry.index, entry.term) else {
            let keys = StateMachine.keysRead(by: entry)
            let isThere = fetchAhead(
                FetchedAhead.Element(term: entry.term, keys: keys), at: entry.index, into: &output)
            if !isThere { appliesDelayed += 1 }
            return isThere
        }
        if element.isLoading {
            reached(.applyNeedsBlocks)
            return false
        }
        if element.keys.isEmpty || element.generation == store.contentGeneration { return true }
        // A flush or a compaction has moved what it reads since it was looked at.
        let isThere = fetchAhead(element, at: entry.index, into: &output)
        if !isThere { appliesDelayed += 1 }
        return isThere
    }

    private func fetchAhead(
        _ element: FetchedAhead.Element, at index: LogIndex, into output: inout TabletOutput
    ) -> Bool {
        var element = element
        var isThere = true
        if !element.keys.isEmpty, element.generation != store.contentGeneration {
            switch machine.prefetch(element.keys, blocks: element.blocks) {
            case .ready: element.generation = store.contentGeneration
            case .needs(let read):
                isThere = false
                element.isLoading = true
                output.jobs.append(
                    (.entryBlocks(index, element.term), .read, BackgroundJob.loading(read)))
            }
        }
        fetched.set(element, at: index)
        return isThere
    }

    /// Blocks that an entry will read have come.
    func resumeEntry(
        _ index: LogIndex, _ term: Term, with loaded: LoadedBlocks,
        into output: inout TabletOutput
    ) {
        guard var element = fetched.element(index, term) else { return }
        element.isLoading = false
        element.blocks.add(loaded)
        _ = fetchAhead(element, at: index, into: &output)
    }
}
