package import TenonCore
import TenonLog
package import TenonRaft

/// What a replica lost, as its node keeps it in the log until it is whole again: what a leader
/// sends meanwhile replaces the marks of what was lost (Rule L7).
package struct RepairNote: Hashable, Sendable {
    /// Whose log it is about: none of a later replica of the tablet.
    package var replica: ReplicaID
    /// The last entry that the log had.
    package var last: LogPosition
    /// No entry that it had is of a newer term.
    package var term: Term

    package init(replica: ReplicaID, last: LogPosition, term: Term) {
        self.replica = replica
        self.last = last
        self.term = term
    }

    /// Keys of metadata with this bit are those of notes; ``ReplicaRecord`` has another bit.
    private static let keyBit: UInt64 = 1 << 62

    /// The key of a tablet's note.
    package static func key(of tablet: TabletID) -> UInt64 { keyBit | tablet.rawValue }

    /// The tablet that a key of metadata is about; nil when it is about a node.
    package static func tablet(ofKey key: UInt64) -> TabletID? {
        key >> 62 == 1 ? TabletID(key & ~keyBit) : nil
    }

    /// Layout: version 1 · replica 8 · last index 8 · last term 8 · term 8.
    package func encoded() -> Bytes {
        var writer = ByteWriter(capacity: 33)
        writer.uint8(1)
        writer.identifier(replica)
        writer.identifier(last.index)
        writer.identifier(last.term)
        writer.identifier(term)
        return Bytes(writer.take())
    }

    package init(decoding bytes: Bytes) throws(DecodingError) {
        var reader = ByteReader(bytes)
        let version = try reader.uint8()
        guard version == 1 else {
            throw .unknownKind(field: "repair note version", value: UInt64(version))
        }
        replica = try reader.identifier(ReplicaID.self)
        let index = try reader.identifier(LogIndex.self)
        last = LogPosition(index: index, term: try reader.identifier(Term.self))
        term = try reader.identifier(Term.self)
        try reader.finish()
    }
}

/// What of a recovered log a replica can go on with, and what it lost.
///
/// Damage below what the store has flushed takes nothing away but what others may be served.
struct RepairPlan {
    /// The log in memory starts after it.
    var base: LogPosition
    /// Without a gap.
    var entries: [Entry]
    var lost: Raft.Lost?
    /// How many entries behind the flush are not there.
    var lostCount = 0

    init(_ recovered: RecoveredTablet, flushed: LogPosition, note: RepairNote?) {
        base = LogPosition(index: recovered.baseIndex, term: recovered.baseTerm)
        entries = recovered.entries
        var term = recovered.hardState?.term ?? .zero
        var last = LogPosition(index: recovered.last, term: recovered.lastTerm)
        if case .damaged(let ranges) = recovered.verdict {
            let isDamagedBelow = ranges.contains { $0.lowerBound <= flushed.index }
            if isDamagedBelow { skip(through: flushed, logEnd: last.index) }
        }
        let end = base.index.advanced(by: RepairPlan.contiguousCount(entries, after: base.index))
        let aside = entries.filter { $0.index > end }
        entries.removeAll { $0.index > end }
        if let note {
            let newest = entries.last?.term ?? base.term
            let isOver = aside.isEmpty && (end >= note.last.index || newest > note.term)
            if !isOver {
                term = max(term, note.term)
                if note.last.index > last.index { last = note.last }
            }
            guard !isOver || last.index > end else { return }
        }
        // What a snapshot brought while the log ended before it is not missed.
        guard last.index > max(end, flushed.index), !isPlanted(.damagedSuffixDropped) else {
            return
        }
        lostCount = end.distance(to: last.index) - aside.count
        lost = Raft.Lost(last: last, term: term, aside: aside)
    }

    /// Begins behind the flush. Whether what follows there belongs to it is known only when the
    /// entry at the flush is: otherwise it counts as lost.
    private mutating func skip(through flushed: LogPosition, logEnd: LogIndex) {
        guard flushed.index > base.index else { return }
        let held = entries.first { $0.index == flushed.index }
        // A log that does not lead up to the flush is dropped when the group starts. Going on
        // behind the flush as if the disk held what leads there would leave a gap on it.
        let isOtherBranch = held.map { $0.term != flushed.term } ?? false
        if isOtherBranch || logEnd < flushed.index { return entries.removeAll() }
        reached(.damageBelowFlushPassed)
        base = flushed
        entries.removeAll { $0.index <= flushed.index || held == nil }
    }

    /// How many entries stand without a gap after `base`.
    private static func contiguousCount(_ entries: [Entry], after base: LogIndex) -> Int {
        var count = 0
        for entry in entries where entry.index > base {
            guard entry.index == base.advanced(by: count + 1) else { break }
            count += 1
        }
        return count
    }
}
