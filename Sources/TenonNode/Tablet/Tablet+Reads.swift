import TenonCore
import TenonKV
import TenonRaft
import TenonStore
import TenonWire

/// A read that waits for its round, its index or its blocks.
struct PendingRead {
    enum Question {
        case get(Bytes, at: Timestamp?)
        case getMany([Bytes], at: Timestamp?)
        /// Indirect, because it is three times as large as the others.
        indirect case scan(TenonWire.ScanRequest)
    }

    var waiter: WriteWaiter
    var question: Question
    /// How old the content may be that it is served from (Rule S8).
    var staleness: Staleness
    var deadline: Instant
    /// Whether a round that began after it arrived was confirmed: it is linearizable.
    var isConfirmed = false
    /// What was loaded for it so far; nil before the first block is missing.
    var blocks: PinnedBlocks?
    /// The entry that moves the tablet's clock past the version it asks for (Rule S8).
    var notBefore = LogIndex.zero

    init(
        _ waiter: WriteWaiter, _ question: Question, _ staleness: Staleness, _ deadline: Instant
    ) {
        self.waiter = waiter
        self.question = question
        self.staleness = staleness
        self.deadline = deadline
    }

    /// The version it asks for; nil for the newest.
    var version: Timestamp? {
        switch question {
        case .get(_, let at), .getMany(_, let at): at
        case .scan(let request): request.at
        }
    }

    /// About how many look-ups it costs.
    var cost: Int {
        switch question {
        case .get: 1
        case .getMany(let keys, _): keys.count
        // Neighbours cost a fraction of a look-up each.
        case .scan(let request): 1 + Int(request.limit) / 16
        }
    }
}

/// The reads of a tablet in their three waits.
struct ReadQueue {
    /// Waiting for the round of their token to be confirmed, in the order of tokens.
    private var inRounds: [(token: ReadToken, since: Instant, reads: [PendingRead])] = []
    /// Confirmed, waiting until the index is applied, in the order of indexes. Slices, because
    /// they are served piece by piece from the front.
    private var confirmed: [(index: LogIndex, reads: ArraySlice<PendingRead>)] = []
    /// Waiting for blocks, by number.
    private var forBlocks: [UInt64: PendingRead] = [:]
    private var nextToken: UInt64 = 1
    private var nextNumber: UInt64 = 1

    var isEmpty: Bool { inRounds.isEmpty && confirmed.isEmpty && forBlocks.isEmpty }

    /// - Parameter now: not before any of them arrived.
    mutating func join(_ reads: [PendingRead], now: Instant) -> ReadToken {
        let token = ReadToken(nextToken)
        nextToken += 1
        inRounds.append((token, now, reads))
        return token
    }

    /// - Returns: when the reads of the token asked; nil when nobody waits for it any more.
    mutating func confirm(_ token: ReadToken, index: LogIndex) -> Instant? {
        guard let place = inRounds.firstIndex(where: { $0.token == token }) else { return nil }
        var (_, since, reads) = inRounds.remove(at: place)
        for place in reads.indices { reads[place].isConfirmed = true }
        insert(reads.filter { $0.notBefore <= index }, at: index)
        for read in reads where read.notBefore > index { insert([read], at: read.notBefore) }
        return since
    }

    /// Takes a read that waits for nothing but its turn.
    mutating func take(_ read: PendingRead) { insert([read], at: .zero) }

    private mutating func insert(_ reads: [PendingRead], at index: LogIndex) {
        guard !reads.isEmpty else { return }
        let place = confirmed.lastIndex { $0.index <= index }.map { $0 + 1 } ?? 0
        confirmed.insert((index, reads[...]), at: place)
    }

    mutating func take(_ token: ReadToken) -> [PendingRead]? {
        guard let place = inRounds.firstIndex(where: { $0.token == token }) else { return nil }
        return inRounds.remove(at: place).reads
    }

    /// The next reads whose index is applied, of a total cost of about `budget`: a read that
    /// costs more alone comes alone.
    mutating func takeReady(applied: LogIndex, budget: Int) -> [PendingRead] {
        var ready: [PendingRead] = []
        var left = budget
        while left > 0, let first = confirmed.first, first.index <= applied {
            let count = first.reads.prefix { read in
                defer { left -= read.cost }
                return left > 0
            }.count
            ready.append(contentsOf: first.reads.prefix(count))
            if count == first.reads.count {
                confirmed.removeFirst()
            } else {
                confirmed[0].reads.removeFirst(count)
            }
        }
        return ready
    }

    func hasReady(applied: LogIndex) -> Bool {
        confirmed.first.map { $0.index <= applied } ?? false
    }

    mutating func awaitBlocks(_ read: PendingRead) -> UInt64 {
        let number = nextNumber
        nextNumber += 1
        forBlocks[number] = read
        return number
    }

    mutating func takeAwaitingBlocks(_ number: UInt64) -> PendingRead? {
        forBlocks.removeValue(forKey: number)
    }

    /// Everything, in a fixed order.
    mutating func removeAll() -> [PendingRead] {
        var all: [PendingRead] = []
        for batch in inRounds { all.append(contentsOf: batch.reads) }
        for batch in confirmed { all.append(contentsOf: batch.reads) }
        for number in forBlocks.keys.sorted() {
            if let read = forBlocks[number] { all.append(read) }
        }
        inRounds = []
        confirmed = []
        forBlocks = [:]
        return all
    }

    /// The reads whose deadline has passed: nobody waits for them any more.
    mutating func removeExpired(now: Instant) -> [PendingRead] {
        var expired: [PendingRead] = []
        for place in inRounds.indices {
            expired.append(contentsOf: inRounds[place].reads.filter { $0.deadline < now })
            inRounds[place].reads.removeAll { $0.deadline < now }
        }
        for place in confirmed.indices {
            expired.append(contentsOf: confirmed[place].reads.filter { $0.deadline < now })
            confirmed[place].reads.removeAll { $0.deadline < now }
        }
        return expired
    }
}

extension Tablet {
    /// Takes a read. It joins the next round of the leader (Rule C2), unless what this replica has
    /// is new enough for it (Rule S8).
    func read(_ read: PendingRead, now: Instant, into output: inout TabletOutput) {
        if read.staleness != .none, takeStale(read, now: now, into: &output) { return }
        guard problem == nil, raft.role == .leader, !refusesAsWitness else {
            return answer(read.waiter, .refusal(notServing), into: &output)
        }
        var read = read
        if let version = read.version, version > machine.lastVersion {
            switch entry(reaching: version) {
            case .success(let index): read.notBefore = index
            case .failure(let refusal):
                return answer(read.waiter, .refusal(refusal), into: &output)
            }
        }
        gatheredReads.append(read)
    }

    /// The entry that brings the state machine to `version`: one that is on its way, or a new one.
    /// The clock alone says nothing of it, for it runs ahead of what is applied.
    private func entry(reaching version: Timestamp) -> Result<LogIndex, Refusal> {
        let last = raft.lastPosition.index
        guard lastTimestamp(before: last.next) < version else {
            reached(.readAwaitsEntryOnItsWay)
            return .success(last)
        }
        guard version <= clock.last || isNear(version) else { return .failure(Tablet.tooFarAhead) }
        return moveClock(past: version).map { .success($0) } ?? .failure(Tablet.clockNotMoved)
    }

    /// How far ahead of the agreed clock a version may lie that a read asks for.
    private static let readAheadMax = TimeSpan.milliseconds(500)
    private static let tooFarAhead = Refusal(
        .invalid, "the version lies more than 500 ms ahead of the cluster's clock")
    private static let clockNotMoved = Refusal(
        .unavailable, "the tablet's clock cannot be moved to the version at the moment",
        retryAfterMilliseconds: 20)

    private func isNear(_ version: Timestamp) -> Bool {
        guard let agreedTime else { return false }
        let latest = agreedTime.milliseconds + UInt64(Tablet.readAheadMax.wholeMilliseconds)
        return version < Timestamp(WallTime(milliseconds: latest))
    }

    /// Lets no later write of this tablet have a version at or below `version`, over changes of
    /// leader too: an entry with a higher one says so in the log (Rule S8). Nil when nothing can
    /// be proposed now.
    private func moveClock(past version: Timestamp) -> LogIndex? {
        guard servesAsLeader else { return nil }
        clock.observe(version)
        return proposeUpkeep(.raiseHistoryFloor(to: machine.historyFloor))
    }

    /// Lets the reads of this turn join a round, one token for all of them; with a lease they are
    /// confirmed at once.
    ///
    /// - Parameter now: read after they arrived (Rule C3).
    func startReads(now: Instant) {
        guard !gatheredReads.isEmpty else { return }
        let token = reads.join(gatheredReads, now: now)
        gatheredReads = []
        raft.requestRead(token, now: now)
    }

    /// What a turn spends on reads, in look-ups. Not more, so that their answers are on their way
    /// while the next ones are served, and others get the loop (Rule S9).
    private static let lookUpsPerTurn = 128

    func serveReads(into output: inout TabletOutput) {
        let applied = machine.appliedIndex
        for read in reads.takeReady(applied: applied, budget: Tablet.lookUpsPerTurn) {
            serve(read, into: &output)
        }
        if reads.hasReady(applied: applied) { output.wantsTurn = true }
    }

    /// Blocks that a read waited for have come.
    func resumeRead(_ number: UInt64, with loaded: LoadedBlocks, into output: inout TabletOutput) {
        guard var read = reads.takeAwaitingBlocks(number) else { return }
        let blocks = read.blocks ?? PinnedBlocks()
        blocks.add(loaded)
        read.blocks = blocks
        // How old it is counts up to when it is answered: the turn knows the time.
        if read.staleness != .none { return reads.take(read) }
        serve(read, into: &output)
    }

    private func serve(_ read: PendingRead, into output: inout TabletOutput) {
        let blocks = read.blocks ?? noBlocks
        guard let age = age(for: read, into: &output) else { return }
        switch read.question {
        case .get(let key, let at):
            finish(machine.get(key, at: at, blocks: blocks), read, into: &output) {
                .value($0.value, at: ReadPoint(tablet: self.id, version: $0.at, age: age))
            }
        case .getMany(let keys, let at):
            finish(machine.getMany(keys, at: at, blocks: blocks), read, into: &output) {
                .values($0.values, at: ReadPoint(tablet: self.id, version: $0.at, age: age))
            }
        case .scan(let request):
            finish(machine.scan(request.forMachine, blocks: blocks), read, into: &output) {
                .page(
                    $0.items.map { ScanItem(key: $0.key, value: $0.value) }, next: $0.pageToken,
                    at: ReadPoint(tablet: self.id, version: $0.at, age: age))
            }
        }
    }

    private func finish<Found>(
        _ result: StoreRead<Result<Found, ReadError>>, _ read: PendingRead,
        into output: inout TabletOutput, _ makeAnswer: (Found) -> Answer
    ) {
        switch result {
        case .ready(.success(let found)):
            answer(read.waiter, makeAnswer(found), into: &output)
        case .ready(.failure(let error)):
            answer(read.waiter, .refusal(Refusal(error)), into: &output)
        case .needs(let blockRead):
            let number = reads.awaitBlocks(read)
            output.jobs.append(
                (.readBlocks(number), .read, BackgroundJob.loading(blockRead)))
        }
    }
}
