import TenonCore

@testable import TenonRaft

/// How unkind the world is.
struct Weather {
    var lossPercent: UInt64 = 5
    var duplicationPercent: UInt64 = 5
    var delayMillisecondsMax: UInt64 = 20
    var writeMillisecondsMax: UInt64 = 15
    /// One in so many writes takes up to two seconds.
    var stalledWriteEvery: UInt64 = 400
    /// One in so many steps.
    var crashEvery: UInt64 = 150
    var partitionEvery: UInt64 = 200
    var trimEvery: UInt64 = 60
    var transferEvery: UInt64 = 150
    /// One in so many steps; 0 for never.
    var membersChangeEvery: UInt64 = 0
    /// Leaders read by leases, and clocks go up to four hundredths too fast or too slow.
    var usesLeases = false
}

/// A violated promise of the group.
struct Violation: Error, CustomStringConvertible {
    var description: String
}

/// A group under a random schedule of losses, delays, crashes and partitions. After every step the
/// safety properties of Raft are checked (thesis, figure 3.2), and two promises of ours: what is
/// committed is durable on a quorum, and a confirmed read sees what was committed before it began.
/// A third: what a replica says of how new it is (Rule S8) is true, by the clock of all.
/// With spares, replicas join and leave the group all the while.
struct RandomSchedule {
    enum Event {
        case message(RaftMessage)
        case write(ReplicaID)
        case restart(ReplicaID)
        case snapshot(from: ReplicaID, to: ReplicaID, LogPosition, [Entry], Membership)
    }

    private(set) var now = Instant.zero
    private(set) var committed: [Entry] = []
    /// When each of those was known to be committed by anybody.
    private var committedAt: [Instant] = []
    /// How often a replica that does not lead was found to know how new it is.
    private(set) var closedCount = 0
    private(set) var confirmedReadCount = 0
    private(set) var electionCount = 0
    private(set) var snapshotCount = 0
    private(set) var restartCount = 0
    private(set) var configurationCount = 0
    private var replicas: [TestReplica]
    private var isDown: [Bool]
    private var writeIsScheduled: [Bool]
    private var lastWriteAt: [Instant]
    private var queue: [(at: Instant, order: UInt64, event: Event)] = []
    private var order: UInt64 = 0
    private var random: SeededGenerator
    private var weather: Weather
    /// Who led each term.
    private var leaders: [Term: ReplicaID] = [:]
    /// Reads under way, with what was committed anywhere when they began.
    private var reads: [ReadToken: LogIndex] = [:]
    private var nextToken: UInt64 = 1
    private var nextProposal = 0
    /// How fast the clock of each replica goes, in thousandths.
    private var paces: [UInt64]
    private var partition: (side: Set<ReplicaID>, isOneWay: Bool)?

    init(count: Int, spares: Int = 0, seed: UInt64, weather: Weather = Weather()) {
        random = SeededGenerator(seed: seed)
        self.weather = weather
        let disk = TestDisk(membership: voters(1...count))
        let count = count + spares
        replicas = (1...count).map {
            TestReplica(
                ReplicaID(UInt64($0)), disk: disk, seed: seed, configure: RandomSchedule.narrow)
        }
        isDown = Array(repeating: false, count: count)
        writeIsScheduled = isDown
        lastWriteAt = Array(repeating: .zero, count: count)
        paces = Array(repeating: 1_000, count: count)
        guard weather.usesLeases else { return }
        for position in replicas.indices {
            paces[position] = 960 + random.below(81)
            replicas[position].raft.usesLeases = true
        }
    }

    /// The time by the clock of a replica.
    private func time(_ position: Int) -> Instant {
        Instant(nanoseconds: now.nanoseconds / 1_000 * paces[position])
    }

    /// When the clock of a replica shows `time`, at the earliest.
    private func moment(_ time: Instant, _ position: Int) -> Instant {
        guard time < .distantFuture else { return time }
        return Instant(nanoseconds: (time.nanoseconds / paces[position] + 1) * 1_000)
    }

    /// Small windows, so that every bound is met.
    private static func narrow(_ configuration: inout Raft.Configuration) {
        configuration.windowMessagesMax = 4
        configuration.windowBytesMax = 200
        configuration.messageBytesMax = 100
        configuration.applyBytesMax = 150
        configuration.uncommittedBytesMax = 400
    }

    // MARK: Running

    mutating func run(steps: Int) throws {
        for step in 0..<steps {
            disturb()
            try advance()
            if step % 64 == 0 { try checkLogMatching() }
        }
        try checkLogMatching()
    }

    /// The faults end: within five seconds every replica has applied everything, a new proposal
    /// included.
    mutating func recover() throws {
        weather = Weather(
            lossPercent: 0, duplicationPercent: 0, delayMillisecondsMax: 2, writeMillisecondsMax: 2,
            stalledWriteEvery: .max, usesLeases: weather.usesLeases)
        partition = nil
        for position in replicas.indices where isDown[position] { restart(position) }
        try run(for: .seconds(4))
        guard let leader = replicas.firstIndex(where: { $0.raft.isReadyToServe }) else {
            throw Violation(description: "no leader four seconds after the last fault")
        }
        let index = try replicas[leader].raft.propose(.commands, Array("last".utf8))
        try collect(leader)
        try run(for: .seconds(1))
        let members = replicas[leader].raft.membership
        guard !members.isJoint else {
            throw Violation(description: "a joint configuration does not end")
        }
        for member in members.members {
            let replica = replicas[Int(member.replica.rawValue) - 1]
            guard replica.raft.applied < index else { continue }
            throw Violation(
                description:
                    "\(replica.raft.replica) has applied \(replica.raft.applied) of \(index)"
                    + " a second after it was proposed")
        }
    }

    private mutating func run(for span: TimeSpan) throws {
        let end = now + span
        while now < end { try advance() }
    }

    /// The next thing that happens: a message, a write, or a timer.
    private mutating func advance() throws {
        let timers = replicas.indices.filter { !isDown[$0] }
            .map { (at: moment(replicas[$0].raft.nextDeadline, $0), position: $0) }
        let timer = timers.min { ($0.at, $0.position) < ($1.at, $1.position) }
        let head = queue.indices.min {
            (queue[$0].at, queue[$0].order) < (queue[$1].at, queue[$1].order)
        }
        if let head, timer.map({ queue[head].at <= $0.at }) ?? true {
            let (at, _, event) = queue.remove(at: head)
            now = max(now, at)
            try handle(event)
        } else if let timer {
            now = max(now, timer.at)
            replicas[timer.position].raft.tick(
                now: time(timer.position),
                wallTime: WallTime(milliseconds: now.nanoseconds / 1_000_000))
            try collect(timer.position)
        }
    }

    private mutating func handle(_ event: Event) throws {
        switch event {
        case .message(let message):
            let position = Int(message.to.rawValue) - 1
            guard !isDown[position], isConnected(message.from, message.to) else { return }
            replicas[position].raft.step(message, now: time(position))
            try collect(position)
        case .write(let id):
            let position = Int(id.rawValue) - 1
            writeIsScheduled[position] = false
            guard !isDown[position], !replicas[position].writes.isEmpty else { return }
            replicas[position].completeWrite()
            try collect(position)
        case .restart(let id):
            let position = Int(id.rawValue) - 1
            if isDown[position] { restart(position) }
        case .snapshot(let source, let target, let at, let state, let membership):
            try finishSnapshot(from: source, to: target, at: at, state: state, membership)
        }
    }

    private mutating func schedule(_ event: Event, in delayMax: UInt64) {
        let delay = TimeSpan(nanoseconds: random.below(delayMax * 1_000_000 + 1))
        order += 1
        queue.append((now + delay, order, event))
    }

    private func isConnected(_ from: ReplicaID, _ to: ReplicaID) -> Bool {
        guard let partition else { return true }
        let isFromInside = partition.side.contains(from)
        if isFromInside == partition.side.contains(to) { return true }
        return partition.isOneWay && isFromInside
    }

    // MARK: Faults and load

    private mutating func disturb() {
        if chance(oneIn: 3) { proposeSomewhere() }
        if chance(oneIn: 4) { readSomewhere() }
        if chance(oneIn: weather.crashEvery) { crash(randomPosition) }
        if chance(oneIn: weather.trimEvery) { trimSomewhere() }
        if chance(oneIn: weather.transferEvery) { transferSomewhere() }
        if weather.membersChangeEvery > 0, chance(oneIn: weather.membersChangeEvery) {
            changeMembersSomewhere()
        }
        if chance(oneIn: weather.partitionEvery) {
            if partition == nil { startPartition() } else { partition = nil }
        }
        if chance(oneIn: weather.partitionEvery) {
            let position = randomPosition
            let node = NodeID(UInt32(1 + random.below(UInt64(replicas.count))))
            if !isDown[position] {
                replicas[position].raft.peerUnreachable(node: node, now: time(position))
            }
        }
    }

    private mutating func startPartition() {
        var side: Set<ReplicaID> = []
        for replica in replicas where random.below(2) == 0 { side.insert(replica.raft.replica) }
        partition = (side, isOneWay: random.below(3) == 0)
    }

    private mutating func chance(oneIn count: UInt64) -> Bool { random.below(count) == 0 }
    private var randomPosition: Int {
        mutating get { Int(random.below(UInt64(replicas.count))) }
    }

    private mutating func proposeSomewhere() {
        let position = randomPosition
        guard !isDown[position], replicas[position].raft.role == .leader else { return }
        nextProposal += 1
        let payload = Array("p\(nextProposal)".utf8)
        _ = try? replicas[position].raft.propose(.commands, payload)
    }

    private mutating func readSomewhere() {
        let position = randomPosition
        guard !isDown[position] else { return }
        let token = ReadToken(nextToken)
        nextToken += 1
        reads[token] = committed.last?.index ?? .zero
        replicas[position].raft.requestRead(token, now: time(position))
    }

    private mutating func transferSomewhere() {
        let position = randomPosition
        guard !isDown[position] else { return }
        let target = ReplicaID(UInt64(randomPosition + 1))
        try? replicas[position].raft.transferLeadership(to: target, now: time(position))
    }

    /// Adds a learner, or makes some of those that are there the voters.
    private mutating func changeMembersSomewhere() {
        guard let position = replicas.indices.first(where: { replicas[$0].raft.role == .leader })
        else { return }
        let membership = replicas[position].raft.membership
        let isIn = membership.incoming + membership.learners
        var voters = membership.incoming
        var learners = membership.learners
        let newcomer = members([randomPosition + 1])[0]
        if random.below(2) == 0, !isIn.contains(newcomer) {
            learners.append(newcomer)
        } else {
            voters = isIn.filter { _ in random.below(3) > 0 }.prefix(5).sorted(by: isBefore)
            learners = isIn.filter { !voters.contains($0) && random.below(2) > 0 }
        }
        let index = try? replicas[position].raft.changeMembers(
            voters: voters, learners: learners.sorted(by: isBefore), now: time(position))
        if index != nil { configurationCount += 1 }
    }

    private func isBefore(_ left: Member, _ right: Member) -> Bool {
        left.replica < right.replica
    }

    private mutating func trimSomewhere() {
        let position = randomPosition
        guard !isDown[position] else { return }
        let raft = replicas[position].raft
        let bound = min(raft.applied, raft.durableIndex)
        guard bound > raft.basePosition.index else { return }
        replicas[position].flush(at: bound)
        // The log may keep more than the flush makes necessary.
        let kept = random.below(2) == 0 ? 0 : 5
        let index = max(
            raft.basePosition.index.rawValue, bound.rawValue - min(bound.rawValue, UInt64(kept)))
        if LogIndex(index) > raft.basePosition.index {
            replicas[position].raft.trim(through: LogIndex(index))
            replicas[position].disk.trim(through: LogIndex(index))
        }
    }

    private mutating func crash(_ position: Int) {
        guard !isDown[position] else { return }
        isDown[position] = true
        schedule(.restart(replicas[position].raft.replica), in: 1_500)
    }

    private mutating func restart(_ position: Int) {
        isDown[position] = false
        writeIsScheduled[position] = false
        restartCount += 1
        replicas[position] = TestReplica(
            ReplicaID(UInt64(position + 1)), disk: replicas[position].disk, now: time(position),
            seed: random.next() >> 20, isSilent: true, configure: RandomSchedule.narrow)
        replicas[position].raft.usesLeases = weather.usesLeases
    }

    // MARK: What a replica did

    private mutating func collect(_ position: Int) throws {
        while true {
            let before = replicas[position].state.count
            let messages = replicas[position].drain()
            try noteCommitted(replicas[position].state[before...], by: replicas[position].raft)
            try noteLeader(replicas[position].raft)
            try noteReads(position)
            try checkClosed(position)
            for message in messages { try transmit(message) }
            startSnapshots(position)
            if !replicas[position].writes.isEmpty, !writeIsScheduled[position] {
                writeIsScheduled[position] = true
                let isStalled = chance(oneIn: weather.stalledWriteEvery)
                schedule(
                    .write(replicas[position].raft.replica),
                    in: isStalled ? 2_000 : weather.writeMillisecondsMax)
            }
            if !replicas[position].raft.hasReady { return }
        }
    }

    private mutating func transmit(_ message: RaftMessage) throws {
        var reader = ByteReader(message.encoded())
        guard try RaftMessage(from: &reader) == message, reader.isAtEnd else {
            throw Violation(description: "\(message) does not survive its encoding")
        }
        if random.below(100) < weather.lossPercent { return }
        schedule(.message(message), in: weather.delayMillisecondsMax)
        if random.below(100) < weather.duplicationPercent {
            // Late enough to arrive in another term or after a restart.
            schedule(.message(message), in: weather.delayMillisecondsMax * 150)
        }
    }

    private mutating func startSnapshots(_ position: Int) {
        let source = replicas[position]
        for target in source.snapshotsWanted {
            guard let last = source.state.last else { continue }
            schedule(
                .snapshot(
                    from: source.raft.replica, to: target, last.position, source.state,
                    source.raft.membership(at: last.index)), in: 50)
        }
        replicas[position].snapshotsWanted = []
    }

    private mutating func finishSnapshot(
        from source: ReplicaID, to target: ReplicaID, at position: LogPosition, state: [Entry],
        _ membership: Membership
    ) throws {
        let origin = Int(source.rawValue) - 1
        let receiver = Int(target.rawValue) - 1
        guard !isDown[receiver], isConnected(source, target), random.below(4) > 0 else {
            if !isDown[origin] { replicas[origin].raft.snapshotFailed(to: target) }
            return
        }
        if replicas[receiver].raft.installSnapshot(
            at: position, membership: membership, now: time(receiver))
        {
            snapshotCount += 1
            replicas[receiver].state = state
            replicas[receiver].disk.flush(state, at: position, membership)
        }
        try collect(receiver)
        if !isDown[origin] { replicas[origin].raft.snapshotSent(to: target, at: position.index) }
    }

    // MARK: Checks

    /// State machine safety, and durability of what is committed.
    private mutating func noteCommitted(_ entries: ArraySlice<Entry>, by raft: Raft) throws {
        for entry in entries {
            let offset = Int(entry.index.rawValue) - 1
            if offset < committed.count {
                guard committed[offset] == entry else {
                    throw Violation(description: "\(entry.position) committed twice")
                }
                continue
            }
            guard offset == committed.count else {
                throw Violation(description: "\(entry.index) committed after \(committed.count)")
            }
            // Followers hear of it later, and may have another configuration then.
            let isDurable = raft.membership.hasQuorum { disk(of: $0).holds(entry.position) }
            guard isDurable || raft.role != .leader else {
                throw Violation(description: "\(entry.position) committed without a durable quorum")
            }
            committed.append(entry)
            committedAt.append(now)
        }
    }

    /// Closed points: what was committed before the moment that a replica names is applied there.
    private mutating func checkClosed(_ position: Int) throws {
        let raft = replicas[position].raft
        guard let since = raft.closedSince(applied: raft.applied) else { return }
        if raft.role != .leader { closedCount += 1 }
        // Clocks that differ make a length of time wrong by their paces, on both ends.
        let age = time(position).since(since).nanoseconds
        let bound = TimeSpan(nanoseconds: weather.usesLeases ? age + age / 10 : age)
        guard now.nanoseconds >= bound.nanoseconds else { return }
        let moment = Instant(nanoseconds: now.nanoseconds - bound.nanoseconds)
        let count = committedAt.prefix { $0 < moment }.count
        guard count <= Int(raft.applied.rawValue) else {
            throw Violation(
                description: "\(raft.replica) takes itself for whole as of \(moment), when "
                    + "\(count) entries were committed, and has applied \(raft.applied)")
        }
    }

    private func disk(of id: ReplicaID) -> TestDisk { replicas[Int(id.rawValue) - 1].disk }

    /// Election safety and leader completeness.
    private mutating func noteLeader(_ raft: Raft) throws {
        guard raft.role == .leader, leaders[raft.term] != raft.replica else { return }
        if let other = leaders[raft.term] {
            throw Violation(description: "\(other) and \(raft.replica) lead term \(raft.term)")
        }
        leaders[raft.term] = raft.replica
        electionCount += 1
        for entry in committed where entry.index > raft.basePosition.index {
            guard raft.term(at: entry.index) == entry.term else {
                throw Violation(
                    description: "\(raft.replica) leads term \(raft.term) without \(entry.position)"
                )
            }
        }
    }

    /// Linearizable reads.
    private mutating func noteReads(_ position: Int) throws {
        for token in replicas[position].rejected { reads[token] = nil }
        for read in replicas[position].confirmed {
            guard let floor = reads.removeValue(forKey: read.token) else {
                throw Violation(description: "read \(read.token) answered twice")
            }
            guard read.index >= floor else {
                throw Violation(
                    description: "read \(read.token) confirmed at \(read.index), begun at \(floor)")
            }
            confirmedReadCount += 1
        }
        replicas[position].confirmed = []
        replicas[position].rejected = []
    }

    /// Log matching: where two logs have an entry of the same index and term, all before it are
    /// equal.
    private func checkLogMatching() throws {
        for left in replicas.indices {
            for right in replicas.indices where right > left && !isDown[left] && !isDown[right] {
                try checkMatching(replicas[left].raft.log, replicas[right].raft.log)
            }
        }
    }

    private func checkMatching(_ left: RaftLog, _ right: RaftLog) throws {
        var agrees = false
        let low = max(left.base.index, right.base.index)
        var index = min(left.lastIndex, right.lastIndex)
        while index > low {
            if agrees || left[index].term == right[index].term {
                guard left[index] == right[index] else {
                    throw Violation(description: "logs agree after \(index) and differ there")
                }
                agrees = true
            }
            index = index.previous
        }
    }
}
