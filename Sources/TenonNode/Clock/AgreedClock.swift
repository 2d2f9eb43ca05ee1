package import TenonCore

/// The cluster's time as one node knows it: the one place where wall time enters (Rule S2).
///
/// Every clock is kept as an *offset*: milliseconds of wall time less milliseconds of this node's
/// monotonic clock, so that between two samples it goes on by itself. The agreed clock is the
/// median of the voters' clocks, in which those that were not heard count as slow: a minority of
/// clocks that are ahead never carries it with them.
///
/// ```
/// unknown ──a majority of clocks is known──▶ agreed ──the median steps by over 10 s──▶ stopped
///                                              ◀── it comes back, others that were not ──┘
///                                                  stopped agree with it, or an operator
///                                                  accepts the new time at any node
/// ```
/// While it is stopped the time that versions are taken from stands still. The *line* is what the
/// median was before the step, carried on by the monotonic clock: what voters measure by.
///
/// - Invariant: the time handed out never goes back.
package struct AgreedClock: Sendable {
    /// How far a node's own clock may be from the agreed one while it leads, and how far ahead of
    /// the agreed one the timestamp of an entry may be that a voter acknowledges.
    package static let toleranceMilliseconds: Int64 = 500
    /// A larger step of the agreed clock is an operator's to accept.
    package static let stepMaxMilliseconds: Int64 = 10_000
    /// A node is taken back as right only this much nearer, so that it does not flap.
    private static let returnMilliseconds: Int64 = 400
    /// A clock not heard for so long counts as unknown, unless no majority would be left.
    private static let freshFor = TimeSpan.seconds(5)
    /// How long a node that starts waits for the last clocks once it knows those of a majority.
    private static let patience = TimeSpan.seconds(1)
    /// An answer that took longer says too little.
    package static let roundTripMax = TimeSpan.milliseconds(500)
    /// Wall times lie below it: what is left of a version's 64 bits.
    private static let wallMillisecondsMax: UInt64 = 1 << 47

    /// Another node, as it was last heard.
    private struct Peer: Sendable {
        let node: NodeID
        var offset: Int64?
        var sampledAt = Instant.zero
        var line: PeerLine?
    }

    /// What another node takes for the agreed clock.
    private struct PeerLine: Sendable {
        var offset: Int64
        var isStopped: Bool
        var isAccepted: Bool
        var heardAt: Instant
    }

    /// What an operator and the tablets are to know.
    package struct State: Hashable, Sendable {
        /// Whether the time is known.
        package var isKnown = false
        /// Whether this node's own clock is too far from the agreed one: it is to lead nothing.
        package var isOff = false
        /// Whether the time stands still until an operator accepts the new one.
        package var isStopped = false
    }

    private let me: NodeID
    private var peers: [Peer]
    private var ownOffset: Int64 = 0
    /// The own clock as it was when the median was last taken.
    private var ownOffsetUsed: Int64 = 0
    /// The median as it was last taken; nil while unknown.
    private var median: Int64?
    /// The agreed clock; nil until it is known for the first time.
    private var line: Int64?
    /// Since when the clocks of a majority are known.
    private var majoritySince: Instant?
    /// The time handed out last: what comes after is not before it.
    private var floor: WallTime
    /// Whether the line is what an operator accepted, here or elsewhere: others may follow it.
    private var isAccepted = false
    package private(set) var state = State()

    /// - Parameter floor: the latest time that this node's tablets know of: those handed out are
    ///   not before it.
    package init(me: NodeID, members: [NodeID], floor: WallTime) {
        self.me = me
        peers = members.filter { $0 != me }.sorted().map { Peer(node: $0) }
        self.floor = floor
    }

    // MARK: What it is asked

    /// The time to take versions from, not before any that was handed out; nil while unknown.
    package mutating func time(at now: Instant) -> WallTime? {
        if isPlanted(.ownClockTrusted) { return AgreedClock.wall(ownOffset, now) }
        guard let line else { return nil }
        if !state.isStopped { floor = max(floor, AgreedClock.wall(line, now)) }
        return floor
    }

    /// The time to tell clients: the best guess while it is unknown.
    package func timeForClients(at now: Instant) -> WallTime {
        if let line, !state.isStopped { return max(floor, AgreedClock.wall(line, now)) }
        return floor.milliseconds > 0 ? floor : AgreedClock.wall(ownOffset, now)
    }

    /// The greatest timestamp that a voter acknowledges which is not a logical step above the
    /// tablet's last one.
    package func latestAcknowledged(at now: Instant) -> Timestamp {
        if isPlanted(.ownClockTrusted) { return .newest }
        guard let line else { return Timestamp(floor) }
        let agreed = max(floor, AgreedClock.wall(line, now)).milliseconds
        return Timestamp(
            WallTime(milliseconds: agreed + UInt64(AgreedClock.toleranceMilliseconds)))
    }

    /// The greatest timestamp that others are likely to acknowledge: by what the clocks show now,
    /// whatever this node has handed out or an operator has accepted here.
    package func latestByClocks(at now: Instant) -> Timestamp {
        guard let median, !isPlanted(.ownClockTrusted) else { return .newest }
        return Timestamp(AgreedClock.wall(median + AgreedClock.toleranceMilliseconds, now))
    }

    /// How far this node's clock is ahead of the agreed one, in milliseconds.
    package var ownError: Int64 { median.map { ownOffset - $0 } ?? 0 }

    /// How far the clocks have stepped from the time that stands still, in milliseconds.
    package var step: Int64 {
        guard state.isStopped, let median, let line else { return 0 }
        return median - line
    }

    /// How many clocks are known, this one included.
    package func knownCount(at now: Instant) -> Int {
        1 + peers.count { isFresh($0, now) }
    }

    /// How many there are.
    package var memberCount: Int { peers.count + 1 }

    /// Whether a node's clock is known to be near enough to the agreed one to lead.
    package func isRight(_ node: NodeID, at now: Instant) -> Bool {
        guard let median, let peer = peers.first(where: { $0.node == node }), isFresh(peer, now),
            let offset = peer.offset
        else { return false }
        return AgreedClock.distance(offset, median) <= AgreedClock.toleranceMilliseconds
    }

    // MARK: What happens

    /// This node's own clock shows `wall`. To be told at each turn.
    package mutating func observe(_ wall: WallTime, at now: Instant) {
        let wall = min(wall.milliseconds, AgreedClock.wallMillisecondsMax)
        ownOffset = Int64(wall) - AgreedClock.milliseconds(now)
        // A jump is looked at once; what creeps, when time passes.
        if AgreedClock.distance(ownOffset, ownOffsetUsed) >= 50 || line == nil { agree(at: now) }
    }

    /// These nodes belong to the cluster now. What is known of those that stay is kept.
    package mutating func setMembers(_ members: [NodeID], at now: Instant) {
        let others = members.filter { $0 != me }.sorted()
        guard others != peers.map(\.node) else { return }
        let known = peers
        peers = others.map { node in known.first { $0.node == node } ?? Peer(node: node) }
        agree(at: now)
    }

    /// Time has passed.
    package mutating func tick(at now: Instant) { agree(at: now) }

    /// A peer answered the question that this node sent at `answer.askedAt`.
    package mutating func heard(_ answer: ClockAnswer, from node: NodeID, at now: Instant) {
        guard answer.askedAt <= now, let place = peers.firstIndex(where: { $0.node == node })
        else { return }
        let roundTrip = now.since(answer.askedAt)
        guard roundTrip <= AgreedClock.roundTripMax else { return reached(.clockAnswerLate) }
        // Half of the way there, half of the way back: wrong by a half at the most.
        let way = Int64(roundTrip.wholeMilliseconds / 2)
        for sample in answer.samples { take(sample, way: way, roundTrip: roundTrip, now: now) }
        peers[place].line = answer.line.map {
            PeerLine(
                offset: AgreedClock.offset($0.time, now) + way, isStopped: $0.isStopped,
                isAccepted: $0.isAccepted, heardAt: now)
        }
        agree(at: now)
    }

    /// Keeps a sample if it is newer than what is known. Ages only grow on the way, so what comes
    /// back from others never passes for news.
    private mutating func take(
        _ sample: ClockAnswer.Sample, way: Int64, roundTrip: TimeSpan, now: Instant
    ) {
        guard let place = peers.firstIndex(where: { $0.node == sample.node }),
            sample.time.milliseconds <= AgreedClock.wallMillisecondsMax
        else { return }
        let age = UInt64(sample.ageMilliseconds) * 1_000_000 + roundTrip.nanoseconds + 1_000_000
        let sampledAt = Instant(nanoseconds: now.nanoseconds - min(now.nanoseconds, age))
        guard peers[place].offset == nil || sampledAt > peers[place].sampledAt else { return }
        peers[place].offset = AgreedClock.offset(sample.time, now) + way
        peers[place].sampledAt = sampledAt
    }

    /// What this node tells one that asks.
    package func answer(toQuestionAt askedAt: Instant, now: Instant) -> ClockAnswer {
        var answer = ClockAnswer(askedAt: askedAt)
        answer.samples.append(
            .init(node: me, time: AgreedClock.wall(ownOffset, now), ageMilliseconds: 0))
        for peer in peers.prefix(ClockAnswer.samplesMax - 1) {
            guard let offset = peer.offset else { continue }
            let age = now.since(peer.sampledAt).wholeMilliseconds + 1
            answer.samples.append(
                .init(
                    node: peer.node, time: AgreedClock.wall(offset, now),
                    ageMilliseconds: UInt32(clamping: age)))
        }
        answer.line = line.map {
            .init(
                time: AgreedClock.wall($0, now), isStopped: state.isStopped,
                isAccepted: isAccepted)
        }
        return answer
    }

    /// An operator takes the clocks' new time for right. A node whose time goes on already passes
    /// the word on to those whose time does not.
    /// - Returns: whether there was a step to accept here.
    package mutating func accept(at now: Instant) -> Bool {
        agree(at: now)
        guard state.isStopped, let median else {
            isAccepted = line != nil
            return false
        }
        follow(median, isAccepted: true)
        return true
    }

    // MARK: Agreement

    private mutating func agree(at now: Instant) {
        ownOffsetUsed = ownOffset
        guard let median = takeMedian(at: now) else { return majoritySince = nil }
        self.median = median
        noteOwnError()
        guard let line else { return begin(with: median, at: now) }
        if AgreedClock.distance(median, line) <= AgreedClock.stepMaxMilliseconds {
            follow(median, isAccepted: isAccepted)
        } else {
            stop(at: median, now: now)
        }
    }

    /// The median over all members, of which those not known count as slow: of n clocks, that of
    /// rank n - (n - 1) / 2 from above. Nil without a majority.
    private func takeMedian(at now: Instant) -> Int64? {
        let tolerated = (memberCount - 1) / 2
        var known = peers.filter { isFresh($0, now) }.compactMap(\.offset)
        // Without the others this node decides nothing; what they last said serves better than
        // nothing for the moment when they come back.
        if known.count < tolerated { known = peers.compactMap(\.offset) }
        known.append(ownOffset)
        guard known.count > tolerated else { return nil }
        return known.sorted()[known.count - 1 - tolerated]
    }

    private func isFresh(_ peer: Peer, _ now: Instant) -> Bool {
        peer.offset != nil && now.since(peer.sampledAt) <= AgreedClock.freshFor
    }

    private mutating func noteOwnError() {
        let bound =
            state.isOff ? AgreedClock.returnMilliseconds : AgreedClock.toleranceMilliseconds
        state.isOff = abs(ownError) > bound && !isPlanted(.ownClockTrusted)
    }

    /// The first agreed clock since the start. One that others have kept by their monotonic clocks
    /// counts more than what the clocks show now: a restart accepts no step.
    private mutating func begin(with median: Int64, at now: Instant) {
        let since = majoritySince ?? now
        majoritySince = since
        let lines = peers.compactMap(\.line).filter { now.since($0.heardAt) <= Self.freshFor }
        guard lines.isEmpty else {
            line = lines.map(\.offset).sorted()[(lines.count - 1) / 2]
            state.isKnown = true
            return agree(at: now)
        }
        let isComplete = peers.allSatisfy { isFresh($0, now) }
        guard isComplete || now.since(since) >= AgreedClock.patience else { return }
        reached(.clockBegun)
        state.isKnown = true
        follow(median, isAccepted: false)
    }

    private mutating func follow(_ median: Int64, isAccepted: Bool) {
        line = median
        state.isStopped = false
        self.isAccepted = isAccepted
    }

    /// The median has left the line. It may be this node's monotonic clock that is wrong: when a
    /// majority of others has kept its line to the median, or an operator has accepted it at one
    /// of them, it is followed.
    private mutating func stop(at median: Int64, now: Instant) {
        let agreeing = peers.compactMap(\.line).filter {
            !$0.isStopped && now.since($0.heardAt) <= AgreedClock.freshFor
                && AgreedClock.distance($0.offset, median) <= AgreedClock.stepMaxMilliseconds
        }
        if agreeing.contains(where: \.isAccepted) {
            reached(.clockStepFollowed)
            return follow(median, isAccepted: true)
        }
        if agreeing.count * 2 > memberCount { return follow(median, isAccepted: false) }
        if !state.isStopped { reached(.clockStopped) }
        state.isStopped = true
        isAccepted = false
    }

    // MARK: Numbers

    private static func milliseconds(_ now: Instant) -> Int64 {
        Int64(now.nanoseconds / 1_000_000)
    }

    private static func offset(_ wall: WallTime, _ now: Instant) -> Int64 {
        Int64(min(wall.milliseconds, wallMillisecondsMax)) - milliseconds(now)
    }

    private static func wall(_ offset: Int64, _ now: Instant) -> WallTime {
        WallTime(milliseconds: UInt64(max(0, offset + milliseconds(now))))
    }

    private static func distance(_ left: Int64, _ right: Int64) -> Int64 { abs(left - right) }
}
