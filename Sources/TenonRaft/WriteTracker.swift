internal import TenonCore

/// Which entries and which hard state are on stable storage (Rule L4).
///
/// A ticket covers everything that was handed out with it and before it. So that a late ticket
/// never marks entries durable that were overwritten after it was issued, a truncation lowers
/// what every open ticket covers to before the truncated entries.
///
/// - Invariant: tickets rise; `durable` and what each ticket covers lie before `nextUnwritten`.
struct WriteTracker: Sendable {
    /// A write under way.
    struct Write: Sendable {
        var ticket: WriteTicket
        /// Once it is persisted the log is durable through here.
        var through: LogIndex
        var issuedAt: Instant
    }

    /// Tickets handed out and not persisted yet, oldest first.
    private(set) var pending: [Write] = []
    private(set) var lastIssued = WriteTicket.zero
    private(set) var lastPersisted = WriteTicket.zero
    /// The log is durable through here.
    private(set) var durable: LogIndex
    /// The first entry that was in no ``Ready`` yet.
    private(set) var nextUnwritten: LogIndex

    init(durable: LogIndex) {
        self.durable = durable
        nextUnwritten = durable.next
    }

    /// A ticket for everything before `end`, the index after the log's last.
    mutating func issue(end: LogIndex, now: Instant) -> WriteTicket {
        precondition(end >= nextUnwritten, "writing up to \(end) after \(nextUnwritten)")
        lastIssued = lastIssued.next
        nextUnwritten = end
        pending.append(Write(ticket: lastIssued, through: end.previous, issuedAt: now))
        return lastIssued
    }

    /// Completes `ticket` and all before it. One that is complete already changes nothing.
    mutating func complete(_ ticket: WriteTicket) {
        precondition(ticket <= lastIssued, "ticket \(ticket) persisted of \(lastIssued) issued")
        lastPersisted = max(lastPersisted, ticket)
        let done = pending.prefix { $0.ticket <= ticket }
        if let last = done.last { durable = max(durable, last.through) }
        pending.removeFirst(done.count)
    }

    /// Entries before `end` came back from others, or were never lost: the next ticket writes
    /// what is missing of them.
    mutating func noteRestored(end: LogIndex) { nextUnwritten = max(nextUnwritten, end) }

    /// The entries at `index` and after it were dropped.
    mutating func truncate(from index: LogIndex) {
        durable = min(durable, index.previous)
        nextUnwritten = min(nextUnwritten, index)
        if isPlanted(.lateTicketMarksOverwritten) { return }
        for position in pending.indices {
            pending[position].through = min(pending[position].through, index.previous)
        }
    }

    /// The log was replaced by one that starts after `index`; nothing of it counts as durable
    /// until a ticket issued from now on is persisted.
    mutating func reset(to index: LogIndex) {
        durable = .zero
        nextUnwritten = index.next
        for position in pending.indices { pending[position].through = .zero }
    }
}
