internal import TenonCore
internal import TenonLog
internal import TenonRaft

/// What is durable of the logs on one disk, followed from outside the engine: every record that
/// was written and synced, applied to a plain list.
final class DiskShadow {
    /// One replica's log.
    struct Replica {
        /// Nothing is known of a log that is damaged; it counts for nothing.
        var isKnown = true
        /// Whose log it is; 0 before anything was written.
        var replica = ReplicaID.none
        var base = LogPosition.zero
        /// Of the entries after the base.
        var terms: [Term] = []
        var hardState = HardState()
        /// Entries that are whole behind lost ones.
        var aside: [LogPosition] = []
        /// The end of what was durable before entries of it were lost; zero while nothing is.
        var promised = LogPosition.zero
        /// Splits that were durable here.
        var splits: Set<LogPosition> = []
        /// What the last start found, by index.
        var entriesFound: [LogPosition] = []

        private mutating func takeAside() {
            while let next = aside.first, next.index <= last.next {
                if next.index == last.next { terms.append(next.term) }
                aside.removeFirst()
            }
        }

        /// Whether entries that were durable once are neither there nor replaced by newer ones.
        var lacksPromised: Bool {
            isKnown && last < promised.index && (terms.last ?? base.term) <= promised.term
        }

        /// Takes over what a log from which entries were lost had promised.
        mutating func owe(_ before: Self) {
            guard before.isKnown else { return promised = before.promised }
            promised = LogPosition(
                index: before.last, term: before.terms.last ?? before.base.term)
            if before.lacksPromised { promised = max(promised, before.promised) }
        }

        var last: LogIndex { base.index.advanced(by: terms.count) }

        func term(at index: LogIndex) -> Term? {
            if index == base.index { return base.term }
            guard index > base.index, index <= last else { return nil }
            return terms[base.index.distance(to: index) - 1]
        }

        /// Whether the entry of this index and term is there, or was trimmed because the store
        /// has it.
        func holds(_ index: LogIndex, _ term: Term) -> Bool {
            isKnown
                && (index < base.index || self.term(at: index) == term
                    || aside.contains(LogPosition(index: index, term: term)))
        }

        /// The same, and the log is that replica's: an earlier one's counts for nothing.
        func holds(_ index: LogIndex, _ term: Term, as replica: ReplicaID) -> Bool {
            replica == self.replica && holds(index, term)
        }

        private mutating func noteSplits(_ entries: [Entry]) {
            if !splits.isEmpty { splits = splits.filter { $0.index < entries[0].index } }
            for entry in entries where entry.kind == .split {
                splits.insert(LogPosition(index: entry.index, term: entry.term))
            }
        }

        mutating func apply(_ record: LogRecord) {
            if let owner = record.replica, owner > replica {
                self = Self()
                replica = owner
            }
            switch record {
            case .entries(_, _, let entries):
                let kept = base.index.distance(to: entries[0].index) - 1
                if kept < terms.count { terms.removeSubrange(max(0, kept)...) }
                for entry in entries where entry.index > base.index { terms.append(entry.term) }
                aside = []
                noteSplits(entries)
            case .repaired(_, _, let entries):
                for entry in entries where entry.index == last.next { terms.append(entry.term) }
                takeAside()
            case .hardState(_, _, let state): hardState = state
            case .trim(_, _, let through, let term):
                guard through > base.index else { return }
                let gone = min(terms.count, base.index.distance(to: through))
                terms.removeSubrange(..<gone)
                base = LogPosition(index: through, term: term)
            case .reset(_, _, let at, let term):
                terms = []
                aside = []
                base = LogPosition(index: at, term: term)
            case .remove(_, let removed): if removed >= replica { self = Self() }
            case .metadata: break
            }
        }
    }

    /// By place of the tablet.
    var replicas: [Replica]
    /// Below it no replica of a tablet may be on this node any more; by place of the tablet.
    private(set) var lowestReplicas: [ReplicaID]
    /// Written, perhaps not durable: the crash decides.
    var underWay: [LogRecord] = []
    /// Written by a log that left files unsynced; durable when they are synced.
    var unsynced: [LogRecord] = []
    /// This folder is not the node's newest one: a wiped, cloned or rolled-back one.
    var isStranger = false

    init(tabletCount: Int) {
        replicas = Array(repeating: Replica(), count: tabletCount)
        lowestReplicas = Array(repeating: .none, count: tabletCount)
    }

    /// Makes room for tablets that came since.
    func follow(count: Int) {
        while replicas.count < count {
            replicas.append(Replica())
            lowestReplicas.append(.none)
        }
    }

    /// What is known of a copy of the folder, which is nobody's newest one.
    init(copyOf other: DiskShadow) {
        replicas = other.replicas
        lowestReplicas = other.lowestReplicas
        unsynced = other.unsynced
        isStranger = true
    }

    /// Whether the removal of a tablet's replica was on its way to the disk.
    func isRemoving(_ place: Int) -> Bool {
        (underWay + unsynced).contains { record in
            if case .remove = record { self.place(of: record) == place } else { false }
        }
    }

    func apply(_ records: [LogRecord]) {
        for record in records {
            guard let place = place(of: record) else { continue }
            replicas[place].apply(record)
            if case .remove(_, let removed) = record {
                lowestReplicas[place] = max(lowestReplicas[place], removed.next)
            }
        }
    }

    /// The place of the tablet that a record is about; nil for one that is not followed, because
    /// it was made while the cluster ran.
    func place(of record: LogRecord) -> Int? {
        DiskShadow.place(of: record).flatMap { $0 < replicas.count ? $0 : nil }
    }

    private static func place(of record: LogRecord) -> Int? {
        let tablet: TabletID
        switch record {
        case .entries(let id, _, _), .repaired(let id, _, _), .hardState(let id, _, _),
            .trim(let id, _, _, _),
            .reset(let id, _, _, _), .remove(let id, _):
            tablet = id
        case .metadata: return nil
        }
        return Int(tablet.rawValue - 1)
    }
}

extension LogRecord {
    /// Whose log the record is about; nil for a removal, and for what concerns the node.
    fileprivate var replica: ReplicaID? {
        switch self {
        case .entries(_, let replica, _), .repaired(_, let replica, _),
            .hardState(_, let replica, _), .trim(_, let replica, _, _),
            .reset(_, let replica, _, _):
            replica
        case .remove, .metadata: nil
        }
    }
}
