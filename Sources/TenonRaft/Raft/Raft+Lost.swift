package import TenonCore

/// A replica whose disk lost entries that it had acknowledged (Rule L7).
///
/// It starts with the part of its log before the first of them, and takes part in everything but
/// elections: neither votes nor stands, for its log is shorter than what it promised. A leader is
/// elected without it, so it has all that is committed, and what the leader sends is as good as
/// what was lost, or better. Without a leader, as when several replicas lost entries, they are
/// copied from any replica that holds an entry behind them that this one holds, too: logs that
/// agree there agree before it (Raft's log matching; thesis, section 3.5).
extension Raft {
    /// What was lost.
    package struct Lost: Hashable, Sendable {
        /// Where the log ended. The term means nothing when the entry is not the last of its
        /// write.
        package var last: LogPosition
        /// The replica's term then: no entry that it had is of a newer one.
        package var term: Term
        /// Entries behind the first one lost that are whole, in order.
        package var aside: [Entry]

        package init(last: LogPosition, term: Term, aside: [Entry] = []) {
            self.last = last
            self.term = term
            self.aside = aside
        }
    }

    /// What this replica wants to know of others: their entries from `first` through `anchor`,
    /// when they hold an entry of `anchor`'s index and term.
    package struct LostRange: Hashable, Sendable {
        package var first: LogIndex
        package var anchor: LogPosition

        package init(first: LogIndex, anchor: LogPosition) {
            self.first = first
            self.anchor = anchor
        }
    }

    /// Whether this replica may vote and stand for election as far as its log is concerned.
    package var isWhole: Bool { lost == nil }

    /// The next entries that are missing; nil when none are.
    package var lostRange: LostRange? {
        guard let lost else { return nil }
        let first = log.lastIndex.next
        guard first <= lost.last.index else { return nil }
        return LostRange(first: first, anchor: lost.aside.first?.position ?? lost.last)
    }

    /// Entries for another replica that lost them; nil when this one cannot say that they are the
    /// same, empty when it has trimmed them.
    package func entries(for range: LostRange, bytesMax: Int) -> [Entry]? {
        guard range.first <= range.anchor.index,
            log.term(at: range.anchor.index) == range.anchor.term
        else { return nil }
        guard range.first >= log.firstIndex else { return [] }
        return log.entries(from: range.first, through: range.anchor.index, bytesMax: bytesMax)
    }

    /// Takes entries that another replica sent for `range`. What is no continuation of this log,
    /// or comes too late, changes nothing.
    package mutating func restore(_ entries: [Entry], for range: LostRange, now: Instant) {
        advanceClock(to: now)
        guard lost != nil, range == lostRange, role != .leader,
            writes.nextUnwritten == log.lastIndex.next
        else { return }
        for entry in entries {
            guard let lost, entry.index == log.lastIndex.next, entry.index <= lost.last.index,
                entry.term >= log.last.term, entry.term <= range.anchor.term,
                entry.index < range.anchor.index || entry.term == range.anchor.term,
                entry.position != lost.aside.first?.position
            else { break }
            guard appendRestored(entry) else { break }
            output.repaired.append(entry)
        }
        takeAside()
        if !output.repaired.isEmpty { writes.noteRestored(end: log.lastIndex.next) }
        checkInvariants()
    }

    /// What follows without a gap was never lost.
    private mutating func takeAside() {
        while let entry = lost?.aside.first, entry.index == log.lastIndex.next,
            entry.term >= log.last.term, appendRestored(entry)
        {
            lost?.aside.removeFirst()
        }
    }

    private mutating func appendRestored(_ entry: Entry) -> Bool {
        if entry.kind == .configuration {
            do {
                history.append(try Membership(payload: entry.payload), at: entry.index)
            } catch {
                return false
            }
        }
        log.append(entry)
        return true
    }

    /// Ends the silence when nothing is missing any more: the log is durable as far as it ever
    /// was, or holds an entry of a term newer than all that was lost; that term's leader had all
    /// that was committed, and what it had stands before the entry.
    mutating func noteWhole() {
        guard let lost else { return }
        let durable = log.term(at: writes.durable) ?? .zero
        guard writes.durable >= lost.last.index || durable > lost.term else { return }
        reached(.lostEntriesRestored)
        self.lost = nil
    }

    /// A leader's entries go where the lost ones were.
    mutating func dropAside() {
        guard lost?.aside.isEmpty == false else { return }
        lost?.aside = []
    }

    /// Tells a leader that counts on what was lost.
    mutating func tellLoss(to leader: ReplicaID) {
        guard lost != nil else { return }
        send(.lostEntries(after: following.matched), to: leader)
    }

    mutating func receiveLoss(after match: LogIndex, from follower: ReplicaID) {
        guard role == .leader, let position = leadership.position(of: follower),
            leadership.progress[position].match > match
        else { return }
        reached(.followerLostEntries)
        leadership.progress[position].lost(after: match, round: leadership.lastRound)
        output.isReplicationDue = true
    }
}
