package import TenonCore

/// The log's beginning: trimming, and snapshots for followers that need what is trimmed.
extension Raft {
    /// Drops entries that the state machine's flush has made unnecessary. The log starts after
    /// `index` then, with its term and configuration kept.
    ///
    /// - Precondition: everything through `index` is applied and durable in the log (Rule L5).
    package mutating func trim(through index: LogIndex) {
        guard index > log.base.index else { return }
        precondition(
            index <= applied && index <= writes.durable,
            "trimming through \(index), applied \(applied), durable \(writes.durable)")
        log.trim(through: index)
        history.trim(through: index)
        checkInvariants()
    }

    /// The state machine was replaced by a snapshot that is durable: the log goes on after it.
    ///
    /// Entries after `position` stay when the log holds `position` itself: they may have been
    /// acknowledged. Otherwise the whole log is dropped, on disk too (``Ready/logReset``), and the
    /// snapshot is acknowledged when that is durable.
    ///
    /// - Parameter membership: the configuration in force as of `position`.
    /// - Returns: false when the snapshot is not newer than what is committed here. Nothing has
    ///   changed then.
    package mutating func installSnapshot(
        at position: LogPosition, membership: Membership, now: Instant
    ) -> Bool {
        advanceClock(to: now)
        let isNewer = position.index > commit || isPlanted(.snapshotOverNewerEntries)
        guard isNewer else {
            reached(.snapshotTooLateForLog)
            return false
        }
        // The state machine holds what is committed in that term, wherever this replica stands: a
        // leader that was deposed and has not heard of it yet, or one that lacks only the news
        // that its entries are committed.
        if position.term > term || role == .leader {
            reached(.snapshotEndedLeadership)
            becomeFollower(max(term, position.term))
        }
        let isContinued =
            log.term(at: position.index) == position.term && !isPlanted(.snapshotOverNewerEntries)
        reached(isContinued ? .snapshotContinuesLog : .snapshotReplacesLog)
        if isContinued {
            log.trim(through: position.index)
            history.trim(through: position.index)
        } else {
            log.reset(to: position)
            history = MembershipHistory(base: position.index, membership: membership)
        }
        // Entries at or before the position that were in no write yet leave a gap on disk.
        if !isContinued || writes.nextUnwritten <= position.index {
            writes.reset(to: position.index)
            output.logReset = position
        }
        dropAside()
        commit = position.index
        applied = position.index
        handedOut = position.index
        stall = ApplyStall()
        following.matched =
            isContinued ? max(following.matched, position.index) : position.index
        following.owesAnswer = true
        checkInvariants()
        return true
    }

    /// The state machine was replaced by a snapshot at `position` that this log holds, because its
    /// own content was lost (Rule L7): what is committed after it is handed out once more.
    ///
    /// - Returns: whether the log goes on from there; nothing has changed otherwise.
    package mutating func rewind(
        to position: LogPosition, membership: Membership, now: Instant
    ) -> Bool {
        advanceClock(to: now)
        guard role != .leader, position.index <= commit, position.index >= log.base.index,
            log.term(at: position.index) == position.term
        else { return false }
        // What the replica went by since its start may be older than the log's beginning.
        let later = history.elements.filter { $0.index > position.index }
        history = MembershipHistory(base: position.index, membership: membership)
        for element in later { history.append(element.membership, at: element.index) }
        handedOut = position.index
        applied = position.index
        stall = ApplyStall()
        checkInvariants()
        return true
    }

    /// A snapshot of `sender` tells that the entry at `position` is committed. When this log holds
    /// that very entry, all before it are committed too and the same here: they are handed out,
    /// instead of being skipped by the snapshot.
    ///
    /// Only of the leader that this replica follows: what was committed up to its term is in its
    /// log, so it may count on it here too. Of anybody else this would say to a leader of an older
    /// term that its own entry of that index is here.
    package mutating func learnCommitted(
        _ position: LogPosition, from sender: ReplicaID, now: Instant
    ) {
        advanceClock(to: now)
        guard role == .follower, leader == sender, position.index > commit,
            log.term(at: position.index) == position.term
        else { return }
        following.matched = max(following.matched, position.index)
        advanceCommit(to: position.index)
        checkInvariants()
    }

    /// The follower has installed a snapshot at `index`, or soon will: find out what it lacks.
    package mutating func snapshotSent(to replica: ReplicaID, at index: LogIndex) {
        endSnapshot(to: replica, at: min(index, log.lastIndex))
    }

    /// The snapshot did not arrive; another is wanted when the follower is heard again.
    package mutating func snapshotFailed(to replica: ReplicaID) {
        endSnapshot(to: replica, at: nil)
    }

    private mutating func endSnapshot(to replica: ReplicaID, at index: LogIndex?) {
        guard role == .leader, let position = leadership.position(of: replica) else { return }
        leadership.progress[position].snapshotEnded(at: index, round: leadership.lastRound)
        output.isReplicationDue = true
        checkInvariants()
    }

    /// The follower needs entries from before the base.
    mutating func wantSnapshot(for position: Int) {
        leadership.progress[position].becomeSnapshot(base: log.base.index)
        output.snapshotsWanted.append(leadership.progress[position].replica)
    }
}

extension Raft {
    /// Up to where ``trim(through:)`` may go when everything through `flushed` is in the store and
    /// `bytes` of payloads are to stay for followers that lag; nil when nothing can go.
    package func trimPoint(
        notAbove flushed: LogIndex, keepingBytes bytes: Int, entriesMax: Int = .max
    ) -> LogPosition? {
        log.trimPoint(
            notAbove: min(flushed, applied, writes.durable), keepingBytes: bytes,
            entriesMax: entriesMax)
    }
}
