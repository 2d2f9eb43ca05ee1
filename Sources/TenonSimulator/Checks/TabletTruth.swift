internal import TenonCore
internal import TenonRaft

/// What is true of a tablet, whatever a replica thinks: gathered from all replicas over the whole
/// run, so that each new fact is compared with all that is known.
struct TabletTruth {
    /// What the entry of one index and term is.
    struct KnownEntry {
        var term: Term
        var digest: UInt64
        /// The term of the entry before it; nil while unknown.
        var previousTerm: Term?
    }

    /// By index: the entries that were ever written anywhere.
    private var entries: [[KnownEntry]]
    /// By index from 0: the terms of committed entries.
    private(set) var committed: [Term]
    /// By index: the term in which somebody first took it for committed; these rise.
    private var committedIn: [Term]
    /// By index: when it was first taken for committed; these rise. Entries of before the tablet's
    /// log began count as never.
    private var committedAt: [Instant]
    /// By index: the log digest after it was applied; nil while unknown.
    private var digests: [UInt64?]
    /// The newest version that was applied anywhere, and where.
    var newest: (index: LogIndex, version: Timestamp)
    /// The newest configuration that somebody took for committed; nil while nobody has.
    private(set) var membership: Membership?
    private var leaders: [Term: ReplicaID] = [:]
    private var votes: [Ballot: ReplicaID] = [:]

    private struct Ballot: Hashable {
        var term: Term
        var voter: ReplicaID
    }

    /// Of a tablet whose log begins after `birth`, with versions above `version`.
    init(birth: LogPosition = .zero, version: Timestamp = .zero) {
        let count = Int(birth.index.rawValue) + 1
        entries = Array(repeating: [], count: count)
        committed = Array(repeating: birth.term, count: count)
        committedIn = committed
        committedAt = Array(repeating: .zero, count: count)
        digests = Array(repeating: nil, count: count)
        newest = (birth.index, version)
    }

    var lastCommitted: LogIndex { LogIndex(UInt64(committed.count - 1)) }

    /// The term of the committed entry at `index`; nil when it is not committed.
    func committedTerm(at index: LogIndex) -> Term? {
        index <= lastCommitted ? committed[Int(index.rawValue)] : nil
    }

    /// Notes an entry that somebody writes; what it contradicts, if anything.
    mutating func note(_ entry: Entry, after previousTerm: Term?) -> String? {
        let place = Int(entry.index.rawValue)
        while entries.count <= place { entries.append([]) }
        let digest = TabletTruth.digest(of: entry)
        guard let known = entries[place].firstIndex(where: { $0.term == entry.term }) else {
            entries[place].append(
                KnownEntry(term: entry.term, digest: digest, previousTerm: previousTerm))
            return nil
        }
        if entries[place][known].digest != digest {
            return "entry \(entry.index) of term \(entry.term) has two contents"
        }
        guard let previousTerm else { return nil }
        guard let knownTerm = entries[place][known].previousTerm else {
            entries[place][known].previousTerm = previousTerm
            return nil
        }
        return knownTerm == previousTerm
            ? nil
            : "entry \(entry.index) of term \(entry.term) follows one of term \(previousTerm) "
                + "here and of term \(knownTerm) there"
    }

    /// Whether somebody wrote this very entry.
    func knows(_ entry: Entry) -> Bool {
        let place = Int(entry.index.rawValue)
        guard place < entries.count else { return false }
        return entries[place].contains {
            $0.term == entry.term && $0.digest == TabletTruth.digest(of: entry)
        }
    }

    private static func digest(of entry: Entry) -> UInt64 {
        var digest = Digest(value: UInt64(entry.kind.rawValue))
        digest.combine(entry.payload)
        return digest.value
    }

    /// Notes that the entry after the last committed one is committed.
    mutating func commitNext(_ term: Term, in current: Term, at now: Instant) {
        committed.append(term)
        committedAt.append(now)
        committedIn.append(max(current, committedIn[committedIn.count - 1]))
    }

    /// Notes a configuration that is committed.
    mutating func note(committed other: Membership) {
        guard other.generation > membership?.generation ?? Generation(0) else { return }
        membership = other
    }

    /// The last entry that was committed before anybody could lead in `term`: its leader must have
    /// it. One that wins late, by votes that were long under way, knows nothing of newer terms.
    func lastCommitted(before term: Term) -> LogIndex {
        LogIndex(UInt64((committedIn.lastIndex { $0 < term } ?? 0)))
    }

    /// The last entry that somebody took for committed before `moment`.
    func lastCommitted(before moment: Instant) -> LogIndex {
        LogIndex(UInt64(committedAt.lastIndex { $0 < moment } ?? 0))
    }

    /// Notes the digest after an index; what it contradicts, if anything.
    mutating func note(digest: UInt64, at index: LogIndex) -> String? {
        let place = Int(index.rawValue)
        while digests.count <= place { digests.append(nil) }
        guard let known = digests[place] else {
            digests[place] = digest
            return nil
        }
        return known == digest
            ? nil
            : "at \(index) the log digest is \(hexadecimal(digest, digits: 16)), elsewhere "
                + hexadecimal(known, digits: 16)
    }

    /// Notes a leader; the other one of the same term, if there was one.
    mutating func note(leader: ReplicaID, of term: Term) -> ReplicaID? {
        defer { leaders[term] = leader }
        return leaders[term].flatMap { $0 == leader ? nil : $0 }
    }

    /// Notes a vote; the other one of the same voter and term, if there was one.
    mutating func note(
        vote candidate: ReplicaID, by voter: ReplicaID, in term: Term
    ) -> ReplicaID? {
        let ballot = Ballot(term: term, voter: voter)
        defer { votes[ballot] = candidate }
        return votes[ballot].flatMap { $0 == candidate ? nil : $0 }
    }

    /// Whether `voter` was seen to vote for `candidate`.
    func hasVoted(_ voter: ReplicaID, for candidate: ReplicaID, in term: Term) -> Bool {
        votes[Ballot(term: term, voter: voter)] == candidate
    }
}
