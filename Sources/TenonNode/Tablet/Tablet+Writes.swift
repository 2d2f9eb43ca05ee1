import TenonCore
import TenonKV
import TenonRaft
import TenonWire

extension Tablet {
    /// Takes a checked write into the entry under construction.
    ///
    /// A leader whose no-op is not applied yet gathers too, up to one entry: the wait is short,
    /// and refusing would only make clients come again.
    func write(_ command: Bytes, for waiter: WriteWaiter, into output: inout TabletOutput) {
        guard problem == nil, raft.role == .leader else {
            return answer(waiter, .refusal(notServing), into: &output)
        }
        if !builder.accepts(bytes: command.count) { closeEntry(wallTime: nil, into: &output) }
        guard builder.accepts(bytes: command.count) else {
            return answer(waiter, .refusal(Tablet.overloaded), into: &output)
        }
        builder.append(command)
        gatheredWrites.append(waiter)
    }

    static let overloaded = Refusal(
        .overloaded, "the tablet's queue is full", retryAfterMilliseconds: 20)

    /// Proposes what was gathered (Rule S6). With no wall time given the last one known serves.
    func closeEntry(wallTime: WallTime?, into output: inout TabletOutput) {
        if let wallTime { lastWallTime = wallTime }
        guard !builder.isEmpty, servesAsLeader else { return }
        let full = builder
        builder = CommandBatchBuilder()
        let waiters = gatheredWrites
        gatheredWrites = []
        let base = clock.reserve(full.count, at: lastWallTime)
        let payload = full.finish(base: base)
        propose(payload, for: waiters, into: &output)
    }

    private func propose(
        _ payload: [UInt8], for waiters: [WriteWaiter], into output: inout TabletOutput
    ) {
        do {
            let index = try raft.propose(.commands, payload)
            lastClientVersion = clock.last
            proposals.append(Proposal(index: index, term: raft.term, waiters: waiters))
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
        }
    }

    /// Proposes a command that leaders issue of their own accord. Nobody waits for it.
    /// Returns where in the log it is; nil when it could not be proposed.
    @discardableResult
    func proposeUpkeep(_ operation: Operation, wallTime: WallTime) -> LogIndex? {
        guard servesAsLeader else { return nil }
        var batch = CommandBatchBuilder()
        batch.append(Bytes(Command(operation: operation).encoded()))
        let base = clock.reserve(1, at: wallTime)
        do {
            return try raft.propose(.commands, batch.finish(base: base))
        } catch {
            reached("upkeep refused")  // Not urgent: the next second or leader proposes it again.
            return nil
        }
    }
}
