package import TenonCore
import TenonLog
import TenonRaft
import TenonWire

extension Node {
    /// How often the node, and a tablet where somebody waits, look after what has no event of its
    /// own.
    static let upkeepInterval = TimeSpan.milliseconds(100)
    /// An empty batch is written when nothing followed a batch for so long (Rule L1).
    static let sealDelay = TimeSpan.milliseconds(10)
    /// How long records that found the log full wait before they are tried again.
    static let logRetryDelay = TimeSpan.milliseconds(100)

    /// Tablets whose elections are under way here at a time. When many lost their leader the others
    /// wait, so that what is begun is done before it is late; the votes of those share a sync
    /// (Rule C9).
    static let electionsMax = 128

    /// Closes the turn: everything that the events since the last turn make possible is done or
    /// ordered, and what is ordered is handed over.
    package func turn(now: Instant, wallTime: WallTime) -> Effects {
        wantsTurn = false
        let time = readClock(now: now, wallTime: wallTime)
        continueInquiries(now: now)
        if isFormed {
            lookAfterMembers(now: now)
            lookAfterDirectory(now: now)
            for tablet in tablets.takeTouched(now: now) {
                finish(tablet, now: now, wallTime: wallTime, time: time)
            }
        }
        bytesTaken = 0
        noteLogRoom()
        lookAfter(now: now)
        lookAfterSnapshots(now: now)
        startLogWork(now: now)
        if isFormed {
            continueHeartbeats(now: now)
            continueRelays(now: now)
        }
        collectOutput()
        tablets.checkUntouched()
        let ordered = effects
        effects = Effects()
        return ordered
    }

    /// Whether work was left over, so that another turn should follow at once.
    package var wantsAnotherTurn: Bool { wantsTurn }

    /// - Parameter wallTime: this node's own clock, which goes nowhere but into heartbeats;
    ///   `time` is the agreed one.
    private func finish(_ tablet: Tablet, now: Instant, wallTime: WallTime, time: WallTime?) {
        var output = tablet.takeGathered()
        tablet.raft.note(now: now)
        noteRelays(tablet)
        if tablet.needsTicks, tablet.raft.nextDeadline <= now {
            // One that stands already asks again: its messages may have met links that were not up.
            if tablet.raft.isElectionDue, electing >= Node.electionsMax, !tablet.isElecting,
                tablet.id != .directory
            {
                tablet.raft.deferElection(
                    within: max(
                        configuration.timers.electionMin, Node.electionSpread(of: tablets.count)))
            } else {
                tablet.raft.tick(now: now, wallTime: wallTime)
            }
        }
        if tablet.upkeepIfDue(now: now, time: time, into: &output) {
            lookAfter(tablet, now: now)
        }
        tablet.finishTurn(time: time, now: now, into: &output)
        tablet.startStoreWork(now: now, into: &output)
        tablet.continueContentDigest(into: &output)
        take(output, of: tablet)
        noteRest(tablet, now: now)
        askWhetherMember(tablet, now: now)
        tablets.schedule(tablet)
    }

    /// What the node does for a tablet whose upkeep was due.
    private func lookAfter(_ tablet: Tablet, now: Instant) {
        lookAfterRepair(of: tablet, now: now)
        lookAfterRebuild(of: tablet, now: now)
        tablet.stepDownIfUntimely(latest: clock.latestByClocks(at: now), now: now)
    }

    private func lookAfter(now: Instant) {
        if !isFormed && now >= nextReminder {
            nextReminder = now + Node.reminderInterval
            let reminders = formation.reminders()
            if !reminders.isEmpty { reached(.formationRepeated) }
            perform(reminders, now: now)
        }
        guard isFormed, now >= nextUpkeep else { return }
        nextUpkeep = now + Node.upkeepInterval
        lookAfterClock(now: now)
        askAboutPeers()
        noteStall(now: now)
        wantFlushesForLogSpace()
    }

    private func lookAfterSnapshots(now: Instant) {
        let installed = installedSnapshots
        let made = checkpointsMade
        let wanted = snapshotsWanted
        installedSnapshots = []
        checkpointsMade = []
        snapshotsWanted = []
        for id in installed { if let tablet = tablet(id) { snapshotInstalled(tablet, now: now) } }
        for (key, manifest) in made {
            if let manifest { checkpointMade(manifest, for: key, now: now) }
        }
        for (id, follower) in wanted {
            if let tablet = tablet(id) { snapshotWanted(tablet, by: follower, now: now) }
        }
        continueSnapshots(now: now)
    }

    /// When the next turn must come even if nothing happens.
    package var nextDeadline: Instant {
        var next = isFormed ? nextUpkeep : nextReminder
        if isFormed {
            if let due = tablets.nextDeadline { next = min(next, due) }
            next = min(next, heartbeatDeadline)
        }
        if let sealAt, writing == nil { next = min(next, sealAt) }
        if writing == nil, !gathering.isEmpty { next = min(next, logRetryAt) }
        return next
    }

    private func collectOutput() {
        for client in touchedClients where client.isOpen {
            effects.clientOutput.append((client.id, client.takeOutput()))
        }
        touchedClients.removeAll(keepingCapacity: true)
        for (node, stream, bytes) in peers.takeFrames(logPosition: logStatus.lastBatch) {
            effects.peerOutput.append((node, stream, bytes))
        }
    }
}
