internal import TenonCore

/// Which writes ran and what became of them, so that a retry runs once (Rule S3).
///
/// Three things let go of an outcome: the client's low-water mark passes it; the window of log
/// time ends; the bounded table evicts the oldest. The last two raise the *session floor* above
/// the forgotten write's first issue, so nothing that was forgotten can run again: it is refused
/// as expired. A client's mark outlives its outcomes until the floor has passed its latest write.
///
/// Everything here is a function of the entries applied, so all replicas forget the same writes.
struct SessionTable {
    /// What the table does with a write.
    enum Verdict {
        /// Not seen before: run it, then ``SessionTable/record(_:for:client:at:bytes:)``.
        case run(client: Int)
        /// It ran; this came of it.
        case answered(Outcome)
        /// Below its client's mark: nobody waits for it.
        case duplicate
        /// First issued below the floor: whether it ran is not known any more.
        case expired
        /// First issued in the future: a client's clock, or its word, cannot be trusted.
        case ahead
    }

    /// A write that ran.
    struct Record {
        var sequence: SequenceNumber
        var firstIssue: Timestamp
        var version: Timestamp
        var outcome: Outcome
        /// What it counts towards the table's bound.
        var bytes: Int
        /// Whether a flush has written it since it ran.
        var isStored: Bool
    }

    /// A client and its writes. Records are sorted by sequence; those before `head` are gone.
    struct Client {
        var id: ClientID
        var mark: SequenceNumber
        /// The greatest first issue of its writes: the floor has to pass it before the mark goes.
        var latestIssue: Timestamp
        var records: [Record] = []
        var head = 0
        var isStored = false
        /// Whether a flush has not written it, or one of its records, as they are now.
        var isChanged = false
        /// Whether its slot is among the changed ones.
        var isListed = false
        /// False for a slot on the free list.
        var isLiving = true

        var living: ArraySlice<Record> { records[head...] }

        /// Where `sequence` stands, or would. - Complexity: O(log n), O(1) at either end.
        func place(of sequence: SequenceNumber) -> Int {
            guard head < records.count, records[records.count - 1].sequence >= sequence else {
                return records.count
            }
            var (low, high) = (head, records.count - 1)
            while low < high {
                let middle = (low + high) / 2
                if records[middle].sequence < sequence { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    /// A stored key that is to be deleted at the next flush.
    enum Removal {
        case record(ClientID, SequenceNumber)
        case client(ClientID)
    }

    let bounds: StateMachine.Configuration
    /// Writes first issued below it are refused when the table does not know them.
    var floor: Timestamp
    var clients: [Client] = []
    var removals: [Removal] = []
    /// Slots of clients that changed since a flush wrote them, and some that are gone since.
    var changed: [Int] = []
    /// Records that no flush has written.
    var unstoredCount = 0
    private var slots: [ClientID: Int] = [:]
    private var freeSlots: [Int] = []
    private var recordAges = AgeQueue()
    private var clientAges = AgeQueue()
    private(set) var recordCount = 0
    private(set) var recordBytes = 0
    var clientCount: Int { slots.count }

    /// What a record counts besides its outcome: the arrays and queues that hold it.
    static let recordOverheadBytes = 128

    init(bounds: StateMachine.Configuration, floor: Timestamp) {
        self.bounds = bounds
        self.floor = floor
    }

    // MARK: a write arrives

    /// Looks a write up. `version` is the write's own: the log's time.
    /// - Complexity: one hash lookup when it is its client's newest.
    mutating func admit(_ session: Session, at version: Timestamp) -> Verdict {
        if session.firstIssue > version.later(by: bounds.sessionAheadMax) {
            reached(.sessionAhead)
            return .ahead
        }
        guard let slot = slots[session.client] else {
            guard session.firstIssue >= floor || isPlanted(.expiredSessionRuns) else {
                return .expired
            }
            guard session.sequence >= session.lowWaterMark else { return .duplicate }
            return .run(client: addClient(session))
        }
        raiseMark(of: slot, to: session.lowWaterMark)
        if session.sequence < clients[slot].mark { return .duplicate }
        if isPlanted(.sessionKeptAsHighestSequence), let last = clients[slot].living.last,
            session.sequence < last.sequence
        {
            return .answered(last.outcome)
        }
        let place = clients[slot].place(of: session.sequence)
        if place < clients[slot].records.count,
            clients[slot].records[place].sequence == session.sequence
        {
            reached(.sessionAnsweredAgain)
            return .answered(clients[slot].records[place].outcome)
        }
        let isExpired = session.firstIssue < floor && !isPlanted(.expiredSessionRuns)
        return isExpired ? .expired : .run(client: slot)
    }

    /// Keeps the outcome of a write that was admitted to run, then forgets what is over the
    /// bounds: the write itself, when it is the oldest.
    mutating func record(
        _ outcome: Outcome, for session: Session, client slot: Int, at version: Timestamp,
        bytes: Int
    ) {
        let record = Record(
            sequence: session.sequence, firstIssue: session.firstIssue, version: version,
            outcome: outcome, bytes: bytes + SessionTable.recordOverheadBytes, isStored: false)
        clients[slot].latestIssue = max(clients[slot].latestIssue, session.firstIssue)
        noteChange(of: slot)
        insert(record, client: slot)
        keepBounds()
    }

    /// Ends the window of writes first issued too long before `logTime`.
    mutating func advance(to logTime: Timestamp) {
        raiseFloor(to: logTime.earlier(by: bounds.sessionWindow))
    }

    // MARK: forgetting

    private mutating func raiseMark(of slot: Int, to mark: SequenceNumber) {
        guard mark > clients[slot].mark else { return }
        clients[slot].mark = mark
        noteChange(of: slot)
        while clients[slot].head < clients[slot].records.count,
            clients[slot].records[clients[slot].head].sequence < mark
        {
            removeRecord(at: clients[slot].head, client: slot)
        }
    }

    private mutating func keepBounds() {
        while recordCount > bounds.sessionsMax || recordBytes > bounds.sessionBytesMax {
            guard let oldest = oldestRecord() else { return }
            raiseFloor(to: oldest.time.next)
        }
        while clientCount > bounds.sessionsMax {
            guard let oldest = oldestClient() else { return }
            raiseFloor(to: oldest.time.next)
        }
    }

    private mutating func raiseFloor(to newFloor: Timestamp) {
        guard newFloor > floor else { return }
        floor = newFloor
        while let oldest = oldestRecord(), oldest.time < floor {
            recordAges.popFirst()
            let place = clients[oldest.slot].place(of: SequenceNumber(oldest.low))
            removeRecord(at: place, client: oldest.slot)
        }
        while let oldest = oldestClient(), oldest.time < floor {
            clientAges.popFirst()
            removeClient(oldest.slot)
        }
    }

    /// The record that goes next. Dead elements before it are dropped.
    private mutating func oldestRecord() -> AgeQueue.Element? {
        while let first = recordAges.first {
            if isLiving(record: first) { return first }
            recordAges.popFirst()
        }
        return nil
    }

    private func isLiving(record element: AgeQueue.Element) -> Bool {
        let client = clients[element.slot]
        guard client.isLiving else { return false }
        let place = client.place(of: SequenceNumber(element.low))
        // A slot may have another client by now, but never a record of the same version.
        return place < client.records.count
            && client.records[place].version.rawValue == element.high
    }

    /// The client whose mark goes next: the one whose latest write is the oldest. A client's
    /// element keeps the age it was pushed with; met at the head, it is pushed anew with its own.
    private mutating func oldestClient() -> AgeQueue.Element? {
        while let first = clientAges.first {
            let client = clients[first.slot]
            let isSame = client.id.high == first.high && client.id.low == first.low
            if client.isLiving && isSame && client.latestIssue == first.time { return first }
            clientAges.popFirst()
            if client.isLiving && isSame { push(client, at: first.slot) }
        }
        return nil
    }

    private mutating func push(_ client: Client, at slot: Int) {
        clientAges.push(
            AgeQueue.Element(
                time: client.latestIssue, high: client.id.high, low: client.id.low, slot: slot))
    }

    // MARK: the table itself

    private mutating func addClient(_ session: Session) -> Int {
        let slot = addClient(
            Client(
                id: session.client, mark: session.lowWaterMark, latestIssue: session.firstIssue))
        noteChange(of: slot)
        return slot
    }

    private mutating func noteChange(of slot: Int) {
        clients[slot].isChanged = true
        guard !clients[slot].isListed else { return }
        clients[slot].isListed = true
        changed.append(slot)
    }

    /// Adds a client that is not there yet and returns its slot.
    mutating func addClient(_ client: Client) -> Int {
        precondition(slots[client.id] == nil, "client \(client.id) twice in a session table")
        let slot = freeSlots.popLast() ?? clients.count
        if slot == clients.count {
            clients.append(client)
        } else {
            let isListed = clients[slot].isListed
            clients[slot] = client
            clients[slot].isListed = isListed
        }
        slots[client.id] = slot
        push(client, at: slot)
        return slot
    }

    func slot(of client: ClientID) -> Int? { slots[client] }

    private mutating func removeClient(_ slot: Int) {
        let client = clients[slot]
        precondition(
            client.living.isEmpty, "client \(client.id) goes before \(client.living.count) records")
        if client.isStored { removals.append(.client(client.id)) }
        slots[client.id] = nil
        clients[slot].isLiving = false
        clients[slot].records = []
        clients[slot].head = 0
        freeSlots.append(slot)
    }

    /// Puts a record where its sequence stands.
    mutating func insert(_ record: Record, client slot: Int) {
        let place = clients[slot].place(of: record.sequence)
        if place == clients[slot].records.count {
            // The common case, several times cheaper than the general one.
            clients[slot].records.append(record)
        } else {
            clients[slot].records.insert(record, at: place)
        }
        recordCount += 1
        recordBytes += record.bytes
        if !record.isStored { unstoredCount += 1 }
        recordAges.push(
            AgeQueue.Element(
                time: record.firstIssue, high: record.version.rawValue,
                low: record.sequence.rawValue, slot: slot))
        // Twice as many as live, and some: rebuilding costs each push a constant.
        if recordAges.count > 2 * recordCount + 1_024 {
            let table = self
            recordAges.rebuild { table.isLiving(record: $0) }
        }
    }

    private mutating func removeRecord(at place: Int, client slot: Int) {
        recordCount -= 1
        recordBytes -= clients[slot].records[place].bytes
        if clients[slot].records[place].isStored {
            let sequence = clients[slot].records[place].sequence
            removals.append(.record(clients[slot].id, sequence))
        } else {
            unstoredCount -= 1
        }
        guard place == clients[slot].head else {
            clients[slot].records.remove(at: place)
            return
        }
        // The common case: the mark passes the first. Room is won back once half is empty.
        clients[slot].head += 1
        if clients[slot].head == clients[slot].records.count {
            clients[slot].records.removeAll(keepingCapacity: true)
            clients[slot].head = 0
        } else if clients[slot].head * 2 >= clients[slot].records.count {
            clients[slot].records.removeFirst(clients[slot].head)
            clients[slot].head = 0
        }
    }
}

extension Timestamp {
    /// This and `span` of wall time; saturates.
    func later(by span: TimeSpan) -> Timestamp {
        let steps = Timestamp(WallTime(milliseconds: span.nanoseconds / 1_000_000)).rawValue
        let (sum, overflow) = rawValue.addingReportingOverflow(steps)
        return overflow ? .newest : Timestamp(sum)
    }
}
