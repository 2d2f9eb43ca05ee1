import TenonCore

@testable import TenonRaft

/// What a simulated disk holds durably for one replica: a log, a hard state, and the state
/// machine's last flush.
struct TestDisk {
    var hardState = HardState()
    var base = LogPosition.zero
    var entries: [Entry] = []
    /// The flushed state machine: every entry up to `flushed`, and the membership there.
    var flushed = LogPosition.zero
    var state: [Entry] = []
    var membership: Membership

    mutating func perform(_ ready: Ready) {
        if let position = ready.logReset {
            base = position
            entries = []
        }
        if let hardState = ready.hardState { self.hardState = hardState }
        guard let first = ready.entries.first else { return }
        entries.removeLast(
            max(0, first.index.distance(to: base.index.advanced(by: entries.count + 1))))
        precondition(
            first.index == base.index.advanced(by: entries.count + 1),
            "writing \(first.index) after \(base.index) + \(entries.count)")
        entries += ready.entries
    }

    mutating func flush(_ state: [Entry], at position: LogPosition, _ membership: Membership) {
        flushed = position
        self.state = state
        self.membership = membership
    }

    mutating func trim(through index: LogIndex) {
        guard index > base.index else { return }
        let count = base.index.distance(to: index)
        base = entries[count - 1].position
        entries.removeFirst(count)
    }

    func holds(_ position: LogPosition) -> Bool {
        if position.index <= flushed.index { return true }
        let offset = base.index.distance(to: position.index) - 1
        return entries.indices.contains(offset) && entries[offset].term == position.term
    }

    /// What recovery gives.
    var restored: Raft.Restored {
        Raft.Restored(
            hardState: hardState, base: base, entries: entries, flushed: flushed,
            membership: membership)
    }
}

/// One replica with its disk and its state machine, driven by hand.
struct TestReplica {
    var raft: Raft
    var disk: TestDisk
    /// Writes under way, in order.
    var writes: [Ready] = []
    /// The state machine: what was applied, from the first entry on.
    var state: [Entry]
    var confirmed: [ConfirmedRead] = []
    var rejected: [ReadToken] = []
    var snapshotsWanted: [ReplicaID] = []
    /// Whether the state machine keeps up.
    var isApplying = true

    init(
        _ id: ReplicaID, disk: TestDisk, now: Instant = .zero, seed: UInt64 = 1,
        isSilent: Bool = false, configure: (inout Raft.Configuration) -> Void = { _ in }
    ) {
        var configuration = Raft.Configuration(
            tablet: TabletID(7), replica: id, epoch: .first)
        configure(&configuration)
        raft = try! Raft(
            configuration: configuration, restored: disk.restored, now: now,
            seed: seed &* 1_000 &+ id.rawValue)
        if !isSilent { raft.promisedUntil = .zero }
        self.disk = disk
        state = disk.state
    }

    /// Takes every ``Ready``, applies what is committed, starts writes; returns the messages.
    mutating func drain() -> [RaftMessage] {
        var messages: [RaftMessage] = []
        while raft.hasReady {
            let ready = raft.takeReady()
            if ready.ticket != nil { writes.append(ready) }
            messages += ready.messages
            state += ready.committed
            if isApplying, let last = ready.committed.last { raft.applied(through: last.index) }
            confirmed += ready.confirmedReads
            rejected += ready.rejectedReads
            snapshotsWanted += ready.snapshotsWanted
        }
        return messages
    }

    /// The oldest write under way reaches the disk.
    mutating func completeWrite() {
        let ready = writes.removeFirst()
        disk.perform(ready)
        if let ticket = ready.ticket { raft.persisted(ticket) }
    }

    /// Flushes the state machine at `index`.
    mutating func flush(at index: LogIndex) {
        guard let entry = state.first(where: { $0.index == index }) else { return }
        disk.flush(
            state.filter { $0.index <= index }, at: entry.position, raft.membership(at: index))
    }

    /// Flushes the state machine at `index` and trims the log.
    mutating func trim(through index: LogIndex) {
        flush(at: index)
        raft.trim(through: index)
        disk.trim(through: index)
    }
}

/// Members 1, 2, … `count`, each on the node of the same number.
func members(_ numbers: some Sequence<Int>) -> [Member] {
    numbers.map { Member(replica: ReplicaID(UInt64($0)), node: NodeID(UInt32($0))) }
}

func voters(_ numbers: some Sequence<Int>) -> Membership {
    try! Membership(incoming: members(numbers))
}

/// An entry whose payload tells entries of different terms apart.
func entry(_ index: Int, term: Int, _ text: String = "") -> Entry {
    Entry(
        index: LogIndex(UInt64(index)), term: Term(UInt64(term)), kind: .commands,
        payload: Array("\(text)\(index)/\(term)".utf8))
}

/// A log given by its terms, from index 1 on: the notation of the thesis's figures.
func log(terms: [Int]) -> [Entry] {
    terms.enumerated().map { entry($0.offset + 1, term: $0.element) }
}

extension ReplicaID: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: UInt64) { self.init(value) }
}
extension LogIndex: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: UInt64) { self.init(value) }
}
extension Term: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: UInt64) { self.init(value) }
}
extension ReadToken: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: UInt64) { self.init(value) }
}
