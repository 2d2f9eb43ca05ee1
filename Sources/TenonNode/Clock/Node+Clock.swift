import TenonCore
import TenonRaft
import TenonWire

/// The exchange of clocks between nodes, and what follows from it (Rule S2).
extension Node {
    /// How often a node asks each other one for the clocks it knows; every upkeep while the time
    /// is unknown or stands still.
    static let clockInterval = TimeSpan.seconds(1)
    /// How long a node whose clock is off waits before it tries again to hand over what it leads.
    /// Proposals are refused while it tries.
    static let clockHandOverPause = TimeSpan.seconds(3)

    /// The turn's time: nil while no time is agreed.
    func readClock(now: Instant, wallTime: WallTime) -> WallTime? {
        clock.observe(wallTime, at: now)
        noteClockState()
        agreedTime = clock.time(at: now)
        return agreedTime
    }

    /// Called at each upkeep.
    func lookAfterClock(now: Instant) {
        clock.setMembers(identity.withoutLost(cluster.directory.nodes).map(\.id), at: now)
        clock.tick(at: now)
        noteClockState()
        let isUrgent = !clock.state.isKnown || clock.state.isStopped
        if isUrgent || now >= nextClockQuestion {
            nextClockQuestion = now + Node.clockInterval
            for link in peers.links { peers.send(.clockQuestion(askedAt: now), to: link.node) }
        }
        guard clock.state.isOff, now >= nextClockHandOver else { return }
        var isLeading = false
        for tablet in tablets.all where tablet.raft.role == .leader {
            isLeading = true
            wake(tablet, now: now)
            tablet.handOver(now: now) { self.clock.isRight($0, at: now) }
        }
        if isLeading {
            reached(.clockHandedOver)
            counters.clockHandOvers += 1
            nextClockHandOver = now + Node.clockHandOverPause
            wantsTurn = true
        }
    }

    func clockAsked(by node: NodeID, askedAt: Instant, now: Instant) {
        peers.send(.clockAnswer(clock.answer(toQuestionAt: askedAt, now: now)), to: node)
    }

    func clockAnswered(_ answer: ClockAnswer, by node: NodeID, now: Instant) {
        clock.heard(answer, from: node, at: now)
        noteClockState()
    }

    /// An operator accepts the time that the clocks show now.
    func acceptClock(now: Instant) {
        guard clock.accept(at: now) else { return }
        notice(.warning, "an operator accepted the clocks' new time")
        noteClockState()
        nextClockQuestion = now
        wantsTurn = true
    }

    /// Tells the tablets, and the operator, what has changed.
    private func noteClockState() {
        let state = clock.state
        let before = clockStateNoted
        guard state != before else { return }
        clockStateNoted = state
        // Writes may have waited for the time.
        if state.isKnown != before.isKnown { tablets.touchAll() }
        if state.isOff != before.isOff {
            applyLeaderPriority()
            if state.isOff {
                nextClockHandOver = .zero
                notice(.error, "this node's clock is \(clock.errorText): it leads nothing")
            } else {
                notice(.info, "this node's clock is right again")
            }
        }
        guard state.isStopped != before.isStopped else { return }
        if state.isStopped { counters.clockStops += 1 }
        notice(
            state.isStopped ? .error : .warning,
            state.isStopped
                ? "the clocks' time has stepped by \(clock.step) ms: versions go on, expiry stands "
                    + "still until the clocks are set right or `tenon clock accept` is called"
                : "time goes on")
    }

    /// What status says of the clocks.
    func clockStatus(now: Instant) -> NodeStatus.Clock {
        NodeStatus.Clock(
            state: clock.stateText, time: clock.timeForClients(at: now),
            errorMilliseconds: clock.ownError, stepMilliseconds: clock.step,
            known: UInt32(clock.knownCount(at: now)), members: UInt32(clock.memberCount))
    }
}

extension AgreedClock {
    /// `agreed`, or what is wrong, for people.
    var stateText: String {
        if !state.isKnown { return "unknown: fewer than a majority of clocks are known" }
        if state.isStopped { return "stopped: the clocks stepped by \(step) ms" }
        return state.isOff ? errorText : "agreed"
    }

    /// How far this node's own clock is from the agreed one, for people.
    var errorText: String {
        ownError > 0 ? "\(ownError) ms ahead" : "\(-ownError) ms behind"
    }
}
