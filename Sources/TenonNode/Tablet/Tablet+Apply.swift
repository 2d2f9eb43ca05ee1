import TenonCore
import TenonKV
import TenonRaft
import TenonStore
import TenonWire

extension Tablet {
    /// Applies committed entries in order, up to the bound of a turn. An entry whose keys are not
    /// in memory waits for its blocks, and those behind it wait with it (Rule S9).
    func applyCommitted(into output: inout TabletOutput) {
        var commands = 0
        while let entry = applyQueue.first, !isApplyPaused, problem == nil {
            if commands >= Tablet.commandsAppliedPerTurn / (isStaging ? 4 : 1) {
                output.wantsTurn = true
                return
            }
            guard !waitsForOwnLog(entry), isWitness || isFetched(entry, into: &output) else {
                return
            }
            let split = effectiveSplit(entry)
            if let split, !isHalfStanding(for: split, into: &output) { return }
            let reads = fetched.element(entry.index, entry.term)
            do {
                let outcomes: [Outcome]
                if isWitness {
                    outcomes = []
                    try skip(entry)
                } else {
                    outcomes = try machine.apply(entry, blocks: reads?.blocks ?? noBlocks)
                }
                commands += max(1, outcomes.count) + (reads?.keys.count ?? 0)
                finishApply(entry, outcomes, into: &output)
                if let split { splitApplied(split, into: &output) }
            } catch {
                quarantine("entry \(entry.index): \(error)", into: &output)
            }
        }
    }

    /// Whether an entry that is committed by others has to wait until this node's own log has it.
    ///
    /// A flush never goes beyond the own log (Rule L5). A replica that has applied what its log
    /// then has no room for has nothing left that it may flush, so nothing to trim, and no room
    /// ever again. A follower waits always: what a turn brings may be more than the log can take.
    /// A leader, whose clients wait, only when the log is full.
    private func waitsForOwnLog(_ entry: Entry) -> Bool {
        guard entry.index > raft.durableIndex, raft.role != .leader || raft.isLogFull else {
            return false
        }
        reached(.applyHeldForLogSpace)
        return true
    }

    private func finishApply(
        _ entry: Entry, _ outcomes: [Outcome], into output: inout TabletOutput
    ) {
        _ = applyQueue.removeFirst()
        fetched.remove(entry.index)
        raft.applied(through: entry.index)
        clock.observe(machine.lastVersion)
        if !isWitness { digests.note(entry.index, machine.logDigest.value) }
        if entry.kind == .configuration { configurationCommitted(at: entry.index, into: &output) }
        if entry.kind == .noop { output.isReportDue = true }
        if entry.index == split.proposed { split.proposed = nil }
        answerDigestQuestion(at: entry.index, into: &output)
        if let proposal = proposals.first, proposal.index <= entry.index {
            answerProposal(outcomes, of: entry, into: &output)
        }
        if outcomes.count == 1, case .upkeep(let version) = outcomes[0] {
            beginContentDigest(askedBy: entry, at: version)
        } else if !outcomes.isEmpty {
            writtenIndex = entry.index
        }
    }

    private func answerDigestQuestion(at index: LogIndex, into output: inout TabletOutput) {
        guard let question = openQuestion, question.index <= index else { return }
        openQuestion = nil
        guard question.index == index, !isWitness else { return }
        let report = DigestReport(tablet: id, index: index, digest: machine.logDigest.value)
        output.nodeMessages.append((question.from, .logDigest(report, isQuestion: false)))
    }

    /// Upkeep stands alone in its entry; one kind of it asks for the content digest (Rule S5).
    private func beginContentDigest(askedBy entry: Entry, at version: Timestamp) {
        do {
            var commands = try CommandBatch(payload: entry.payload).commandReaders()
            guard let bytes = try commands.next() else { return }
            var reader = ByteReader(bytes)
            guard try Command(from: &reader).operation == .contentDigest else { return }
            contentDigest.begin(at: version, over: machine)
        } catch {
            preconditionFailure("an entry that was applied cannot be read: \(error)")
        }
    }

    private func answerProposal(
        _ outcomes: [Outcome], of entry: Entry, into output: inout TabletOutput
    ) {
        let proposal = proposals.removeFirst()
        precondition(
            proposal.index == entry.index && proposal.term == entry.term
                && proposal.waiters.count == outcomes.count,
            "entry \(entry.index) of term \(entry.term) with \(outcomes.count) outcomes for "
                + "proposal \(proposal.index) of term \(proposal.term) with "
                + "\(proposal.waiters.count) waiters")
        // Command i of the entry has the version base + i, and the last one's is the machine's.
        var version = machine.lastVersion.rawValue + 1 - UInt64(outcomes.count)
        for (waiter, outcome) in zip(proposal.waiters, outcomes) {
            let point = ReadPoint(tablet: id, version: Timestamp(version))
            answer(waiter, .outcome(outcome, at: point), into: &output)
            version += 1
        }
    }
}
