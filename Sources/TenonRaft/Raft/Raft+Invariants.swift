internal import TenonCore

/// What holds between two calls, whatever the messages and the disk did.
extension Raft {
    /// Traps when the state contradicts itself. Runs on the exit of every mutation in debug builds
    /// and under the package trait `InvariantChecks`.
    func checkInvariants() {
        #if INVARIANT_CHECKS || DEBUG
            checkIndexes()
            checkTerms()
            checkTickets()
            checkRole()
        #endif
    }

    private func checkIndexes() {
        precondition(
            log.base.index <= applied && applied <= handedOut && handedOut <= commit
                && commit <= log.lastIndex,
            "base \(log.base.index), applied \(applied), handed out \(handedOut), commit \(commit),"
                + " last \(log.lastIndex)")
        precondition(
            writes.durable < writes.nextUnwritten && writes.nextUnwritten <= log.lastIndex.next,
            "durable \(writes.durable), next to write \(writes.nextUnwritten),"
                + " last \(log.lastIndex)")
        if role == .follower {
            precondition(
                following.matched >= commit && following.matched <= log.lastIndex,
                "matched \(following.matched), commit \(commit), last \(log.lastIndex)")
        }
    }

    private func checkTerms() {
        precondition(log.last.term <= term, "an entry of term \(log.last.term) in term \(term)")
        precondition(
            writtenHardState.term <= term, "wrote term \(writtenHardState.term) in term \(term)")
        let indexes = history.elements.map(\.index)
        precondition(
            indexes[0] <= applied && zip(indexes, indexes.dropFirst()).allSatisfy { $0 < $1 }
                && history.activeIndex <= log.lastIndex,
            "configurations at \(indexes) in a log of \(log.base.index) to \(log.lastIndex)")
    }

    private func checkTickets() {
        for (left, right) in zip(writes.pending, writes.pending.dropFirst()) {
            precondition(
                left.ticket < right.ticket && left.through <= right.through,
                "ticket \(left.ticket) through \(left.through), then"
                    + " \(right.ticket) through \(right.through)")
        }
        for held in output.held {
            precondition(
                held.ticket > writes.lastPersisted && held.ticket <= writes.lastIssued.next,
                "a message held for ticket \(held.ticket) of \(writes.lastIssued)")
        }
    }

    private func checkRole() {
        if isResting {
            precondition(
                role == .leader || (role == .follower && leader != nil), "a \(role) that rests")
            precondition(
                commit == log.lastIndex, "a rest at \(commit) of a log to \(log.lastIndex)")
        }
        guard role == .leader else {
            precondition(leadership.progress.isEmpty, "a \(role) that has followers")
            return
        }
        precondition(leader == configuration.replica, "a leader that follows \(leader ?? .none)")
        precondition(vote == configuration.replica, "a leader that voted for \(vote)")
        precondition(
            leadership.uncommittedBytes == uncommittedBytes,
            "\(leadership.uncommittedBytes) B counted, \(uncommittedBytes) B not committed")
        for progress in leadership.progress {
            precondition(
                progress.match < progress.next && progress.next <= log.lastIndex.next
                    && progress.inflight.count <= configuration.windowMessagesMax,
                "\(progress.replica): match \(progress.match), next \(progress.next),"
                    + " \(progress.inflight.count) under way, log ends at \(log.lastIndex)")
        }
    }
}
