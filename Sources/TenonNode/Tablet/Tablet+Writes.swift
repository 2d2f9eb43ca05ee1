import TenonCore
import TenonKV
import TenonRaft
import TenonStore
import TenonWire

extension Tablet {
    /// Takes a checked write: into the entry under construction, or first to the disk when what it
    /// reads is not in memory.
    ///
    /// - Parameter keys: what it reads when it is applied; empty for a plain put.
    func write(
        _ command: Bytes, reading keys: [Bytes], for waiter: WriteWaiter,
        into output: inout TabletOutput
    ) {
        guard problem == nil, raft.role == .leader, !isWitness else {
            return answer(waiter, .refusal(notServing), into: &output)
        }
        if keys.isEmpty {
            gather(command, reading: [], noBlocks, waiter, into: &output)
        } else {
            fetch(
                FetchingWrites.Write(command: command, keys: keys, waiter: waiter), into: &output)
        }
    }

    /// Keys that the commands of one entry read, and bytes of the blocks they stand in, at which
    /// the entry closes: applying it must not take long, nor pin much memory (Rule S9).
    private static let entryKeysReadMax = 1_024
    private static let entryPinnedBytesMax = 8 << 20

    /// Takes a write into the entry under construction.
    ///
    /// A leader whose no-op is not applied yet gathers too, up to one entry: the wait is short,
    /// and refusing would only make clients come again.
    func gather(
        _ command: Bytes, reading keys: [Bytes], _ blocks: PinnedBlocks, _ waiter: WriteWaiter,
        into output: inout TabletOutput
    ) {
        let isFull =
            !builder.accepts(bytes: command.count)
            || (!keys.isEmpty
                && (gatheredKeys.count >= Tablet.entryKeysReadMax
                    || gatheredBlocks.bytes >= Tablet.entryPinnedBytesMax))
        if isFull { closeEntry(at: agreedTime, into: &output) }
        guard builder.accepts(bytes: command.count) else {
            return answer(waiter, .refusal(Tablet.overloaded), into: &output)
        }
        builder.append(command)
        gatheredWrites.append(waiter)
        guard !keys.isEmpty else { return }
        if gatheredKeys.isEmpty { gatheredGeneration = store.contentGeneration }
        gatheredKeys += keys
        gatheredBlocks.formUnion(blocks)
    }

    static let overloaded = Refusal(
        .overloaded, "the tablet's queue is full", retryAfterMilliseconds: 20)

    static let diskFull = Refusal(
        .diskFull,
        "the logs of this node and of the others are full because their tables cannot be written: "
            + "free space on their disks; deletes and reads go on",
        retryAfterMilliseconds: 1_000)

    /// Answers writes that wait for room in the logs: they may be committed yet, but nobody can
    /// say when (Rule L6).
    func giveUpStuckProposals(now: Instant, into output: inout TabletOutput) {
        guard raft.role == .leader, raft.room != .here else { return stuckSince = nil }
        guard let since = stuckSince else {
            return stuckSince = (now, raft.lastPosition.index)
        }
        guard now.since(since.at) >= configuration.timers.stallBound else { return }
        stuckSince = (now, raft.lastPosition.index)
        var refusal = Tablet.diskFull
        refusal.isOutcomeUnknown = true
        while let proposal = proposals.first, proposal.index <= since.last {
            for waiter in proposal.waiters { answer(waiter, .refusal(refusal), into: &output) }
            _ = proposals.removeFirst()
        }
    }

    /// Proposes what was gathered (Rule S6), with versions from the agreed clock.
    func closeEntry(at time: WallTime?, into output: inout TabletOutput) {
        agreedTime = time
        // Behind a split that is not applied nobody knows which keys are still this tablet's.
        let isBehindSplit = split.proposed != nil && !isPlanted(.writesBehindSplit)
        guard !builder.isEmpty, servesAsLeader, !isBehindSplit, let time else { return }
        let full = builder
        builder = CommandBatchBuilder()
        let waiters = gatheredWrites
        gatheredWrites = []
        let before = clock
        let base = clock.reserve(full.count, at: time)
        let payload = full.finish(base: base)
        let isProposed = propose(payload, for: waiters, takeReads(), into: &output)
        // So that the next one is a logical step above what is in the log (Rule S2).
        if !isProposed { clock = before }
    }

    /// What the commands of the entry under construction read, and the blocks of it.
    private func takeReads() -> FetchedAhead.Element {
        var element = FetchedAhead.Element(term: raft.term, keys: gatheredKeys)
        guard !gatheredKeys.isEmpty else { return element }
        element.blocks = gatheredBlocks
        element.generation = gatheredGeneration
        gatheredKeys = []
        gatheredBlocks = PinnedBlocks()
        return element
    }

    private func propose(
        _ payload: [UInt8], for waiters: [WriteWaiter], _ reads: FetchedAhead.Element,
        into output: inout TabletOutput
    ) -> Bool {
        do {
            let index = try raft.propose(.commands, payload)
            if fetched.hasRoom { fetched.set(reads, at: index) }
            lastClientVersion = clock.last
            proposals.append(Proposal(index: index, term: raft.term, waiters: waiters))
            return true
        } catch {
            let refusal =
                switch error {
                case .overloaded: Tablet.overloaded
                case .transferring:
                    Refusal(
                        .unavailable, "the leadership of tablet \(id) is being handed over",
                        retryAfterMilliseconds: 5)
                case .notLeader, .configurationUnderWay: notServing
                }
            for waiter in waiters { answer(waiter, .refusal(refusal), into: &output) }
            return false
        }
    }

    /// Proposes a command that leaders issue of their own accord. Nobody waits for it.
    /// Returns where in the log it is; nil when it could not be proposed.
    @discardableResult
    func proposeUpkeep(_ operation: Operation) -> LogIndex? {
        guard servesAsLeader, let agreedTime else { return nil }
        let before = clock
        var batch = CommandBatchBuilder()
        batch.append(Bytes(Command(operation: operation).encoded()))
        let base = clock.reserve(1, at: agreedTime)
        do {
            return try raft.propose(.commands, batch.finish(base: base))
        } catch {
            clock = before
            reached(.upkeepRefused)  // Not urgent: the next second or leader proposes it again.
            return nil
        }
    }
}
